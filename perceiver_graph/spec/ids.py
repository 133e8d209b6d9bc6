"""Inputs of ids: what says that an input is one, and the shape of it.

Configurations of other libraries say it by the number of ids that there are and by the most that a text has;
here an input looks them up by its first step, and its shape is how many there are.
"""

from __future__ import annotations

from typing import Any

from perceiver_graph.spec.around import at, flow
from perceiver_graph.spec.configurations import MEANINGS
from perceiver_graph.spec.elsewhere import folded, synonyms
from perceiver_graph.spec.spans import Path

_STEPS = ("embedding", "one_hot")
_WIDTH = 512
_LENGTH = 512
_BATCH = (None, -1, "batch", "b", "B", "n", "N")


def looks_up(entry: Any) -> str | None:
    """The step that ids are looked up by, if it is the first one, or stands beside the shape."""
    steps = at(entry, ("steps",))
    first = steps[0] if isinstance(steps, list) and steps else None
    if isinstance(first, dict):
        return next((key for key in _STEPS if key in first), None)
    return None if steps else _beside(entry)


def _beside(entry: Any) -> str | None:
    words = [*entry] if isinstance(entry, dict) else []
    found = [
        key for word in words for key in _STEPS if word == key or key in synonyms(word, _STEPS)
    ]
    return next(iter(found), "embedding" if any(map(_is_vocabulary, words)) else None)


def ids_shape(value: Any, entry: Any) -> str | None:
    """`shape: {}` for `shape: 1` of an input that looks ids up: they have no channels. The number of classes
    of a single one is no size; None for what is no list of sizes, or of an input of numbers."""
    step = looks_up(entry)
    if step is None:
        return None
    if value in ("scalar", "none", "()", "[]"):
        return "shape: {}"
    sizes = [*value] if isinstance(value, list) else [value]
    if len(sizes) > 1 and sizes[0] in _BATCH:
        sizes = sizes[1:]
    if not all(type(one) is int for one in sizes):
        return None
    said = at(entry, ("steps", 0, step)) or at(entry, (step,))
    sizes = [one for one in sizes if one > 1 and one != said]
    names = {1: ["token"], 2: ["height", "width"], 3: ["time", "height", "width"]}.get(
        len(sizes), []
    )
    return (
        f"shape: {flow(dict(zip(names, sizes, strict=True)))}" if len(names) == len(sizes) else None
    )


def usual_shape(entry: Any) -> str | None:
    """The shape of an input that says how many ids there are, or the most of them; None for any other."""
    step, length = looks_up(entry), _length(entry)
    if step == "one_hot" and length is None:
        return "{}"
    if length is not None or (step and _beside(entry)):
        return f"{{token: {length or _LENGTH}}}"
    return "{byte: 512}" if step else None


def of_ids(word: str, value: Any, parent: Path, data: Any) -> str | None:
    """What to write for a word about ids in an input: their number, the most of them, their width."""
    here = at(data, parent)
    if parent[:1] != ("inputs",) or len(parent) != 2 or not isinstance(here, dict):
        return None
    shape, entry = here.get("shape"), at(here, ("steps", 0, "embedding"))
    if _is_length(word):
        sizes = shape.values() if isinstance(shape, dict) else ()
        if not sizes and (told := usual_shape(here)):
            return f"write `shape: {told}`, which says how many ids there are"
        return "leave it out: the shape says how many there are" if value in sizes else None
    width = next((n for one, n in here.items() if _is_width(one) and type(n) is int), _WIDTH)
    if _is_width(word) and isinstance(entry, dict):
        if entry.get("width") == value:
            return f"leave it out: `width: {value}` is said by the embedding"
        steps = [{"embedding": entry | {"width": value}}, *here["steps"][1:]]
        return f"write `steps: {flow(steps)}`"
    count = next((n for one, n in here.items() if _is_vocabulary(one) and type(n) is int), None)
    if count is None or here.get("steps") or not (_is_vocabulary(word) or _is_width(word)):
        return None
    written = f"write `steps: {flow([{'embedding': {'vocabulary': count, 'width': width}}])}`"
    if "position" in here or shape == {} or here.get("like"):
        return written
    return f"{written} and, for each to say where it stands, `position: {{learned: {{}}, combine: add}}`"


def _places(word: object) -> tuple[str, ...]:
    meaning = MEANINGS.get(folded(word))
    return (meaning.where, meaning.form) if meaning else ("", "")


def _is_length(word: object) -> bool:
    return _places(word) == ("dims.NAME", "max: %")


def _is_vocabulary(word: object) -> bool:
    return "vocabulary: %" in _places(word)[1] or folded(word) in ("vocabulary", "vocab")


def _is_width(word: object) -> bool:
    return _places(word) == ("latents", "width: %") or word == "width"


def _length(entry: Any) -> int | None:
    words = entry.items() if isinstance(entry, dict) else ()
    return next((n for word, n in words if _is_length(word) and type(n) is int and n > 0), None)
