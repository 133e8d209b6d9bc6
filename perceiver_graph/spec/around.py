"""What a spec says around a place, and how values of it are written on a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from perceiver_graph.spec.spans import Path

GRIDS = {1: ["time"], 2: ["height", "width"], 3: ["time", "height", "width"]}
"""What the axes are called where nothing else is known of them."""


def at(data: Any, path: Sequence[str | int]) -> Any:
    """What stands at a path of a spec; None where nothing does."""
    for part in path:
        inside = isinstance(data, dict) and part in data
        if not inside and not (
            isinstance(data, list) and isinstance(part, int) and part < len(data)
        ):
            return None
        data = data[part]
    return data


def axes_at(path: Path, data: Any) -> list[str]:
    """The axes of the input or of the grid of queries around a path, without the channels; the names
    of coordinates where these are given."""
    if "position" in path:
        names = coordinates_at(path[: path.index("position") + 1], data)
        if names is not None:
            return names
    place = ("shape",) if path[:1] == ("inputs",) else ("query", "grid")
    axes = at(data, (*path[:2], *place))
    return [str(axis) for axis in axes if axis != "channel"] if isinstance(axes, dict) else []


def coordinates_at(position: Path, data: Any) -> list[str] | None:
    """What the coordinates that a position is made of are called; None where it is one in a grid."""
    given = [at(data, (*position, key)) for key in ("given", "coordinates", "inputs")]
    given.append(at(data, (*position[:-1], "points")))
    named = (one for one in given if isinstance(one, list) and all(isinstance(x, str) for x in one))
    return next(named, []) if any(given) else None


def flow(value: Any) -> str:
    """A value as it is written on one line."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {flow(one)}' for key, one in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(flow, value))}]"
    return str(value).lower() if isinstance(value, bool) else as_word(value)


def as_word(value: Any) -> str:
    """A number, or a name, as it is written."""
    return f"{value:g}" if type(value) is float else str(value)
