"""The ONNX graph while it grows: values, initializers and names.

A lowering sees one IR node at a time through a `Site`, which names what the lowering emits, gives
it its type and keeps where in the spec it comes from. Nothing is inferred: the IR knows all shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx_ir as ir

from perceiver_graph.compiler.backends.onnx.tensors import DATA_TYPES, TensorStore, checked
from perceiver_graph.compiler.dims import Dim
from perceiver_graph.compiler.ir import Block, Constant, Graph, Node, Parameter, Scope, Value
from perceiver_graph.compiler.ops import Array, Op, TensorType
from perceiver_graph.compiler.target import DEFAULT, Target

OPSET = 20
"""The first with Gelu, read by onnxruntime since 1.17."""
NAMESPACE = "perceiver_graph"
"""What the keys of our metadata start with."""

Lowering = Callable[[Any, "Site"], ir.Value]
Attribute = int | float | str | list[int]


class Emitter:
    """The ONNX graph while it grows."""

    def __init__(
        self,
        program: Graph,
        parameters: Mapping[str, Array],
        store: TensorStore,
        target: Target = DEFAULT,
    ) -> None:
        self.program = program
        self.parameters = parameters
        self.store = store
        self.target = target
        self.nodes: list[ir.Node] = []
        self.initializers: dict[str, ir.Value] = {}
        self.inputs = {i.value: _value(i.value.name, i.value.type) for i in program.inputs}
        self.values: dict[Value, ir.Value] = dict(self.inputs)
        self.interface = {*program.outputs, *(entry.value.name for entry in program.inputs)}
        self.names = _names(program)
        self.taken = {*self.names.values(), *(v.name for v in program.leaves), *program.outputs}

    def lower(self, node: Node, lowerings: Mapping[type[Op], Lowering]) -> None:
        if type(node.op) not in lowerings:
            raise NotImplementedError(f"the ONNX backend has no lowering for `{node.op.name}`")
        site = Site(self, node, node.name)
        self.values[node.output] = lowerings[type(node.op)](node.op, site)

    def value(self, value: Value) -> ir.Value:
        """The ONNX value of an IR value; parameters and constants become initializers when read."""
        if value not in self.values:
            self.values[value] = self.initializer(value.name, self.data(value))
        return self.values[value]

    def data(self, value: Value) -> Array:
        """The numbers of a parameter or a constant."""
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
        output: ir.Value,
        attributes: Mapping[str, Attribute],
        metadata: dict[str, str],
    ) -> None:
        node = ir.node(
            op_type, inputs, attributes, outputs=[output], name=name, metadata_props=metadata
        )
        self.nodes.append(node)

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
            result = self.value(value)
            if result.name != name:  # a second name for a value, or a name for a leaf
                copy = _value(name, value.type)
                self.append(name, "Identity", (result,), copy, {}, {})
                result = copy
            outputs.append(result)
        return ir.Graph(
            tuple(self.inputs.values()),
            outputs,
            nodes=self.nodes,
            initializers=tuple(self.initializers.values()),
            opset_imports={"": OPSET},
            name=self.program.name,
        )


@dataclass(frozen=True)
class Site:
    """Where a lowering puts the ONNX nodes of one IR node."""

    emitter: Emitter
    node: Node
    prefix: str
    """What the names of intermediate values start with."""

    def within_scope(self) -> Site:
        """Name intermediate values after the scope: `encode/cross_attend/attention/scores`."""
        return replace(self, prefix="/".join(self.node.scope))

    @property
    def inputs(self) -> tuple[ir.Value, ...]:
        return tuple(map(self.emitter.value, self.node.inputs))

    def input(self, slot: int) -> ir.Value:
        """One input. Asking puts a parameter into the model: one that is only needed transposed is
        not asked for."""
        return self.emitter.value(self.node.inputs[slot])

    @property
    def types(self) -> tuple[TensorType, ...]:
        return tuple(value.type for value in self.node.inputs)

    @property
    def output(self) -> TensorType:
        return self.node.output.type

    def result(self, op_type: str, *inputs: ir.Value, **attributes: Attribute) -> ir.Value:
        """The ONNX node that gives the IR node's output, under the IR node's name."""
        name = self.emitter.names[self.node.output]
        return self._append(self.node.name, name, self.output, op_type, inputs, attributes)

    def part(
        self, part: str, type: TensorType, op_type: str, *inputs: ir.Value, **attributes: Attribute
    ) -> ir.Value:
        """An ONNX node on the way there; `part` is the last word of its name."""
        name = self.emitter.fresh("/".join(filter(None, (self.prefix, part))))
        return self._append(name, name, type, op_type, inputs, attributes)

    def tensor(self, array: Array) -> ir.Value:
        """The IR node's output where it is known already."""
        return self.emitter.initializer(self.node.name, array)

    def ints(self, *numbers: int) -> ir.Value:
        """A vector of shapes, axes or positions; equal ones are one initializer."""
        name = f"int64[{','.join(map(str, numbers))}]"
        return self.emitter.initializer(name, np.array(numbers, dtype=np.int64))

    def scalar(self, number: float, type: TensorType) -> ir.Value:
        """A number in the element type of `type`; equal ones are one initializer."""
        array = np.array(number, dtype=DATA_TYPES[type.dtype].numpy())
        return self.emitter.initializer(f"{type.dtype}({number!r})", array)

    def transposed(self, slot: int) -> ir.Value:
        """An input with its last two axes swapped: now if it is known, else at run time."""
        value = self.node.inputs[slot]
        if isinstance(self.emitter.program.leaves.get(value), Parameter | Constant):
            array = np.swapaxes(self.emitter.data(value), -1, -2)
            return self.emitter.initializer(f"{value.name}.T", array)
        *batch, rows, columns = value.shape
        order = [*range(len(batch)), len(batch) + 1, len(batch)]
        type = value.type.with_shape(*batch, columns, rows)
        return self.part("transposed", type, "Transpose", self.input(slot), perm=order)

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
        about = {}
        if self.node.origin:
            about[f"{NAMESPACE}.origin"] = str(self.node.origin)
        if block := _block(self.emitter.program, self.node.scope):
            about[f"{NAMESPACE}.block"] = block.kind
        self.emitter.append(node_name, op_type, inputs, output, attributes, about)
        return output


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
