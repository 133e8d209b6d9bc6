"""Builds a graph node by node, keeping track of scopes, names, parameters and spec lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from math import prod

from perceiver_graph import limits
from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.initial import Dialect, ParameterKind, initializer
from perceiver_graph.compiler.ir.dims import Dim, Shape, Symbol, format_shape, shape_of
from perceiver_graph.compiler.ir.graph import (
    Block,
    Constant,
    Graph,
    Input,
    Node,
    Parameter,
    Scope,
    Value,
)
from perceiver_graph.compiler.ir.op import Array, DType, Op, ShapeError, TensorType
from perceiver_graph.diagnostics import Span
from perceiver_graph.spec.models.layers import NormName
from perceiver_graph.spec.programs import Role


class TooLargeError(ShapeError):
    """An array of more than `limits.ELEMENTS` elements at batch 1; `origin` is the place of the spec."""

    def __init__(self, what: str, shape: Shape, origin: Span | None) -> None:
        sizes = [dim for dim in shape if dim != 1]
        super().__init__(
            f"{what} would have {' x '.join(map(str, sizes))} elements, "
            f"more than {limits.ELEMENTS:,} (2 to the power of 40)"
        )
        self.origin = origin


class SharedShapeError(ShapeError):
    """A parameter that is shared by two places that need other shapes of it."""

    def __init__(self, name: str, known: Shape, wanted: Shape) -> None:
        self.name, self.known, self.wanted = name, known, wanted
        super().__init__(
            f"the parameter `{name}` is {format_shape(known)} and {format_shape(wanted)}"
        )


class GraphBuilder:
    """Collects nodes in order. Call it with a primitive and its inputs to append a node.

    `dialect` says how parameters start.
    """

    def __init__(
        self, name: str, symbols: Mapping[str, Symbol], dialect: Dialect = "huggingface"
    ) -> None:
        self.name = name
        self.dialect = dialect
        self.symbols = dict(symbols)
        self.scope: Scope = ()
        self.module: str = ""
        self.origin: Span | None = None
        self._inputs: list[Input] = []
        self._parameters: dict[str, Parameter] = {}
        self._constants: list[Constant] = []
        self._nodes: list[Node] = []
        self._blocks: dict[Scope, Block] = {}
        self._names: set[str] = set()
        self._inferred: dict[tuple[Op, tuple[TensorType, ...]], TensorType] = {}
        self._types: dict[tuple[int | Dim, ...], TensorType] = {}
        self._fitting: set[Shape] = set()

    def __call__(self, op: Op, *inputs: Value, name: str = "") -> Value:
        """Append a node; its output is named after its scope and `name` (default: the primitive).

        Raises ShapeError where the inputs do not fit the primitive or the result is too large.
        """
        full = "/".join((*self.scope, name or op.name))
        types = tuple(value.type for value in inputs)
        result = self._inferred.get((op, types))
        if result is None:  # thousands of layers are alike
            result = op.infer(*types)
            self._check_size(f"the array `{full}`", result.shape)
            self._inferred[op, types] = result
        output = Value(self._unique(full), result)
        self._nodes.append(Node(op, inputs, output, self.scope, self.origin))
        return output

    @contextmanager
    def block(
        self, name: str, kind: str, summary: str = "", *, module: str | None = None
    ) -> Iterator[None]:
        """Enter a scope. `module` names the prefix of its parameters where it is not the scope's
        own path: blocks that share weights share it."""
        outer = self.scope, self.module
        scope = (*self.scope, name)
        while scope in self._blocks:  # a second block of that name, say a repeated step
            scope = (*scope[:-1], scope[-1] + "_")
        self.scope = scope
        self.module = (
            module if module is not None else ".".join(filter(None, (outer[1], scope[-1])))
        )
        self._blocks[scope] = Block(kind, self.module, summary, self.origin)
        try:
            yield
        finally:
            self.scope, self.module = outer

    def declare(self, **numbers: int | float) -> None:
        """Say in which numbers the current block may differ from others of its kind."""
        block = self._blocks[self.scope]
        arguments = {**dict(block.arguments), **numbers}
        self._blocks[self.scope] = replace(block, arguments=tuple(arguments.items()))

    @contextmanager
    def inside(self, *scope: str, module: str | None = None) -> Iterator[None]:
        """Go to a scope, entered before or not; its module is the same path unless given."""
        outer = self.scope, self.module
        self.scope, self.module = scope, ".".join(scope) if module is None else module
        try:
            yield
        finally:
            self.scope, self.module = outer

    @contextmanager
    def at(self, origin: Span | None) -> Iterator[None]:
        """Nodes and parameters made inside come from this place of the spec."""
        outer, self.origin = self.origin, origin or self.origin
        try:
            yield
        finally:
            self.origin = outer

    def input(
        self,
        name: str,
        role: Role,
        of: str,
        axes: tuple[str, ...],
        shape: Shape,
        dtype: DType,
        beside: tuple[str, ...] = (),
    ) -> Value:
        self._check_size(f"the input `{name}`", shape)
        value = Value(self._unique(name), TensorType(shape, dtype))
        self._inputs.append(Input(value, role, of, axes, beside))
        return value

    def parameter(
        self,
        name: str,
        shape: tuple[int | Dim, ...],
        kind: ParameterKind = "vectors",
        *,
        scale: float | None = None,
        trainable: bool = True,
    ) -> Value:
        """A parameter of the current module; asking for it again returns the same one.

        It starts as its kind does in the dialect, with `scale` instead of the usual one if given.
        """
        full = ".".join(filter(None, (self.module, name)))
        known = self._parameters.get(full)
        if known is not None and known.value.shape == shape:
            return known.value
        found = self._types.get(shape)
        sizes = found.shape if found else shape_of(*shape)
        if known is None:
            self._check_size(f"the parameter `{full}`", sizes)
            value = Value(full, found or TensorType(sizes, "float32"))
            self._types[sizes] = value.type
            self._names.add(full)
            init = initializer(self.dialect, kind, scale)
            self._parameters[full] = Parameter(value, init, trainable, self.origin)
            return value
        raise SharedShapeError(full, known.value.shape, sizes)

    def constant(self, name: str, array: Array) -> Value:
        """A fixed array in the current scope."""
        full = self._unique("/".join((*self.scope, name)))
        dtype: DType = array.dtype.name  # type: ignore[assignment]
        value = Value(full, TensorType(shape_of(*array.shape), dtype))
        self._constants.append(Constant(value, array))
        return value

    def linear(
        self, x: Value, name: str, width: int, kind: ParameterKind = "linear", *, bias: bool = True
    ) -> Value:
        """A learned linear map of the last axis to `width` channels."""
        weight = self.parameter(f"{name}.weight", (width, x.shape[-1]), kind)
        biases = (self.parameter(f"{name}.bias", (width,), "bias"),) if bias else ()
        return self(ops.Linear(), x, weight, *biases, name=name)

    def layer_norm(self, x: Value, name: str, epsilon: float) -> Value:
        """A learned LayerNorm of the last axis."""
        weight = self.parameter(f"{name}.weight", (x.shape[-1],), "gain")
        bias = self.parameter(f"{name}.bias", (x.shape[-1],), "bias")
        return self(ops.LayerNorm(epsilon), x, weight, bias, name=name)

    def norm(self, kind: NormName, x: Value, name: str, epsilon: float) -> Value:
        """A learned norm of the last axis, or none."""
        if kind == "none":
            return x
        return (self.layer_norm if kind == "layer_norm" else self.rms_norm)(x, name, epsilon)

    def rms_norm(self, x: Value, name: str, epsilon: float) -> Value:
        """A learned RMSNorm of the last axis."""
        weight = self.parameter(f"{name}.weight", (x.shape[-1],), "gain")
        return self(ops.RMSNorm(epsilon), x, weight, name=name)

    def _check_size(self, what: str, shape: Shape) -> None:
        if shape in self._fitting:
            return
        if prod(dim.value or dim.bounds()[0] for dim in shape) > limits.ELEMENTS:
            raise TooLargeError(what, shape, self.origin)
        self._fitting.add(shape)

    def graph(self, outputs: Mapping[str, Value]) -> Graph:
        return Graph(
            self.name,
            self.symbols,
            tuple(self._inputs),
            tuple(self._parameters.values()),
            tuple(self._constants),
            tuple(self._nodes),
            dict(outputs),
            dict(self._blocks),
        )

    def _unique(self, name: str) -> str:
        candidate, count = name, 1
        while candidate in self._names:
            count += 1
            candidate = f"{name}_{count}"
        self._names.add(candidate)
        return candidate
