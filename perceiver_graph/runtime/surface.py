"""A field on a grid from the points near its surface: first a coarse grid, then finer ones where the
values cross a level.

A decoder of shapes answers 257^3 points one by one, and all but a few of them tell only that they are
far inside or far outside. Found by refinement like that of octrees, as in occupancy networks
(Mescheder et al., 2019, section 3.3), but followed along the surface: a cell that turns out to be
crossed at the edge of what was asked has its neighbours asked, too.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics.arguments import whole, wrong_kind

Ask = Callable[[NDArray[np.float32]], Any]
"""The values at points: [n, axes] -> [n] or [n, 1]."""


@dataclass(frozen=True)
class Surface:
    """A field on a grid. Shapes: both [points along each axis]."""

    values: NDArray[np.float32]
    """Those that were asked for, exactly; elsewhere interpolated from the coarser grid, and on the same
    side of the level."""
    asked: NDArray[np.bool_]
    """Which were."""


def find_surface(
    ask: Ask,
    low: Sequence[float],
    high: Sequence[float],
    size: Sequence[int] | int | np.integer[Any],
    *,
    level: float = 0.0,
    coarsest: int = 32,
    margin: int = 1,
    batch: int = 65_536,
) -> Surface:
    """Ask for a field only where its values cross `level`.

    The grid has `size` points along each axis, from `low` to `high`, both included. It is asked whole
    at a spacing that leaves `coarsest` cells or more along each axis, then at half the spacing around
    crossed cells, with `margin` cells on each side, and so on: what is thinner than a cell of the
    coarsest grid may be missed. Spacings are halved as often as `size - 1` can be: 65, 97, 129, 193 and 257
    points are 64, 96, 128, 192 and 256 cells. Cells of other sizes, 100 or 128, cannot be halved, or are
    fewer than `coarsest` then: all points are asked, and a warning says so. `ask` is called with up to
    `batch` points, float32. Raises ValueError for sizes that do not agree, and for answers that are not
    finite.
    """
    if not callable(ask):
        raise wrong_kind("ask", "a function that has the values at points", ask)
    each = size if isinstance(size, Sequence | np.ndarray) else [size] * len(low)
    sizes = [whole("size", "a whole number, or one for each axis", n) for n in each]
    for name, number in (("margin", margin), ("batch", batch), ("coarsest", coarsest)):
        whole(name, "a whole number", number)
    if not np.isfinite([*low, *high, level]).all():
        raise ValueError("low, high and level need finite numbers")
    if not len(low) == len(high) == len(sizes) or min(sizes, default=0) < 2:
        raise ValueError("low, high and size need one entry an axis, and sizes of 2 or more")
    if margin < 0 or batch < 1 or coarsest < 1:
        raise ValueError("margin is 0 or more, batch and coarsest are 1 or more")
    stride = 1
    while all((n - 1) % (2 * stride) == 0 and (n - 1) // (2 * stride) >= coarsest for n in sizes):
        stride *= 2
    if stride == 1:
        _warn_of_all(sizes, coarsest)
    axes = [
        np.linspace(a, b, n, dtype=np.float32) for a, b, n in zip(low, high, sizes, strict=True)
    ]
    field = Surface(np.zeros(sizes, np.float32), np.zeros(sizes, bool))
    _ask_at(
        field,
        ask,
        axes,
        stride,
        np.ones(field.asked[_every(stride, len(sizes))].shape, bool),
        batch,
    )
    while stride > 1:
        stride //= 2
        every = _every(stride, len(sizes))
        _interpolate(field.values[every], field.asked[every])
        while (near := _near(field.values[every] > level, margin) & ~field.asked[every]).any():
            _ask_at(field, ask, axes, stride, near, batch)
    return field


def _warn_of_all(sizes: Sequence[int], coarsest: int) -> None:
    """That nothing is saved, and the nearest sizes that would save something."""
    multiple = 2 * coarsest
    fitting = [max(1, round((n - 1) / multiple)) * multiple + 1 for n in sizes]
    said = sizes[0] if len(set(sizes)) == 1 else tuple(sizes)
    fits = fitting[0] if len(set(sizes)) == 1 else tuple(fitting)
    warnings.warn(
        f"find_surface asks every point of this grid: of {said} points along an axis, every other "
        f"one makes no grid with {coarsest} cells or more (`coarsest`); size {fits} does",
        stacklevel=3,
    )


def _every(stride: int, rank: int) -> tuple[slice, ...]:
    return (slice(None, None, stride),) * rank


def _ask_at(
    field: Surface,
    ask: Ask,
    axes: Sequence[NDArray[np.float32]],
    stride: int,
    where: NDArray[np.bool_],
    batch: int,
) -> None:
    """Ask at some places of a grid of each `stride`-th point."""
    every = _every(stride, len(axes))
    values, asked = field.values[every], field.asked[every]
    places = np.nonzero(where)
    for start in range(0, len(places[0]), batch):
        some = tuple(place[start : start + batch] for place in places)
        points = np.stack([axis[::stride][i] for axis, i in zip(axes, some, strict=True)], axis=-1)
        found = np.asarray(ask(points), np.float32).reshape(len(points))
        if not np.isfinite(found).all():
            place = points[~np.isfinite(found)][0].tolist()
            raise ValueError(f"the field has no finite value at {place}: no side of the level")
        values[some] = found
        asked[some] = True


def _interpolate(values: NDArray[np.float32], asked: NDArray[np.bool_]) -> None:
    """Give the places between those of the grid before the mean of their neighbours, in place."""
    rank = values.ndim
    for axis in range(rank):
        # Axes before this one are filled already; those behind have every other place.
        behind = (slice(None, None, 2),) * (rank - axis - 1)
        at = (slice(None),) * axis
        odd = (*at, slice(1, None, 2), *behind)
        before, after = (*at, slice(None, -1, 2), *behind), (*at, slice(2, None, 2), *behind)
        mean = (values[before] + values[after]) / 2
        values[odd] = np.where(asked[odd], values[odd], mean)


def _near(inside: NDArray[np.bool_], margin: int) -> NDArray[np.bool_]:
    """The corners of cells that the surface crosses, and of `margin` cells around these."""
    corners = [
        tuple(slice(i, n - 1 + i) for i, n in zip(corner, inside.shape, strict=True))
        for corner in product((0, 1), repeat=inside.ndim)
    ]
    some, every = inside[corners[0]].copy(), inside[corners[0]].copy()
    for corner in corners[1:]:
        some |= inside[corner]
        every &= inside[corner]
    near = np.zeros(inside.shape, bool)
    crossed = some & ~every
    for corner in corners:
        near[corner] |= crossed
    for _ in range(margin):
        for axis in range(near.ndim):
            before = near.copy()
            at = (slice(None),) * axis
            near[(*at, slice(1, None))] |= before[(*at, slice(None, -1))]
            near[(*at, slice(None, -1))] |= before[(*at, slice(1, None))]
    return near
