"""What to write in place of a word of another library's configuration, and where."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from perceiver_graph.diagnostics.text import quote
from perceiver_graph.diagnostics.words import joined
from perceiver_graph.media.base import CHANNEL
from perceiver_graph.spec.around import at, flow
from perceiver_graph.spec.configurations import MEANINGS, Meaning
from perceiver_graph.spec.elsewhere import folded, meant, places_in, places_of, synonyms
from perceiver_graph.spec.forms import each_axis
from perceiver_graph.spec.grammar import Schema, schema_at
from perceiver_graph.spec.hints import instead
from perceiver_graph.spec.models.layers import PARTS
from perceiver_graph.spec.render import inline
from perceiver_graph.spec.spans import Path

_NAMED = {"inputs": "inputs", "outputs": "outputs", "dims": "dims"}
"""Parts of a spec whose entries the user names."""
_USUAL_HEADS = {"process": 8}
_LONGEST = 60  # characters of a value that is repeated
_MOST = 10**15
"""What numbers that are repeated are less than."""


def is_theirs(word: str) -> bool:
    """Whether a configuration of another library has this word."""
    return folded(word) in MEANINGS


def key_here(word: str, parent: Path, known: Iterable[str]) -> str | None:
    """Our key for such a word, where the mapping that it stands in, with keys that are known, is one that
    it means. What is said of all layers may be said of those of a part."""
    meaning = MEANINGS.get(folded(word))
    if meaning is None or meaning.key is None or meaning.key not in known:
        return None
    parts = {place[0] for place in meaning.places}
    parts |= {*PARTS} if "layers" in parts else set()
    inner = parent[:1] in (("inputs",), ("outputs",)) and _pattern(parent) not in meaning.places
    return meaning.key if parent and parent[0] in parts and not inner else None


def fits(value: Any, schema: Schema | None) -> bool:
    """Whether a value can be meant for a key: a number is none for one that takes a mapping."""
    if schema is None or isinstance(value, dict | list):
        return True
    return schema.kind not in ("model", "dict") or value is None


def translation(
    model: type[BaseModel], word: str, value: Any, parent: Path, data: Any
) -> str | None:
    """What to write for a word that stands in the mapping at `parent`; None for one that is not known, or
    not at such a place."""
    if told := of_tokens(word, value, parent, data) or instead(value, (*parent, word)):
        return told
    meaning = MEANINGS.get(folded(word))
    if meaning is None:
        return None
    here = _pattern(parent)
    places = [place for place in meaning.places if place[:1] == here[:1]] or [*meaning.places]
    if here[:1] in (("inputs",), ("outputs",)) and places[0][0] not in (here[0], "dims"):
        return None
    if here in places:
        places = [here]
    elif meaning.per_head:
        places = places[:1]
    named = [_named(place, parent, data) for place in places]
    if meaning.key == CHANNEL and at(data, (*named[0], CHANNEL)) == value:
        return f"leave it out: `{CHANNEL}: {value}` is said under {quote('.'.join(named[0]))}"
    written, under = _written(model, meaning, value, named[0], parent, data)
    text = f"write `{written}`"
    if places != [here]:
        around = named if under == named[0] else [under]
        text += f" under {joined(quote('.'.join(place)) for place in around)}"
    heads = _heads(named[0], parent, data)
    more = f"that of all {heads} heads together" if meaning.per_head and heads > 1 else meaning.more
    return f"{text}; {more}" if more else text


def _among_steps(written: str, before: Any) -> str:
    """`steps: [{patch: ...}]` with the steps that are there already: in place of one of its kind, else before
    all of them."""
    if not isinstance(before, list) or not before:
        return written
    new = written.removeprefix("steps: [").removesuffix("]")
    key = new[1:].partition(":")[0]
    same = [isinstance(one, dict) and key in one for one in before]
    items = [new if match else flow(one) for one, match in zip(before, same, strict=True)]
    return f"steps: [{', '.join(items if any(same) else [new, *items])}]"


def belonging(model: type[BaseModel], key: str, value: Any, parent: Path, data: Any) -> str | None:
    """Where a key of ours belongs that stands in the mapping at `parent`, and what to write there."""
    told = places_of(model, key, parent)
    patterns = [tuple(filter(None, one.split("."))) for one in places_in(model, key, parent)]
    places = [_named(one, parent, data) if one else one for one in patterns]
    free = [one for one in places if key not in (at(data, one) or {})]
    if len(free) < len(places):  # it is said at one of them: others that are far off are not meant
        free = [one for one in free if len(one) == 1]
    there = [one for one in free if isinstance(at(data, one), dict)]
    there = [] if free[:1] == [("layers",)] else there
    if not there and len(free) > 1 and len(free[0]) > 1:  # which of them is meant is not known
        return told
    schema = schema_at(model, free[0]) if free and "NAME" not in free[0] else None
    if told is None or not free or not fits(value, schema.child(key) if schema else None):
        return told
    if "steps" in free[0]:  # a list, whose item nobody has named
        return told
    text = inline(value)
    written = f"{key}: {text if len(text) <= _LONGEST else '...'}"
    under = [*(there or free)[0]]
    while under and not isinstance(at(data, under), dict):
        written = f"{under.pop()}: {{{written}}}"
    place = f" under {quote('.'.join(under))}" if under else ", not indented"
    return f"{told}: write `{written}`{place}"


def of_tokens(key: str, value: Any, parent: Path, data: Any) -> str | None:
    """What to write for a number of latents, or for their width, where latents are made of tokens."""
    name = at(data, ("latents", "of"))
    if parent != ("latents",) or name is None:
        return None
    meaning = MEANINGS.get(folded(key))
    ours = {key, *synonyms(key, ("count", "width")), *([meaning.key] if meaning else [])}
    if "count" in ours:
        number = value if type(value) is int and abs(value) < _MOST else "..."
        return (
            f"write `last: {number}` for the last tokens of {quote(name)}, or `chosen: {number}` for those "
            "that the caller chooses"
        )
    return "leave it out: latents that are tokens are as wide as these" if "width" in ours else None


def _pattern(path: Path) -> tuple[str, ...]:
    """A path with NAME for what the user has named."""
    words = [part for part in path if isinstance(part, str)]
    if len(words) > 1 and words[0] in _NAMED:
        words[1] = "NAME"
    return tuple(words)


def _named(place: tuple[str, ...], parent: Path, data: Any) -> tuple[str, ...]:
    """A place with the name that is there, if it is the only one, or that of the parent."""
    if place[0] not in _NAMED:
        return place
    there = at(data, place[:1])
    names = [one for one in there if isinstance(one, str)] if isinstance(there, dict) else []
    if parent[:1] == place[:1] and len(parent) > 1:
        names = [str(parent[1])]
    name = names[0] if len(names) == 1 else "length" if place[0] == "dims" else "NAME"
    return (place[0], name, *place[2:])


def _written(
    model: type[BaseModel], meaning: Meaning, value: Any, place: Path, parent: Path, data: Any
) -> tuple[str, tuple[str, ...]]:
    """What is written, and in which mapping: the one that is meant, or the one around those that are not
    there."""
    there = isinstance(at(data, place), dict)
    form = meaning.form if there else meaning.new or meaning.form
    written = form.replace("%axes", each_axis(value, (*place, "steps"), data) or "{AXIS: ...}")
    written = written.replace("%", _value(model, meaning, value, place, parent, data))
    if written.startswith("steps: ["):
        written = _among_steps(written, at(data, (*place, "steps")))
    under = [str(part) for part in place]
    while not there and len(under) > (2 if under[0] in _NAMED else 1):
        written = f"{under.pop()}: {{{written}}}"
    return written, tuple(under)


def _value(
    model: type[BaseModel], meaning: Meaning, value: Any, place: Path, parent: Path, data: Any
) -> str:
    if isinstance(value, bool):
        return meaning.switch[not value] if meaning.switch else str(value).lower()
    if meaning.switch or not isinstance(value, int | float | str):
        return "..."
    if not isinstance(value, str) and not abs(value) < _MOST:  # nor what is no number
        return "..."
    if isinstance(value, str):
        schema = schema_at(model, place)
        child = schema.child(meaning.key) if schema and meaning.key else None
        if child and child.choices:
            return next(iter(meant(value, child.choices)), "...")
        return value if re.fullmatch(r"[0-9]{1,9}", value) else "..."
    if meaning.per_head and type(value) is int:
        return str(value * _heads(place, parent, data))
    return str(value)


def _heads(place: Path, parent: Path, data: Any) -> int:
    """How many heads there are at a place, as far as the spec says, in our words or in others."""
    said = [at(data, (*place, "heads"))]
    around = at(data, parent)
    for word, value in around.items() if isinstance(around, dict) else ():
        meaning = MEANINGS.get(folded(str(word)))
        if meaning and meaning.key == "heads" and tuple(place) in meaning.places:
            said.append(value)
    numbers = (one for one in said if type(one) is int and one > 0)
    return next(numbers, _USUAL_HEADS.get(str(place[0]), 1))
