"""Attends to tokens on a grid without multiplying out their position encodings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perceiver_graph.compiler.ir.dims import Dim
from perceiver_graph.compiler.ir.graph import Node, Value
from perceiver_graph.compiler.ops import (
    Add,
    Concat,
    Linear,
    Mul,
    Scale,
    SegmentedAttention,
    Where,
)
from perceiver_graph.compiler.ops.segmented_attention import Segment, segments
from perceiver_graph.compiler.passes.grids import (
    Channels,
    as_rows,
    at_channels,
    axis_tables,
    joined,
    size_of,
    width_of,
)
from perceiver_graph.compiler.passes.norms import (
    INVERSE,
    PLAIN_NORM,
    Norm,
    is_centred,
    merged_moments,
    norm_of,
    without_mean,
)
from perceiver_graph.compiler.passes.rewriter import Rewrite, Rewriter, parts_of, why_not_one_head

PASSES_FLOPS = 200
"""What a pair of a query and a token costs more than its FLOPs say: six passes over the scores add
up the axes, and sum the weights for each. Measured on CPU: 2.5 ns, in which a core computes so many."""


class ScoreKeysByAxis(Rewrite):
    """Attention of one head to x_j = s_j [r_j | p_j], where p[j] is a sum over the axes of a grid.

    p[j] = p_1[j_1] + ... + p_a[j_a], as Fourier features of a grid are, and so
    q x_j = s_j (q_r r_j + q_p p_1[j_1] + ...): all but the first part is known for all tokens once it
    is for the places on each axis, which are far fewer. Sums of weights over each place give the
    positions that the values sum to, in the same way.

    1. Keys and values are the same tokens x. One of the parts of their channels is such a sum, over
       two axes or more, the same in each sample.
    2. They are the norm of [r | p], as AbsorbProjections leaves them: s = 1 / sqrt(variance +
       epsilon). The mean m that it takes from each token is taken from the queries instead, since
       q (x - m) = (q - mean(q)) x, and from what the values sum to. RMSNorm takes no mean:
       s = 1 / sqrt(mean square + epsilon), and that is all.
    3. Or they are features with a scale s, as NormOfConcat leaves them, alone or as one of the
       segments of an attention.
    4. Where such tokens of a sample are missing, one known row stands for them: it loses its channels
       of position, which must be 0 there, and so do tables and sums.
    5. Several heads, a mask, or so few channels that passes over the scores cost more than products:
       it stays.
    """

    name = "score-keys-by-axis"
    what = "scores positions axis by axis"
    after = "absorb-projections"
    done = ("kind of keys", "kinds of keys", "rewritten")
    nothing = "nothing rewritten: no attention reads positions on a grid"

    def __init__(self, passes_flops: int = PASSES_FLOPS) -> None:
        self.passes_flops = passes_flops

    def apply(self, rewriter: Rewriter, node: Node) -> bool:
        reason = why_not_one_head(node)
        alone = reason is not None
        each = [Segment(node["queries"], node["keys"], node["values"])] if alone else []
        if op := node.only(SegmentedAttention, "axes", "segments"):
            each = list(segments(op, node.inputs))
        for index, kind in enumerate(each):
            tokens = _match(rewriter, kind, alone=alone)
            if tokens is None:
                continue
            change = _Change(rewriter, node, each, index, tokens, alone)
            if not reason and change.pays(self.passes_flops):
                change.apply()
                return True
            rewriter.stays(node, reason or "its positions have few channels")
        return False


@dataclass(frozen=True)
class _Tokens(Channels):
    """Tokens s [r | p] or the norm of [r | p], or a row that stands for all of them."""

    tables: tuple[Value, ...]
    """The positions on each axis. Shapes: [1, ..., size, ..., 1, channels]."""
    norm: Norm | None
    """The norm that they are, if they are one."""
    scale: Value | None
    """s, if they are none. Shape: [batch, m, 1]."""
    present: Value | None = None
    """Where it does not hold, `row` stands for all tokens. Shape: bool [batch, 1, 1]."""
    row: Value | None = None

    @property
    def centred(self) -> bool:
        """Whether a mean is taken from their channels."""
        return self.norm is not None and is_centred(self.norm)

    @property
    def left(self) -> int:
        """Channels other than those of position."""
        return self.count - (self.stop - self.start)

    @property
    def places(self) -> int:
        return sum(map(size_of, self.tables))


def _match(rewriter: Rewriter, kind: Segment[Value], *, alone: bool) -> _Tokens | None:
    """Cases 1 to 4."""
    if kind.scale is not None or kind.keys != kind.values:
        return None
    source = rewriter.producer(kind.keys)
    present = row = norm = scale = numbers = None
    if source and isinstance(source.op, Where):
        present, tokens, row = source.inputs
        numbers = rewriter.array(row)
        if present.type.rank != 3 or any(dim != 1 for dim in present.shape[1:]):
            return None
        if numbers is None or numbers.ndim != 1:
            return None
        source = rewriter.producer(tokens)
    if source and isinstance(source.op, Mul):
        x, scale = source.inputs
        if scale.type != x.type.with_shape(*x.shape[:2], Dim.of(1)):
            return None
    elif alone and (plain := PLAIN_NORM.nodes(rewriter, kind.keys)):
        x, norm = plain[0]["x"], norm_of(plain[0])
    else:
        return None
    parts = parts_of(rewriter, x, -1)
    for at, part in enumerate(parts):
        tables = axis_tables(rewriter, rewriter.sharing(part)[0])
        if len(tables) < 2 or len(parts) < 2:
            continue
        found = _Tokens(parts, at, tables, norm, scale, present, row)
        if numbers is None or not numbers[found.start : found.stop].any():
            return found
    return None


@dataclass(frozen=True)
class _Change:
    """The rewriting of one kind of keys of an attention."""

    rewriter: Rewriter
    node: Node
    each: Sequence[Segment[Value]]
    index: int
    tokens: _Tokens
    alone: bool
    """Whether it is an attention to this kind, whose scores are scaled: those of segments are not."""

    @property
    def kind(self) -> Segment[Value]:
        return self.each[self.index]

    @property
    def before(self) -> int:
        """Channels that the kinds before this one give."""
        return sum(map(self._given, self.each[: self.index]))

    @property
    def total(self) -> int:
        """Channels that all kinds give, which are mapped behind the attention."""
        return sum(map(self._given, self.each))

    def _given(self, kind: Segment[Value]) -> int:
        """Channels that a kind gives."""
        return int(self.rewriter.type_of(_only(kind), *kind.inputs).shape[-1])

    def pays(self, passes_flops: int) -> bool:
        """Case 5: whether FLOPs, and what passes take instead of FLOPs, are fewer than before."""
        rewriter, tokens, kind = self.rewriter, self.tokens, self.kind
        queries = rewriter.elements(kind.queries) // tokens.count
        pairs = queries * rewriter.elements(kind.keys) // tokens.count
        source, _ = rewriter.sharing(kind.queries)
        tables = rewriter.linear_flops(source, tokens.places)
        behind = 2 * queries * self.total
        behind *= self.total - tokens.count + tokens.left + tokens.places
        now = pairs * (4 * tokens.left + passes_flops) + tables + behind
        return now < rewriter.flops(_only(kind), *kind.inputs)

    def apply(self) -> None:
        rewriter, tokens = self.rewriter, self.tokens
        rows = [as_rows(rewriter, table) for table in tokens.tables]
        queries, *tables = self._queries(rows)
        x, scale = self._tokens()
        new = Segment(queries, x, x, scale, tuple(map(self._or_zero, tables)))
        each = [*self.each[: self.index], new, *self.each[self.index + 1 :]]
        op = SegmentedAttention(tuple(len(one.tables) for one in each))
        found = rewriter.add(op, *(value for one in each for value in one.inputs))
        rewriter.rewrite(self.node, Linear(), self._without_missing(found), self._map(rows))

    def _queries(self, rows: list[Value]) -> list[Value]:
        """q_r, and what q_p scores at each place. Shapes: [..., left], [..., size] for each axis."""
        add, tokens = self.rewriter.add, self.tokens
        q, sharing = self.rewriter.sharing(self.kind.queries)
        if self.alone:
            q = add(Scale(1 / math.sqrt(tokens.count)), q)
        if tokens.centred:
            n = tokens.count
            row = np.full((1, n), -1 / n, np.dtype(q.dtype))
            mean = add(Linear(), q, self.rewriter.constant(f"minus_mean.{n}", row))
            q = add(Add(), q, mean)
        known = joined(self.rewriter, tokens.around(self.rewriter, q))
        position = tokens.position(self.rewriter, q)
        found = [known, *(add(Linear(), position, row) for row in rows)]
        return [add(sharing.op, value) for value in found] if sharing else found

    def _tokens(self) -> tuple[Value, Value]:
        """r and s. Shapes: [batch, m, left], [batch, m, 1]."""
        add, tokens = self.rewriter.add, self.tokens
        x = joined(self.rewriter, tokens.others)
        if tokens.norm is not None:
            sources = [self.rewriter.sharing(part)[0] for part in tokens.parts]
            moments = merged_moments(self.rewriter, sources, tokens.widths, tokens.norm)
            return x, add(INVERSE, moments)
        assert tokens.scale is not None
        if tokens.present is None or tokens.row is None:
            return x, tokens.scale
        numbers = self.rewriter.array(tokens.row)
        assert numbers is not None
        known = np.delete(numbers, np.s_[tokens.start : tokens.stop])
        row = self.rewriter.constant(f"absent.{len(known)}", known)
        one = self.rewriter.constant("one", np.ones(1, known.dtype))
        x = add(Where(), tokens.present, x, row)
        return x, add(Where(), tokens.present, tokens.scale, one)

    def _or_zero(self, table: Value) -> Value:
        """A table, with zeros where the tokens are missing."""
        if self.tokens.present is None:
            return table
        zero = self.rewriter.constant("zero", np.zeros(1, np.dtype(table.dtype)))
        return self.rewriter.add(Where(), self.tokens.present, table, zero)

    def _without_missing(self, found: Value) -> Value:
        """What was found, with zeros for the places where the tokens are missing."""
        add, tokens = self.rewriter.add, self.tokens
        if tokens.present is None:
            return found
        start = self.before + tokens.left
        known = np.ones(width_of(found), np.dtype(found.dtype))
        ones = self.rewriter.constant(f"ones.{len(known)}", known.copy())
        known[start : start + tokens.places] = 0
        without = self.rewriter.constant(f"without_places.{len(known)}", known)
        return add(Mul(), found, add(Where(), tokens.present, ones, without))

    def _map(self, rows: list[Value]) -> Value:
        """Gives back the channels that were there, the mean of a norm taken out.

        Shape: [channels before, channels now].
        """
        rewriter, tokens, before, total = self.rewriter, self.tokens, self.before, self.total
        start, stop, end = before + tokens.start, before + tokens.stop, before + tokens.count
        stay = np.eye(total, dtype=np.dtype(rows[0].dtype))
        kept = np.concatenate([stay[:, :start], stay[:, stop:end]], axis=1)
        columns = [rewriter.constant(f"channels.{total}", kept)]
        columns += [at_channels(rewriter, row, start, total) for row in rows]
        if end < total:
            after = np.ascontiguousarray(stay[:, end:])
            columns.append(rewriter.constant(f"channels_after.{total}", after))
        channels = rewriter.add(Concat(1), *columns)
        return without_mean(rewriter, channels) if tokens.centred else channels


def _only(kind: Segment[Value]) -> SegmentedAttention:
    """Attention to this segment only."""
    return SegmentedAttention((len(kind.tables),))
