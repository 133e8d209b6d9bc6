"""Linear maps of values that are linear maps themselves: what they cost and how they are written.

Shared by the passes that move projections around. A map of what is repeated over a batch is done
before it is repeated, and a map of a map is done at once where that is cheaper.
"""

from __future__ import annotations

from perceiver_graph.compiler.ir.graph import Node, Value
from perceiver_graph.compiler.ops import Linear, MatMul
from perceiver_graph.compiler.passes.rewriter import Rewriter, is_linear


def map_flops(rewriter: Rewriter, x: Value, width: int, instead_of: Node) -> float:
    """What a linear map of x to so many channels adds to the cost where one node no longer reads x.

    Negative where x need not be computed any more and is itself a more expensive map.
    """
    source, sole = _source(rewriter, x, instead_of)
    return min(
        rewriter.linear_flops(source, width),
        _composed_flops(rewriter, source, width, sole),
    )


def apply_map(
    rewriter: Rewriter,
    x: Value,
    weight: Value,
    bias: tuple[Value, ...],
    *,
    name: str,
    at: Node,
    instead_of: Node,
) -> Value:
    """Emit, right before `at`, the map whose cost `map_flops` counts. Shape: [..., width]."""
    source, sole = _source(rewriter, x, instead_of)
    width = int(weight.shape[0])
    direct = rewriter.linear_flops(source, width)
    inner = rewriter.producer(source)
    if inner and _composed_flops(rewriter, source, width, sole) < direct:
        source, weight, bias = compose(rewriter, inner, weight, bias, at=at)
    mapped = rewriter.add(Linear(), source, weight, *bias, name=name, at=at)
    _, sharing = rewriter.sharing(x)
    if sharing:
        mapped = rewriter.add(sharing.op, mapped, name=f"{name}.batch", at=at)
    return mapped


def compose(
    rewriter: Rewriter, inner: Node, weight: Value, bias: tuple[Value, ...], *, at: Node
) -> tuple[Value, Value, tuple[Value, ...]]:
    """W (V x + c) + b = (W V) x + (W c + b): x, the weight and the bias."""
    x, first, shift = inner["x"], inner["weight"], inner.each("bias")
    product = rewriter.add(MatMul(), weight, first, name=f"{weight.name}.composed", at=at)
    if shift:
        name = f"{weight.name}.shift"
        bias = (rewriter.add(Linear(), shift[0], weight, *bias, name=name, at=at),)
    return x, product, bias


def has_known_weights(rewriter: Rewriter, node: Node) -> bool:
    """Whether the weights of a linear map are known at compile time."""
    return all(map(rewriter.known, (node["weight"], *node.each("bias"))))


def _source(rewriter: Rewriter, x: Value, reader: Node) -> tuple[Value, bool]:
    """What x repeats over the batch, and whether only `reader` needs it, and that once."""
    sole = rewriter.only_reader(x) == reader and reader.inputs.count(x) == 1
    source, sharing = rewriter.sharing(x)
    if sharing:
        sole = sole and rewriter.only_reader(source) == sharing
    return source, sole


def _composed_flops(rewriter: Rewriter, source: Value, width: int, sole: bool) -> float:
    """The cost of a map of a map as one; infinite where it is no such thing."""
    inner = rewriter.producer(source)
    if not is_linear(inner) or inner is None or rewriter.known(source):
        return float("inf")
    if not has_known_weights(rewriter, inner):
        return float("inf")
    saved = rewriter.cost(inner) if sole else 0
    return rewriter.linear_flops(inner["x"], width) - saved
