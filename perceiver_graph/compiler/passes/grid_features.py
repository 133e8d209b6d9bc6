"""Attends to the features of tokens on a grid without multiplying out their position encodings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perceiver_graph.compiler.ir.graph import Node, Value
from perceiver_graph.compiler.ops import (
    Attention,
    Concat,
    Linear,
    Mul,
    Op,
    Scale,
    SegmentedAttention,
    Slice,
    Where,
)
from perceiver_graph.compiler.ops.segmented_attention import Segment, segments
from perceiver_graph.compiler.passes.grid_positions import PASSES_FLOPS
from perceiver_graph.compiler.passes.grids import as_rows, at_channels, axis_tables, size_of
from perceiver_graph.compiler.passes.rewriter import Rewrite, Rewriter


class GridFeatures(Rewrite):
    """Attention of one head to x_j = s_j [r_j | p_j], where p[j] is a sum over the axes of a grid.

    NormOfConcat leaves such features. As in GridPositions, q x_j = s_j (q_r r_j + q_p p_1[j_1] + ...)
    needs the places on each axis only, and so do the positions that the values sum to.

    1. Keys and values are the same features, alone or as one of the segments of an attention.
    2. One of the parts is such a sum, over two axes or more, the same in each sample.
    3. Where the tokens of a sample are missing, one known row stands for them: it loses its channels
       of position, which must be 0 there, and so do tables and sums.
    4. Of few channels, where passes over the scores cost more than products: it stays.
    """

    name = "grid-features"

    done = ("kind of keys", "kinds of keys", "rewritten")
    nothing = "nothing rewritten: no attention with one head reads features on a grid"

    def __init__(self, passes_flops: int = PASSES_FLOPS) -> None:
        self.passes_flops = passes_flops

    def apply(self, rewriter: Rewriter, node: Node, notes: list[str]) -> int:
        each = _kinds(node)
        for index, kind in enumerate(each):
            found = _match(rewriter, kind)
            if found is None:
                continue
            given = sum(map(_given, each))
            cost = _cost(rewriter, kind, found, self.passes_flops, given)
            if cost >= rewriter.flops(_alone(kind), *kind.inputs):
                notes.append(f"%{node.name} stays: its positions have few channels")
                continue
            _Change(rewriter, node, each, index, found).apply()
            return 1
        return 0


def _kinds(node: Node) -> list[Segment[Value]]:
    """The keys that one head attends to without a mask, by kind."""
    if op := node.only(SegmentedAttention, "axes", "segments"):
        return list(segments(op, node.inputs))
    if node.only(Attention, "masked_rows"):
        return [Segment(node["queries"], node["keys"], node["values"])]
    return []


@dataclass(frozen=True)
class _Features:
    """Tokens s [r | p], or a row that stands for all of them."""

    value: Value
    parts: tuple[Value, ...]
    """What the channels are put together from."""
    at: int
    """Which of the parts is the positions."""
    tables: tuple[Value, ...]
    """The positions on each axis. Shapes: [1, ..., size, ..., 1, channels]."""
    scale: Value
    """s. Shape: [batch, m, 1]."""
    present: Value | None = None
    """Where it does not hold, `row` stands for all tokens. Shape: bool [batch, 1, 1]."""
    row: Value | None = None

    @property
    def start(self) -> int:
        """The first channel of position."""
        return sum(int(part.shape[-1]) for part in self.parts[: self.at])

    @property
    def stop(self) -> int:
        return self.start + int(self.parts[self.at].shape[-1])

    @property
    def width(self) -> int:
        """Channels."""
        return int(self.value.shape[-1])

    @property
    def varying(self) -> int:
        """Channels other than those of position."""
        return self.width - (self.stop - self.start)

    @property
    def places(self) -> int:
        return sum(map(size_of, self.tables))


def _match(rewriter: Rewriter, kind: Segment[Value]) -> _Features | None:
    """Cases 1 to 3."""
    if kind.scale is not None or kind.keys != kind.values:
        return None
    x, present, row = kind.keys, None, None
    node = rewriter.producer(x)
    if node and isinstance(node.op, Where):
        present, x, row = node.inputs
        if present.type.rank != 3 or any(dim.value != 1 for dim in present.shape[1:]):
            return None
        if rewriter.array(row) is None or row.type.rank != 1:
            return None
        node = rewriter.producer(x)
    if node is None or not isinstance(node.op, Mul):
        return None
    joined, scale = node.inputs
    source = rewriter.producer(joined)
    if source is None or not isinstance(source.op, Concat) or source.op.axis not in (-1, 2):
        return None
    if scale.type != joined.type.with_shape(*joined.shape[:2], *scale.shape[2:]):
        return None
    if scale.shape[-1].value != 1 or len(source.each("parts")) < 2:
        return None
    for at, part in enumerate(source.inputs):
        tables = axis_tables(rewriter, rewriter.sharing(part)[0])
        if len(tables) < 2:
            continue
        found = _Features(kind.keys, source.inputs, at, tables, scale, present, row)
        numbers = rewriter.array(row) if row else None
        if numbers is None or not numbers[found.start : found.stop].any():
            return found
    return None


def _cost(
    rewriter: Rewriter, kind: Segment[Value], features: _Features, passes_flops: int, given: int
) -> int:
    """Case 4: the FLOPs of the rewritten kind, and what its passes take instead of FLOPs.

    `given` is how many channels the attention gives, which are mapped behind it.
    """
    queries = rewriter.elements(kind.queries) // features.width
    pairs = queries * rewriter.elements(kind.keys) // features.width
    source, _ = rewriter.sharing(kind.queries)
    tables = rewriter.linear_flops(source, features.places)
    now = given - features.width + features.varying + features.places
    return pairs * (4 * features.varying + passes_flops) + tables + 2 * queries * given * now


@dataclass(frozen=True)
class _Change:
    """The rewriting of one kind of keys of an attention."""

    rewriter: Rewriter
    node: Node
    each: Sequence[Segment[Value]]
    index: int
    features: _Features

    def add(self, op: Op, *inputs: Value) -> Value:
        return self.rewriter.add(op, *inputs)

    def apply(self) -> None:
        kind, features = self.each[self.index], self.features
        rows = [as_rows(self.rewriter, table) for table in features.tables]
        queries, *tables = self._queries(kind.queries, rows)
        tokens, scale = self._tokens()
        new = Segment(queries, tokens, tokens, scale, tuple(map(self._or_zero, tables)))
        each = [*self.each[: self.index], new, *self.each[self.index + 1 :]]
        inputs = [value for one in each for value in one.inputs]
        op = SegmentedAttention(tuple(len(one.tables) for one in each))
        found = self.add(op, *inputs)
        found = self._without_missing(found)
        self.rewriter.rewrite(self.node, Linear(), found, self._map(rows))

    def _queries(self, q: Value, rows: list[Value]) -> list[Value]:
        """The queries without their channels of position, and what these score at each place."""
        features = self.features
        source, sharing = self.rewriter.sharing(q)
        if self.node.only(
            Attention, "masked_rows"
        ):  # whose scores are scaled, those of kinds are not
            factor = Scale(1 / math.sqrt(features.width))
            source = self.add(factor, source)
        around = []
        for start, stop in ((0, features.start), (features.stop, features.width)):
            if start < stop:
                around.append(self.add(Slice(-1, start, stop), source))
        known = around[0]
        if len(around) > 1:
            known = self.add(Concat(-1), *around)
        place = Slice(-1, features.start, features.stop)
        position = self.add(place, source)
        found = [known]
        found += [self.add(Linear(), position, row) for row in rows]
        if sharing is None:
            return found
        return [self.add(sharing.op, value) for value in found]

    def _tokens(self) -> tuple[Value, Value]:
        """r and s. Shapes: [batch, m, varying], [batch, m, 1]."""
        features = self.features
        others = [part for index, part in enumerate(features.parts) if index != features.at]
        tokens = others[0]
        if len(others) > 1:
            tokens = self.add(Concat(-1), *others)
        if features.present is None or features.row is None:
            return tokens, features.scale
        numbers = self.rewriter.array(features.row)
        assert numbers is not None
        known = np.delete(numbers, np.s_[features.start : features.stop])
        row = self.rewriter.constant(f"absent.{len(known)}", known)
        one = self.rewriter.constant("one", np.ones(1, known.dtype))
        tokens = self.add(Where(), features.present, tokens, row)
        scale = self.add(Where(), features.present, features.scale, one)
        return tokens, scale

    @property
    def _before(self) -> int:
        """Channels that the kinds before this one give."""
        return sum(map(_given, self.each[: self.index]))

    def _or_zero(self, table: Value) -> Value:
        """A table, with zeros where the tokens are missing."""
        if self.features.present is None:
            return table
        zero = self.rewriter.constant("zero", np.zeros(1, np.dtype(table.dtype)))
        return self.add(Where(), self.features.present, table, zero)

    def _without_missing(self, found: Value) -> Value:
        """What was found, with zeros for the places where the tokens are missing."""
        features = self.features
        if features.present is None:
            return found
        dtype = np.dtype(found.dtype)
        start = self._before + features.varying
        known = np.ones(int(found.shape[-1]), dtype)
        ones = self.rewriter.constant(f"ones.{len(known)}", known.copy())
        known[start : start + features.places] = 0
        without = self.rewriter.constant(f"without_places.{len(known)}", known)
        kept = self.add(Where(), features.present, ones, without)
        return self.add(Mul(), found, kept)

    def _map(self, rows: list[Value]) -> Value:
        """What the result is mapped by to be what it was. Shape: [channels before, channels now]."""
        features, before = self.features, self._before
        total = sum(map(_given, self.each))
        start, stop = before + features.start, before + features.stop
        stay = np.eye(total, dtype=np.dtype(features.value.dtype))
        groups = [stay[:, :start], stay[:, stop : before + features.width]]
        columns = [
            self.rewriter.constant(f"channels.{total}", np.concatenate(groups, axis=1)),
            *(at_channels(self.rewriter, row, start, total) for row in rows),
        ]
        if before + features.width < total:
            after = np.ascontiguousarray(stay[:, before + features.width :])
            columns.append(self.rewriter.constant(f"channels_after.{total}", after))
        return self.add(Concat(1), *columns)


def _alone(kind: Segment[Value]) -> SegmentedAttention:
    """Attention to this segment only."""
    return SegmentedAttention((len(kind.tables),))


def _given(kind: Segment[Value]) -> int:
    """Channels that a kind gives."""
    return int(_alone(kind).infer(*(value.type for value in kind.inputs)).shape[-1])
