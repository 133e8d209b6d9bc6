"""What holds wherever a pass rewrites: names keep their numbers, the graph is legal, nothing is left."""

from __future__ import annotations

import numpy as np

from perceiver_graph.compiler import cost
from perceiver_graph.compiler.builder import GraphBuilder
from perceiver_graph.compiler.dims import Dim, Symbol, shape_of
from perceiver_graph.compiler.interpreter import evaluate, trace
from perceiver_graph.compiler.ir import Graph, Value
from perceiver_graph.compiler.ops.base import Array, Op
from perceiver_graph.compiler.passes import Pass, PassResult
from perceiver_graph.compiler.passes.rewriter import largest_sizes
from perceiver_graph.compiler.verify import verify
from perceiver_graph.testing.graphs import arrays

SIZES = {"batch": 2, "queries": 3}
BATCH = Symbol("batch")
QUERIES = Symbol("queries", max=1000)


def builder() -> GraphBuilder:
    return GraphBuilder("test", {"batch": BATCH, "queries": QUERIES})


def data(b: GraphBuilder, name: str, *shape: int | Dim | Symbol, dtype: str = "float32") -> Value:
    """An input with a batch axis."""
    sizes = shape_of(BATCH, *shape)
    axes = tuple(f"axis_{i}" for i in range(len(sizes)))
    role = "attention_mask" if dtype == "bool" and len(sizes) == 2 else "data"
    return b.input(name, role, name, axes, sizes, dtype)  # type: ignore[arg-type]


def fires(step: Pass, graph: Graph, *, cheaper: bool = True) -> PassResult:
    """The result, checked: a change, at no more FLOPs, after which there is nothing left to do."""
    result = step.run(graph)
    assert result.changed, result.notes
    check(graph, result.graph)
    sizes = largest_sizes(graph)
    before, after = (cost.flops(g, sizes) for g in (graph, result.graph))
    assert after < before or (after == before and not cheaper)
    again = step.run(result.graph)
    assert not again.changed, again.notes
    return result


def stays(step: Pass, graph: Graph, note: str) -> None:
    """The pass does nothing, and says why."""
    result = step.run(graph)
    assert not result.changed
    assert result.graph is graph
    assert any(note in line for line in result.notes), result.notes


Arrays = tuple[dict[str, Array], dict[str, Array]]
"""Inputs and parameters by name."""


def check(before: Graph, after: Graph, given: Arrays | None = None) -> None:
    """Values that keep their names keep types, scopes, origins and numbers; outputs are the same."""
    verify(after, "rewriting")
    assert list(after.outputs) == list(before.outputs)
    assert (after.inputs, after.parameters) == (before.inputs, before.parameters)
    kept = {node.name: node for node in after.nodes}
    order = [node.name for node in before.nodes if node.name in kept]
    for node in before.nodes:
        if node.name in kept:
            new = kept[node.name]
            found = (new.output.type, new.scope, new.origin)
            assert found == (node.output.type, node.scope, node.origin)
    assert [name for name in kept if name in order] == order
    inputs, parameters = given or random_arrays(before)
    old, new_values = (trace(graph, inputs, parameters) for graph in (before, after))
    for name in old.keys() & new_values.keys():
        agree(new_values[name], old[name], name)
    expected, found_outputs = (evaluate(g, inputs, parameters) for g in (before, after))
    for name, array in expected.items():
        agree(found_outputs[name], array, name)


def random_arrays(graph: Graph, seed: int = 0) -> Arrays:
    """Inputs and parameters in float64, so that only a wrong rewrite shows; variances positive."""
    sizes = {name: SIZES.get(name, 2) for name in graph.symbols}
    inputs, parameters = arrays(graph, sizes, seed)
    for name, array in parameters.items():
        wide = array.astype(np.float64)
        parameters[name] = np.abs(wide) + 0.1 if "running_var" in name else wide
    return inputs, parameters


def agree(found: Array, expected: Array, name: str) -> None:
    assert found.dtype == expected.dtype
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * scale, err_msg=name)


def kinds(graph: Graph) -> list[str]:
    """The primitives that are applied at run time, in order."""
    late = graph.descendants(leaf.value for leaf in graph.inputs)
    return [node.op.name for node in graph.nodes if node.output in late]


def made_by(graph: Graph, name: str) -> Op:
    return next(node.op for node in graph.nodes if node.name == name)
