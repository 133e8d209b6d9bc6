"""Lowerings of matrix products, convolutions and what goes with them."""

from __future__ import annotations

import onnx_ir as ir

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.onnx.emitter import Site
from perceiver_graph.compiler.backends.onnx.layout import channels_first, channels_last, first_of
from perceiver_graph.compiler.ir.dims import Dim


def linear(op: ops.Linear, site: Site) -> ir.Value:
    """MatMul with the transposed weight, which is stored so, then Add."""
    x, weight = site.input("x"), site.transposed("weight")
    if "bias" not in site:
        return site.result("MatMul", x, weight)
    product = site.part("product", site.output, "MatMul", x, weight)
    return site.result("Add", product, site.input("bias"))


def matmul(op: ops.MatMul, site: Site) -> ir.Value:
    """MatMul; a transposed operand is stored transposed if it is known."""
    b = site.transposed("b") if op.transpose_b else site.input("b")
    return site.result("MatMul", site.input("a"), b)


def conv(op: ops.Conv, site: Site) -> ir.Value:
    """Conv between transposes: ONNX wants channels first."""
    x, weight = site.input("x"), site.input("weight")
    bias = [site.read(value) for value in site.node.each("bias")]
    x, _ = channels_first(site, x, site.type("x"))
    kernel = [int(size) for size in site.type("weight").shape[2:]]
    y = site.part(
        "convolved",
        first_of(site.output),
        "Conv",
        x,
        weight,
        *bias,
        kernel_shape=kernel,
        strides=list(op.strides),
        pads=_pads(op.padding),
    )
    return channels_last(site, y)


def batch_norm(op: ops.BatchNorm, site: Site) -> ir.Value:
    """BatchNormalization between transposes: after a convolution onnxruntime folds it into that."""
    x, *statistics = map(site.input, ("x", "weight", "bias", "mean", "variance"))
    type = site.type("x")
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
    x, _ = channels_first(site, site.input("x"), site.type("x"))
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
