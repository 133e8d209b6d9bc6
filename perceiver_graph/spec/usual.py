"""What most people write at a place of a spec of which nothing is known."""

from __future__ import annotations

from typing import Any

from perceiver_graph.spec.around import at
from perceiver_graph.spec.grammar import Schema
from perceiver_graph.spec.skeletons import NUMBERS, SHAPE, skeleton
from perceiver_graph.spec.spans import Path


def usual(path: Path, data: Any) -> str | None:
    """What most people write at a place that the first of all forms would be a poor example of."""
    if path == ("latents",):
        return "{count: 256, width: 512}"
    if path == ("process",):
        return f"{{layers: 6, heads: {_heads(at(data, ('latents', 'width')))}}}"
    if path == ("inputs",):
        return "{image: {shape: {height: 224, width: 224, channel: 3}, position: {fourier: {bands: 64}}}}"
    if path == ("outputs",):
        return f"{{label: {_OUTPUT}}}"
    if path[:1] == ("outputs",) and len(path) == 2:
        return _OUTPUT
    if path[:1] == ("outputs",) and path[2:] == ("query",):
        return "{learned: {}}"
    if path[:1] == ("inputs",) and path[2:] == ("shape",):
        steps, media = (at(data, (*path[:2], key)) for key in ("steps", "media"))
        first = steps[0] if isinstance(steps, list) and steps else None
        ids = isinstance(first, dict) and "embedding" in first
        kind = next(iter(media), None) if isinstance(media, dict) else None
        if kind in _SHAPES:
            return _SHAPES[kind]
        is_text = kind == "text"
        return "{byte: 512}" if ids or is_text else SHAPE.removeprefix("shape: ")
    if path[:1] == ("inputs",) and path[2:] == ("media",):
        shape = at(data, (*path[:2], "shape"))
        coloured = isinstance(shape, dict) and shape.get("channel") == 3
        return _MEDIA.get(tuple(shape)) if coloured else None
    return None


_SHAPES = {
    "table": "{row: 256, channel: 8}",
    "points": "{point: 2048, channel: 3}",
    "audio": "{time: 16000, channel: 1}",
    "video": "{time: 16, height: 224, width: 224, channel: 3}",
}
"""What has the axes that a kind of media needs."""
_MEDIA = {
    ("height", "width", "channel"): "{image: {}}",
    ("time", "height", "width", "channel"): "{video: {}}",
    ("point", "channel"): "{points: {}}",
}
"""The other way round, where there are three channels: colours, or coordinates."""
_OUTPUT = "{query: {learned: {}}, head: {linear: 10}}"


def _heads(width: Any) -> int:
    """A usual number of heads that divides a width."""
    return next((n for n in (8, 4, 2) if type(width) is not int or width % n == 0), 1)


def example(path: Path, data: Any) -> str | None:
    """The same in words, for a value of which nobody knows what it was to be."""
    is_head = path[:1] == ("outputs",) and path[2:] == ("head",)
    found = (
        "{linear: 10}"
        if is_head
        else usual(path, data) or NUMBERS.get(str(path[-1]) if path else "")
    )
    return f"for example `{path[-1]}: {found}`" if found else None


def shown(schema: Schema | None, path: Path, data: Any) -> str | None:
    """A line for a value of which nothing can be taken over."""
    if told := example(path, data):
        return told
    if path[:1] == ("inputs",) and path[2:] == ("media",):
        return "leave `media` out: `run` then takes arrays"
    text = skeleton(schema, path, data)
    return f"for example `{at_key(path)}{text}`" if schema and text != "..." else None


def at_key(path: Path) -> str:
    """The key of a value with its colon; an item of a list has none."""
    return f"{path[-1]}: " if isinstance(path[-1], str) else ""
