"""Lowerings of matrix products, convolutions and what goes with them."""

from __future__ import annotations

import onnx_ir as ir

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.onnx.emitter import Site
from perceiver_graph.compiler.backends.onnx.layout import channels_first, channels_last, first_of
from perceiver_graph.compiler.dims import Dim


def linear(op: ops.Linear, site: Site) -> ir.Value:
    """MatMul with the transposed weight, which is stored so, then Add."""
    x, weight = site.input(0), site.transposed(1)
    if len(site.types) == 2:
        return site.result("MatMul", x, weight)
    return site.result("Add", site.part("product", site.output, "MatMul", x, weight), site.input(2))


def matmul(op: ops.MatMul, site: Site) -> ir.Value:
    """MatMul; a transposed operand is stored transposed if it is known."""
    b = site.transposed(1) if op.transpose_b else site.input(1)
    return site.result("MatMul", site.input(0), b)


def conv(op: ops.Conv, site: Site) -> ir.Value:
    """Conv between transposes: ONNX wants channels first."""
    x, *weights = site.inputs
    x, _ = channels_first(site, x, site.types[0])
    kernel = [int(size) for size in site.types[1].shape[2:]]
    y = site.part(
        "convolved",
        first_of(site.output),
        "Conv",
        x,
        *weights,
        kernel_shape=kernel,
        strides=list(op.strides),
        pads=_pads(op.padding),
    )
    return channels_last(site, y)


def batch_norm(op: ops.BatchNorm, site: Site) -> ir.Value:
    """BatchNormalization between transposes: after a convolution onnxruntime folds it into that."""
    x, *statistics = site.inputs
    type = site.types[0]
    if type.rank == 1:
        row = type.with_shape(Dim.of(1), *type.shape)
        x = site.part("row", row, "Unsqueeze", x, site.ints(0))
        y = site.part("normalized", row, "BatchNormalization", x, *statistics, epsilon=op.epsilon)
        return site.result("Squeeze", y, site.ints(0))
    if type.rank == 2:
        return site.result("BatchNormalization", x, *statistics, epsilon=op.epsilon)
    x, type = channels_first(site, x, type)
    y = site.part("normalized", type, "BatchNormalization", x, *statistics, epsilon=op.epsilon)
    return channels_last(site, y)


def max_pool(op: ops.MaxPool, site: Site) -> ir.Value:
    """MaxPool between transposes; its padding never wins either."""
    x, _ = channels_first(site, site.input(0), site.types[0])
    y = site.part(
        "pooled",
        first_of(site.output),
        "MaxPool",
        x,
        kernel_shape=list(op.window),
        strides=list(op.strides),
        pads=_pads(op.padding),
    )
    return channels_last(site, y)


def _pads(padding: tuple[tuple[int, int], ...]) -> list[int]:
    """ONNX's order: what goes before every axis, then what goes after."""
    return [before for before, _ in padding] + [after for _, after in padding]
