"""The ONNX graph while it grows: values, initializers and names.

Nothing is inferred: the IR knows all shapes, and `precision` the element type of each node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx_ir as ir

from perceiver_graph.compiler.backends.onnx import precision
from perceiver_graph.compiler.backends.onnx.tensors import DATA_TYPES, TensorStore, checked
from perceiver_graph.compiler.ir.graph import Constant, Graph, Value
from perceiver_graph.compiler.ops import Array, DType, TensorType
from perceiver_graph.compiler.programs.int8 import NOTHING, Rounding
from perceiver_graph.compiler.programs.target import DEFAULT, Target

OPSET = 20
"""The first with Gelu, read by onnxruntime since 1.17."""
NAMESPACE = "perceiver_graph"
"""What the keys of our metadata start with."""

Attribute = int | float | str | list[int]


class Emitter:
    """The ONNX graph while it grows."""

    def __init__(
        self,
        program: Graph,
        parameters: Mapping[str, Array],
        store: TensorStore,
        target: Target = DEFAULT,
        int8: Rounding = NOTHING,
    ) -> None:
        self.program = program
        self.parameters = parameters
        self.store = store
        self.target = target
        self.element = precision.element(target)
        self.int8 = int8
        self.quantized: dict[ir.Value, tuple[ir.Value, ...]] = {}
        """Values in 8 bits, and their scales: products that read the same one share it."""
        self.centred: set[Value] = set()
        """Values that are emitted without their mean."""
        self.rounded: dict[str, tuple[Array, Array]] = {}
        """Weights in 8 bits and their scales, by what the store calls them."""
        self.measured: list[ir.Value] = []
        """Outputs beside those of the program: what calibration wants to know."""
        self.nodes: list[ir.Node] = []
        self.functions: dict[str, ir.Function] = {}
        """Operators beside those of ai.onnx, `domain.Name`, in standard ones."""
        self.initializers: dict[str, ir.Value] = {}
        self.inputs = {i.value: value_of(i.value.name, i.value.type) for i in program.inputs}
        self.values: dict[Value, ir.Value] = dict(self.inputs)
        self.versions: dict[tuple[Value, DType], ir.Value] = {}
        self.sizes: dict[tuple[object, ...], ir.Value] = {}
        """What is computed of sizes, by the operator and what it reads."""
        self.interface = {*program.outputs, *(entry.value.name for entry in program.inputs)}
        self.names = _names(program)
        self.taken = {*self.names.values(), *(v.name for v in program.leaves), *program.outputs}

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
                cast = value_of(self.fresh(f"{value.name}/{dtype}"), TensorType(value.shape, dtype))
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

    def initializer(self, name: str, array: Array, called: str | None = None) -> ir.Value:
        """A tensor of the model; the same name gives the same one.

        It is `called` as in the store unless told otherwise or an input or output of the program is:
        `latents` the parameter gives way to `latents` the output.
        """
        known = called or name
        if known not in self.initializers:
            own = self.fresh(f"{known}.initial") if known in self.interface else known
            self.initializers[known] = self.store.add(name, array, own)
        return self.initializers[known]

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
                copy = value_of(name, value.type)
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


def value_of(name: str, type: TensorType) -> ir.Value:
    """A value of ONNX that nothing gives yet."""
    # Symbolic sizes become `dim_param` texts such as `8*batch + 1`.
    shape = ir.Shape([size.plain for size in type.shape])
    return ir.Value(name=name, type=ir.TensorType(DATA_TYPES[type.dtype]), shape=shape)


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
