"""Lists where a mapping belongs: `- image: ...` under `inputs`, `head: [{linear: 10}]`."""

from __future__ import annotations

from collections.abc import Sequence
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
