"""Values as most people write them, for lines that work as they are typed.

`{fourier: {bands: 64}}` for a position, `{height: 16, width: 16}` for patches of a picture. `...` stands
for what has to be filled in: names, and what depends on the data.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from perceiver_graph.spec.around import as_word, at, axes_at, flow
from perceiver_graph.spec.grammar import Schema
from perceiver_graph.spec.models.base import NAME_PATTERN
from perceiver_graph.spec.spans import Path

SHAPE = "shape: {height: 224, width: 224, channel: 3}"
"""A shape as it is written where nothing is known of it."""
NUMBERS = {
    "count": 256,
    "width": 512,
    "heads": 8,
    "layers": 6,
    "blocks": 1,
    "cross_attends": 1,
    "qk_width": 256,
    "v_width": 256,
    "widening": 4,
    "hidden": 2048,
    "chunks": 4,
    "dropout": 0.1,
    "init_scale": 0.02,
    "norm_epsilon": 1e-5,
    "bands": 64,
    "max_resolution": 224,
    "vocabulary": 262,
    "linear": 10,
    "rate": 16000,
    "hop": 160,
    "window": 400,
    "base": 10000,
    "epsilon": 1e-5,
    "crop": 0.875,
    "fraction": 0.5,
}
"""What most numbers are that stand at a key."""
_WITHIN = {
    "channels": 64,
    "last": 256,
    "chosen": 256,
    "one_hot": 10,
    "variational": 64,
    "max": 2048,
}
"""The same, where they are asked for beside others."""
EACH = {"kernel": 3, "window": 2, "stride": 2, "patch": 4, "grid": 8}
"""The same of every axis."""
_MOST_AXES = 3
_PARTS = (16, 8, 4, 5, 3, 2)


def skeleton(schema: Schema | None, path: Path, data: Any, key: str = "") -> str:
    """A value of a schema as most have it, with `...` for what has to be filled in; the first of
    alternatives. `key` is what it stands at."""
    if schema is not None and schema.kind == "model":
        parts = (f"{k}: {skeleton(schema.child(k), path, data, k)}" for k in schema.required)
        return f"{{{', '.join(parts)}}}"
    first = schema.alternatives[0] if schema is not None and schema.alternatives else None
    if schema and first and (told := alternative(schema, first, path, data)):
        return told
    if schema is not None and schema.kind == "dict":
        return _each(key, path, data)
    if schema is not None and schema.choices:
        return str(schema.choices[0])
    plain = schema is None or schema.kind not in ("str", "list", "bool")
    number = _WITHIN.get(key, NUMBERS.get(key)) if plain else None
    return "..." if number is None else as_word(number)


def alternative(schema: Schema, name: str, path: Path, data: Any) -> str | None:
    """A value of the alternative of this name, with the keys that stand beside it."""
    if name in schema.words:
        return name
    whole, own = schema.child(f"<{name}>"), below(schema, name)
    if whole is None or own is None:
        return None
    parts = [(name, own), *((key, whole.child(key)) for key in whole.required if key != name)]
    written = (f"{key}: {skeleton(one, path, data, key)}" for key, one in parts)
    return f"{{{', '.join(written)}}}"


def below(schema: Schema, name: str) -> Schema | None:
    """The schema of what stands below an alternative."""
    one = schema.child(f"<{name}>")
    return one.child(name) if one else None


def filled(schema: Schema | None, path: Path, data: Any) -> str | None:
    """How to write a mapping that must not be empty, with `...` for what is not known."""
    key = path[-1] if path else None
    if schema is None or schema.kind != "dict" or not isinstance(key, str) or len(path) < 2:
        return None
    return f"write `{key}: {skeleton(schema, path, data, key)}`"


def grid_of(value: Any, path: Path, names: Sequence[str]) -> str | None:
    """For `query: {time: 10}`, which has the axes of a grid: the query that is made of it."""
    if path[2:] != ("query",) or "grid" not in names or not isinstance(value, dict):
        return None
    named = all(isinstance(a, str) and re.fullmatch(NAME_PATTERN, a) for a in value)
    if not named or not all(type(n) is int and n > 0 for n in value.values()):
        return None
    return f"write `query: {{grid: {flow(value)}, position: {{learned: {{width: 64}}}}}}`"


def of_an_input(value: Any, path: Path, data: Any) -> str | None:
    """For `query: {text: question}`, or `{question: {}}`, where `question` is an input: the query that is
    made of it."""
    inputs = at(data, ("inputs",))
    if path[:1] != ("outputs",) or path[2:] != ("query",) or not isinstance(inputs, dict):
        return None
    named = [(key, one) for key, one in value.items() if isinstance(one, str) and one in inputs]
    named += [(key, key) for key, one in value.items() if key in inputs and one in (None, {}, True)]
    if len(named) != 1:
        return None
    ((key, name),) = named
    others = {other: one for other, one in value.items() if other != key}
    return f"write `query: {flow({'inputs': name} | others)}`"


def _each(key: str, path: Path, data: Any) -> str:
    """A number for each axis, as far as it is known which there are."""
    if key == "grid":
        return _grid(data)
    if key == "shape":
        return SHAPE.removeprefix("shape: ")
    names = axes_at(path, data)[:_MOST_AXES]
    if not names:
        return "{AXIS: ...}"
    shape = at(data, (*path[:2], "shape"))
    numbers = {axis: as_word(EACH[key]) if key in EACH else "..." for axis in names}
    if key == "patch" and isinstance(shape, dict):
        numbers = {axis: _part(shape.get(axis)) for axis in names}
    return f"{{{', '.join(f'{axis}: {number}' for axis, number in numbers.items())}}}"


def _part(size: Any) -> str:
    """A part of so many places that divides them."""
    if type(size) is not int:
        return "1"
    return as_word(next((part for part in _PARTS if size % part == 0 and part < size), 1))


def _grid(data: Any) -> str:
    """The axes of the first input that has some, as a grid of queries."""
    inputs = at(data, ("inputs",))
    for one in inputs.values() if isinstance(inputs, dict) else ():
        shape = at(one, ("shape",))
        sizes = (
            {a: n for a, n in shape.items() if a != "channel"} if isinstance(shape, dict) else {}
        )
        if sizes and all(type(n) in (int, str) for n in sizes.values()):
            return flow(sizes)
    return "{place: 16}"
