"""Attends to tokens on a grid without multiplying out their position encodings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perceiver_graph.compiler.ir.graph import Node, Value
from perceiver_graph.compiler.ops import (
    Add,
    Attention,
    Concat,
    LayerNorm,
    Linear,
    Mean,
    Scale,
    SegmentedAttention,
)
from perceiver_graph.compiler.passes.grids import (
    NormOfParts,
    as_rows,
    at_channels,
    axis_tables,
    size_of,
    width_of,
)
from perceiver_graph.compiler.passes.norms import INVERSE, is_plain, merged_moments
from perceiver_graph.compiler.passes.rewriter import Rewrite, Rewriter

PASSES_FLOPS = 200
"""What a pair of a query and a token costs more than its FLOPs say: six passes over the scores add
up the axes, and sum the weights for each. Measured on CPU: 2.5 ns, in which a core computes so many."""


class GridPositions(Rewrite):
    """Attention of one head to x = LayerNorm([r | p]), where p[j] is a sum over the axes of a grid.

    p[j] = p_1[j_1] + ... + p_a[j_a], as Fourier features of a grid are. With m the mean and
    s = 1 / sqrt(variance + epsilon) of token j, x_j = s ([r | p] - m). Taking its mean from q
    instead, q x_j = s (q_r r + q_p p_1[j_1] + ...): all but the first part is known for all tokens
    once it is for the places on each axis, which are far fewer. Sums of weights over each place give
    the positions that the values sum to, in the same way; the mean is taken from that sum.

    1. Keys and values are the norm itself, which is what AbsorbProjections leaves.
    2. One of the parts of the norm is such a sum, over two axes or more, the same in each sample.
    3. Of few channels, where passes over the scores cost more than products: it stays.
    """

    name = "grid-positions"

    done = ("attention", "attentions", "rewritten")
    nothing = "nothing rewritten: no attention with one head reads positions on a grid"

    def __init__(self, passes_flops: int = PASSES_FLOPS) -> None:
        self.passes_flops = passes_flops

    def apply(self, rewriter: Rewriter, node: Node, notes: list[str]) -> int:
        found = _match(rewriter, node)
        if found is None:
            return 0
        if _cost(rewriter, node, found, self.passes_flops) >= rewriter.cost(node):
            notes.append(f"%{node.name} stays: its positions have few channels")
            return 0
        _rewrite(rewriter, node, found)
        return 1


@dataclass(frozen=True)
class _Tokens(NormOfParts):
    """Normalised tokens with positions on a grid."""

    tables: tuple[Value, ...]
    """The positions on each axis. Shapes: [1, ..., size, ..., 1, channels]."""

    @property
    def width(self) -> int:
        """Of what is left of them: all but the positions."""
        return sum(width_of(part) for part in self.varying)

    @property
    def places(self) -> int:
        return sum(size_of(table) for table in self.tables)


def _match(rewriter: Rewriter, node: Node) -> _Tokens | None:
    """Cases 1 and 2."""
    if not node.only(Attention, "masked_rows"):
        return None
    k, v = node["keys"], node["values"]
    norm = rewriter.producer(k)
    if k != v or norm is None or not isinstance(norm.op, LayerNorm):
        return None
    x, gamma, beta = norm.inputs
    joined = rewriter.producer(x)
    if joined is None or not isinstance(joined.op, Concat) or joined.op.axis not in (-1, 2):
        return None
    if len(joined.each("parts")) < 2:
        return None
    if not is_plain(rewriter, gamma, beta):
        return None
    for index, part in enumerate(joined.inputs):
        tables = axis_tables(rewriter, rewriter.sharing(part)[0])
        if len(tables) >= 2:
            return _Tokens(norm, norm.op.epsilon, joined.inputs, index, tables)
    return None


def _cost(rewriter: Rewriter, node: Node, tokens: _Tokens, passes_flops: int) -> int:
    """Case 3: the FLOPs of the rewritten attention, and what its passes take instead of FLOPs."""
    q, k = node["queries"], node["keys"]
    queries = rewriter.elements(q) // width_of(q)
    pairs = queries * rewriter.elements(k) // width_of(k)
    source, _ = rewriter.sharing(q)
    tables = rewriter.linear_flops(source, tokens.places)
    behind = 2 * queries * tokens.channels * (tokens.width + tokens.places)
    return pairs * (4 * tokens.width + passes_flops) + tables + behind


def _rewrite(rewriter: Rewriter, node: Node, tokens: _Tokens) -> None:
    q = node["queries"]
    source, sharing = rewriter.sharing(q)
    scale = Scale(1 / math.sqrt(tokens.channels))
    scaled = rewriter.add(scale, source)
    scaled = _centred(rewriter, scaled)

    def shared(value: Value) -> Value:
        if sharing is None:
            return value
        return rewriter.add(sharing.op, value)

    x, inverse = _features(rewriter, tokens)
    queries = shared(_queries(rewriter, tokens, scaled))
    position = tokens.take(rewriter, tokens.at, scaled)
    rows = [as_rows(rewriter, table) for table in tokens.tables]
    tables = [shared(rewriter.add(Linear(), position, row)) for row in rows]
    op = SegmentedAttention((len(tables),))
    found = rewriter.add(op, queries, x, inverse, *tables)
    rewriter.rewrite(node, Linear(), found, _map(rewriter, tokens, rows))


def _centred(rewriter: Rewriter, q: Value) -> Value:
    """Queries without the mean of their channels."""
    channels, dtype = width_of(q), np.dtype(q.dtype)
    row = rewriter.constant(f"minus_mean.{channels}", np.full((1, channels), -1 / channels, dtype))
    mean = rewriter.add(Linear(), q, row)
    return rewriter.add(Add(), q, mean)


def _features(rewriter: Rewriter, tokens: _Tokens) -> tuple[Value, Value]:
    """r and s. Shapes: [batch, m, width], [batch, m, 1]."""
    sources = [rewriter.sharing(part)[0] for part in tokens.parts]
    widths = [width_of(part) for part in tokens.parts]
    inverse = rewriter.add(INVERSE, merged_moments(rewriter, sources, widths, tokens.epsilon))
    return _joined(rewriter, tokens.varying), inverse


def _joined(rewriter: Rewriter, parts: Sequence[Value]) -> Value:
    return parts[0] if len(parts) == 1 else rewriter.add(Concat(-1), *parts)


def _queries(rewriter: Rewriter, tokens: _Tokens, scaled: Value) -> Value:
    """q_r. Shape: [..., width]."""
    parts = [
        tokens.take(rewriter, index, scaled)
        for index in range(len(tokens.parts))
        if index != tokens.at
    ]
    return _joined(rewriter, parts)


def _map(rewriter: Rewriter, tokens: _Tokens, rows: list[Value]) -> Value:
    """What the result is mapped by to be the sum of normalised tokens. Shape: [channels, width + places]."""
    dtype = np.dtype(rows[0].dtype)
    start, width = tokens.start(tokens.at), width_of(tokens.parts[tokens.at])
    stay = np.delete(np.eye(tokens.channels, dtype=dtype), np.s_[start : start + width], axis=1)
    columns = [rewriter.constant(f"all_but_position.{tokens.channels}", stay)]
    columns += [at_channels(rewriter, row, start, tokens.channels) for row in rows]
    joined = rewriter.add(Concat(1), *columns)
    mean = rewriter.add(Mean(0), joined)
    minus = rewriter.add(Scale(-1.0), mean)
    return rewriter.add(Add(), joined, minus)
