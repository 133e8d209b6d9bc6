"""Attention to tokens on a grid, where a part of each score depends on one axis alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from perceiver_graph.compiler.dims import Dim, product
from perceiver_graph.compiler.ops.attention import Attention
from perceiver_graph.compiler.ops.base import Array, Op, T, TensorType, require
from perceiver_graph.compiler.ops.lazy import np
from perceiver_graph.compiler.ops.scores import pieces, scores_held


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
    operands = ("queries", "tokens", "scale", "tables*")
    rewritten_only = True
    copies: ClassVar[int] = 3
    """How many arrays as large as the scores exist at once: on optical flow, onnxruntime holds more
    than two."""

    def infer(self, *inputs: TensorType) -> TensorType:
        require(
            self.accepts(inputs) and bool(self.each("tables", inputs)),
            f"grid_attention needs q, x, s and a table for each axis, got {len(inputs)} inputs",
        )
        q, x, s, tables = self._operands(inputs)
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

    def _operands(self, inputs: Sequence[T]) -> tuple[T, T, T, Sequence[T]]:
        q, x, s = (self.operand(name, inputs) for name in ("queries", "tokens", "scale"))
        return q, x, s, self.each("tables", inputs)

    def evaluate(self, *inputs: Array) -> Array:
        q, x, s, tables = self._operands(inputs)
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
        q, x, _, _ = self._operands(inputs)
        return 4 * product(q.shape) * x.shape[1]

    def parts(self, inputs: Sequence[TensorType], limit: int) -> int:
        """In how many parts queries are answered; products are thin, and none the worse for fewer."""
        q, x, _, _ = self._operands(inputs)
        return pieces(q.shape[1], x.shape[1], max(limit // self.copies, 1))

    def bytes_held(
        self, inputs: Sequence[TensorType], sizes: Mapping[str, int], score_limit: int
    ) -> int:
        q, x, _, _ = self._operands(inputs)
        return self.copies * scores_held(q, x.shape[1], self.parts(inputs, score_limit), sizes)


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
