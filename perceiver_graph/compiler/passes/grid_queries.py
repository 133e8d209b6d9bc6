"""Lets queries on a grid attend without multiplying out their position encodings."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from perceiver_graph.compiler.ir.graph import Node, Value
from perceiver_graph.compiler.ops import (
    Add,
    Attention,
    Concat,
    Gather,
    LayerNorm,
    Linear,
    Mul,
    Permute,
    Scale,
    Slice,
    TableAttention,
)
from perceiver_graph.compiler.passes.grids import NormOfParts, width_of
from perceiver_graph.compiler.passes.norms import (
    INVERSE,
    MEAN,
    is_plain,
    merged_moments,
)
from perceiver_graph.compiler.passes.rewriter import Rewrite, Rewriter

PASSES_FLOPS = 170
"""What a pair of a query and a key costs more than its FLOPs say: five passes over the scores look up
the rows of two axes and add them. Measured on CPU: 2 ns, in which a core computes so many."""


class GridQueries(Rewrite):
    """Attention of one head by x = LayerNorm([r | p]), where p[i] = p_1[a_1[i]] + p_2[a_2[i]] + ...

    What GridPositions does for keys, for queries that are looked up by the axes of a grid, as the
    pixels are for which an optical flow is decoded. With m the mean and s = 1 / sqrt(variance +
    epsilon) of a query, x k_j = s (r k_r,j - m sum(k_j)) + s (p_1[a_1[i]] k_p,j + ...): the last part
    is a row of a table for each axis, known before any query is.

    1. The queries are the norm itself, which is what AbsorbProjections leaves, perhaps with channels
       more behind it.
    2. One of the parts of the norm is such a sum, over two axes or more, the same in each sample.
    3. Of few channels, where passes over the scores cost more than products: it stays.
    """

    name = "grid-queries"

    done = ("attention", "attentions", "rewritten")
    nothing = "nothing rewritten: no attention with one head is asked by positions on a grid"

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
class _Queries(NormOfParts):
    """Normalised queries with positions on a grid."""

    lookups: tuple[Node, ...]
    """Of the positions, in a table of each axis."""
    more: tuple[Value, ...]
    """Channels behind the norm."""


def _match(rewriter: Rewriter, node: Node) -> _Queries | None:
    """Cases 1 and 2."""
    if not node.only(Attention, "masked_rows"):
        return None
    normal = node["queries"]
    more: tuple[Value, ...] = ()
    joined = rewriter.producer(normal)
    if joined is not None and _joins_channels(joined):
        normal, *others = joined.each("parts")
        more = tuple(others)
    norm = rewriter.producer(normal)
    if (
        norm is None
        or not isinstance(norm.op, LayerNorm)
        or not is_plain(rewriter, norm["weight"], norm["bias"])
    ):
        return None
    joined = rewriter.producer(norm["x"])
    if joined is None or not _joins_channels(joined):
        return None
    for index, part in enumerate(joined.inputs):
        source, sharing = rewriter.sharing(part)
        lookups = _lookups(rewriter, source) if sharing else ()
        if len(lookups) >= 2:
            return _Queries(norm, norm.op.epsilon, joined.inputs, index, lookups, more)
    return None


def _joins_channels(node: Node) -> bool:
    return isinstance(node.op, Concat) and node.op.axis in (-1, 2) and node.output.type.rank == 3


def _lookups(rewriter: Rewriter, value: Value) -> tuple[Node, ...]:
    """The lookups of rows that a value is the sum of; none if it is no such sum."""
    node = rewriter.producer(value)
    if node is None:
        return ()
    if isinstance(node.op, Add):
        found = [_lookups(rewriter, part) for part in node.inputs]
        return tuple(one for part in found for one in part) if all(found) else ()
    if not isinstance(node.op, Gather) or node.op.axis != 0:
        return ()
    table = node["table"]
    flat = table.type.rank == 2 and value.type.rank == 2
    return (node,) if flat and rewriter.known(table) else ()


def _cost(rewriter: Rewriter, node: Node, queries: _Queries, passes_flops: int) -> int:
    """Case 3: the FLOPs of the rewritten attention, and what its passes take instead of FLOPs."""
    q, k, v = node["queries"], node["keys"], node["values"]
    pairs = rewriter.elements(q) // width_of(q) * k.shape[1].evaluate(rewriter.sizes)
    left = width_of(q) - width_of(queries.parts[queries.at]) + 1
    places = sum(int(lookup["table"].shape[0]) for lookup in queries.lookups)
    tables = 2 * rewriter.elements(k) // width_of(k) * width_of(queries.parts[queries.at]) * places
    return pairs * (2 * (left + width_of(v)) + passes_flops) + tables


def _rewrite(rewriter: Rewriter, node: Node, queries: _Queries) -> None:
    q, k, v = node["queries"], node["keys"], node["values"]
    scale = Scale(1 / math.sqrt(width_of(q)))
    scaled = rewriter.add(scale, k)
    features, inverse = _features(rewriter, queries)
    if queries.more:
        features = rewriter.add(Concat(-1), features, *queries.more)
    position = queries.take(rewriter, queries.at, scaled)
    tables: list[Value] = []
    for lookup in queries.lookups:
        rows, places = lookup["table"], lookup["indices"]
        table = rewriter.add(Linear(), position, rows)
        tables += [rewriter.add(Permute((0, 2, 1)), table), places]
    keys = _keys(rewriter, queries, scaled)
    rewriter.rewrite(node, TableAttention(), features, keys, v, inverse, *tables)


def _features(rewriter: Rewriter, queries: _Queries) -> tuple[Value, Value]:
    """s [r | m] and s. Shapes: [batch, n, width], [batch, n, 1]."""
    widths = [width_of(part) for part in queries.parts]
    merged = merged_moments(rewriter, queries.parts, widths, queries.epsilon)
    mean, inverse = rewriter.add(MEAN, merged), rewriter.add(INVERSE, merged)
    joined = rewriter.add(Concat(-1), *queries.varying, mean)
    return rewriter.add(Mul(), joined, inverse), inverse


def _keys(rewriter: Rewriter, queries: _Queries, scaled: Value) -> Value:
    """[k_r | -sum(k) | what the channels behind the norm read]. Shape: [batch, m, width]."""
    parts = [
        queries.take(rewriter, index, scaled)
        for index in range(len(queries.parts))
        if index != queries.at
    ]
    normal = scaled
    if queries.more:
        first, last = Slice(-1, 0, queries.channels), Slice(-1, queries.channels, None)
        normal = rewriter.add(first, scaled)
    minus = np.full((1, queries.channels), -1, np.dtype(scaled.dtype))
    row = rewriter.constant(f"minus_ones.{queries.channels}", minus)
    parts.append(rewriter.add(Linear(), normal, row))
    if queries.more:
        parts.append(rewriter.add(last, scaled))
    return rewriter.add(Concat(-1), *parts)
