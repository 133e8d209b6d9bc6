"""Whether a pass kept the numbers: numpy computes the graph before and after it.

The arrays are such that a wrong rewrite shows. All work is done in float64, so that nothing but
rounding may differ; in one trial all is so small that an epsilon matters. Every symbol has a size of
its own. Of each three samples one is not masked, one is in part and one as a whole, and all of these
meet where there are two masks. Every row of a table is looked up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import numpy as np

from perceiver_graph.compiler.ir.dims import Symbol
from perceiver_graph.compiler.ir.graph import Constant, Graph, Value
from perceiver_graph.compiler.ir.interpreter import trace
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.ir.verify import verify
from perceiver_graph.compiler.ops import BatchNorm, Coordinate, Gather, OneHot

Arrays = tuple[dict[str, Array], dict[str, Array]]
"""Inputs and parameters by name."""

TRIALS = 4
EXACT, FOLDED = 1e-9, 1e-6
"""How far numbers may be apart, as a share of the largest. Constants that a pass makes are float32."""


def judge(before: Graph, after: Graph, parameters: Mapping[str, Array] | None = None) -> None:
    """`AssertionError` unless names and numbers are kept; `parameters` where the pass knew them."""
    keep_names(before, after)
    for trial in range(TRIALS):
        inputs, drawn = arrays(before, trial)
        keep_numbers(before, after, (inputs, dict(parameters) if parameters else drawn))


def keep_names(before: Graph, after: Graph) -> None:
    """Values that keep their names keep type, scope, origin and order; outputs keep their names."""
    verify(after, "rewriting")
    assert list(after.outputs) == list(before.outputs)
    old, new = ({node.name: node for node in graph.nodes} for graph in (before, after))
    kept = [name for name in old if name in new]
    assert [name for name in new if name in old] == kept
    for name in kept:
        was, found = (
            (node.output.type, node.scope, node.origin) for node in (old[name], new[name])
        )
        assert found == was, f"%{name}"


def keep_numbers(before: Graph, after: Graph, given: Arrays) -> None:
    """Outputs and values that keep their names are equal up to rounding."""
    made = {c.value.name: c for c in after.constants if c not in before.constants}
    old, new = (trace(graph, *given) for graph in (before, after))
    for name in made.keys() & old.keys():
        agree(new[name], old[name], f"%{name}", FOLDED)
    # What rounding a folded value to float32 does further on is no fault of the pass: attention may
    # make much of it.
    rounded = _with(before, made)
    if rounded is not before:
        old = trace(rounded, *given)
    share = EXACT if made.keys() <= old.keys() else FOLDED
    for name in old:  # in order: the first that differs says where it went wrong
        if name in new:
            agree(new[name], old[name], f"%{name}", share)
    for name, value in before.outputs.items():
        agree(new[after.outputs[name].name], old[value.name], f"output {name}", share)


def _with(graph: Graph, constants: Mapping[str, Constant]) -> Graph:
    """The graph with constants in place of the nodes that compute them."""
    known = [constants[node.name] for node in graph.nodes if node.name in constants]
    if not known:
        return graph
    nodes = tuple(node for node in graph.nodes if node.name not in constants)
    return replace(graph, constants=(*graph.constants, *known), nodes=nodes)


def agree(found: Array, expected: Array, what: str, share: float) -> None:
    assert found.dtype == expected.dtype, what
    assert np.isfinite(expected).all(), what
    largest = float(np.abs(expected).max(initial=0))
    atol = share * largest + 1e-15
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol, err_msg=what)


def arrays(graph: Graph, trial: int = 0) -> Arrays:
    """Numbers for everything that a graph is given, other ones in each trial."""
    rng = np.random.default_rng(trial)
    scale = 0.03 if trial == 1 else 1.0
    sizes = {
        symbol.name: _size(symbol, trial, index)
        for index, symbol in enumerate(graph.symbols.values())
    }
    masks = [leaf.value for leaf in graph.inputs if leaf.value.dtype == "bool"]
    variances = {node.inputs[4] for node in graph.nodes if isinstance(node.op, BatchNorm)}

    def drawn(value: Value) -> Array:
        shape = tuple(dim.evaluate(sizes) for dim in value.shape)
        if value.dtype == "bool":
            return _mask(rng, shape, trial * masks.index(value))
        if value.dtype == "int64":
            places = np.arange(prod(shape)) % _rows(graph, value, sizes)
            return rng.permutation(places).reshape(shape)
        numbers = scale * rng.standard_normal(shape)
        return 0.1 * scale + np.abs(numbers) if value in variances else numbers

    inputs = {leaf.value.name: drawn(leaf.value) for leaf in graph.inputs}
    return inputs, {leaf.value.name: drawn(leaf.value) for leaf in graph.parameters}


def _size(symbol: Symbol, trial: int, index: int) -> int:
    """Batches of 3 and more, many of other things, and of everything as few as there may be."""
    steps = (2, 3, 4, 0) if symbol.name == "batch" else (4 + index, 7 + index, 40 + index, 0)
    size = symbol.lowest + steps[trial] * symbol.multiple_of
    return size if symbol.highest is None else min(size, symbol.highest)


def _mask(rng: np.random.Generator, shape: tuple[int, ...], turn: int) -> Array:
    """True everywhere, in some places and nowhere, sample by sample in turn."""
    there: Array = np.ones(shape, dtype=bool)
    for sample, places in enumerate(there.reshape(shape[0], -1)):
        kind = (sample + turn) % 3
        if kind:
            places[rng.permutation(places.size)[: -(-places.size // (3 - kind))]] = False
    return there


def _rows(graph: Graph, indices: Value, sizes: Mapping[str, int]) -> int:
    """How many there are to look up; coordinates begin again after the last."""
    rows, places = [], [1]
    for node in graph.users.get(indices, ()):
        match node.op:
            case Gather(axis=axis):
                rows.append(node.inputs[0].shape[axis].evaluate(sizes))
            case OneHot(classes=classes):
                rows.append(classes)
            case Coordinate(stride=stride, size=size):
                places.append(stride * size)
    return min(rows) if rows else max(places)
