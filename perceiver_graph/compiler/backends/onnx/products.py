"""Lowerings of matrix products, convolutions and what goes with them."""

from __future__ import annotations

import onnx_ir as ir

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.onnx.emitter import Attribute
from perceiver_graph.compiler.backends.onnx.layout import channels_first, channels_last, first_of
from perceiver_graph.compiler.backends.onnx.node_builder import NodeBuilder
from perceiver_graph.compiler.backends.onnx.tensors import DATA_TYPES
from perceiver_graph.compiler.ir.dims import Dim


def linear(op: ops.Linear, b: NodeBuilder) -> ir.Value:
    """MatMul with the transposed weight, which is stored so, then Add."""
    x, weight = b.input("x"), b.transposed("weight")
    if "bias" not in b:
        return b.result("MatMul", x, weight)
    product = b.part("product", b.output, "MatMul", x, weight)
    return b.result("Add", product, b.input("bias"))


def matmul(op: ops.MatMul, b: NodeBuilder) -> ir.Value:
    """MatMul; a transposed operand is stored transposed if it is known."""
    right = b.transposed("b") if op.transpose_b else b.input("b")
    return b.result("MatMul", b.input("a"), right)


def conv(op: ops.Conv, b: NodeBuilder) -> ir.Value:
    """Conv between transposes: ONNX wants channels first."""
    x, weight = b.input("x"), b.input("weight")
    bias = [b.read(value) for value in b.node.each("bias")]
    x, _ = channels_first(b, x, b.type("x"))
    kernel = [int(size) for size in b.type("weight").shape[2:]]
    y = b.part(
        "convolved",
        first_of(b.output),
        "Conv",
        x,
        weight,
        *bias,
        kernel_shape=kernel,
        strides=list(op.strides),
        pads=_pads(op.padding),
    )
    return channels_last(b, y)


def batch_norm(op: ops.BatchNorm, b: NodeBuilder) -> ir.Value:
    """BatchNormalization between transposes: after a convolution onnxruntime folds it into that."""
    x, *statistics = map(b.input, ("x", "weight", "bias", "mean", "variance"))
    type = b.type("x")
    if type.rank == 1:
        row = type.with_shape(Dim.of(1), *type.shape)
        x = b.part("row", row, "Unsqueeze", x, b.ints(0))
        y = b.part("normalized", row, "BatchNormalization", x, *statistics, epsilon=op.epsilon)
        return b.result("Squeeze", y, b.ints(0))
    if type.rank == 2:
        return b.result("BatchNormalization", x, *statistics, epsilon=op.epsilon)
    x, type = channels_first(b, x, type)
    y = b.part("normalized", type, "BatchNormalization", x, *statistics, epsilon=op.epsilon)
    return channels_last(b, y)


def max_pool(op: ops.MaxPool, b: NodeBuilder) -> ir.Value:
    """MaxPool between transposes; its padding never wins either."""
    x, _ = channels_first(b, b.input("x"), b.type("x"))
    y = b.part(
        "pooled",
        first_of(b.output),
        "MaxPool",
        x,
        kernel_shape=list(op.window),
        strides=list(op.strides),
        pads=_pads(op.padding),
    )
    return channels_last(b, y)


def _pads(padding: tuple[tuple[int, int], ...]) -> list[int]:
    """ONNX's order: what goes before every axis, then what goes after."""
    return [before for before, _ in padding] + [after for _, after in padding]


def layer_norm(op: ops.LayerNorm, b: NodeBuilder, bias: ir.Value | None = None) -> ir.Value:
    """What it computes in is float32 by default, for which OpenVINO converts a bfloat16 array there and
    back, on one thread. Told otherwise, its kernel reads bfloat16, and sums in float32 still. `bias` stands
    for that of the node."""
    settings: dict[str, Attribute] = {"axis": -1, "epsilon": op.epsilon}
    if (b.emitter.target.name, b.dtype) == ("openvino", "bfloat16"):
        settings["stash_type"] = DATA_TYPES["bfloat16"].value
    given = b.input("x"), b.input("weight"), bias or b.input("bias")
    return b.result("LayerNormalization", *given, **settings)
