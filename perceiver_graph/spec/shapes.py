"""Shapes as others write them, `[3, 224, 224]` or `224x224`, by their axes."""

from __future__ import annotations

import re
from typing import Any

from perceiver_graph.spec.around import GRIDS, flow
from perceiver_graph.spec.models.base import NAME_PATTERN

_MOST_AXES = 4
_COLOURS = (1, 3, 4)  # how many channels a picture has
_PRIMARIES = 3  # red, green and blue


def looks_like_a_picture(entry: Any) -> bool:
    """Whether an input says that it is read from pictures, or has numbers for three colours."""
    if not isinstance(entry, dict):
        return False
    media = entry.get("media")
    colours = [one for key, one in entry.items() if isinstance(one, list) and key != "shape"]
    read = media == "image" or (isinstance(media, dict) and "image" in media)
    return read or any(
        len(one) == _PRIMARIES and all(type(n) in (int, float) for n in one) for one in colours
    )


def written_shape(value: Any, coloured: bool = False) -> str | None:
    """`shape: {height: 224, width: 224, channel: 3}` for [3, 224, 224] or [224, 224, 3]; None where
    the sizes are not clear. A picture that is `coloured` has three channels where none are said."""
    if names := _axes_alone(value):
        return f"shape: {{{', '.join(f'{name}: ...' for name in names)}}}"
    sizes = None if isinstance(value, dict) else sizes_meant(value, coloured)
    return f"shape: {flow(sizes)}" if sizes is not None else None


def sizes_meant(value: Any, coloured: bool = False) -> dict[str, Any] | None:
    """The sizes of a shape by their axes, as a mapping says them, or a list; None if not clear."""
    if isinstance(value, dict):
        return value
    if (
        isinstance(value, list)
        and value
        and all(isinstance(v, dict) and len(v) == 1 for v in value)
    ):
        return {axis: size for one in value for axis, size in one.items()}
    pixels = isinstance(value, str)
    if isinstance(value, str):
        value = [
            int(n) if n.isdecimal() else n
            for n in re.split(r"[x\u00d7*,; ]+", value.strip("()[] "))
        ]
    if type(value) is int:
        value = [value]
    if not isinstance(value, list) or not all(v is None or type(v) in (int, str) for v in value):
        return None
    sizes = list(value)
    if sizes and (sizes[0] in (None, -1, "batch", "b", "B", "N") or len(sizes) == 5):
        sizes = sizes[1:]
    if not 1 <= len(sizes) <= _MOST_AXES or None in sizes or "" in sizes:
        return None
    if len(sizes) >= 3 and sizes[-1] not in _COLOURS:  # PyTorch has the channels before the pixels
        first = next((i for i in (-3, 0) if sizes[i] in _COLOURS), None)
        if first is not None:
            sizes.append(sizes.pop(first))
    if pixels and len(sizes) == 2 and sizes[0] == sizes[1]:  # a square has a number at each place
        sizes.append(_PRIMARIES if coloured else 1)
    axes = [["channel"], ["time", "channel"], ["height", "width", "channel"]]
    names = [*axes, ["time", "height", "width", "channel"]][len(sizes) - 1]
    if len(sizes) == 1 and isinstance(sizes[0], str):  # the only axis of ids
        names = sizes
    return dict(zip(names, sizes, strict=True))


def _axes_alone(value: Any) -> list[str]:
    """The names in [height, width, channel], where one of them is that of an axis."""
    if not isinstance(value, list):
        return []
    named = all(isinstance(one, str) and re.fullmatch(NAME_PATTERN, one) for one in value)
    known = {axis for grid in GRIDS.values() for axis in grid} | {"channel", "frequency"}
    return value if value and named and known & set(value) else []
