"""What most people write at a place of a spec of which nothing is known."""

from __future__ import annotations

import re
from typing import Any

from perceiver_graph.spec.around import at, flow
from perceiver_graph.spec.elsewhere import folded
from perceiver_graph.spec.grammar import Schema
from perceiver_graph.spec.ids import usual_shape
from perceiver_graph.spec.models.base import NAME_PATTERN
from perceiver_graph.spec.skeletons import EACH, NUMBERS, SHAPE, skeleton
from perceiver_graph.spec.spans import Path


def usual(path: Path, data: Any) -> str | None:
    """What most people write at a place that the first of all forms would be a poor example of."""
    if path == ("latents",):
        return "{count: 256, width: 512}"
    if path == ("process",):
        return f"{{layers: 6, heads: {_heads(at(data, ('latents', 'width')))}}}"
    if path[-3:] == ("media", "video", "rate"):
        return "25"
    if path == ("inputs",) and (several := _one_each(data)):
        return several
    if path == ("inputs",):
        return "{image: {shape: {height: 224, width: 224, channel: 3}, position: {fourier: {bands: 64}}}}"
    if path == ("outputs",):
        return f"{{label: {_OUTPUT}}}"
    if path[:1] == ("outputs",) and len(path) == 2:
        return _OUTPUT
    if path[:1] == ("outputs",) and path[2:] == ("query",):
        return "{learned: {}}"
    if path[:1] == ("inputs",) and path[2:] == ("shape",):
        media, ids = at(data, (*path[:2], "media")), usual_shape(at(data, path[:2]))
        kind = next(iter(media), None) if isinstance(media, dict) else None
        if kind in _SHAPES and ids != "{}":
            return _SHAPES[kind]
        return ids or ("{byte: 512}" if kind == "text" else SHAPE.removeprefix("shape: "))
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


_PICTURE = "{shape: {height: 224, width: 224, channel: 3}, position: {fourier: {bands: 64}}}"
_MOST_INPUTS = 8


def one_each(names: Any) -> str | None:
    """Inputs of a list of names: a picture, and others that are like it."""
    named = isinstance(names, list) and all(
        isinstance(one, str) and re.fullmatch(NAME_PATTERN, one) for one in names
    )
    if not named or not 0 < len(names) <= _MOST_INPUTS or len({*names}) < len(names):
        return None
    first, *others = names
    return (
        f"{{{', '.join([f'{first}: {_PICTURE}', *(f'{o}: {{like: {first}}}' for o in others)])}}}"
    )


def _one_each(data: Any) -> str | None:
    """The same for a list that stands where nobody looks for inputs: `cameras: [front, left]`."""
    words = data.items() if isinstance(data, dict) else ()
    lists = [one for key, one in words if folded(key) in SOURCES and isinstance(one, list)]
    return one_each(lists[0]) if lists else None


SOURCES = {
    *("cameras", "views", "sensors", "images", "pictures", "streams", "modalities", "sources"),
    *("microphones", "frames", "input", "input_names", "channels", "features", "eyes"),
}
"""What others call several inputs."""


def _heads(width: Any) -> int:
    """A usual number of heads that divides a width."""
    return next((n for n in (8, 4, 2) if type(width) is not int or width % n == 0), 1)


def example(path: Path, data: Any) -> str | None:
    """The same in words, for a value of which nobody knows what it was to be."""
    if told := _of_list(path, data):
        return told
    is_head = path[:1] == ("outputs",) and path[2:] == ("head",)
    found = (
        "{linear: 10}"
        if is_head
        else usual(path, data) or NUMBERS.get(str(path[-1]) if path else "")
    )
    return f"for example `{path[-1]}: {found}`" if found else None


def _of_list(path: Path, data: Any) -> str | None:
    """A list of numbers, for one of them: 1 where a spread is 0, which leaves a colour as it is."""
    here = at(data, path[:-1])
    if len(path) < 2 or not isinstance(path[-1], int) or not isinstance(here, list):
        return None
    key = path[-2]
    if key in ("mean", "std"):
        usual = 0.5
        fits = [_is_number(one) and (key == "mean" or one >= _LEAST_SPREAD) for one in here]
        if key == "std":
            usual = 1
        told = [one if fit else usual for one, fit in zip(here, fits, strict=True)]
        more = ": with 1 a colour stays as it is" if key == "std" else ""
        return f"write `{key}: {flow(told)}`{more}"
    if key == "wavelengths":
        most = max((one for one in here if _is_number(one) and one > 0), default=720)
        waves = flow([float(f"{most / 1000:g}"), most])
        return f"for example `wavelengths: {waves}`: no wave has the length 0"
    if key == "range":
        fits = [one if _is_number(one) else None for one in here]
        least = fits[0] if fits[0] is not None else 0
        most = fits[-1] if fits[-1] is not None and fits[-1] > least else least + 1
        return f"for example `range: {flow([least, most])}`: the least and the greatest value that there are"
    return None


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e9


_LEAST_SPREAD = 1e-6
_SIZES = {"channel": 3, "height": 224, "width": 224, "frequency": 64}
_TEXTS = {"name": "my_model"}


def some(schema: Schema | None, path: Path, data: Any) -> str | None:
    """A line for a place whose name says little: a size of an axis, a number for each, a name."""
    key, around = str(path[-1]), path[-2] if len(path) > 1 else ""
    if schema is None:
        return None
    if around == "shape":
        return f"for example `{key}: {_SIZES.get(key, 256)}`"
    if around in EACH:
        return f"for example `{key}: {EACH[str(around)]}`"
    if schema.kind == "str":
        return f"for example `{key}: {_TEXTS[key]}`" if key in _TEXTS else None
    text = skeleton(schema, path[:-1], data, key)
    if text == "..." and schema.takes_number:
        text = "1"
    return None if "..." in text else f"for example `{key}: {text}`"


def shown(schema: Schema | None, path: Path, data: Any) -> str | None:
    """A line for a value of which nothing can be taken over."""
    if told := example(path, data):
        return told
    if path[:1] == ("inputs",) and path[2:] == ("media",):
        return "leave `media` out: `run` then takes arrays, `NAME=FILE.npy`, whatever was measured"
    text = skeleton(schema, path, data)
    return f"for example `{at_key(path)}{text}`" if schema and text != "..." else None


def at_key(path: Path) -> str:
    """The key of a value with its colon; an item of a list has none."""
    return f"{path[-1]}: " if isinstance(path[-1], str) else ""
