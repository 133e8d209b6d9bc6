"""Moves the projections of an attention with one head to the side where they are cheaper."""

from __future__ import annotations

import math

import numpy as np

from perceiver_graph.compiler.ir.graph import Node, Value
from perceiver_graph.compiler.ops import (
    Attention,
    Broadcast,
    Concat,
    Flatten,
    LayerNorm,
    Linear,
    Permute,
    RMSNorm,
    Rotary,
    Scale,
    TensorType,
    Unflatten,
)
from perceiver_graph.compiler.passes.linear_maps import (
    apply_map,
    compose,
    is_map_of,
    map_flops,
    map_of,
    source_of,
    weights,
)
from perceiver_graph.compiler.passes.rewriter import Rewrite, Rewriter, is_linear

_CARRIED = ("key_heads", "scale", "causal", "mask", "masked_rows")
"""What an attention of one head keeps when its operands are replaced; `masked_rows` is the last."""


class AbsorbProjections(Rewrite):
    """q (W x) = (q W) x and A (W x) = W (A x), wherever one side takes fewer FLOPs than the other.

    For n queries, m keys, one head of d channels and x of c channels, W on one side costs m c d and
    on the other n c d, while the attention itself costs n m d or n m c. With constant queries, as
    an encoder has, q W is known beforehand.

    1. Keys W x + b: the keys are x and the queries q W. The bias adds one number to all scores of a
       query, which softmax does not see.
    2. Queries W y + b: the queries are y, the keys k W, and the number that the bias adds to each
       key's scores becomes a channel more: 1 in the queries, k b in the keys.
    3. Values W x + b: the values are x, and W and b follow the attention, the weights of which sum
       to 1; they are composed with a linear map that follows already where that is cheaper.
    4. A linear map, bias included, of nothing but the attention's result goes into the values.
    5. Where a sample without any key gives zeros, 3 and 4 would give its bias: they are left out.
    6. Several heads, or what costs more for the largest sizes: nothing moves.

    Scores are divided by the root of the queries' width, which 1 and 2 change: the weights make up.
    A scale that is said stays as it is, and so does causality, which counts queries and keys, not their
    channels. Queries and keys that are normed or turned by their places are no linear maps.
    """

    name = "absorb-projections"
    what = "moves projections where cheaper"
    after = "split-attention"
    done = ("projection", "projections", "moved")
    nothing = "nothing moved: no projection is cheaper on the other side"

    def apply(self, rewriter: Rewriter, node: Node) -> bool:
        if is_linear(node):
            return _into_values(rewriter, node)
        op = node.only(Attention, "heads", *_CARRIED)
        if op is None:
            return False
        if op.heads != 1:
            return rewriter.stays(node, f"it has {op.heads} heads")
        rules = (_into_queries, _into_keys, _behind)
        if any(rule(rewriter, node) for rule in rules):
            return True
        for name in ("queries", "keys"):
            if reason := _why_no_map(rewriter, node[name]):
                rewriter.stays(node, f"its {name} cannot be mapped elsewhere: {reason}")
        return False


def _into_queries(rewriter: Rewriter, node: Node) -> bool:
    """Case 1."""
    q, k = node["queries"], node["keys"]
    key = map_of(rewriter, k)
    if key is None:
        return False
    x, weight = key["x"], key["weight"]
    width = int(x.shape[-1])
    _, sole = source_of(rewriter, k, node)
    saved = rewriter.cost(key) if sole else 0
    change = _scores(rewriter, node, width) - saved + map_flops(rewriter, q, width, node)
    if change >= 0:
        return _stays(rewriter, node, "keys", "queries")
    turned = _turned(rewriter, weight, node, width)
    queries = apply_map(rewriter, q, turned, instead_of=node)
    rewriter.rewrite(node, node.op, *node.replaced(queries=queries, keys=x))
    return True


def _into_keys(rewriter: Rewriter, node: Node) -> bool:
    """Case 2."""
    q, k = node["queries"], node["keys"]
    projected, sole = source_of(rewriter, q, node)
    query = map_of(rewriter, projected)
    if query is None:
        return False
    y, weight, bias = query["x"], query["weight"], query.each("bias")
    width = int(y.shape[-1]) + len(bias)
    saved = rewriter.cost(query) if sole else 0
    change = _scores(rewriter, node, width) - saved + map_flops(rewriter, k, width, node)
    if change >= 0:
        return _stays(rewriter, node, "queries", "keys")
    if bias:
        column = rewriter.add(Unflatten(0, (None, 1)), *bias)
        weight = rewriter.add(Concat(-1), weight, column)
        y = _with_one(rewriter, y)
    turned = _turned(rewriter, weight, node, width)
    keys = apply_map(rewriter, k, turned, instead_of=node)
    _, sharing = rewriter.sharing(q)
    if sharing:
        y = rewriter.add(sharing.op, y)
    rewriter.rewrite(node, node.op, *node.replaced(queries=y, keys=keys))
    return True


def _behind(rewriter: Rewriter, node: Node) -> bool:
    """Case 3."""
    v = node["values"]
    value = map_of(rewriter, v)
    if value is None or not _sums_to_one(node, value):
        return False
    x, weight = value["x"], value["weight"]
    found = TensorType((*node.output.shape[:-1], x.shape[-1]), x.dtype)
    _, sole = source_of(rewriter, v, node)
    saved = rewriter.cost(value) if sole else 0
    change = _results(rewriter, node, int(x.shape[-1])) - saved
    after = rewriter.only_reader(node.output)
    direct = rewriter.type_flops(Linear(), found, weight.type)
    composed = float("inf")
    if after and is_map_of(rewriter, after, node.output):
        wide = TensorType((after.output.shape[-1], x.shape[-1]), x.dtype)
        composed = rewriter.type_flops(Linear(), found, wide) - rewriter.cost(after)
    if change + min(direct, composed) >= 0:
        return _stays(rewriter, node, "values", "result")
    attended = rewriter.add(node.op, *node.replaced(values=x))
    new = rewriter.rewrite(node, Linear(), attended, *weights(value))
    if after and composed < direct:
        with rewriter.at(after):
            rewriter.rewrite(after, Linear(), *compose(rewriter, new, *weights(after)))
    return True


def _into_values(rewriter: Rewriter, node: Node) -> bool:
    """Case 4, at the linear map that follows."""
    attended = node["x"]
    attention = rewriter.producer(attended)
    if attention is None or not attention.only(Attention, *_CARRIED):
        return False
    if rewriter.only_reader(attended) != node or not map_of(rewriter, node.output):
        return False
    if not _sums_to_one(attention, node):
        return False
    v = attention["values"]
    width = _width(node.output)
    change = _results(rewriter, attention, width) - rewriter.cost(node)
    if change + map_flops(rewriter, v, width, attention) >= 0:
        return _stays(rewriter, attention, "result", "values")
    values = apply_map(rewriter, v, *weights(node), instead_of=attention)
    rewriter.rewrite(node, attention.op, *attention.replaced(values=values))
    return True


def _sums_to_one(attention: Node, linear: Node) -> bool:
    """Whether a row that is added to all values is added to all results. Case 5."""
    zeros = "mask" in attention and not attention.only(Attention, *_CARRIED[:-1])
    return "bias" not in linear or not zeros


def _scores(rewriter: Rewriter, node: Node, width: int) -> int:
    """What the scores cost more with queries and keys of another width."""
    return _pairs(rewriter, node) * (width - _width(node["queries"]))


def _results(rewriter: Rewriter, node: Node, width: int) -> int:
    """What the weighted sum costs more with values of another width."""
    return _pairs(rewriter, node) * (width - _width(node["values"]))


def _pairs(rewriter: Rewriter, node: Node) -> int:
    """FLOPs for a channel of keys, or of values."""
    q, k = node["queries"], node["keys"]
    keys = k.shape[1].evaluate(rewriter.sizes)
    return 2 * rewriter.elements(q) // _width(q) * keys


def _width(value: Value) -> int:
    return int(value.shape[-1])


def _turned(rewriter: Rewriter, weight: Value, attention: Node, width: int) -> Value:
    """Transposed weights that make up for what another width of the queries changes of the scale."""
    turned = rewriter.add(Permute((1, 0)), weight)
    op, before = attention.only(Attention, "heads", *_CARRIED), _width(attention["queries"])
    if before == width or (op and op.scale is not None):
        return turned
    return rewriter.add(Scale(math.sqrt(width / before)), turned)


def _with_one(rewriter: Rewriter, y: Value) -> Value:
    """A channel of ones appended."""
    one = rewriter.constant("one", np.ones(1, np.dtype(y.dtype)))
    if y.type.rank > 1:
        one = rewriter.add(Broadcast(y.shape[:-1]), one)
    return rewriter.add(Concat(-1), y, one)


def _why_no_map(rewriter: Rewriter, value: Value) -> str | None:
    """What stands between an attention and the map of its queries or keys, if something does."""
    node = rewriter.producer(value)
    if node and isinstance(node.op, Rotary):
        return "they are turned by their places"
    if node and isinstance(node.op, Flatten):
        node = rewriter.producer(node["x"])
        if node and isinstance(node.op, LayerNorm | RMSNorm):
            return "they are normed head by head"
    return None


def _stays(rewriter: Rewriter, node: Node, what: str, where: str) -> bool:
    return rewriter.stays(node, f"the map of the {what} would cost more with the {where}")
