"""Lets queries on a grid attend without multiplying out their position encodings."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from perceiver_graph.compiler.ir.graph import Node, Value
from perceiver_graph.compiler.ops import (
    Add,
    Gather,
    Linear,
    Mul,
    Permute,
    Scale,
    Slice,
    TableAttention,
)
from perceiver_graph.compiler.passes.grids import Channels, joined, width_of
from perceiver_graph.compiler.passes.norms import (
    INVERSE,
    MEAN,
    PLAIN_NORM,
    Norm,
    is_centred,
    merged_moments,
    norm_of,
)
from perceiver_graph.compiler.passes.patterns import Of
from perceiver_graph.compiler.passes.rewriter import Rewrite, Rewriter, parts_of, why_not_one_head

PASSES_FLOPS = 170
"""What a pair of a query and a key costs more than its FLOPs say: five passes over the scores look up
the rows of two axes and add them. Measured on CPU: 2 ns, in which a core computes so many."""

_ROWS = Of(Gather, axis=0, table=Rewriter.known)


class ScoreQueriesByAxis(Rewrite):
    """Attention of one head by x = LayerNorm([r | p]), where p[i] = p_1[a_1[i]] + p_2[a_2[i]] + ...

    What ScoreKeysByAxis does for keys, for queries that are looked up by the axes of a grid, as the
    pixels are for which an optical flow is decoded. With m the mean and s = 1 / sqrt(variance +
    epsilon) of a query, x k_j = s (r k_r,j - m sum(k_j)) + s (p_1[a_1[i]] k_p,j + ...): the last part
    is a row of a table for each axis, known before any query is. RMSNorm takes no mean: m is 0, and
    s = 1 / sqrt(mean square + epsilon).

    1. The queries are the norm itself, which is what AbsorbProjections leaves, perhaps with channels
       more behind it.
    2. One of the parts of the norm is such a sum, over two axes or more, the same in each sample.
    3. Several heads, a mask, or so few channels that passes over the scores cost more than products:
       it stays.
    """

    name = "score-queries-by-axis"
    what = "asks for positions by axis"
    after = "gather-parts"
    done = ("attention", "attentions", "rewritten")
    nothing = "nothing rewritten: no attention is asked by positions on a grid"

    def __init__(self, passes_flops: int = PASSES_FLOPS) -> None:
        self.passes_flops = passes_flops

    def apply(self, rewriter: Rewriter, node: Node) -> bool:
        reason = why_not_one_head(node)
        queries = None if reason is None else _match(rewriter, node["queries"])
        if queries is None:
            return False
        if not reason and _cost(rewriter, node, queries, self.passes_flops) < rewriter.cost(node):
            _rewrite(rewriter, node, queries)
            return True
        return rewriter.stays(node, reason or "its positions have few channels")


@dataclass(frozen=True)
class _Queries(Channels):
    """Normalised queries with positions on a grid."""

    norm: Norm
    lookups: tuple[Node, ...]
    """Of the positions, in a table of each axis."""
    more: tuple[Value, ...]
    """Channels behind the norm."""


def _match(rewriter: Rewriter, queries: Value) -> _Queries | None:
    """Cases 1 and 2."""
    normal, *more = parts_of(rewriter, queries, -1)
    found = PLAIN_NORM.nodes(rewriter, normal)
    parts = parts_of(rewriter, found[0]["x"], -1) if found else ()
    for at, part in enumerate(parts):
        source, sharing = rewriter.sharing(part)
        lookups = _lookups(rewriter, source) if sharing else ()
        if len(lookups) >= 2:
            return _Queries(parts, at, norm_of(found[0]), lookups, tuple(more))
    return None


def _lookups(rewriter: Rewriter, value: Value) -> tuple[Node, ...]:
    """The lookups of rows that a value is the sum of; none if it is no such sum."""
    node = rewriter.producer(value)
    if node is None:
        return ()
    if isinstance(node.op, Add):
        found = [_lookups(rewriter, part) for part in node.inputs]
        return tuple(one for part in found for one in part) if all(found) else ()
    rows = _ROWS.nodes(rewriter, value)
    flat = rows and node["table"].type.rank == value.type.rank == 2
    return (node,) if flat else ()


def _cost(rewriter: Rewriter, node: Node, queries: _Queries, passes_flops: int) -> int:
    """Case 3: the FLOPs of the rewritten attention, and what its passes take instead of FLOPs."""
    q, k, v = node["queries"], node["keys"], node["values"]
    pairs = rewriter.elements(q) // width_of(q) * k.shape[1].evaluate(rewriter.sizes)
    position = queries.stop - queries.start
    places = sum(int(lookup["table"].shape[0]) for lookup in queries.lookups)
    tables = 2 * rewriter.elements(k) // width_of(k) * position * places
    channels = width_of(q) - position + is_centred(queries.norm)
    return pairs * (2 * (channels + width_of(v)) + passes_flops) + tables


def _rewrite(rewriter: Rewriter, node: Node, queries: _Queries) -> None:
    add, q, k = rewriter.add, node["queries"], node["keys"]
    scaled = add(Scale(1 / math.sqrt(width_of(q))), k)
    features, inverse = _features(rewriter, queries)
    position = queries.position(rewriter, scaled)
    tables: list[Value] = []
    for lookup in queries.lookups:
        table = add(Linear(), position, lookup["table"])
        tables += [add(Permute((0, 2, 1)), table), lookup["indices"]]
    keys = _keys(rewriter, queries, scaled)
    op = TableAttention()
    rewriter.rewrite(node, op, features, keys, node["values"], inverse, *tables)


def _features(rewriter: Rewriter, queries: _Queries) -> tuple[Value, Value]:
    """[s [r | m] | the channels behind the norm], and s. Shapes: [batch, n, width], [batch, n, 1].

    An RMSNorm has no m.
    """
    add = rewriter.add
    moments = merged_moments(rewriter, queries.parts, queries.widths, queries.norm)
    mean = [add(MEAN, moments)] if is_centred(queries.norm) else []
    inverse = add(INVERSE, moments)
    features = add(Mul(), joined(rewriter, [*queries.others, *mean]), inverse)
    return joined(rewriter, [features, *queries.more]), inverse


def _keys(rewriter: Rewriter, queries: _Queries, scaled: Value) -> Value:
    """[k_r | -sum(k) | what the channels behind the norm read]. Shape: [batch, m, width].

    Of an RMSNorm there is no sum.
    """
    parts = queries.around(rewriter, scaled)
    centred = is_centred(queries.norm)
    normal, more = scaled, []
    if queries.more:
        normal = rewriter.add(Slice(-1, 0, queries.count), scaled) if centred else scaled
        more = [rewriter.add(Slice(-1, queries.count, None), scaled)]
    if centred:
        minus = np.full((1, queries.count), -1, np.dtype(scaled.dtype))
        row = rewriter.constant(f"minus_ones.{queries.count}", minus)
        parts.append(rewriter.add(Linear(), normal, row))
    return joined(rewriter, [*parts, *more])
