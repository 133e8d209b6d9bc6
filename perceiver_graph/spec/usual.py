"""What most people write at a place of a spec of which nothing is known."""

from __future__ import annotations

from typing import Any

from perceiver_graph.spec.forms import SHAPE, at
from perceiver_graph.spec.spans import Path


def usual(path: Path, data: Any) -> str | None:
    """What most people write at a place that the first of all forms would be a poor example of."""
    if path[:1] == ("outputs",) and path[2:] == ("query",):
        return "{learned: {}}"
    if path[:1] == ("inputs",) and path[2:] == ("shape",):
        steps, media = (at(data, (*path[:2], key)) for key in ("steps", "media"))
        first = steps[0] if isinstance(steps, list) and steps else None
        ids = isinstance(first, dict) and "embedding" in first
        is_text = isinstance(media, dict) and "text" in media
        return "{byte: 512}" if ids or is_text else SHAPE.removeprefix("shape: ")
    return None


_NUMBERS = {
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
    "patch": 16,
    "rate": 16000,
}
"""What most numbers are that stand at a key."""


def example(path: Path, data: Any) -> str | None:
    """The same in words, for a value of which nobody knows what it was to be."""
    is_head = path[:1] == ("outputs",) and path[2:] == ("head",)
    found = (
        "{linear: 10}"
        if is_head
        else usual(path, data) or _NUMBERS.get(str(path[-1]) if path else "")
    )
    return f"for example `{path[-1]}: {found}`" if found else None
