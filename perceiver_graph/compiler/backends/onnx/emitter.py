"""The ONNX graph while it grows: values, initializers and names.

A lowering sees one IR node at a time through a `NodeBuilder`, which names what the lowering emits, gives
it its type and keeps where in the spec it comes from. Nothing is inferred: the IR knows all shapes,
and `precision` the element type of each node.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx_ir as ir

from perceiver_graph.compiler.backends.onnx import precision
from perceiver_graph.compiler.backends.onnx.tensors import DATA_TYPES, TensorStore, checked
from perceiver_graph.compiler.backends.reading import lowered
from perceiver_graph.compiler.ir.dims import Dim
from perceiver_graph.compiler.ir.graph import Block, Constant, Graph, Node, Parameter, Scope, Value
from perceiver_graph.compiler.ir.places import origin
from perceiver_graph.compiler.ops import Array, DType, Op, TensorType
from perceiver_graph.compiler.programs.target import DEFAULT, Target
from perceiver_graph.diagnostics import escape

OPSET = 20
"""The first with Gelu, read by onnxruntime since 1.17."""
NAMESPACE = "perceiver_graph"
"""What the keys of our metadata start with."""

Lowering = Callable[[Any, "NodeBuilder"], ir.Value]
Attribute = int | float | str | list[int]


class Emitter:
    """The ONNX graph while it grows."""

    def __init__(
        self,
        program: Graph,
        parameters: Mapping[str, Array],
        store: TensorStore,
        target: Target = DEFAULT,
        int8: Collection[str] = (),
    ) -> None:
        self.program = program
        self.parameters = parameters
        self.store = store
        self.target = target
        self.element = precision.element(target)
        self.int8 = frozenset(int8)
        """The names of the nodes whose products are computed in 8 bits."""
        self.quantized: dict[ir.Value, tuple[ir.Value, ...]] = {}
        """Values in 8 bits, their scale and their zero: products that read the same one share it."""
        self.measured: list[ir.Value] = []
        """Outputs beside those of the program: what calibration wants to know."""
        self.nodes: list[ir.Node] = []
        self.functions: dict[str, ir.Function] = {}
        """Operators beside those of ai.onnx, `domain.Name`, in standard ones."""
        self.initializers: dict[str, ir.Value] = {}
        self.inputs = {i.value: _value(i.value.name, i.value.type) for i in program.inputs}
        self.values: dict[Value, ir.Value] = dict(self.inputs)
        self.versions: dict[tuple[Value, DType], ir.Value] = {}
        self.sizes: dict[tuple[object, ...], ir.Value] = {}
        """What is computed of sizes, by the operator and what it reads."""
        self.interface = {*program.outputs, *(entry.value.name for entry in program.inputs)}
        self.names = _names(program)
        self.taken = {*self.names.values(), *(v.name for v in program.leaves), *program.outputs}

    def lower(self, node: Node, lowerings: Mapping[type[Op], Lowering]) -> None:
        b = NodeBuilder(self, node, node.name)
        self.values[node.output] = lowered(lowerings[type(node.op)], node.op, b)

    def value(self, value: Value, dtype: DType) -> ir.Value:
        """The ONNX value of an IR value, in `dtype` if the IR says float32.

        Parameters and constants become initializers when read; others are cast where they are in
        another element type, once for all readers.
        """
        dtype = precision.in_element(value.type, dtype).dtype
        if (value, dtype) not in self.versions:
            found = self.values.get(value)
            if found is None:
                found = self.tensor(value, dtype)
            elif found.dtype != DATA_TYPES[dtype]:
                cast = _value(self.fresh(f"{value.name}/{dtype}"), TensorType(value.shape, dtype))
                self.cast(found, cast)
                found = cast
            self.versions[value, dtype] = found
        return self.versions[value, dtype]

    def cast(self, value: ir.Value, result: ir.Value) -> None:
        """Give a value under another name, in the element type of the result."""
        assert result.name is not None
        assert result.dtype is not None
        if value.dtype == result.dtype:
            self.append(result.name, "Identity", (value,), (result,), {}, {})
        else:
            name, to = self.fresh(f"{result.name}/cast"), {"to": result.dtype.value}
            self.append(name, "Cast", (value,), (result,), to, {})

    def tensor(self, value: Value, dtype: DType, *, transposed: bool = False) -> ir.Value:
        """A parameter or a constant as an initializer, with its last two axes swapped if asked for.

        In the element type of the target it has the name that it has in the IR.
        """
        dtype = precision.in_element(value.type, dtype).dtype
        usual = precision.in_element(value.type, self.element).dtype
        name = f"{value.name}.T" if transposed else value.name
        array = precision.converted(value.name, self.data(value), dtype)
        array = np.swapaxes(array, -1, -2) if transposed else array
        return self.initializer(name if dtype == usual else f"{name}.{dtype}", array)

    def data(self, value: Value) -> Array:
        """The numbers of a parameter or a constant, in the element type that the IR says."""
        leaf = self.program.leaves[value]
        if isinstance(leaf, Constant):
            return leaf.data
        if value.name not in self.parameters:
            raise ValueError(f"`{self.program.name}` needs the parameter `{value.name}`")
        sizes = tuple(int(size) for size in value.shape)
        return checked(value.name, self.parameters[value.name], sizes, value.dtype)

    def initializer(self, name: str, array: Array) -> ir.Value:
        """A tensor of the model; the same name gives the same one.

        It is called as in the store unless an input or output of the program is: `latents` the
        parameter gives way to `latents` the output.
        """
        if name not in self.initializers:
            own = self.fresh(f"{name}.initial") if name in self.interface else name
            self.initializers[name] = self.store.add(name, array, own)
        return self.initializers[name]

    def append(
        self,
        name: str,
        op_type: str,
        inputs: tuple[ir.Value, ...],
        outputs: tuple[ir.Value, ...],
        attributes: Mapping[str, Attribute],
        metadata: dict[str, str],
    ) -> None:
        domain, _, op_type = op_type.rpartition(".")
        node = ir.node(
            op_type,
            inputs,
            attributes,
            domain=domain,
            outputs=outputs,
            name=name,
            metadata_props=metadata,
        )
        self.nodes.append(node)

    def define(self, name: str, function: Callable[[], ir.Function]) -> None:
        """Let the model hold what an operator `domain.Name` does in standard ones."""
        if name not in self.functions:
            self.functions[name] = function()

    def fresh(self, name: str) -> str:
        """The name, or a variant of it that nothing else has."""
        candidate, count = name, 1
        while candidate in self.taken:
            count += 1
            candidate = f"{name}_{count}"
        self.taken.add(candidate)
        return candidate

    def finish(self) -> ir.Graph:
        """The graph, with outputs under the names that the program gives them."""
        outputs = []
        for name, value in self.program.outputs.items():
            result = self.values.get(value) or self.value(value, value.dtype)
            # A second name for a value, a name for a leaf, or the way back from half precision.
            if result.name != name or result.dtype != DATA_TYPES[value.dtype]:
                copy = _value(name, value.type)
                self.cast(result, copy)
                result = copy
            outputs.append(result)
        return ir.Graph(
            tuple(self.inputs.values()),
            [*outputs, *self.measured],
            nodes=self.nodes,
            initializers=tuple(self.initializers.values()),
            opset_imports={"": OPSET, **{f.domain: 1 for f in self.functions.values()}},
            name=self.program.name,
        )


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
            found = _value(name, TensorType((Dim.of(len(of)),), "int64"))
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
        output = _value(value_name, type)
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


def _value(name: str, type: TensorType) -> ir.Value:
    return ir.Value(name=name, type=ir.TensorType(DATA_TYPES[type.dtype]), shape=_shape(type.shape))


def _shape(shape: tuple[Dim, ...]) -> ir.Shape:
    """Symbolic sizes become `dim_param` texts such as `8*batch + 1`."""
    return ir.Shape([size.value if size.value is not None else str(size) for size in shape])


def _names(program: Graph) -> dict[Value, str]:
    """What the outputs of the nodes are called: program outputs by their key, others as in the IR.

    `ValueError` if an output has the name of an input.
    """
    produced = program.producers
    named = {value: name for name, value in program.outputs.items() if name == value.name}
    for key, value in program.outputs.items():
        if value in produced:
            named.setdefault(value, key)
    for leaf in program.inputs:
        name = leaf.value.name
        if name in program.outputs and program.outputs[name] != leaf.value:
            raise ValueError(f"`{program.name}` has both an input and an output named `{name}`")
    names = {}
    for value in produced:
        name = named.get(value, value.name)
        while value not in named and name in program.outputs:
            name += "_"
        names[value] = name
    return names


def _block(program: Graph, scope: Scope) -> Block | None:
    """The innermost block around a scope."""
    while scope and scope not in program.blocks:
        scope = scope[:-1]
    return program.blocks.get(scope)
