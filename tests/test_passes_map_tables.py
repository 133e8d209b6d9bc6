"""Maps of tables that rows are looked up in, which are known beforehand."""

from __future__ import annotations

import itertools

import pytest

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.builder import GraphBuilder
from perceiver_graph.compiler.ir.dims import shape_of
from perceiver_graph.compiler.ir.graph import Graph, Value
from perceiver_graph.compiler.passes import (
    ComposeLinear,
    FoldConstants,
    FoldNormAffine,
    MapTables,
    Pass,
)
from perceiver_graph.spec.models import NormName
from tests.rewrite_support import NORMS, QUERIES, builder, check, data, fires, kinds, stays


def looked_up(b: GraphBuilder, table: Value) -> Value:
    index = b.input("queries", "queries", "y", ("queries",), shape_of(QUERIES), "int64")
    return b(ops.Gather(0), table, index, name="rows")


def learned(width: int = 4, kind: NormName = "layer_norm") -> Graph:
    """Learned queries, normalised and projected, and themselves."""
    b = builder()
    rows = looked_up(b, b.parameter("positions", (24, 6)))
    query = b.linear(b.norm(kind, rows, "norm", 1e-3), "query", width)
    return b.graph({"query": query, "rows": rows})


@pytest.mark.parametrize("kind", NORMS)
def test_tables_are_mapped_before_lookups(kind: NormName) -> None:
    result = fires(MapTables(), learned(kind=kind))
    assert result.notes[0] == "2 maps of tables known beforehand"
    assert kinds(result.graph) == ["gather", "gather"]


def test_tables_that_would_grow_stay() -> None:
    result = fires(MapTables(), learned(13), cheaper=False)
    assert result.notes[0].startswith("1 map")  # the norm
    assert "linear" in kinds(result.graph)
    b = builder()
    rows = looked_up(b, b.parameter("positions", (24, 6)))
    stays(MapTables(), b.graph({"y": b.linear(rows, "wide", 13)}), "would be larger")


def test_maps_of_data_stay() -> None:
    b = builder()
    x = b(ops.Flatten(0, 1), data(b, "x", 24, 6))
    graph = b.graph({"y": b.linear(looked_up(b, x), "query", 4)})
    stays(MapTables(), graph, "nothing mapped")


def test_mapping_in_another_order_gives_the_same() -> None:
    graph = learned()
    steps: list[Pass] = [MapTables(), FoldNormAffine(), ComposeLinear(), FoldConstants()]
    for order in itertools.permutations(steps):
        result = graph
        for step in (*order, MapTables()):
            result = step.run(result).graph
        check(graph, result)
        assert kinds(result) == ["gather", "gather"]
