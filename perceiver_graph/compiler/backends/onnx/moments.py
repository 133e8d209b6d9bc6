"""Lowerings of norms that are computed in parts."""

from __future__ import annotations

import onnx_ir as ir

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.onnx.node_builder import NodeBuilder
from perceiver_graph.compiler.ir.dims import Dim
from perceiver_graph.compiler.ir.graph import Value
from perceiver_graph.compiler.ir.op import broadcast
from perceiver_graph.compiler.ops import TensorType


def moments(op: ops.Moments, b: NodeBuilder) -> ir.Value:
    """The mean, then the mean square of the distances from it."""
    x, type = b.input("x"), b.type("x")
    one = type.with_shape(*type.shape[:-1], Dim.of(1))
    mean = b.part("mean", one, "ReduceMean", x, b.ints(-1), keepdims=1)
    centred = b.part("centred", type, "Sub", x, mean)
    squared = b.part("squared", type, "Mul", centred, centred)
    variance = b.part("variance", one, "ReduceMean", squared, b.ints(-1), keepdims=1)
    return b.result("Concat", mean, variance, axis=-1)


def merge_moments(op: ops.MergeMoments, b: NodeBuilder) -> ir.Value:
    """Sums over the parts, each weighted by its share of the channels."""
    shares = [width / sum(op.widths) for width in op.widths]
    one = b.output.with_shape(*b.output.shape[:-1], Dim.of(1))
    means = [_column(b, part, 0) for part in b.node.each("parts")]
    mean = _weighted(b, "mean", means, shares)
    spreads = []
    for part, (value, type) in zip(b.node.each("parts"), means, strict=True):
        if op.centred:
            value, type = b.part("distance", one, "Sub", value, mean), one
        squared = b.part("distance_squared", type, "Mul", value, value)
        variance, _ = _column(b, part, 1)
        spreads.append((b.part("spread", type, "Add", squared, variance), type))
    variance = _weighted(b, "variance", spreads, shares)
    safe = b.part("safe", one, "Add", variance, b.scalar(op.epsilon, one))
    deviation = b.part("deviation", one, "Sqrt", safe)
    inverse = b.part("inverse", one, "Reciprocal", deviation)
    return b.result("Concat", mean, inverse, axis=-1)


def inverse_norm(op: ops.InverseNorm, b: NodeBuilder) -> ir.Value:
    """One over the root of the sum of squares."""
    one = b.output
    total = b.part("squares", one, "ReduceSumSquare", b.input("x"), b.ints(-1), keepdims=1)
    safe = b.part("safe", one, "Add", total, b.scalar(op.epsilon, one))
    return b.result("Reciprocal", b.part("norm", one, "Sqrt", safe))


def rms_norm(op: ops.RMSNorm, b: NodeBuilder) -> ir.Value:
    """By parts, which onnxruntime makes one kernel of."""
    x, weight, type = b.input("x"), b.input("weight"), b.type("x")
    one = type.with_shape(*type.shape[:-1], Dim.of(1))
    squared = b.part("squared", type, "Pow", x, b.scalar(2.0, type))
    mean = b.part("mean_square", one, "ReduceMean", squared, b.ints(-1), keepdims=1)
    safe = b.part("safe", one, "Add", mean, b.scalar(op.epsilon, one))
    root = b.part("root", one, "Sqrt", safe)
    scaled = b.part("scaled", type, "Div", x, root)
    return b.result("Mul", scaled, weight)


def _column(b: NodeBuilder, part: Value, index: int) -> tuple[ir.Value, TensorType]:
    """The means or the variances of a part. Shape: [..., 1]."""
    type = b.type_of(part)
    column = type.with_shape(*type.shape[:-1], Dim.of(1))
    bounds = (b.ints(index), b.ints(index + 1), b.ints(-1))
    return b.part("moment", column, "Slice", b.read(part), *bounds), column


def _weighted(
    b: NodeBuilder, part: str, values: list[tuple[ir.Value, TensorType]], shares: list[float]
) -> ir.Value:
    """The sum of the values, each times its share."""
    total, sum_type = None, values[0][1]
    for (value, type), share in zip(values, shares, strict=True):
        scaled = b.part(f"{part}_share", type, "Mul", value, b.scalar(share, type))
        shape = broadcast("add", sum_type.shape, type.shape)
        sum_type = type.with_shape(*shape)
        total = scaled if total is None else b.part(part, sum_type, "Add", total, scaled)
    assert total is not None
    return total
