"""Attention of the same queries to keys of several kinds, such as the tokens of several modalities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from perceiver_graph.compiler.dims import Dim
from perceiver_graph.compiler.ops.attention import Attention
from perceiver_graph.compiler.ops.base import Array, Op, TensorType, require
from perceiver_graph.compiler.ops.grid_attention import (
    GridAttention,
    found_on_grid,
    scores_on_grid,
)
from perceiver_graph.compiler.ops.lazy import np
from perceiver_graph.compiler.ops.scores import scores_held

T = TypeVar("T")


@dataclass(frozen=True)
class JointAttention(Op):
    """Attention of one head to keys of several kinds, which have queries and values of their own.

    softmax over all keys of [q_1 k_1^T | q_2 k_2^T | ...], and the sums of values of each kind with
    these weights side by side. Scores are not scaled: the queries hold the scale. A kind with `axes`
    is the points of a grid of so many: its scores and sums are those of `GridAttention`.
    Shapes: for each kind q [batch, n, d_i], k [batch, m_i, d_i], v [batch, m_i, e_i] or, on a grid,
    q, x, s and a table for each axis -> [batch, n, sum of what each kind gives].
    """

    name = "joint_attention"
    operands = ("kinds*",)
    rewritten_only = True
    axes: tuple[int, ...] = ()
    """The axes of each kind's grid, 0 for a kind on none; of no kind if empty."""

    def infer(self, *inputs: TensorType) -> TensorType:
        require(
            _fits(len(inputs), self.axes),
            f"joint_attention needs queries, keys and values of each kind, got {len(inputs)} inputs",
        )
        each, width = list(kinds(inputs, self.axes)), Dim.of(0)
        first = each[0].queries
        for kind in each:
            result = kind.infer()
            require(
                result.shape[:2] == first.shape[:2],
                f"joint_attention needs the same queries for each kind, got {first} and {kind.queries}",
            )
            width = width + result.shape[2]
        return first.with_shape(*first.shape[:2], width)

    def evaluate(self, *inputs: Array) -> Array:
        each = list(kinds(inputs, self.axes))
        scores = [_scores(kind) for kind in each]
        highest = np.max([s.max(axis=-1, keepdims=True) for s in scores], axis=0)
        weights = [np.exp(s - highest) for s in scores]
        total = sum(w.sum(axis=-1, keepdims=True) for w in weights)
        results = [_found(kind, w / total) for kind, w in zip(each, weights, strict=True)]
        return np.concatenate(results, axis=-1)

    def flops(self, inputs: Sequence[TensorType], output: TensorType) -> Dim:
        total = Dim.of(0)
        for kind in kinds(inputs, self.axes):
            total = total + kind.op.flops(kind.inputs, kind.infer())
        return total

    def parts(self, inputs: Sequence[TensorType], limit: int) -> int:
        """In how many parts queries are answered: as many as the kind that needs most."""
        return max(kind.op.parts(kind.inputs, limit) for kind in kinds(inputs, self.axes))

    def bytes_held(
        self, inputs: Sequence[TensorType], sizes: Mapping[str, int], score_limit: int
    ) -> int:
        """Of the largest kind, the scores twice: its weight among all takes them once more."""
        parts = self.parts(inputs, score_limit)
        return max(
            (2 if kind.scale is None else max(2, GridAttention.copies))
            * scores_held(kind.queries, kind.keys.shape[1], parts, sizes)
            for kind in kinds(inputs, self.axes)
        )

    def __str__(self) -> str:
        """Without what is usual."""
        return super().__str__().replace("(axes=())", "")


@dataclass(frozen=True)
class Kind(Generic[T]):
    """What belongs to one kind of keys."""

    queries: T
    keys: T
    values: T
    """The keys themselves on a grid."""
    scale: T | None = None
    tables: tuple[T, ...] = ()

    @property
    def op(self) -> Attention | GridAttention:
        """Attention to this kind alone, but for the scale of the scores."""
        return Attention() if self.scale is None else GridAttention()

    @property
    def inputs(self) -> tuple[T, ...]:
        """Of that attention."""
        if self.scale is None:
            return self.queries, self.keys, self.values
        return self.queries, self.keys, self.scale, *self.tables

    def infer(self: Kind[TensorType]) -> TensorType:
        """The type of what it gives."""
        return self.op.infer(*self.inputs)


def kinds(inputs: Sequence[T], axes: Sequence[int] = ()) -> Iterator[Kind[T]]:
    """The inputs of each kind; `axes` as those of the operator."""
    rest = iter(inputs)
    for count in axes or [0] * (len(inputs) // 3):
        first, second, third, *tables = islice(rest, 3 + count)
        if count:
            yield Kind(first, second, second, third, tuple(tables))
        else:
            yield Kind(first, second, third)


def _fits(count: int, axes: Sequence[int]) -> bool:
    """Whether there are as many inputs as the kinds need."""
    return count == sum(3 + c for c in axes) if axes else count >= 3 and count % 3 == 0


def _scores(kind: Kind[Array]) -> Array:
    if kind.scale is None:
        return np.asarray(kind.queries @ np.swapaxes(kind.keys, -1, -2))
    return scores_on_grid(kind.queries, kind.keys, kind.scale, kind.tables)


def _found(kind: Kind[Array], weights: Array) -> Array:
    if kind.scale is None:
        return np.asarray(weights @ kind.values)
    return found_on_grid(weights, kind.keys, kind.scale, kind.tables)
