"""Linear maps of values that are linear maps themselves: what they cost and how they are written.

Shared by the passes that move projections around. A map of what is repeated over a batch is done
before it is repeated, and a map of a map is done at once where that is cheaper.
"""

from __future__ import annotations

from collections.abc import Sequence

from perceiver_graph.compiler.ir.graph import Node, Value
from perceiver_graph.compiler.ops import Linear, MatMul
from perceiver_graph.compiler.passes.patterns import MAP
from perceiver_graph.compiler.passes.rewriter import Rewriter


def weights(node: Node) -> tuple[Value, ...]:
    """The weight of a linear map and, where there is one, its bias."""
    return node["weight"], *node.each("bias")


def map_of(rewriter: Rewriter, value: Value) -> Node | None:
    """The map with known weights that gives a value at run time, if one does."""
    found = MAP.nodes(rewriter, value)
    return found[0] if found and not rewriter.known(value) else None


def is_map_of(rewriter: Rewriter, node: Node, x: Value) -> bool:
    """Whether a node maps x with known weights."""
    return bool(MAP.nodes(rewriter, node.output)) and node["x"] == x


def maps_alone_read(rewriter: Rewriter, x: Value) -> bool:
    """Whether nothing but maps with known weights reads a value."""
    maps = (is_map_of(rewriter, reader, x) for reader in rewriter.readers(x))
    return all(maps) and not rewriter.is_output(x)


def map_flops(rewriter: Rewriter, x: Value, width: int, instead_of: Node) -> float:
    """What a linear map of x to so many channels adds to the cost where one node no longer reads x.

    Negative where x need not be computed any more and is itself a more expensive map.
    """
    source, sole = source_of(rewriter, x, instead_of)
    return min(
        rewriter.linear_flops(source, width),
        _composed_flops(rewriter, source, width, sole),
    )


def apply_map(rewriter: Rewriter, x: Value, weight: Value, *bias: Value, instead_of: Node) -> Value:
    """Emit the map whose cost `map_flops` counts. Shape: [..., width]."""
    source, sole = source_of(rewriter, x, instead_of)
    width = int(weight.shape[0])
    direct = rewriter.linear_flops(source, width)
    inputs: Sequence[Value] = (source, weight, *bias)
    inner = rewriter.producer(source)
    if inner and _composed_flops(rewriter, source, width, sole) < direct:
        inputs = compose(rewriter, inner, weight, *bias)
    mapped = rewriter.add(Linear(), *inputs)
    _, sharing = rewriter.sharing(x)
    return rewriter.add(sharing.op, mapped) if sharing else mapped


def compose(rewriter: Rewriter, inner: Node, weight: Value, *bias: Value) -> Sequence[Value]:
    """W (V x + c) + b = (W V) x + (W c + b): x, the weight and the bias, which may be absent."""
    product = rewriter.add(MatMul(), weight, inner["weight"])
    bias = tuple(rewriter.add(Linear(), c, weight, *bias) for c in inner.each("bias")) or bias
    return inner["x"], product, *bias


def source_of(rewriter: Rewriter, x: Value, reader: Node) -> tuple[Value, bool]:
    """What x repeats over the batch, and whether only `reader` needs it, and that once."""
    sole = rewriter.only_reader(x) == reader and reader.inputs.count(x) == 1
    source, sharing = rewriter.sharing(x)
    if sharing:
        sole = sole and rewriter.only_reader(source) == sharing
    return source, sole


def _composed_flops(rewriter: Rewriter, source: Value, width: int, sole: bool) -> float:
    """The cost of a map of a map as one; infinite where it is no such thing."""
    inner = map_of(rewriter, source)
    if inner is None:
        return float("inf")
    return rewriter.linear_flops(inner["x"], width) - (rewriter.cost(inner) if sole else 0)
