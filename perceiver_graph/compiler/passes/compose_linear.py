"""Makes one linear map of several that follow each other."""

from __future__ import annotations

from collections.abc import Callable

from perceiver_graph.compiler.ir.graph import Node
from perceiver_graph.compiler.ops import Add, Broadcast, Linear, Scale
from perceiver_graph.compiler.passes.linear_maps import (
    apply_map,
    compose,
    map_flops,
    map_of,
    maps_alone_read,
    weights,
)
from perceiver_graph.compiler.passes.rewriter import Rewrite, Rewriter, is_linear


class ComposeLinear(Rewrite):
    """W (V x + c) + b = (W V) x + (W c + b), where that takes fewer FLOPs.

    1. A linear map of a linear map becomes one. Where others read the first map as well, all of
       them do so at once or, if that alone pays, each for itself.
    2. A map of a sum with a linear map in it becomes a sum of maps: W (a + V g) = W a + (W V) g. A
       projection or head so goes past a residual connection and into the layer before it.
    3. A number that a map is scaled by, before or after, goes into its weights.
    4. A map of rows that are repeated over a batch is done before they are repeated.
    5. What costs more FLOPs for the largest sizes stays, with a note.
    """

    name = "compose-linear"
    what = "multiplies consecutive linear maps"
    after = "common-subexpressions"
    done = ("map", "maps", "composed")
    nothing = "nothing composed: no map of a map is cheaper as one"

    def apply(self, rewriter: Rewriter, node: Node) -> bool:
        if not isinstance(node.op, Linear | Scale):
            return False
        before = rewriter.producer(node["x"])
        if before is None or rewriter.known(before.output):
            return False
        if isinstance(node.op, Scale):
            return _scale_after(rewriter, node, before)
        if not map_of(rewriter, node.output):
            return False
        rule = _RULES.get(type(before.op))
        return rule(rewriter, node, before) if rule else False


def _repeated(rewriter: Rewriter, node: Node, before: Node) -> bool:
    """Case 4."""
    (x,) = before.inputs
    if not x.type.rank:
        return False
    rewriter.rewrite(node, before.op, rewriter.add(Linear(), *node.replaced(x=x)))
    return True


def _of_linear(rewriter: Rewriter, node: Node, inner: Node) -> bool:
    """Case 1."""
    if not map_of(rewriter, inner.output):
        return False

    def after(reader: Node) -> int:
        return rewriter.linear_flops(inner["x"], int(reader.output.shape[-1]))

    together = rewriter.readers(inner.output)
    if after(node) < rewriter.cost(node):
        together = [node]
    elif not maps_alone_read(rewriter, inner.output) or sum(map(after, together)) >= sum(
        map(rewriter.cost, (inner, *together))
    ):
        return rewriter.stays(node, "one map instead of {} and it would cost more", inner)
    for reader in together:
        with rewriter.at(reader):
            rewriter.rewrite(reader, Linear(), *compose(rewriter, inner, *weights(reader)))
    return True


def _of_sum(rewriter: Rewriter, node: Node, total: Node) -> bool:
    """Case 2. The bias goes with the first of the maps."""
    width = int(node.output.shape[-1])
    if rewriter.only_reader(total.output) != node:
        return False
    left, right = total["a"], total["b"]
    if left == right or not all(
        x.type.rank and x.shape[-1] == total.output.shape[-1] for x in (left, right)
    ):
        return False
    if not any(is_linear(rewriter.producer(rewriter.sharing(x)[0])) for x in (left, right)):
        return False
    change = sum(map_flops(rewriter, x, width, total) for x in (left, right))
    if change >= rewriter.cost(node):
        return rewriter.stays(node, "it maps a sum, and two maps would cost more")
    weight, bias = node["weight"], node.each("bias")
    first = apply_map(rewriter, left, weight, *bias, instead_of=total)
    rewriter.rewrite(node, Add(), first, apply_map(rewriter, right, weight, instead_of=total))
    return True


def _of_scaled(rewriter: Rewriter, node: Node, scale: Node) -> bool:
    """Case 3, before."""
    scaled = rewriter.add(scale.op, node["weight"])
    rewriter.rewrite(node, Linear(), *node.replaced(x=scale["x"], weight=scaled))
    return True


def _scale_after(rewriter: Rewriter, node: Node, before: Node) -> bool:
    """Case 3, after."""
    if rewriter.only_reader(before.output) != node or not map_of(rewriter, before.output):
        return False
    scaled = (rewriter.add(node.op, weight) for weight in weights(before))
    rewriter.rewrite(node, Linear(), before["x"], *scaled)
    return True


_RULES: dict[type, Callable[[Rewriter, Node, Node], bool]] = {
    Add: _of_sum,
    Broadcast: _repeated,
    Linear: _of_linear,
    Scale: _of_scaled,
}
"""By what a linear map is a map of."""
