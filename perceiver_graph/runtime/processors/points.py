"""Point clouds from files, scaled as models of points expect them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.runtime.opening import Named, Source
from perceiver_graph.runtime.processors.number_common import as_rows, kind_of_file, require_finite
from perceiver_graph.runtime.processors.number_files import only_array, read_array, read_npy
from perceiver_graph.runtime.processors.number_rows import read_rows
from perceiver_graph.runtime.processors.ply import read_ply


def read_points(named: Named, name: str = "points") -> NDArray[np.float64]:
    """The points [n, 3 + k] of a .ply, .npy, .npz, .xyz, .csv or .txt file: x, y, z and k features.

    Of an .npz, the array called `name` or the only one. In float64, since coordinates on a map are
    large beside the distances between points, which float32 would round away before they are
    centred. Raises DiagnosticError (PG503 to PG505, PG507, PG512, PG514).
    """
    source = Source.of(named)
    kind = kind_of_file(source)
    if kind == "ply":
        points = read_ply(source)
    elif kind == "npy":
        points = as_rows(source, read_npy(source))
    elif kind == "npz":
        name = only_array(source, name)
        points = as_rows(source, read_array(source, name), name)
    else:
        points = read_rows(source).values
    if points.shape[1] < 3:
        raise DiagnosticError.of(
            "PG503",
            f"{source} has rows of {points.shape[1]} numbers, and points have at least x, y and z",
            help="give a row of three or more numbers for each point",
        )
    require_finite(source, points, "point")
    return points


def sampled(points: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """`count` points, evenly spaced in the order of the file; all of them if there are no more."""
    if len(points) <= count:
        return points
    return points[np.arange(count) * len(points) // count]


def centred(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points [n, 3 + k] moved to a mean of 0 and scaled, by one factor, into the cube [-1, 1].

    This is how the Perceiver is trained on ModelNet40 (arXiv 2103.03206). The k
    features stay as they are. Points that are all the same end up at 0.
    """
    position = points[:, :3] - points[:, :3].mean(axis=0)
    reach = np.abs(position).max()
    if reach > 0:
        position = position / reach
    return np.concatenate([position, points[:, 3:]], axis=1)


def points_input(
    named: Named,
    channels: int = 3,
    *,
    limit: int | None = None,
    centre: bool = True,
    name: str = "points",
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """A file's points as a model's input, float32 [1, n, channels], with notes on what was left out.

    At most `limit` points are taken (see `sampled`), and then centred if `centre`. Raises
    DiagnosticError as `read_points` does, and PG503 for points with too few channels.
    """
    source = Source.of(named)
    points = read_points(source, name)
    count, width = points.shape
    notes = []
    if width < channels:
        raise DiagnosticError.of(
            "PG503",
            f"the points of {source} have {width} channels, and the model takes {channels}",
            help="give points with the features that the model was trained with",
        )
    if width > channels:
        notes.append(f"the points have {width} channels: the first {channels} are taken")
        points = points[:, :channels]
    if limit is not None and count > limit:
        notes.append(f"there are {count} points: {limit} evenly spaced ones are taken")
        points = sampled(points, limit)
    if centre:
        points = centred(points)
    with np.errstate(over="ignore"):  # too large for float32: reported as not finite
        values = points.astype(np.float32)
    require_finite(source, values, "point")
    return values[None], tuple(notes)
