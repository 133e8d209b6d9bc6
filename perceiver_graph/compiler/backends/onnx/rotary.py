"""Rotary positions in standard operators."""

from __future__ import annotations

import onnx_ir as ir

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.onnx.node_builder import NodeBuilder
from perceiver_graph.compiler.ir.dims import Dim
from perceiver_graph.compiler.ops import TensorType

_END = 2**63 - 1


def rotary(op: ops.Rotary, b: NodeBuilder) -> ir.Value:
    """Shapes: x [.., n, h * d], waves [n, w] or [.., n, w] -> [.., n, h * d]."""
    x, type, turned = b.input("x"), b.type("x"), int(b.type("waves").shape[-1])
    *before, width = type.shape
    each = int(width) // op.heads
    if op.heads > 1:
        type = type.with_shape(*before, Dim.of(op.heads), Dim.of(each))
        x = b.part("heads", type, "Reshape", x, b.ints(*[0] * len(before), op.heads, each))
    sine, cosine = (
        _waves(op, b, part, start) for part, start in (("sine", 0), ("cosine", turned // 2))
    )
    half = type.with_shape(*type.shape[:-1], Dim.of(turned // 2))
    first, second = (
        _part(b, x, half, name, at) for name, at in zip("ab", op.places(turned), strict=True)
    )

    def product(name: str, x: ir.Value, wave: tuple[ir.Value, TensorType]) -> ir.Value:
        return b.part(name, half, "Mul", x, wave[0])

    signs = ("Add", "Sub") if op.inverse else ("Sub", "Add")
    found = [
        b.part("turned", half, sign, product("cosines", x, cosine), product("sines", y, sine))
        for sign, x, y in zip(signs, (first, second), (second, first), strict=True)
    ]
    if op.pairs == "interleaved":
        column = half.with_shape(*half.shape, Dim.of(1))
        pair = half.with_shape(*half.shape, Dim.of(2))
        found = [b.part("column", column, "Unsqueeze", one, b.ints(-1)) for one in found]
        both = b.part("pairs", pair, "Concat", *found, axis=-1)
        whole = half.with_shape(*half.shape[:-1], Dim.of(turned))
        found = [b.part("in_order", whole, "Reshape", both, b.ints(*[0] * (half.rank - 1), turned))]
    if turned < each:
        rest = type.with_shape(*type.shape[:-1], Dim.of(each - turned))
        found.append(_part(b, x, rest, "rest", slice(turned, _END)))
    if op.heads == 1:
        return b.result("Concat", *found, axis=-1)
    heads = b.part("turned_heads", type, "Concat", *found, axis=-1)
    return b.result("Reshape", heads, b.ints(*[0] * len(before), int(width)))


def _waves(op: ops.Rotary, b: NodeBuilder, name: str, start: int) -> tuple[ir.Value, TensorType]:
    """Sines or cosines: [.., n, w / 2], or [.., n, 1, w / 2] for several heads."""
    type = b.type("waves")
    half = int(type.shape[-1]) // 2
    type = type.with_shape(*type.shape[:-1], Dim.of(half))
    found = _part(b, b.input("waves"), type, name, slice(start, start + half))
    if op.heads == 1:
        return found, type
    type = type.with_shape(*type.shape[:-1], Dim.of(1), type.shape[-1])
    return b.part(f"{name}_of_heads", type, "Unsqueeze", found, b.ints(-2)), type


def _part(b: NodeBuilder, x: ir.Value, type: TensorType, name: str, at: slice) -> ir.Value:
    """Some of the channels."""
    steps = () if at.step is None else (b.ints(at.step),)
    bounds = (b.ints(at.start), b.ints(at.stop), b.ints(-1), *steps)
    return b.part(name, type, "Slice", x, *bounds)
