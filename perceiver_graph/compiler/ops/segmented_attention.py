"""Attention of the same queries to keys of several kinds, such as the tokens of several modalities."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic

from perceiver_graph.compiler.ir.dims import Dim, product, total
from perceiver_graph.compiler.ir.op import Array, Op, T, TensorType, require
from perceiver_graph.compiler.ops.attention import Attention
from perceiver_graph.compiler.ops.lazy import np
from perceiver_graph.compiler.ops.scores import pieces, scores_held


@dataclass(frozen=True)
class SegmentedAttention(Op):
    """Attention of one head to segments of keys, which have queries and values of their own.

    softmax over all keys of [scores_1 | scores_2 | ...], and the sums of values of each segment with
    these weights side by side. Scores are not scaled: the queries hold the scale. They are q k^T, and
    the values v, or a segment is the m points of a grid with `axes`: the score of query i for the
    point j = (j_1, ..., j_a), which has the scale s_j, is then s_j (q_i x_j + t_1[i, j_1] + ... +
    t_a[i, j_a]). With w its weights, times s, it gives w x, and for each axis and each place on it
    the sum of w over the points there: what values s_j [x_j | p_1[j_1] + ... + p_a[j_a]] sum to is a
    linear map of that.
    Shapes: for each segment q [batch, n, d], k [batch, m, d], v [batch, m, e] or, on a grid,
    q [batch, n, d], x [batch, m, d], s [batch, m, 1], t_i [batch, n, size_i] of each axis, m the
    product of the sizes, the last axis fastest -> [batch, n, sum of e or of d + all sizes].
    """

    name = "segmented_attention"
    operands = ("segments*",)
    rewritten_only = True
    axes: tuple[int, ...]
    """The axes of each segment's grid, 0 for a segment on none."""

    def infer(self, *inputs: TensorType) -> TensorType:
        require(
            bool(self.axes) and len(inputs) == sum(3 + count for count in self.axes),
            f"segmented_attention needs three operands of each segment and a table for each axis of "
            f"its grid, {self.axes}, got {len(inputs)} inputs",
        )
        each, width = list(segments(self, inputs)), Dim.of(0)
        first = each[0].queries
        for segment in each:
            result = segment.infer()
            require(
                result.shape[:2] == first.shape[:2],
                f"segmented_attention needs the same queries for each segment, got {first} and "
                f"{segment.queries}",
            )
            width = width + result.shape[2]
        return first.with_shape(*first.shape[:2], width)

    def evaluate(self, *inputs: Array) -> Array:
        each = list(segments(self, inputs))
        parts = []
        for start in range(0, each[0].queries.shape[1], 256):  # not the whole score matrix at once
            some = [segment.some(slice(start, start + 256)) for segment in each]
            scores = [_scores(segment) for segment in some]
            highest = np.max([s.max(axis=-1, keepdims=True) for s in scores], axis=0)
            weights = [np.exp(s - highest) for s in scores]
            whole = sum(w.sum(axis=-1, keepdims=True) for w in weights)
            results = [_found(one, w / whole) for one, w in zip(some, weights, strict=True)]
            parts.append(np.concatenate(results, axis=-1))
        return np.concatenate(parts, axis=1)

    def flops(self, inputs: Sequence[TensorType], output: TensorType) -> Dim:
        return total(segment.flops() for segment in segments(self, inputs))

    def parts(self, inputs: Sequence[TensorType], limit: int) -> int:
        """In how many parts queries are answered: as many as the segment that needs most."""
        return max(segment.parts(limit) for segment in segments(self, inputs))

    def bytes_held(
        self, inputs: Sequence[TensorType], sizes: Mapping[str, int], score_limit: int
    ) -> int:
        parts = self.parts(inputs, score_limit)
        return max(
            segment.copies * scores_held(segment.queries, segment.keys.shape[1], parts, sizes)
            for segment in segments(self, inputs)
        )


@dataclass(frozen=True)
class Segment(Generic[T]):
    """What belongs to one segment of the keys."""

    queries: T
    keys: T
    values: T
    """The keys themselves on a grid."""
    scale: T | None = None
    tables: tuple[T, ...] = ()

    @property
    def inputs(self) -> tuple[T, ...]:
        """As the operator takes them."""
        third = self.values if self.scale is None else self.scale
        return self.queries, self.keys, third, *self.tables

    @property
    def copies(self) -> int:
        """How many arrays as large as the scores exist at once: weighing a segment among the others
        takes a second one, and on a grid onnxruntime was seen to hold a third."""
        return 2 if self.scale is None else 3

    def infer(self: Segment[TensorType]) -> TensorType:
        """The type of its part of the result."""
        q, x, s = self.queries, self.keys, self.scale
        found = Attention().infer(q, x, self.values)
        if s is None:
            return found
        require(
            s == x.with_shape(*x.shape[:2], Dim.of(1)),
            f"segmented_attention needs a scale for each token, got {s} for {x}",
        )
        for table in self.tables:
            require(
                table.rank == 3 and table.shape[:2] == q.shape[:2] and table.dtype == q.dtype,
                f"segmented_attention needs tables [batch, n, size], got {table} for {q}",
            )
        sizes = [int(table.shape[2]) for table in self.tables]
        require(
            x.shape[1] == math.prod(sizes),
            f"segmented_attention needs a token at each point of the grid {sizes}, got {x}",
        )
        return found.with_shape(*found.shape[:2], found.shape[2] + sum(sizes))

    def flops(self: Segment[TensorType]) -> Dim:
        """Of the products for its scores and its sums."""
        pairs = product(self.queries.shape[:2]) * self.keys.shape[1]
        return 2 * pairs * (self.queries.shape[2] + self.values.shape[2])

    def parts(self: Segment[TensorType], limit: int) -> int:
        """In how many parts its queries are answered. Products on a grid are thin, and none the worse
        for fewer rows."""
        if self.scale is not None:
            limit = max(limit // self.copies, 1)
        return pieces(self.queries.shape[1], self.keys.shape[1], limit)

    def some(self: Segment[Array], rows: slice) -> Segment[Array]:
        """Asked by some of the queries."""
        tables = tuple(table[:, rows] for table in self.tables)
        return Segment(self.queries[:, rows], self.keys, self.values, self.scale, tables)


def segments(op: SegmentedAttention, inputs: Sequence[T]) -> Iterator[Segment[T]]:
    """What an operator reads, by segment."""
    rest = iter(inputs)
    for count in op.axes:
        first, second, third, *tables = islice(rest, 3 + count)
        if count:
            yield Segment(first, second, second, third, tuple(tables))
        else:
            yield Segment(first, second, third)


def _scores(segment: Segment[Array]) -> Array:
    if segment.scale is None:
        return np.asarray(segment.queries @ np.swapaxes(segment.keys, -1, -2))
    return scores_on_grid(segment.queries, segment.keys, segment.scale, segment.tables)


def _found(segment: Segment[Array], weights: Array) -> Array:
    if segment.scale is None:
        return np.asarray(weights @ segment.values)
    return found_on_grid(weights, segment.keys, segment.scale, segment.tables)


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
