"""Points that are far from each other, as sets of points are thinned out (PointNet++, arXiv 1706.02413)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perceiver_graph.diagnostics.arguments import whole


def farthest_points(
    points: ArrayLike, count: int, *, mask: ArrayLike | None = None
) -> NDArray[np.int64]:
    """The numbers of `count` points, each the farthest from all those before it; the first is point 0.

    Shapes: [..., n, coordinates] -> [..., count]. `mask`, bool [..., n], is false for points that are
    none: they are not chosen, and the first is the first of the others. Where there are fewer points
    than `count`, some are chosen again.

        numbers = perceiver_graph.farthest_points(cloud[..., :3], 512)
        program.run({"cloud": cloud, "cloud.chosen": numbers, "inside.points": points})
    """
    array = np.asarray(points, np.float32)
    if array.ndim < 2 or 0 in array.shape[-2:]:
        raise ValueError(f"points must be [..., points, coordinates], not {list(array.shape)}")
    whole("count", "a whole number, 1 or more", count, 1)
    there = np.ones(array.shape[:-1], bool) if mask is None else np.asarray(mask, bool)
    if there.shape != array.shape[:-1]:
        wanted = list(array.shape[:-1])
        raise ValueError(f"mask must be {wanted}, one for each point, not {list(there.shape)}")
    array = np.where(there[..., None], array, np.float32(0))
    if not np.isfinite(array).all():
        where = np.argwhere(~np.isfinite(array))[0].tolist()
        raise ValueError(f"points must be finite, and at {where} is {array[tuple(where)]}")
    found = np.empty((*array.shape[:-2], count), np.int64)
    away = np.where(there, np.float32(np.inf), np.float32(-1))
    for i in range(count):
        found[..., i] = away.argmax(-1)
        last = np.take_along_axis(array, found[..., i, None, None], -2)
        near = np.square(array - last).sum(-1)
        away = np.minimum(away, near, out=away)
    return found
