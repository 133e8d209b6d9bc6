"""Lookups of rows in the parts of a table: where they are divided, and where not."""

from __future__ import annotations

import itertools

import pytest

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.builder import GraphBuilder
from perceiver_graph.compiler.ir.dims import shape_of
from perceiver_graph.compiler.ir.graph import Graph, Value
from perceiver_graph.compiler.passes import (
    CommonSubexpressions,
    FoldNormAffine,
    GatherParts,
    NormOfConcat,
    Pass,
)
from tests.rewrite_support import QUERIES, builder, check, data, fires, kinds, stays

POINTS = (2, 3, 4)


def positions(b: GraphBuilder) -> Value:
    """Of the points of a grid, [24, 5]."""
    total = None
    for axis, size in enumerate(POINTS):
        shape = [size if a == axis else 1 for a in range(len(POINTS))]
        table = b.parameter(f"axis.{axis}", (*shape, 5))
        total = table if total is None else b(ops.Add(), total, table)
    assert total is not None
    return b(ops.Flatten(0, 2), total, name="positions")


def picture(*, grid: bool = True, whole: bool = False, own: bool = True) -> Graph:
    """Queries made of tokens, which are data, the same in no two samples, and positions."""
    b = builder()
    x = data(b, "x", 24, 3)
    rows = positions(b) if grid else b.parameter("positions", (24, 5))
    position = b(ops.Broadcast(x.shape[:1]), rows, name="positions.batch")
    tokens = b(ops.Concat(-1), *((x, position) if own else (position, position)), name="tokens")
    index = b.input("queries", "queries", "y", ("queries",), shape_of(QUERIES), "int64")
    found = b(ops.Gather(1), tokens, index, name="rows")
    outputs = {"y": b.linear(b.layer_norm(found, "norm", 1e-3), "y", 4)}
    if whole:
        outputs["all"] = b.linear(tokens, "all", 4)
    return b.graph(outputs)


@pytest.mark.parametrize("grid", [True, False])
def test_rows_are_put_together_from_parts(grid: bool) -> None:
    graph = picture(grid=grid)
    result = fires(GatherParts(), graph, cheaper=False)
    assert result.notes[0] == ("2 lookups divided" if grid else "1 lookup divided")
    assert kinds(result.graph).count("gather") == (1 + len(POINTS) if grid else 2)
    joined = [node for node in result.graph.nodes if isinstance(node.op, ops.Concat)]
    assert [node.name for node in joined] == ["rows"]  # the tokens are never put together


def test_what_is_read_as_a_whole_stays() -> None:
    stays(GatherParts(), picture(whole=True), "%tokens is read as a whole, too")


def test_what_is_the_same_for_each_sample_needs_something_that_is_not() -> None:
    stays(GatherParts(), picture(own=False), "nothing divided")


def test_learned_rows_stay() -> None:
    b = builder()
    index = b.input("queries", "queries", "y", ("queries",), shape_of(QUERIES), "int64")
    table = b.parameter("positions", (24, 5))
    stays(GatherParts(), b.graph({"y": b(ops.Gather(0), table, index)}), "nothing divided")


def test_any_order_gives_the_same_numbers() -> None:
    graph = picture()
    steps: list[Pass] = [GatherParts(), CommonSubexpressions(), FoldNormAffine(), NormOfConcat()]
    for order in itertools.permutations(steps):
        result = graph
        for step in order:
            result = step.run(result).graph
        check(graph, result)
        assert kinds(result).count("gather") == 1 + len(POINTS)
