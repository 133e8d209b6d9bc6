"""Each pass: where it fires, where it must not, what it reports, and what it keeps.

And of all of them together: any order keeps the oracle's results.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.builder import GraphBuilder
from perceiver_graph.compiler.ir.dims import Symbol, shape_of
from perceiver_graph.compiler.ir.graph import Constant, Graph, Value
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ir.op import Array, TensorType
from perceiver_graph.compiler.ir.text import same_structure
from perceiver_graph.compiler.ir.verify import verify
from perceiver_graph.compiler.passes import (
    CommonSubexpressions,
    DeadCode,
    FoldConstants,
    Pass,
    PassResult,
)
from perceiver_graph.testing.graphs import arrays, graphs

PASSES: dict[str, Callable[[Mapping[str, Array]], Pass]] = {
    "fold": lambda _: FoldConstants(),
    "fold tightly": lambda _: FoldConstants(limit_bytes=40),
    "fold parameters": FoldConstants,
    "merge": lambda _: CommonSubexpressions(),
    "dead code": lambda _: DeadCode(),
    "dead leaves": lambda _: DeadCode(drop_unused_leaves=True),
}


def _builder() -> tuple[GraphBuilder, Value]:
    b = GraphBuilder("test", {"batch": Symbol("batch")})
    shape = shape_of(b.symbols["batch"], 6, 3)
    return b, b.input("x", "data", "x", ("batch", "n", "c"), shape, "float32")


def _table(b: GraphBuilder, name: str = "table", size: int = 6) -> Value:
    return b(ops.FourierTable(size, 0, 1, 1, 4.0), name=name)


def _names(graph: Graph) -> list[str]:
    return [node.name for node in graph.nodes]


def _constants(graph: Graph) -> dict[str, Array]:
    return {constant.value.name: constant.data for constant in graph.constants}


def _with_constants(graph: Graph, **data: Array) -> Graph:
    """The graph with constants for values that its nodes read already."""
    made = [
        Constant(value, data[value.name])
        for value in dict.fromkeys(value for node in graph.nodes for value in node.inputs)
        if value.name in data
    ]
    return replace(graph, constants=tuple(made))


def _assert_same_results(before: Graph, after: Graph) -> None:
    inputs, parameters = arrays(before)
    expected, got = (evaluate(graph, inputs, parameters) for graph in (before, after))
    assert list(got) == list(expected)
    for name, array in expected.items():
        np.testing.assert_allclose(got[name], array, rtol=1e-5, atol=1e-6, err_msg=name)
        assert got[name].dtype == array.dtype


# FoldConstants


def test_folding_keeps_only_the_last_of_a_chain() -> None:
    b, x = _builder()
    position = b(ops.Scale(0.5), b(ops.Add(), _table(b), _table(b, "other")), name="position")
    graph = b.graph({"y": b(ops.Add(), x, position, name="y")})
    result = FoldConstants().run(graph)
    assert result.changed
    assert result.notes == ("4 nodes became 1 constant of 72 B",)
    assert _names(result.graph) == ["y"]
    assert list(_constants(result.graph)) == ["position"]
    np.testing.assert_array_equal(
        _constants(result.graph)["position"],
        ops.Scale(0.5).evaluate(2 * ops.FourierTable(6, 0, 1, 1, 4.0).evaluate()),
    )
    _assert_same_results(graph, result.graph)


def test_a_known_value_that_is_read_on_the_way_is_kept_as_well() -> None:
    b, x = _builder()
    table = _table(b)
    scaled = b(ops.Scale(0.5), table, name="scaled")
    y = b(ops.Add(), b(ops.Add(), x, table), scaled, name="y")
    result = FoldConstants().run(b.graph({"y": y, "table": table}))
    assert list(_constants(result.graph)) == ["table", "scaled"]
    _assert_same_results(b.graph({"y": y, "table": table}), result.graph)


def test_an_output_can_become_a_constant() -> None:
    b, _ = _builder()
    graph = b.graph({"y": _table(b)})
    folded = FoldConstants().run(graph).graph
    assert folded.nodes == ()
    _assert_same_results(graph, folded)


def test_nothing_to_fold_is_said_and_returns_the_same_graph() -> None:
    b, x = _builder()
    graph = b.graph({"y": b(ops.Add(), x, b.parameter("p", (3,)))})
    result = FoldConstants().run(graph)
    assert result.graph is graph
    assert not result.changed
    (note,) = result.notes
    assert note == "nothing folded: no node depends on constants (no parameters given) only"


def test_known_nodes_that_nobody_needs_are_not_evaluated() -> None:
    b, x = _builder()
    _table(b)
    result = FoldConstants().run(b.graph({"y": b(ops.Relu(), x)}))
    assert not result.changed
    assert "not needed" in result.notes[-1]


def test_parameters_are_folded_only_with_their_values_and_stay_declared() -> None:
    b, x = _builder()
    latents = b.layer_norm(b.parameter("latents", (6, 3)), "norm", 1e-5)
    graph = b.graph({"y": b(ops.Add(), x, b.linear(latents, "query", 3), name="y")})
    _, parameters = arrays(graph)
    assert not FoldConstants().run(graph).changed
    part = {name: array for name, array in parameters.items() if not name.startswith("query")}
    assert list(_constants(FoldConstants(part).run(graph).graph)) == ["norm"]
    folded = FoldConstants(parameters).run(graph).graph
    assert _names(folded) == ["y"]
    assert list(_constants(folded)) == ["query"]
    assert folded.parameters == graph.parameters
    assert folded.parameter_count == graph.parameter_count
    _assert_same_results(graph, folded)


def test_a_constant_is_a_copy_of_the_parameter_it_views() -> None:
    b, x = _builder()
    row = b(ops.Flatten(0, 1), b.parameter("p", (1, 3)))
    graph = b.graph({"y": b(ops.Add(), x, row)})
    _, parameters = arrays(graph)
    (constant,) = FoldConstants(parameters).run(graph).graph.constants
    assert not np.shares_memory(constant.data, parameters["p"])


def test_float64_parameters_give_constants_of_the_recorded_type() -> None:
    b, x = _builder()
    graph = b.graph({"y": b(ops.Add(), x, b(ops.Relu(), b.parameter("p", (3,))))})
    folded = FoldConstants({"p": np.full(3, 0.1)}).run(graph).graph
    assert _constants(folded)["relu"].dtype == np.float32
    verify(folded, "optimized")


def _grid(limit_bytes: int) -> tuple[Graph, PassResult]:
    """A grid of 6 x 6 positions as the sum of two tables of 6 rows, flattened and added to x."""
    b = GraphBuilder("grid", {"batch": Symbol("batch")})
    shape = shape_of(b.symbols["batch"], 36, 3)
    x = b.input("x", "data", "x", ("batch", "n", "c"), shape, "float32")
    rows = b(ops.Unflatten(0, (6, 1)), _table(b, "height"), name="rows")
    columns = b(ops.Unflatten(0, (1, 6)), _table(b, "width"), name="columns")
    dense = b(ops.Flatten(0, 1), b(ops.Add(), rows, columns, name="sum"), name="dense")
    graph = b.graph({"y": b(ops.Add(), x, dense, name="y")})
    return graph, FoldConstants(limit_bytes=limit_bytes).run(graph)


def test_a_result_over_the_limit_and_bigger_than_its_sources_stays() -> None:
    graph, result = _grid(limit_bytes=400)  # dense is 36 x 3 x 4 = 432 B, its sources 2 x 72 B
    assert _names(result.graph) == ["sum", "dense", "y"]
    assert list(_constants(result.graph)) == ["rows", "columns"]
    assert result.notes == (
        "4 nodes became 2 constants of 144 B",
        "%sum stays: 432 B is over the limit of 400 B, its sources take 144 B",
        "%dense stays: 432 B is over the limit of 400 B, its sources take 144 B",
    )
    _assert_same_results(graph, result.graph)


def test_a_result_under_the_limit_is_folded() -> None:
    graph, result = _grid(limit_bytes=432)
    assert _names(result.graph) == ["y"]
    assert list(_constants(result.graph)) == ["dense"]
    _assert_same_results(graph, result.graph)


def test_a_result_over_the_limit_but_no_bigger_than_its_sources_is_folded() -> None:
    b, x = _builder()
    graph = b.graph({"y": b(ops.Add(), x, b(ops.Relu(), b.parameter("p", (6, 3)), name="relu"))})
    _, parameters = arrays(graph)
    assert FoldConstants(parameters, limit_bytes=1).run(graph).changed


# CommonSubexpressions


def test_equal_nodes_become_one_and_so_do_their_readers() -> None:
    b, x = _builder()
    first = b(ops.Gelu(), b(ops.Scale(2.0), x, name="s1"), name="g1")
    second = b(ops.Gelu(), b(ops.Scale(2.0), x, name="s2"), name="g2")
    graph = b.graph({"y": b(ops.Add(), first, second, name="y"), "g2": second})
    result = CommonSubexpressions().run(graph)
    assert result.changed
    assert result.notes == ("2 values merged", "%s2 is %s1", "%g2 is %g1")
    assert _names(result.graph) == ["s1", "g1", "y"]
    assert result.graph.outputs["g2"] is first
    _assert_same_results(graph, result.graph)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (ops.Scale(0.0), ops.Scale(-0.0)),
        (ops.Gelu("none"), ops.Gelu("tanh")),
        (ops.Relu(), ops.Tanh()),
        (ops.Slice(1, 0, 2), ops.Slice(1, 1, 3)),
    ],
    ids=str,
)
def test_different_nodes_stay_apart(left: ops.Op, right: ops.Op) -> None:
    b, x = _builder()
    graph = b.graph({"left": b(left, x), "right": b(right, x)})
    result = CommonSubexpressions().run(graph)
    assert (result.graph, result.changed) == (graph, False)
    assert result.notes == ("nothing merged: all nodes and constants differ",)


def test_order_of_inputs_and_equal_parameters_matter() -> None:
    b, x = _builder()
    p, q = b.parameter("p", (3,)), b.parameter("q", (3,))
    sums = {"a": b(ops.Add(), x, p), "b": b(ops.Add(), x, q), "c": b(ops.Add(), p, x)}
    assert not CommonSubexpressions().run(b.graph(sums)).changed


def test_equal_constants_become_one() -> None:
    b, x = _builder()
    values = {name: Value(name, TensorType(shape_of(3))) for name in ("c1", "c2", "zero", "minus")}
    outputs = {name: b(ops.Add(), x, value, name=f"y_{name}") for name, value in values.items()}
    zero, one = np.zeros(3, np.float32), np.ones(3, np.float32)
    graph = _with_constants(b.graph(outputs), c1=one, c2=one.copy(), zero=zero, minus=-zero)
    result = CommonSubexpressions().run(graph)
    assert list(_constants(result.graph)) == ["c1", "zero", "minus"]
    assert _names(result.graph) == ["y_c1", "y_zero", "y_minus"]
    assert result.notes == ("2 values merged", "%c2 is %c1", "%y_c2 is %y_c1")
    _assert_same_results(graph, result.graph)


def test_constants_of_equal_bytes_and_different_types_stay_apart() -> None:
    b, x = _builder()
    row, column = Value("row", TensorType(shape_of(1, 3))), Value("flat", TensorType(shape_of(3)))
    graph = b.graph({"a": b(ops.Add(), x, row), "b": b(ops.Add(), x, column)})
    data = np.ones(3, np.float32)
    graph = _with_constants(graph, row=data[None], flat=data)
    assert not CommonSubexpressions().run(graph).changed


# DeadCode


def _with_dead_ends() -> Graph:
    b, x = _builder()
    b.input("unused", "data", "unused", ("n",), shape_of(Symbol("length")), "float32")
    b.symbols["length"] = Symbol("length")
    b.parameter("unused.weight", (2,))
    with b.block("dead", "Dead"):
        b(ops.Relu(), b(ops.Scale(2.0), x))
    shift, gone = (Value(name, TensorType(shape_of(3))) for name in ("shift", "gone"))
    b(ops.Relu(), gone)
    graph = b.graph({"y": b(ops.Add(), x, shift, name="y")})
    ones = np.ones(3, np.float32)
    return _with_constants(graph, shift=ones, gone=ones)


def test_dead_nodes_and_constants_are_dropped_and_leaves_stay() -> None:
    graph = _with_dead_ends()
    result = DeadCode().run(graph)
    assert result.changed
    assert result.notes == ("3 nodes dropped", "1 constant dropped")
    assert _names(result.graph) == ["y"]
    assert list(_constants(result.graph)) == ["shift"]
    assert result.graph.inputs == graph.inputs
    assert result.graph.parameters == graph.parameters
    assert (result.graph.symbols, result.graph.blocks) == (graph.symbols, graph.blocks)


def test_programs_drop_unused_leaves_too() -> None:
    result = DeadCode(drop_unused_leaves=True).run(_with_dead_ends())
    assert result.notes == (
        "3 nodes dropped",
        "1 constant dropped",
        "1 input dropped",
        "1 parameter dropped",
        "1 symbol dropped",
        "1 block dropped",
    )
    assert list(result.graph.symbols) == ["batch"]
    verify(result.graph, "program")


def test_a_graph_without_dead_code_is_left_alone() -> None:
    b, x = _builder()
    graph = b.graph({"y": b(ops.Relu(), x)})
    result = DeadCode(drop_unused_leaves=True).run(graph)
    assert result.graph is graph
    assert not result.changed
    assert result.notes == ("nothing dropped: every output needs all of it",)


# Every pass


@given(graph=graphs(), order=st.lists(st.sampled_from(sorted(PASSES)), min_size=1, max_size=5))
def test_any_order_of_passes_keeps_the_results(graph: Graph, order: list[str]) -> None:
    _, parameters = arrays(graph)
    after = graph
    for name in order:
        result = PASSES[name](parameters).run(after)
        assert result.notes
        assert result.changed != (result.graph is after)
        assert result.changed != same_structure(result.graph, after)
        _assert_kept(after, result.graph)
        after = result.graph
        verify(after, "rewriting")
    _assert_same_results(graph, after)


def _assert_kept(before: Graph, after: Graph) -> None:
    """Names, types, scopes and origins of what is still there, and the order of nodes."""
    assert list(after.outputs) == list(before.outputs)
    types = {value.name: value.type for value in (*before.leaves, *before.producers)}
    assert all(types[v.name] == v.type for v in (*after.leaves, *after.producers))
    kept = {node.name: node for node in after.nodes}
    assert [name for name in _names(before) if name in kept] == _names(after)
    for node in before.nodes:
        if node.name in kept:
            new = kept[node.name]
            assert (new.op, new.scope, new.origin) == (node.op, node.scope, node.origin)


@given(graph=graphs(), name=st.sampled_from(sorted(PASSES)))
def test_a_second_run_finds_nothing(graph: Graph, name: str) -> None:
    _, parameters = arrays(graph)
    once = PASSES[name](parameters).run(graph).graph
    assert not PASSES[name](parameters).run(once).changed


def test_numbers_that_overflow_while_folding_are_no_defect() -> None:
    """A run tells of results that are not finite; folding must neither fail nor warn."""
    b = GraphBuilder("test", {})
    x = b.constant("large", np.full((2, 2), 3e38, np.float32))
    graph = b.graph({"y": b(ops.MatMul(), x, x)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        folded = FoldConstants().run(graph).graph
    assert [node.op for node in folded.nodes] == []
    assert np.isinf(evaluate(folded, {}, {})["y"]).all()
