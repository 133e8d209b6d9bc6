"""Makes one linear map of several that follow each other."""

from __future__ import annotations

from collections.abc import Callable

from perceiver_graph.compiler.ir.graph import Node, Value
from perceiver_graph.compiler.ops import Add, Broadcast, Linear, Scale
from perceiver_graph.compiler.passes.linear_maps import (
    apply_map,
    compose,
    has_known_weights,
    map_flops,
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

    done = ("map", "maps", "composed")
    nothing = "nothing composed: no map of a map is cheaper as one"

    def apply(self, rewriter: Rewriter, node: Node, notes: list[str]) -> int:
        if not isinstance(node.op, Linear | Scale):
            return 0
        before = rewriter.producer(node["x"])
        if before is None or rewriter.known(before.output):
            return 0
        if isinstance(node.op, Scale):
            return _scale_after(rewriter, node, node.op, before)
        if not has_known_weights(rewriter, node):
            return 0
        rule = _RULES.get(type(before.op))
        return rule(rewriter, node, before, notes) if rule else 0


def _repeated(rewriter: Rewriter, node: Node, before: Node, notes: list[str]) -> bool:
    """Case 4."""
    (x,) = before.inputs
    if not x.type.rank:
        return False
    name = f"{node.name}.once"
    mapped = rewriter.add(Linear(), *node.replaced(x=x), name=name, at=node)
    rewriter.rewrite(node, before.op, mapped)
    return True


def _of_linear(rewriter: Rewriter, node: Node, inner: Node, notes: list[str]) -> bool:
    """Case 1."""
    if not has_known_weights(rewriter, inner):
        return False
    x = inner["x"]
    alone = rewriter.linear_flops(x, int(node.output.shape[-1])), rewriter.cost(node)
    together = _all_readers(rewriter, inner)
    if alone[0] < alone[1]:
        together = [node]
    elif not together or _flops_after(rewriter, x, together) >= _flops_before(
        rewriter, inner, together
    ):
        notes.append(f"%{node.name} stays a map of %{inner.name}: one map would cost more")
        return False
    for reader in together:
        weight, bias = reader["weight"], tuple(reader.each("bias"))
        x, weight, bias = compose(rewriter, inner, weight, bias, at=reader)
        rewriter.rewrite(reader, Linear(), x, weight, *bias)
    return True


def _all_readers(rewriter: Rewriter, inner: Node) -> list[Node]:
    """The readers of a map, if they are all maps of it: it is not needed then once they have gone."""
    readers = rewriter.readers(inner.output)
    maps = all(
        is_linear(reader) and reader["x"] == inner.output and has_known_weights(rewriter, reader)
        for reader in readers
    )
    return readers if maps and not rewriter.is_output(inner.output) else []


def _flops_before(rewriter: Rewriter, inner: Node, readers: list[Node]) -> int:
    return rewriter.cost(inner) + sum(map(rewriter.cost, readers))


def _flops_after(rewriter: Rewriter, x: Value, readers: list[Node]) -> int:
    return sum(rewriter.linear_flops(x, int(reader.output.shape[-1])) for reader in readers)


def _of_sum(rewriter: Rewriter, node: Node, total: Node, notes: list[str]) -> bool:
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
        notes.append(f"%{node.name} stays a map of a sum: two maps would cost more")
        return False
    weight, bias = node["weight"], tuple(node.each("bias"))
    parts = []
    for x, shift in ((left, bias), (right, ())):
        name = f"{node.name}.part"
        parts.append(apply_map(rewriter, x, weight, shift, name=name, at=node, instead_of=total))
    rewriter.rewrite(node, Add(), *parts)
    return True


def _of_scaled(rewriter: Rewriter, node: Node, scale: Node, notes: list[str]) -> bool:
    """Case 3, before."""
    weight = node["weight"]
    scaled = rewriter.add(scale.op, weight, name=f"{weight.name}.scaled", at=node)
    rewriter.rewrite(node, Linear(), *node.replaced(x=scale["x"], weight=scaled))
    return True


def _scale_after(rewriter: Rewriter, node: Node, scale: Scale, before: Node) -> bool:
    """Case 3, after."""
    if rewriter.only_reader(before.output) != node or not is_linear(before):
        return False
    weights = before["weight"], *before.each("bias")
    if not has_known_weights(rewriter, before):
        return False
    scaled = [rewriter.add(scale, w, name=f"{w.name}.scaled", at=node) for w in weights]
    rewriter.rewrite(node, Linear(), before["x"], *scaled)
    return True


_RULES: dict[type, Callable[[Rewriter, Node, Node, list[str]], bool]] = {
    Add: _of_sum,
    Broadcast: _repeated,
    Linear: _of_linear,
    Scale: _of_scaled,
}
"""By what a linear map is a map of."""
