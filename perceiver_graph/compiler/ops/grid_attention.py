"""Attention to tokens on a grid, where a part of each score depends on one axis alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from perceiver_graph.compiler.dims import Dim, product
from perceiver_graph.compiler.ops.attention import Attention
from perceiver_graph.compiler.ops.base import Array, Op, TensorType, require
from perceiver_graph.compiler.ops.lazy import np


@dataclass(frozen=True)
class GridAttention(Op):
    """Attention of one head to the m points of a grid, with scores that sum over its axes.

    The score of query i for the point j = (j_1, ..., j_a), which has the scale s_j, is
    s_j (q_i x_j + t_1[i, j_1] + ... + t_a[i, j_a]). With w the softmax over all points, times s, the
    result is w x, and for each axis and each place on it the sum of w over the points there: what
    values s_j [x_j | p_1[j_1] + ... + p_a[j_a]] sum to is a linear map of that.
    Shapes: q [batch, n, d], x [batch, m, d], s [batch, m, 1], t_i [batch, n, size_i] of each axis,
    m the product of the sizes, the last axis fastest -> [batch, n, d + sum of the sizes].
    """

    name = "grid_attention"
    rewritten_only = True

    def infer(self, *inputs: TensorType) -> TensorType:
        require(
            len(inputs) >= 4,
            f"grid_attention needs q, x, s and a table for each axis, got {len(inputs)} inputs",
        )
        q, x, s, *tables = inputs
        found = Attention().infer(q, x, x)
        require(
            s == x.with_shape(*x.shape[:2], Dim.of(1)),
            f"grid_attention needs a scale for each token, got {s} for {x}",
        )
        for table in tables:
            require(
                table.rank == 3 and table.shape[:2] == q.shape[:2] and table.dtype == q.dtype,
                f"grid_attention needs tables [batch, n, size], got {table} for {q}",
            )
        sizes = [int(table.shape[2]) for table in tables]
        require(
            x.shape[1] == math.prod(sizes),
            f"grid_attention needs a token at each point of the grid {sizes}, got {x}",
        )
        return found.with_shape(*found.shape[:2], found.shape[2] + sum(sizes))

    def evaluate(self, *inputs: Array) -> Array:
        q, x, s, *tables = inputs
        parts = []
        for start in range(0, q.shape[1], 256):  # the whole score matrix need not exist
            rows = slice(start, start + 256)
            some = [table[:, rows] for table in tables]
            scores = scores_on_grid(q[:, rows], x, s, some)
            weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
            weights /= weights.sum(axis=-1, keepdims=True)
            parts.append(found_on_grid(weights, x, s, some))
        return np.concatenate(parts, axis=1)

    def flops(self, inputs: Sequence[TensorType], output: TensorType) -> Dim:
        q, x = inputs[:2]
        return 4 * product(q.shape) * x.shape[1]


def scores_on_grid(q: Array, x: Array, s: Array, tables: Sequence[Array]) -> Array:
    """s_j (q_i x_j + t_1[i, j_1] + ...). Shape: [batch, n, m]."""
    grid = q.dtype.type(0)
    for axis, table in enumerate(tables):
        after = len(tables) - 1 - axis
        grid = grid + table.reshape(*table.shape[:2], *[1] * axis, table.shape[2], *[1] * after)
    scores = q @ np.swapaxes(x, 1, 2)
    return np.asarray(np.swapaxes(s, 1, 2) * (scores + grid.reshape(scores.shape)))


def found_on_grid(weights: Array, x: Array, s: Array, tables: Sequence[Array]) -> Array:
    """w x, and the sums of w for the places on each axis. Shape: [batch, n, d + sum of the sizes]."""
    weights = weights * np.swapaxes(s, 1, 2)
    sizes = [table.shape[2] for table in tables]
    points = weights.reshape(*weights.shape[:2], *sizes)
    sums = [
        points.sum(axis=tuple(2 + a for a in range(len(sizes)) if a != axis))
        for axis in range(len(sizes))
    ]
    return np.concatenate([weights @ x, *sums], axis=-1)
