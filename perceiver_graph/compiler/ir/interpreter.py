"""The oracle: runs a graph node by node with the numpy reference of each primitive.

Every backend and every pass is compared with it. It also checks that a primitive's numpy reference
and its shape rule agree, for the sizes it is run with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

from perceiver_graph.compiler.ir.dims import Dim, Symbol, format_shape
from perceiver_graph.compiler.ir.graph import Constant, Graph, Input, Node, Parameter, Value
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.spec.arithmetic import solve
from perceiver_graph.spec.symbols import check_symbol

_KINDS = {"bool": "b", "int64": "i"}
"""numpy's letter for a dtype; the floating-point types may stand for one another."""


class EvaluationError(ValueError):
    """What was supplied does not fit the graph, or a primitive broke its own shape rule."""


def evaluate(
    graph: Graph, inputs: Mapping[str, Array], parameters: Mapping[str, Array]
) -> dict[str, Array]:
    """The outputs by name. Values are dropped after their last use.

    Arrays are looked up by name; names that the graph does not declare are ignored, so the arrays
    of a whole graph do for its programs too. If any of the arrays is float64, all floating-point
    work is done in float64. `EvaluationError` for a missing array, a wrong shape or a wrong kind.
    """
    needed = graph.ancestors(graph.outputs.values())
    nodes = [node for node in graph.nodes if node.output in needed]
    uses = Counter(value for node in nodes for value in node.inputs)
    uses.update(graph.outputs.values())
    run = _Run(graph, inputs, parameters)
    for node in nodes:
        run.step(node)
        for value in node.inputs:
            uses[value] -= 1
            if not uses[value]:
                del run.values[value]
    return {name: run.value(value) for name, value in graph.outputs.items()}


def trace(
    graph: Graph, inputs: Mapping[str, Array], parameters: Mapping[str, Array]
) -> dict[str, Array]:
    """Every value that the graph declares or computes, by name; arguments as for `evaluate`."""
    run = _Run(graph, inputs, parameters)
    for value in graph.leaves:
        run.value(value)
    for node in graph.nodes:
        run.step(node)
    return {value.name: array for value, array in run.values.items()}


def bindings(graph: Graph, inputs: Mapping[str, Array]) -> dict[str, int]:
    """The size of every symbol that is given, or can be told from the shapes of the inputs.

    `EvaluationError` for a missing input, a wrong number of axes, a forbidden size, or two inputs
    that disagree.
    """
    axes = [(leaf.value, *axis) for leaf in graph.inputs for axis in _axes(leaf, inputs)]
    found = {i.of: int(inputs[i.value.name][0]) for i in graph.inputs if i.role == "size"}
    # Bare names first: they say more plainly than `time/16` what was meant.
    plain_first = sorted(axes, key=lambda axis: str(axis[1]) not in graph.symbols)
    known = -1
    while known < len(found):
        known = len(found)
        for _, dim, size in plain_first:
            unknown = [symbol for symbol in dim.symbols if symbol.name not in found]
            if len(unknown) == 1:
                solution = _solve(dim, unknown[0], found, size)
                if solution is not None:
                    found[unknown[0].name] = solution
    for value, dim, size in axes:
        if all(symbol.name in found for symbol in dim.symbols):
            expected = dim.evaluate(found)
            if expected != size:
                raise EvaluationError(
                    f"input `{value.name}` has {size} where {value.type} has `{dim}`"
                    f"{_with_bindings(found)}: expected {expected}"
                )
    return found


class _Run:
    """The values computed so far, for one set of arrays."""

    def __init__(
        self, graph: Graph, inputs: Mapping[str, Array], parameters: Mapping[str, Array]
    ) -> None:
        self.graph = graph
        self.inputs = inputs
        self.parameters = parameters
        self.sizes = bindings(graph, inputs)
        self.double = any(
            name in given and np.asarray(given[name]).dtype == np.float64
            for given, names in (
                (inputs, [leaf.value.name for leaf in graph.inputs]),
                (parameters, [leaf.value.name for leaf in graph.parameters]),
            )
            for name in names
        )
        self.values: dict[Value, Array] = {}

    def value(self, value: Value) -> Array:
        """The array of a leaf, looked up on first use, or of a value computed before."""
        if value not in self.values:
            leaf = self.graph.leaves.get(value)
            if leaf is None:
                raise EvaluationError(f"`{value.name}` is read before it is computed")
            self.values[value] = self._checked(value, self._supplied(leaf), "")
        return self.values[value]

    def step(self, node: Node) -> None:
        """Compute the output of a node."""
        arrays = [self.value(value) for value in node.inputs]
        result = np.asarray(node.op.bound(self.sizes).evaluate(*arrays))
        self.values[node.output] = self._checked(node.output, result, f" from {node.op}")

    def _supplied(self, leaf: Input | Parameter | Constant) -> Array:
        if isinstance(leaf, Constant):
            return leaf.data
        is_input = isinstance(leaf, Input)
        arrays = self.inputs if is_input else self.parameters
        if leaf.value.name not in arrays:
            kind = "input" if is_input else "parameter"
            raise EvaluationError(f"{kind} `{leaf.value.name}` ({leaf.value.type}) is missing")
        return np.asarray(arrays[leaf.value.name])

    def _checked(self, value: Value, array: Array, source: str) -> Array:
        try:
            expected = tuple(dim.evaluate(self.sizes) for dim in value.shape)
        except ValueError as error:
            raise EvaluationError(f"`{value.name}`: {error}{_with_bindings(self.sizes)}") from error
        kind = _KINDS.get(value.dtype, "f")
        # `V` is how numpy files the bfloat16 of other packages.
        if array.shape != expected or array.dtype.kind not in (kind if kind != "f" else "fV"):
            raise EvaluationError(
                f"`{value.name}`{source} should be {value.type}{_with_bindings(self.sizes)}, "
                f"got {array.dtype}{list(array.shape)}"
            )
        if self.double and kind == "f":
            return array.astype(np.float64, copy=False)
        return array


def _axes(leaf: Input, inputs: Mapping[str, Array]) -> Iterable[tuple[Dim, int]]:
    """Each axis of an input with the size that was supplied."""
    value = leaf.value
    if value.name not in inputs:
        raise EvaluationError(f"input `{value.name}` ({value.type}) is missing")
    shape = np.shape(inputs[value.name])
    if len(shape) != len(value.shape):
        raise EvaluationError(
            f"input `{value.name}` should have {len(value.shape)} axes "
            f"{format_shape(value.shape)}, got {list(shape)}"
        )
    return zip(value.shape, shape, strict=True)


def _solve(dim: Dim, symbol: Symbol, found: Mapping[str, int], size: int) -> int | None:
    """The size of `symbol` for which `dim` is `size`, if there is one that it permits."""
    if dim == Dim.of(symbol):
        if problem := check_symbol(symbol, size):
            raise EvaluationError(problem)
        return size
    low, high, step = symbol.lowest, symbol.highest, symbol.multiple_of
    return solve(lambda n: dim.evaluate({**found, symbol.name: n}), size, low, high, step)


def _with_bindings(found: Mapping[str, int]) -> str:
    sizes = ", ".join(f"{name}={size}" for name, size in sorted(found.items()))
    return f" with {sizes}" if sizes else ""
