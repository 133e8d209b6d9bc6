"""Lists where a mapping belongs: `- image: ...` under `inputs`, `head: [{linear: 10}]`; and the other way
round, several items in one mapping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from perceiver_graph.spec.grammar import Schema
from perceiver_graph.spec.render import inline

_LONGEST = 100  # characters of what is shown with all that is in it
_MOST = 4  # entries that are shown


def merged(schema: Schema, value: Any) -> str | None:
    """The mapping that the entries of a list make, where each of them is one; None where they make none.

    What has no name, in a mapping of names, is shown with one to fill in.
    """
    if not isinstance(value, list) or not value or not all(isinstance(x, dict) for x in value):
        return None
    entries = [(str(key), inside) for one in value for key, inside in one.items()]
    if not entries or "name" in value[0]:
        return None
    named = schema.child("NAME") if schema.kind == "dict" else None
    if named is not None and any(_has(named, key) for key in value[0]):
        return "{NAME: {...}}"
    found = dict(entries)
    if len(found) < len(entries):
        return None
    written = inline(found)
    if len(written) <= _LONGEST:
        return written
    short = [f"{key}: {_short(inside)}" for key, inside in entries[:_MOST]]
    return f"{{{', '.join(short)}{', ...' if len(entries) > _MOST else ''}}}"


def _has(schema: Schema, key: str) -> bool:
    return key in schema.keys or bool(schema.with_key(key))


def _short(value: Any) -> str:
    """A value, or the brackets around one that is made of others."""
    if isinstance(value, dict):
        return "{...}"
    return "[...]" if isinstance(value, list) else inline(value)


def divided(axes: Sequence[str], size: Any, shape: Any) -> list[str]:
    """Those of the axes that patches of a size divide, less what is meant for the channels; else all."""
    sizes = shape if isinstance(shape, dict) else {}
    found = [
        axis
        for axis in axes
        if "channel" not in axis
        and (type(sizes.get(axis)) is not int or (size and sizes[axis] % size == 0))
    ]
    return found or [*axes]


def separated(union: Schema, item: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The items that stand in one mapping, in its order: each alternative with the keys that go with it."""
    found: dict[str, dict[str, Any]] = {key: {} for key in item if key in union.alternatives}
    last = next(iter(found), "")
    for key, value in item.items():
        if key in found:
            last = key
        owners = [one for one in union.with_key(key) if one in found]
        owner = last if key in found or last in owners else next(iter(owners), last)
        found.setdefault(owner, {})[key] = value
    return [*found.values()]


def one_of_two(
    union: Schema, two: tuple[str, str], path: Sequence[str | int], here: Mapping[str, Any]
) -> str:
    """What to write where a mapping has two alternatives and takes one: each without the other."""
    lines = []
    for one in two:
        form = union.child(f"<{one}>")
        rest = {key: value for key, value in here.items() if form and key in form.keys}
        lines.append(f"`{path[-1]}: {inline(rest)}`")
    short = max(map(len, lines)) <= _LONGEST
    return f"keep one of the two: {' or '.join(lines)}" if short else "keep one of the two"
