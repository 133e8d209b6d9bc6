"""Products with a known weight in 8 bits: weights are rounded now, with a scale for every output channel,
activations at run time, with a scale for every token, so that none depends on what else is in the array.

Which products are, `perceiver_graph.compiler.backends.onnx.calibration` has measured, and the mean of each
channel of what they are of. What all tokens have in common, all are rounded alike in, and no sum over tokens
averages it away: the mean is left out of what is rounded, and its product, computed when compiling, is
part of the bias. A mean of other inputs is no error, only less of a gain.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple, cast

import numpy as np
import onnx_ir as ir

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.onnx import products
from perceiver_graph.compiler.backends.onnx.emitter import OPSET, value_of
from perceiver_graph.compiler.backends.onnx.node_builder import Lowering, NodeBuilder
from perceiver_graph.compiler.ir.dims import Dim, Shape
from perceiver_graph.compiler.ir.graph import Constant, Graph, Node, Parameter, Value
from perceiver_graph.compiler.ops import Array, Op, TensorType
from perceiver_graph.compiler.programs.int8 import operands

LARGEST_WEIGHT = 127
"""What the largest weight of a channel becomes.

Processors without VNNI add two products of u8 and s8 in 16 bits and saturate: there, the runtime has
onnxruntime take kernels that do not (`Device.session_options`), and the numbers are the same.
"""
GELU_SHIFT = 0.17
"""No activation is below -0.17 behind a GELU, and half of them are near it: moved up by that, they use all
8 bits, where numbers of both signs have 7 and a sign."""
FUSED = "com.microsoft.MatMulIntegerToFloat"
"""The product and its scales as one operator of onnxruntime."""
DIFFERENCE, SIZE, MEAN = ".int8_difference", ".int8_size", ".int8_mean"
"""What the names of the outputs end with that a measuring program has for a product: the last of what
it is of."""
_TINY = 1e-30
"""The largest number of a token of zeros, by which they can be divided."""


class Weights(NamedTuple):
    """A matrix as `values * scales`. Shapes: values s8 [in, out], scales float32 [out]."""

    values: Array
    scales: Array


def quantize(matrix: Array) -> Weights:
    """Symmetric, per output channel (column). Shape: float32 [in, out]."""
    largest = np.abs(matrix).max(axis=0)
    # A column of zeros stays one, and no division overflows: scales are normal numbers.
    scales = np.maximum(largest / LARGEST_WEIGHT, np.finfo(np.float32).tiny).astype(np.float32)
    return Weights(np.rint(matrix / scales).astype(np.int8), scales)


def candidates(program: Graph) -> dict[str, Node]:
    """The products with a known matrix on their right, by name: what can be quantised."""
    return {node.name: node for node in program.nodes if _is_candidate(program, node)}


def _is_candidate(program: Graph, node: Node) -> bool:
    if not isinstance(node.op, ops.Linear | ops.MatMul):
        return False
    x, weight = operands(node)
    leaf = program.leaves.get(weight)
    known = isinstance(leaf, Parameter | Constant) and len(weight.shape) == 2
    varies = not isinstance(program.leaves.get(x), Parameter | Constant)
    return known and varies and x.dtype == weight.dtype == "float32" and len(x.shape) >= 2


def linear(op: ops.Linear, b: NodeBuilder) -> ir.Value:
    """In 8 bits where the plan says so."""
    if b.node.name not in b.emitter.int8.products:
        return products.linear(op, b)
    return _product(op, b, b.node["bias"] if "bias" in b else None, as_result=True)


def matmul(op: ops.MatMul, b: NodeBuilder) -> ir.Value:
    """In 8 bits where the plan says so."""
    if b.node.name not in b.emitter.int8.products:
        return products.matmul(op, b)
    return _product(op, b, as_result=True)


def layer_norm(op: ops.LayerNorm, b: NodeBuilder) -> ir.Value:
    """Without the mean where products in 8 bits alone read it: its bias can leave that out for nothing."""
    value, bias = b.node.output, b.node["bias"]
    readers = [node for node in b.emitter.program.nodes if value in node.inputs]
    rounded = all(n.name in b.emitter.int8.products and operands(n)[0] == value for n in readers)
    known = isinstance(b.emitter.program.leaves.get(bias), Parameter | Constant)
    mean = b.emitter.int8.means.get(value.name)
    within = value in b.emitter.program.outputs.values()
    if mean is None or not (readers and rounded and known) or within:
        return products.layer_norm(op, b)
    b.emitter.centred.add(value)
    moved = (b.emitter.data(bias) - mean).astype(np.float32)
    return products.layer_norm(op, b, b.emitter.initializer(f"{b.node.name}/bias.int8", moved))


LOWERINGS: dict[type[Op], Lowering] = {
    ops.Linear: linear,
    ops.MatMul: matmul,
    ops.LayerNorm: layer_norm,
}
"""What int8 has in place of the common lowerings."""


def averaging(
    common: Mapping[type[Op], Lowering], names: Collection[str]
) -> dict[type[Op], Lowering]:
    """Lowerings that compute in float32, and the mean of what the products named are of: an output more."""

    def average(op: Op, b: NodeBuilder, result: ir.Value) -> None:
        x, _ = operands(b.node)
        tokens = b.ints(*range(len(x.shape) - 1))
        if f"{x.name}{MEAN}" not in b.emitter.taken:
            _output(b, f"{x.name}{MEAN}", "ReduceMean", x.shape[-1:], b.read(x), tokens)

    return _beside(common, names, average)


def measuring(
    common: Mapping[type[Op], Lowering], names: Collection[str]
) -> dict[type[Op], Lowering]:
    """Lowerings that compute in float32 and, for the products named, how far 8 bits are off.

    Each adds two outputs to the program: the norms of the difference and of the product.
    """
    return _beside(common, names, _measure)


def _beside(
    common: Mapping[type[Op], Lowering],
    names: Collection[str],
    more: Callable[[Op, NodeBuilder, ir.Value], None],
) -> dict[type[Op], Lowering]:
    def lowering(op: Op, b: NodeBuilder) -> ir.Value:
        result = common[type(b.node.op)](op, b)
        if b.node.name in names:
            more(op, b, result)
        return result

    return {**common, ops.Linear: lowering, ops.MatMul: lowering}


def _output(b: NodeBuilder, name: str, op_type: str, shape: Shape, *inputs: ir.Value) -> None:
    """An output of the program beside its own."""
    name = b.emitter.fresh(name)
    found = value_of(name, TensorType(shape, "float32"))
    b.append(name, op_type, inputs, (found,), {"keepdims": 0})
    b.emitter.measured.append(found)


def _measure(op: Op, b: NodeBuilder, result: ir.Value) -> None:
    """The bias, which is exact, counts neither for nor against."""
    exact = result
    if isinstance(op, ops.Linear) and "bias" in b:
        exact = b.part("without_bias", b.output, "Sub", result, b.input("bias"))
    found = _product(op, b)
    difference = b.part("difference", b.output, "Sub", found, exact)
    for value, end in ((difference, DIFFERENCE), (exact, SIZE)):
        _output(b, f"{b.node.name}{end}", "ReduceL2", (), value)


def _product(
    op: Op, b: NodeBuilder, bias: Value | None = None, *, as_result: bool = False
) -> ir.Value:
    """x W (+ bias) in 8 bits, in float32 again: the integers are scaled by columns, then by tokens."""
    x, _ = operands(b.node)
    rounded, scales = _quantized(b, x)
    weights = _weights(op, b)
    found = _multiplied(b, rounded, weights, _zero(b, x))
    terms = [("Mul", scales), *(("Add", term) for term in _terms(op, b, bias))]
    for number, (op_type, term) in enumerate(terms, start=1):
        if number == len(terms) and as_result:
            return b.result(op_type, found, term)
        part = "product" if op_type == "Mul" else "moved_back"
        found = b.part(part, b.output, op_type, found, term)
    return found


def _multiplied(
    b: NodeBuilder, rounded: ir.Value, weights: tuple[ir.Value, ir.Value], zero: ir.Value
) -> ir.Value:
    """The integers, by the scales of the columns: one operator where onnxruntime is what runs it."""
    values, scales = weights
    if b.emitter.target.name == "cpu":
        b.emitter.define(FUSED, _function)
        one = b.scalar(1.0, b.output)
        return b.part("by_columns", b.output, FUSED, rounded, values, one, scales, zero)
    total = _value(b, "integers", b.output.shape, ir.DataType.INT32)
    b.append(_name(total), "MatMulInteger", (rounded, values, zero), (total,), {})
    number = b.part("integers_as_floats", b.output, "Cast", total, to=ir.DataType.FLOAT.value)
    return b.part("by_columns", b.output, "Mul", number, scales)


def _quantized(b: NodeBuilder, value: Value) -> tuple[ir.Value, ...]:
    """A value as u8, and the scale of each token [..., 1]; all that read it share them."""
    x, type = b.read(value), b.type_of(value)
    if x not in b.emitter.quantized:
        each = type.with_shape(*value.shape[:-1], Dim.of(1))
        last = b.ints(-1)
        if _behind_gelu(b, value):
            x = b.part("moved", type, "Add", x, b.scalar(GELU_SHIFT, type))
            largest, steps = b.part("largest", each, "ReduceMax", x, last), 255
        else:
            mean = b.emitter.int8.means.get(value.name)
            if mean is not None and value not in b.emitter.centred:
                known = b.emitter.initializer(f"{value.name}/mean.int8", mean)
                x = b.part("centred", type, "Sub", x, known)
            ends = [b.part("most", each, "ReduceMax", x, last)]
            ends += [b.part("less", each, "Neg", b.part("least", each, "ReduceMin", x, last))]
            largest, steps = b.part("largest", each, "Max", *ends, b.scalar(_TINY, type)), 127
        scales = b.part("scales", each, "Mul", largest, b.scalar(1 / steps, type))
        counted = b.part("in_steps", type, "Div", x, scales)
        rounded = _value(b, "rounded", value.shape, ir.DataType.UINT8)
        given = (counted, b.scalar(1.0, type), _zero(b, value))
        b.append(_name(rounded), "QuantizeLinear", given, (rounded,), {})
        b.emitter.quantized[b.read(value)] = rounded, scales
    return b.emitter.quantized[b.read(value)]


def _behind_gelu(b: NodeBuilder, value: Value) -> bool:
    node = b.emitter.program.producers.get(value)
    return node is not None and isinstance(node.op, ops.Gelu)


def _zero(b: NodeBuilder, value: Value) -> ir.Value:
    """What stands for 0 among the integers of a value, u8."""
    zero = 0 if _behind_gelu(b, value) else 128
    return b.emitter.initializer(f"uint8({zero})", np.array(zero, np.uint8))


def _terms(op: Op, b: NodeBuilder, bias: Value | None) -> list[ir.Value]:
    """What is added to the product: the bias, what was left out of the activations, as the rounded weights
    have it, and what those are off for the mean. Where all is known it is one."""
    x, weight = operands(b.node)
    known, moved_up = b.emitter.int8.means.get(x.name), _behind_gelu(b, x)
    if known is None and not moved_up:
        return [] if bias is None else [b.read(bias)]
    mean = np.zeros(int(x.shape[-1])) if known is None else known.astype(np.float64)
    left_out = np.full_like(mean, -GELU_SHIFT) if moved_up else mean
    matrix = b.emitter.data(weight)
    _, (values, scales) = _rounded(op, b)
    name = f"{b.node.name}/of/{x.name}"  # other programs may have the product of another value
    back = mean @ (matrix.T if _transposed(op) else matrix) + (left_out - mean) @ values * scales
    if bias is None or not isinstance(b.emitter.program.leaves.get(bias), Parameter | Constant):
        moved = b.emitter.initializer(name, back.astype(np.float32))
        return [moved] if bias is None else [moved, b.read(bias)]
    together = (b.emitter.data(bias) + back).astype(np.float32)
    return [b.emitter.initializer(name, together)]


def _weights(op: Op, b: NodeBuilder) -> tuple[ir.Value, ir.Value]:
    """The rounded matrix and the scales of its columns.

    The file has a matrix once, and the program an initializer of it for each node that reads it: what
    onnxruntime makes of it on processors without VNNI cannot be shared.
    """
    name, rounded = _rounded(op, b)
    values = b.emitter.initializer(name, rounded.values, f"{b.node.name}/weight.int8")
    return values, b.emitter.initializer(f"{name}.scale", rounded.scales)


def _rounded(op: Op, b: NodeBuilder) -> tuple[str, Weights]:
    """The matrix of a product in 8 bits, and what it is called: rounded once for all that read it."""
    _, weight = operands(b.node)
    name = f"{weight.name}.T.int8" if _transposed(op) else f"{weight.name}.int8"
    if name not in b.emitter.rounded:
        matrix = b.emitter.data(weight)
        b.emitter.rounded[name] = quantize(matrix.T if _transposed(op) else matrix)
    return name, Weights(*b.emitter.rounded[name])


def _transposed(op: Op) -> bool:
    return not isinstance(op, ops.MatMul) or op.transpose_b


def _function() -> ir.Function:
    """The operator in standard ones, for whoever has none of onnxruntime's."""
    names = ("a", "b", "a_scale", "b_scale", "a_zero_point")
    a, b, a_scale, b_scale, zero = inputs = [ir.val(name) for name in names]
    integers = ir.node("MatMulInteger", [a, b, zero])
    numbers = ir.node("Cast", integers.outputs, {"to": ir.DataType.FLOAT.value})
    scales = ir.node("Mul", [a_scale, b_scale])
    result = ir.node("Mul", [*numbers.outputs, *scales.outputs])
    result.outputs[0].name = "output"
    domain, _, name = FUSED.rpartition(".")
    nodes = [integers, numbers, scales, result]
    graph = ir.Graph(inputs, result.outputs, nodes=nodes, opset_imports={"": OPSET})
    return ir.Function(domain, name, "", graph=graph, attributes=[])


def _value(b: NodeBuilder, part: str, shape: Shape, dtype: ir.DataType) -> ir.Value:
    """A value of an element type that the graph does not know."""
    name = b.emitter.fresh(f"{b.prefix}/{part}")
    sizes = ir.Shape([size.plain for size in shape])
    return ir.Value(name=name, type=ir.TensorType(dtype), shape=sizes)


def _name(value: ir.Value) -> str:
    return cast(str, value.name)
