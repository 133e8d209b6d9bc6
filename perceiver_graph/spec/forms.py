"""How a value of the wrong kind could be written: the right form with the numbers that are known.

`patch: 4` for an input of height and width becomes `patch: {height: 4, width: 4}`, `head: 10`
becomes `head: {linear: 10}`. What is not known is shown as `...`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isfinite
from string import ascii_lowercase
from typing import Any

from perceiver_graph.spec.around import GRIDS, as_word, at, axes_at, coordinates_at, flow
from perceiver_graph.spec.elsewhere import meant
from perceiver_graph.spec.grammar import Schema
from perceiver_graph.spec.ids import ids_shape
from perceiver_graph.spec.lists import divided, merged, separated
from perceiver_graph.spec.models.base import NAME_PATTERN
from perceiver_graph.spec.shapes import looks_like_a_picture, written_shape
from perceiver_graph.spec.skeletons import alternative, below, skeleton
from perceiver_graph.spec.spans import Path
from perceiver_graph.spec.usual import one_each, usual

_MOST_NAMES = 4
_LONGEST = 120  # characters of a list that is shown
_RESULTS = ("out", "out_features", "out_channels", "units", "channels", "width", "features", "dim")
"""What others call the number of channels that come out."""
_GLUED = re.compile(r"([A-Za-z_]\w{0,40})[:=]([^\s:/\\=][^`\n]{0,60})")
_JOINS = ("cat", "concat", "concatenate", "pad", "padding", "stack")
_PADDINGS = ("same", "valid")
_ENDS = ("least", "greatest")
_LIMITS = ("min", "max")
_PRIMARIES = 3  # red, green and blue


def glued(word: Any) -> str | None:
    """For `count:32` or `count=32`, which are one word in YAML: how a key and its value are written."""
    match = _GLUED.fullmatch(word) if isinstance(word, str) else None
    return f"write `{match[1]}: {match[2]}`, with a space after the colon" if match else None


def form(schema: Schema | None, path: Path, data: Any) -> str | None:
    """How to write the key and the value at `path` of `data`; None where nothing is known."""
    written = _form(schema, path, data)
    return f"write `{written}`" if written else None


def value_of(schema: Schema, value: Any, path: Path, data: Any) -> str | None:
    """The same without the key, of a value that may stand elsewhere."""
    return _written(schema, value, path, data)


def _form(schema: Schema | None, path: Path, data: Any) -> str | None:
    value = at(data, path)
    keys = [part for part in path if isinstance(part, str)]
    if path == ("inputs",) and (several := one_each(value)):
        return f"inputs: {several}"
    if schema is not None and keys[-1:] == ["shape"]:
        entry = at(data, path[:-1])
        written = ids_shape(value, entry) or written_shape(value, looks_like_a_picture(entry))
        return written or f"shape: {usual(path, data)}"
    if schema is None or not keys or value is None or isinstance(value, bool):
        return None
    is_mapping = schema.kind in ("dict", "model", "tagged-union")
    written = merged(schema, value) if is_mapping else None
    if {*_LIMITS} < {*schema.keys}:
        written = written or limits(value)
    written = written or _written(schema, value, path, data)
    if written is None or isinstance(path[-1], int):  # an item of a list has no key
        return written
    return f"{keys[-1]}: {written}"


def _written(schema: Schema, value: Any, path: Path, data: Any) -> str | None:
    numbers = _numbers(value)
    if path[-2:] == ("position", "range"):
        return _range(value, path, data)
    if told := _by_place(value, numbers, path, data):
        return told
    if (schema.kind == "dict" and numbers) or ("<each>" in schema.tags and len(numbers) > 1):
        return _by_axis(numbers, path, data)
    if schema.kind == "union" and path[-1] == "padding":
        return _padding(value, numbers, path, data)
    if schema.kind == "dict" and isinstance(value, list):
        return _by_name(value)
    if schema.kind == "int" and isinstance(value, dict):
        found = [n for key, n in value.items() if key in _RESULTS or len(value) == 1]
        return as_word(found[0]) if len(found) == 1 and type(found[0]) is int else None
    if schema.kind == "model" and isinstance(value, list) and "names" in schema.keys:
        return f"{{names: [{', '.join(map(str, value))}]}}" if _are_texts(value) else None
    if schema.kind == "list" and (item := schema.child(0)):
        alike = bool(_numbers([value])) and schema.node.get("min_length") == _PRIMARIES
        one = 1 if path[-1] == "std" and alike and value <= 0 else value
        return flow([one] * _PRIMARIES) if alike else _listed(item, value, path, data)
    if schema.kind == "model" and numbers:
        return _filled(schema, list(map(as_word, numbers)), path, data)
    if schema.kind == "tagged-union" and isinstance(value, str):
        return _alternative(schema, value, path, data)
    if schema.kind == "tagged-union" and numbers and len(numbers) == 1:
        return _with_number(schema, as_word(numbers[0]), path, data)
    return None


def _by_place(value: Any, numbers: list[Any], path: Path, data: Any) -> str | None:
    """What is meant at this place alone: an output by a number of channels, `{like: left}` for the name of
    another input, and how widths are made one where others say `concat`."""
    if path[0] == "outputs" and len(path) <= 2 and type(value) is int:
        output = f"{{query: {{learned: {{}}}}, head: {{linear: {value}}}}}"
        return output if len(path) == 2 else f"{{NAME: {output}}}"
    if path[-1] == "vocabulary" and len(numbers) > 1:  # of several ids, a table for each
        return flow(dict(zip(ascii_lowercase, numbers, strict=False)))
    return _by_word(value, path, data) if isinstance(value, str) else None


def _by_word(word: str, path: Path, data: Any) -> str | None:
    other = at(data, ("inputs", word))
    if path[:1] == ("inputs",) and len(path) == 2 and word != path[1] and isinstance(other, dict):
        return f"{{like: {word}}}" if "like" not in other else None
    return "{padding: {min: 4}}" if path == ("join",) and word.casefold() in _JOINS else None


def _padding(value: Any, numbers: list[Any], path: Path, data: Any) -> str | None:
    """The word that was meant, or a number for each axis."""
    if isinstance(value, str):
        return next(iter(meant(value, _PADDINGS)), None)
    return _by_axis(numbers, path, data) if {*map(type, numbers)} == {int} else None


def _range(value: Any, path: Path, data: Any) -> str | None:
    """`[0, 3]` for `{min: 0, max: 3}`, and `{x: [0, 3], y: [0, 1]}` for a list of pairs."""
    if isinstance(value, dict):
        numbers = _numbers(list(value.values()))
        return flow(sorted(numbers)) if len(numbers) == len(_ENDS) else None
    if not isinstance(value, list) or not all(len(_numbers(one)) == len(_ENDS) for one in value):
        return None
    names = coordinates_at(path[:-1], data) or []
    return flow(dict(zip(names, value, strict=True))) if len(names) == len(value) else None


def _listed(item: Schema, value: Any, path: Path, data: Any) -> str | None:
    """What is no list as one: a name, an item, or a mapping.

    Of a mapping the entries become items: `[{patch: {height: 4, width: 4}}, {linear: 16}]`.
    """
    if item.kind == "str":
        names = [one for one, used in value.items() if used] if isinstance(value, dict) else [value]
        fits = all(isinstance(one, str) and re.fullmatch(NAME_PATTERN, one) for one in names)
        return flow(names) if names and fits else None
    if isinstance(value, str):
        word = _written(item, value, path, data)
        return f"[{word}]" if word else None
    entries = []
    for name, inside in value.items() if isinstance(value, dict) else ():
        inner = below(item, name) if isinstance(name, str) else None
        if inner is None:
            return None
        entries.append(f"{{{name}: {_written(inner, inside, path, data) or flow(inside)}}}")
    written = f"[{', '.join(entries)}]"
    return written if entries and len(written) <= _LONGEST else None


def items_apart(union: Schema, path: Path, data: Any) -> str | None:
    """For an item of a list that is several, `[{patch: {...}, linear: 32}]`: the list with one of each."""
    if not path or not isinstance(path[-1], int):
        return None
    items = [
        part
        for one in _flat(union, at(data, path[:-1]))
        for part in (separated(union, one) if isinstance(one, dict) else [one])
    ]
    told = [
        step(union, part, (*path[:-1], n), data) if isinstance(part, dict) else flow(part)
        for n, part in enumerate(items)
    ]
    written = f"{path[-2]}: [{', '.join(told)}]"
    return f"write `{written}`: each is an item of its own"


def _flat(union: Schema, items: list[Any]) -> list[Any]:
    """The items of a list with those of lists in it; `[linear, 32]` is a key with its value."""
    found: list[Any] = []
    for one in items:
        pair = isinstance(one, list) and len(one) == 2 and one[0] in union.alternatives
        if pair and not isinstance(one[1], str):
            found.append({one[0]: one[1]})
        else:
            found += _flat(union, one) if isinstance(one, list) else [one]
    return found


def step(union: Schema, part: dict[str, Any], path: Path, data: Any) -> str:
    """An item of a list with what is in it as it is written here."""
    entries = []
    for name, inside in part.items():
        inner = below(union, name)
        told = _written(inner, inside, (*path, name), data) if inner else None
        empty = inside is None and inner is not None and inner.kind == "model"
        entries.append(f"{name}: {told or ('{}' if empty else flow(inside))}")
    return f"{{{', '.join(entries)}}}"


def _with_number(schema: Schema, number: str, path: Path, data: Any) -> str | None:
    """The first alternative that takes a number, else the first of whose keys none has to be there."""
    inner = [(name, one) for name in schema.alternatives if (one := below(schema, name))]
    for name, one in inner:
        if one.kind == "int":
            return f"{{{name}: {number}}}"
    for name, one in inner:
        if one.kind == "model" and not one.required:
            return f"{{{name}: {_filled(one, [number], path, data)}}}"
    return None


def limits(value: Any) -> str | None:
    """`{min: 1, max: 512}` for `[1, 512]` or `1..512`."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}[^0-9]{1,5}[0-9]{1,9}", value.strip()):
        value = [int(one) for one in re.findall("[0-9]+", value)]
    if isinstance(value, list) and len(value) != len(_LIMITS):
        value = value[0] if len(value) == 1 else None
    if isinstance(value, list) and len(value) == len(_LIMITS) and value[0] in (0, -1, None):
        value = [1, value[1]]
    numbers = [one for one in _numbers(value) if type(one) is int and one > 0]
    if len(numbers) == 1 and not isinstance(value, list):
        return f"{{max: {numbers[0]}}}"
    if not isinstance(value, list | dict):
        return "{max: 2048}"
    numbers = numbers if len(numbers) == len(_LIMITS) else []
    least, most = sorted(numbers) if numbers else ("...", "...")
    return f"{{min: {least}, max: {most}}}" if numbers or isinstance(value, list) else None


def _by_name(items: list[Any]) -> str | None:
    """A list of names, or of mappings that say their name, as a mapping."""
    if items and _are_texts(items):
        return f"{{{', '.join(f'{name}: {{}}' for name in items[:_MOST_NAMES])}}}"
    names = [str(one["name"]) for one in items if isinstance(one, dict) and "name" in one]
    if not names or len(names) != len(items):
        return None
    return f"{{{', '.join(f'{name}: {{...}}' for name in names[:_MOST_NAMES])}}}"


def _are_texts(items: list[Any]) -> bool:
    return all(isinstance(item, str) for item in items)


def _alternative(schema: Schema, word: str, path: Path, data: Any) -> str | None:
    """For `fourier`: `{fourier: {bands: ...}}`; for the name of an input: `{inputs: image}`."""
    names = schema.alternatives
    for other in names:  # `relu` for `{activation: relu}`
        if (one := below(schema, other)) and word.lower() in one.choices:
            return f"{{{other}: {word.lower()}}}"
    found = [word] if word in names else []
    for part, key in (("inputs", "inputs"), ("outputs", "output")):
        others = at(data, (part,))
        named = isinstance(others, dict) and word in others and path[:2] != (part, word)
        if not found and key in names and named:
            return f"{{{key}: {word}}}"
    name = next(iter(found), None) or next(iter(meant(word, names)), None)
    if path[2:] == ("media",) and not found and not _read_so(name, at(data, (*path[:2], "shape"))):
        return None
    return alternative(schema, name, path, data) if name else None


def _read_so(kind: str | None, shape: Any) -> bool:
    """Whether what has such a shape may be read from a kind of media that others call otherwise."""
    axes = {*shape} - {"channel"} if isinstance(shape, dict) else set()
    needed = {"image": {"height", "width"}, "mel": {"time", "frequency"}}.get(str(kind), set())
    if kind == "points" and axes:
        channels = shape.get("channel", 0)
        return len(axes) == 1 and (type(channels) is not int or channels >= _PRIMARIES)
    return not axes or needed <= axes


def _filled(schema: Schema, values: list[str], path: Path, data: Any) -> str | None:
    """A mapping of the required keys, or of the first one, with the values in their order."""
    keys = schema.required or (("max",) if "max" in schema.keys else schema.keys[:1])
    if len(values) > len(keys):
        return None
    parts: list[str] = []
    for key in keys:
        child = schema.child(key)
        sizes = values if child is not None and child.kind == "dict" else []
        if by_axis := _by_axis(sizes, (*path, key), data):
            values, parts = [], [*parts, f"{key}: {by_axis}"]
            continue
        takes = child is not None and child.takes_number and values
        parts.append(f"{key}: {values.pop(0) if takes else skeleton(child, path, data, key)}")
    return None if values else f"{{{', '.join(parts)}}}"


def _by_axis(numbers: Sequence[Any], path: Path, data: Any) -> str | None:
    """One number for each axis of the input, or the same for all of them."""
    axes = GRIDS.get(len(numbers), []) if path[-1] == "grid" else axes_at(path, data)
    if path[-1] == "patch" and len(numbers) == 1:
        axes = divided(axes, numbers[0], at(data, (*path[:2], "shape")))
    if len(numbers) == 1:
        numbers = list(numbers) * len(axes)
    elif len(numbers) == 2 and {"height", "width"} < set(axes):
        axes = ["height", "width"]
    if not axes or len(numbers) != len(axes):
        return None
    return f"{{{', '.join(f'{a}: {as_word(n)}' for a, n in zip(axes, numbers, strict=True))}}}"


def each_axis(value: Any, path: Path, data: Any) -> str | None:
    """`{height: 4, width: 4}` for a number that stands at `path` for each axis."""
    return _by_axis(_numbers(value), path, data)


def _numbers(value: Any) -> list[Any]:
    """A number or a list of them as a list; empty for anything else."""
    found = value if isinstance(value, list) else [value]
    return found if all(type(n) in (int, float) and isfinite(n) for n in found) else []
