"""What a lowering sees of one IR node: it names what is emitted, gives it its type and keeps where in
the spec it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx_ir as ir

from perceiver_graph.compiler.backends.onnx import precision
from perceiver_graph.compiler.backends.onnx.emitter import NAMESPACE, Attribute, Emitter, value_of
from perceiver_graph.compiler.backends.onnx.tensors import DATA_TYPES
from perceiver_graph.compiler.ir.dims import Dim
from perceiver_graph.compiler.ir.graph import Block, Constant, Graph, Node, Parameter, Scope, Value
from perceiver_graph.compiler.ir.places import origin
from perceiver_graph.compiler.ops import Array, DType, TensorType
from perceiver_graph.diagnostics import escape


@dataclass(frozen=True)
class NodeBuilder:
    """Where a lowering puts the ONNX nodes of one IR node."""

    emitter: Emitter
    node: Node
    prefix: str
    """What the names of intermediate values start with."""

    def within_scope(self) -> NodeBuilder:
        """Name intermediate values after the scope: `encode/cross_attend/attention/scores`."""
        return replace(self, prefix="/".join(self.node.scope))

    @property
    def dtype(self) -> DType:
        """What the node computes in where the IR says float32."""
        return precision.element_of(type(self.node.op), self.emitter.target)

    @property
    def inputs(self) -> tuple[ir.Value, ...]:
        return tuple(map(self.read, self.node.inputs))

    def __contains__(self, operand: str) -> bool:
        return operand in self.node

    def input(self, operand: str) -> ir.Value:
        """One input. Asking puts a parameter into the model: one that is only needed transposed is
        not asked for."""
        return self.read(self.node[operand])

    def type(self, operand: str) -> TensorType:
        """The type of one input."""
        return self.type_of(self.node[operand])

    def read(self, value: Value) -> ir.Value:
        """What the node reads, in the element type that it computes in."""
        return self.emitter.value(value, self.dtype)

    def type_of(self, value: Value) -> TensorType:
        return precision.in_element(value.type, self.dtype)

    @property
    def types(self) -> tuple[TensorType, ...]:
        return tuple(map(self.type_of, self.node.inputs))

    @property
    def output(self) -> TensorType:
        return precision.in_element(self.node.output.type, self.dtype)

    def result(self, op_type: str, *inputs: ir.Value, **attributes: Attribute) -> ir.Value:
        """The ONNX node that gives the IR node's output, under the IR node's name."""
        name = self.emitter.names[self.node.output]
        if self.output.dtype != self.node.output.dtype and name in self.emitter.program.outputs:
            name = self.emitter.fresh(f"{name}/{self.output.dtype}")  # `finish` casts it
        return self._append(self.node.name, name, self.output, op_type, inputs, attributes)

    def part(
        self, part: str, type: TensorType, op_type: str, *inputs: ir.Value, **attributes: Attribute
    ) -> ir.Value:
        """An ONNX node on the way there; `part` is the last word of its name."""
        name = self.emitter.fresh("/".join(filter(None, (self.prefix, part))))
        return self._append(name, name, type, op_type, inputs, attributes)

    def cast(self, part: str, x: ir.Value, type: TensorType, dtype: DType) -> ir.Value:
        """A value of a type in another element type, itself if it is in that already."""
        if type.dtype == dtype:
            return x
        to = DATA_TYPES[dtype].value
        return self.part(part, TensorType(type.shape, dtype), "Cast", x, to=to)

    def tensor(self, array: Array) -> ir.Value:
        """The IR node's output where it is known already."""
        array = precision.converted(self.node.name, array, self.output.dtype)
        return self.emitter.initializer(self.node.name, array)

    def ints(self, *numbers: int) -> ir.Value:
        """A vector of shapes, axes or positions; equal ones are one initializer."""
        name = f"int64[{','.join(map(str, numbers))}]"
        return self.emitter.initializer(name, np.array(numbers, dtype=np.int64))

    def sizes(
        self, of: Sequence[int | Dim], op_type: str, *inputs: ir.Value, **attributes: int
    ) -> ir.Value:
        """An ONNX node that gives a vector of sizes; the same on the same inputs is one node."""
        emitter, key = self.emitter, (op_type, *inputs, *attributes.values())
        if key not in emitter.sizes:
            name = emitter.fresh(f"size[{','.join(map(str, of))}]")
            found = value_of(name, TensorType((Dim.of(len(of)),), "int64"))
            emitter.append(name, op_type, inputs, (found,), attributes, {})
            emitter.sizes[key] = found
        return emitter.sizes[key]

    def scalar(self, number: float, type: TensorType) -> ir.Value:
        """A number in the element type of `type`; equal ones are one initializer."""
        array = np.array(number, dtype=DATA_TYPES[type.dtype].numpy())
        return self.emitter.initializer(f"{type.dtype}({number!r})", array)

    def transposed(self, operand: str) -> ir.Value:
        """An input with its last two axes swapped: now if it is known, else at run time."""
        value = self.node[operand]
        if isinstance(self.emitter.program.leaves.get(value), Parameter | Constant):
            return self.emitter.tensor(value, self.dtype, transposed=True)
        *batch, rows, columns = value.shape
        order = [*range(len(batch)), len(batch) + 1, len(batch)]
        type = self.type(operand).with_shape(*batch, columns, rows)
        return self.part("transposed", type, "Transpose", self.input(operand), perm=order)

    def _append(
        self,
        node_name: str,
        value_name: str,
        type: TensorType,
        op_type: str,
        inputs: tuple[ir.Value, ...],
        attributes: Mapping[str, Attribute],
    ) -> ir.Value:
        precision.require_kernels(type, self.emitter.target, self.node.origin)
        output = value_of(value_name, type)
        self.append(node_name, op_type, inputs, (output,), attributes)
        return output

    def append(
        self,
        name: str,
        op_type: str,
        inputs: tuple[ir.Value, ...],
        outputs: tuple[ir.Value, ...],
        attributes: Mapping[str, Attribute],
    ) -> None:
        """Any ONNX node, with where the IR node comes from."""
        about = {}
        if self.node.origin:
            about[f"{NAMESPACE}.origin"] = escape.line(origin(self.node.origin))
        if block := _block(self.emitter.program, self.node.scope):
            about[f"{NAMESPACE}.block"] = block.kind
        self.emitter.append(name, op_type, inputs, outputs, attributes, about)


Lowering = Callable[[Any, NodeBuilder], ir.Value]
"""Emits what an operator is in ONNX, and returns its result."""


def _block(program: Graph, scope: Scope) -> Block | None:
    """The innermost block around a scope."""
    while scope and scope not in program.blocks:
        scope = scope[:-1]
    return program.blocks.get(scope)
