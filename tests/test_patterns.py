"""What a pattern finds in a graph, and that it finds nothing where one thing differs."""

from __future__ import annotations

import numpy as np
import pytest

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.ir.graph import Graph, Value
from perceiver_graph.compiler.passes.norms import PLAIN_NORM
from perceiver_graph.compiler.passes.patterns import MAP, Of
from perceiver_graph.compiler.passes.rewriter import Rewriter
from tests.rewrite_support import builder, data

ROWS = Of(ops.Gather, axis=0, table=Rewriter.known)


def lookup(axis: int = 0, *, known: bool = True) -> Graph:
    """A linear map of rows that are looked up in a table."""
    b = builder()
    x = data(b, "x", 4)
    table = b.parameter("table", (4, 4)) if known else x
    rows = b(ops.Gather(axis), table, data(b, "places", dtype="int64"), name="rows")
    return b.graph({"y": b.linear(rows, "y", 4)})


def names(pattern: Of, graph: Graph) -> list[str]:
    found = pattern.nodes(Rewriter(graph), graph.outputs["y"])
    return [node.name for node in found]


def test_nodes_come_in_the_order_in_which_they_are_written() -> None:
    b = builder()
    x = data(b, "x", 4, 4)
    left, right = b(ops.Relu(), x, name="left"), b(ops.Tanh(), x, name="right")
    graph = b.graph({"y": b(ops.Add(), left, right, name="y")})
    assert names(Of(ops.Add, b=Of(ops.Tanh), a=Of(ops.Relu)), graph) == ["y", "right", "left"]
    assert names(Of(ops.Add, a=Of(ops.Tanh), b=Of(ops.Relu)), graph) == []
    assert names(Of(ops.Mul, ops.Add), graph) == ["y"]
    assert names(Of(ops.Add, a=Of(ops.Relu, x=Of(ops.Relu))), graph) == []  # x is an input


@pytest.mark.parametrize(("axis", "known", "found"), [(0, True, 2), (1, True, 0), (0, False, 0)])
def test_attributes_are_equal_and_operands_pass_their_tests(
    axis: int, known: bool, found: int
) -> None:
    assert len(names(Of(ops.Linear, x=ROWS), lookup(axis, known=known))) == found


def test_all_operands_of_a_name_have_to_match_and_none_where_it_is_absent() -> None:
    b = builder()
    x = data(b, "x", 4, 4)
    one, other = b(ops.Relu(), x, name="one"), b(ops.Relu(), x, name="other")
    pattern = Of(ops.Concat, parts=Of(ops.Relu))
    assert names(pattern, b.graph({"y": b(ops.Concat(1), one, other, name="y")})) == [
        *("y", "one", "other")
    ]
    assert names(pattern, b.graph({"y": b(ops.Concat(1), one, x, name="z")})) == []
    weight = b.parameter("weight", (4, 4))
    assert names(MAP, b.graph({"y": b(ops.Linear(), x, weight, name="without")})) == ["without"]
    bias = b(ops.Mean(1), x)
    varying: Value = b(ops.Slice(0, 0, 1), bias)
    row = b(ops.Flatten(0, 1), varying)
    assert names(MAP, b.graph({"y": b(ops.Linear(), x, weight, row, name="varying")})) == []


@pytest.mark.parametrize(("gamma", "beta", "plain"), [(1, 0, True), (1, 1, False), (2, 0, False)])
def test_a_norm_is_plain_where_its_numbers_are_known_to_be(
    gamma: float, beta: float, plain: bool
) -> None:
    b = builder()
    x = data(b, "x", 4, 4)
    rows = (b.constant(f"row_{n}", np.full(4, n, np.float32)) for n in (gamma, beta))
    graph = b.graph({"y": b(ops.LayerNorm(1e-3), x, *rows, name="y")})
    assert bool(names(PLAIN_NORM, graph)) == plain
    assert names(PLAIN_NORM, b.graph({"y": b.layer_norm(x, "learned", 1e-3)})) == []


def test_an_rms_norm_is_plain_where_its_weight_is_known_to_be_one() -> None:
    b = builder()
    x = data(b, "x", 4, 4)
    for number, found in ((1, ["y"]), (2, [])):
        row = b.constant(f"row_{number}", np.full(4, number, np.float32))
        graph = b.graph({"y": b(ops.RMSNorm(1e-3), x, row, name="y" if found else "z")})
        assert names(PLAIN_NORM, graph) == found
    assert names(PLAIN_NORM, b.graph({"y": b.rms_norm(x, "learned", 1e-3)})) == []
