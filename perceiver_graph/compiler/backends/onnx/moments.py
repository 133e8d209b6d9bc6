"""Lowerings of norms that are computed in parts."""

from __future__ import annotations

import onnx_ir as ir

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.onnx.emitter import Site
from perceiver_graph.compiler.ir.dims import Dim
from perceiver_graph.compiler.ir.graph import Value
from perceiver_graph.compiler.ir.op import broadcast
from perceiver_graph.compiler.ops import TensorType


def moments(op: ops.Moments, site: Site) -> ir.Value:
    """The mean, then the mean square of the distances from it."""
    x, type = site.input("x"), site.type("x")
    one = type.with_shape(*type.shape[:-1], Dim.of(1))
    mean = site.part("mean", one, "ReduceMean", x, site.ints(-1), keepdims=1)
    centred = site.part("centred", type, "Sub", x, mean)
    squared = site.part("squared", type, "Mul", centred, centred)
    variance = site.part("variance", one, "ReduceMean", squared, site.ints(-1), keepdims=1)
    return site.result("Concat", mean, variance, axis=-1)


def merge_moments(op: ops.MergeMoments, site: Site) -> ir.Value:
    """Sums over the parts, each weighted by its share of the channels."""
    shares = [width / sum(op.widths) for width in op.widths]
    one = site.output.with_shape(*site.output.shape[:-1], Dim.of(1))
    means = [_column(site, part, 0) for part in site.node.each("parts")]
    mean = _weighted(site, "mean", means, shares)
    spreads = []
    for part, (value, _) in zip(site.node.each("parts"), means, strict=True):
        distance = site.part("distance", one, "Sub", value, mean)
        squared = site.part("distance_squared", one, "Mul", distance, distance)
        variance, _ = _column(site, part, 1)
        spreads.append((site.part("spread", one, "Add", squared, variance), one))
    variance = _weighted(site, "variance", spreads, shares)
    safe = site.part("safe", one, "Add", variance, site.scalar(op.epsilon, one))
    deviation = site.part("deviation", one, "Sqrt", safe)
    inverse = site.part("inverse", one, "Reciprocal", deviation)
    return site.result("Concat", mean, inverse, axis=-1)


def inverse_norm(op: ops.InverseNorm, site: Site) -> ir.Value:
    """One over the root of the sum of squares."""
    one = site.output
    total = site.part("squares", one, "ReduceSumSquare", site.input("x"), site.ints(-1), keepdims=1)
    safe = site.part("safe", one, "Add", total, site.scalar(op.epsilon, one))
    return site.result("Reciprocal", site.part("norm", one, "Sqrt", safe))


def _column(site: Site, part: Value, index: int) -> tuple[ir.Value, TensorType]:
    """The means or the variances of a part. Shape: [..., 1]."""
    type = site.type_of(part)
    column = type.with_shape(*type.shape[:-1], Dim.of(1))
    bounds = (site.ints(index), site.ints(index + 1), site.ints(-1))
    return site.part("moment", column, "Slice", site.read(part), *bounds), column


def _weighted(
    site: Site, part: str, values: list[tuple[ir.Value, TensorType]], shares: list[float]
) -> ir.Value:
    """The sum of the values, each times its share."""
    total, sum_type = None, values[0][1]
    for (value, type), share in zip(values, shares, strict=True):
        scaled = site.part(f"{part}_share", type, "Mul", value, site.scalar(share, type))
        shape = broadcast("add", sum_type.shape, type.shape)
        sum_type = type.with_shape(*shape)
        total = scaled if total is None else site.part(part, sum_type, "Add", total, scaled)
    assert total is not None
    return total
