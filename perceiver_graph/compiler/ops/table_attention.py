"""Attention by queries on a grid, where a part of each score depends on one axis alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from perceiver_graph.compiler.ir.dims import Dim, product
from perceiver_graph.compiler.ir.op import Array, Op, T, TensorType, require
from perceiver_graph.compiler.ops.attention import Attention
from perceiver_graph.compiler.ops.lazy import np
from perceiver_graph.compiler.ops.scores import scores_held


@dataclass(frozen=True)
class TableAttention(Op):
    """Attention of one head with scores to which rows of tables are added.

    The score of query i, which has the scale s_i, for key j is q_i k_j + s_i (t_1[a_1[i], j] + ...),
    where a_1 are the places of the queries on an axis and t_1 what each place scores for each key.
    Scores are not scaled further.
    Shapes: q [batch, n, d], k [batch, m, d], v [batch, m, e], s [batch, n, 1] and, for each axis,
    t_i [batch, size_i, m] and a_i int64 [n] -> [batch, n, e].
    """

    name = "table_attention"
    operands = ("queries", "keys", "values", "scale", "tables*", "places*")
    rewritten_only = True

    def infer(self, *inputs: TensorType) -> TensorType:
        require(
            self.accepts(inputs) and bool(self.each("tables", inputs)),
            f"table_attention needs q, k, v, s and a table and places of each axis, got "
            f"{len(inputs)} inputs",
        )
        q, k, v, s = self._rows(inputs)
        found = Attention().infer(q, k, v)
        require(
            s == q.with_shape(*q.shape[:2], Dim.of(1)),
            f"table_attention needs a scale for each query, got {s} for {q}",
        )
        for table, places in self._axes(inputs):
            fits = table.rank == 3 and (table.shape[0], table.shape[2]) == k.shape[:2]
            require(
                fits and table.dtype == k.dtype,
                f"table_attention needs tables [batch, size, keys], got {table} for {k}",
            )
            require(
                places == TensorType(q.shape[1:2], "int64"),
                f"table_attention needs a place for each query, got {places} for {q}",
            )
        return found

    def _rows(self, inputs: Sequence[T]) -> tuple[T, T, T, T]:
        q, k, v, s = (self.operand(n, inputs) for n in ("queries", "keys", "values", "scale"))
        return q, k, v, s

    def _axes(self, inputs: Sequence[T]) -> Iterator[tuple[T, T]]:
        """The table and the places of each axis."""
        return zip(self.each("tables", inputs), self.each("places", inputs), strict=True)

    def evaluate(self, *inputs: Array) -> Array:
        q, k, v, s = self._rows(inputs)
        outputs = np.empty((*q.shape[:2], v.shape[2]), dtype=q.dtype)
        for start in range(0, q.shape[1], 1024):  # the whole score matrix need not exist
            rows = slice(start, start + 1024)
            added = sum(table[:, places[rows]] for table, places in self._axes(inputs))
            scores = q[:, rows] @ np.swapaxes(k, 1, 2) + s[:, rows] * added
            weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
            outputs[:, rows] = weights / weights.sum(axis=-1, keepdims=True) @ v
        return outputs

    def flops(self, inputs: Sequence[TensorType], output: TensorType) -> Dim:
        q, k, v, _ = self._rows(inputs)
        return 2 * product(q.shape[:2]) * k.shape[1] * (q.shape[2] + v.shape[2])

    def bytes_held(
        self, inputs: Sequence[TensorType], sizes: Mapping[str, int], score_limit: int
    ) -> int:
        """Three such arrays: the rows of two tables, and the products that they are added to."""
        q, k, _, _ = self._rows(inputs)
        return 3 * scores_held(q, k.shape[1], 1, sizes)
