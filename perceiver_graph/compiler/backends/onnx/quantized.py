"""Products with a known weight in 8 bits, in the standard operators that onnxruntime fuses.

Activations are quantised at run time, per tensor, to u8; weights now, per output channel, to s8. Which
products are, `perceiver_graph.compiler.backends.onnx.calibration` has measured.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple, cast

import numpy as np
import onnx_ir as ir

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.onnx import products
from perceiver_graph.compiler.backends.onnx.node_builder import Lowering, NodeBuilder
from perceiver_graph.compiler.ir.dims import Shape
from perceiver_graph.compiler.ir.graph import Constant, Graph, Node, Parameter, Value
from perceiver_graph.compiler.ops import Array, Op, TensorType
from perceiver_graph.compiler.programs.int8 import operands

LARGEST_WEIGHT = 64
"""What the largest weight of a channel becomes: 2 * 255 * 64 still fits 16 bits.

Processors without VNNI add two products of u8 and s8 in 16 bits and saturate; with weights up to
127 an artifact would give other results there. The bit costs a quarter more rounding, and no time.
"""
DIFFERENCE, SIZE = ".int8_difference", ".int8_size"
"""What the names of the outputs end with that a measuring program has for a product."""


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
    if b.node.name not in b.emitter.int8:
        return products.linear(op, b)
    if "bias" not in b:
        return _product(op, b, as_result=True)
    return b.result("Add", _product(op, b), b.input("bias"))


def matmul(op: ops.MatMul, b: NodeBuilder) -> ir.Value:
    """In 8 bits where the plan says so."""
    if b.node.name not in b.emitter.int8:
        return products.matmul(op, b)
    return _product(op, b, as_result=True)


LOWERINGS: dict[type[Op], Lowering] = {ops.Linear: linear, ops.MatMul: matmul}
"""What int8 has in place of the common lowerings."""


def measuring(
    common: Mapping[type[Op], Lowering], names: Collection[str]
) -> dict[type[Op], Lowering]:
    """Lowerings that compute in float32 and, for the products named, how far 8 bits are off.

    Each adds two outputs to the program: the norms of the difference and of the product.
    """

    def lowering(op: Op, b: NodeBuilder) -> ir.Value:
        result = common[type(b.node.op)](op, b)
        if b.node.name in names:
            _measure(op, b, result)
        return result

    return {**common, ops.Linear: lowering, ops.MatMul: lowering}


def _measure(op: Op, b: NodeBuilder, result: ir.Value) -> None:
    """The bias, which is exact, counts neither for nor against."""
    exact = result
    if isinstance(op, ops.Linear) and "bias" in b:
        exact = b.part("without_bias", b.output, "Sub", result, b.input("bias"))
    found = _product(op, b)
    difference = b.part("difference", b.output, "Sub", found, exact)
    for value, end in ((difference, DIFFERENCE), (exact, SIZE)):
        name = b.emitter.fresh(f"{b.node.name}{end}")
        norm = ir.Value(name=name, type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape([]))
        b.append(name, "ReduceL2", (value,), (norm,), {"keepdims": 0})
        b.emitter.measured.append(norm)


def _product(op: Op, b: NodeBuilder, *, as_result: bool = False) -> ir.Value:
    """x W in 8 bits, in float32 again; the pattern that MatMulIntegerToFloat is fused from."""
    rounded, scale, zero = _quantized(b, operands(b.node)[0])
    values, scales = _weights(op, b)
    total = _value(b, "integers", b.output.shape, ir.DataType.INT32)
    b.append(_name(total), "MatMulInteger", (rounded, values, zero), (total,), {})
    number = b.part("integers_as_floats", b.output, "Cast", total, to=ir.DataType.FLOAT.value)
    columns = TensorType(b.output.shape[-1:])
    step = b.part("steps", columns, "Mul", scale, scales)
    if as_result:
        return b.result("Mul", number, step)
    return b.part("product", b.output, "Mul", number, step)


def _quantized(b: NodeBuilder, value: Value) -> tuple[ir.Value, ...]:
    """A value as u8, with its scale and its zero."""
    x = b.read(value)
    if x not in b.emitter.quantized:
        results = (
            _value(b, "rounded", value.shape, ir.DataType.UINT8),
            _value(b, "scale", (), ir.DataType.FLOAT),
            _value(b, "zero", (), ir.DataType.UINT8),
        )
        b.append(_name(results[0]), "DynamicQuantizeLinear", (x,), results, {})
        b.emitter.quantized[x] = results
    return b.emitter.quantized[x]


def _weights(op: Op, b: NodeBuilder) -> tuple[ir.Value, ir.Value]:
    _, weight = operands(b.node)
    transposed = not isinstance(op, ops.MatMul) or op.transpose_b
    name = f"{weight.name}.T" if transposed else weight.name
    known = b.emitter.initializers
    if f"{name}.int8" not in known:
        matrix = b.emitter.data(weight)
        values, scales = quantize(matrix.T if transposed else matrix)
        b.emitter.initializer(f"{name}.int8", values)
        b.emitter.initializer(f"{name}.scale", scales)
    return known[f"{name}.int8"], known[f"{name}.scale"]


def _value(b: NodeBuilder, part: str, shape: Shape, dtype: ir.DataType) -> ir.Value:
    """A value of an element type that the graph does not know."""
    name = b.emitter.fresh(f"{b.prefix}/{part}")
    sizes = ir.Shape([size.plain for size in shape])
    return ir.Value(name=name, type=ir.TensorType(dtype), shape=sizes)


def _name(value: ir.Value) -> str:
    return cast(str, value.name)
