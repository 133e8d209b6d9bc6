"""Attention by queries on a grid: positions by axis instead of by query."""

from __future__ import annotations

import itertools
import math

import pytest

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.ir.dims import shape_of
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.passes import (
    AbsorbProjections,
    ComposeLinear,
    FoldNormAffine,
    GatherParts,
    Pass,
    ScoreQueriesByAxis,
)
from perceiver_graph.spec.models import NormName
from tests.rewrite_support import NORMS, QUERIES, builder, check, data, fires, kinds, stays
from tests.test_passes_grid import position

ANY = ScoreQueriesByAxis(passes_flops=0)


def asks(
    *sizes: int,
    before: int = 2,
    after: int = 0,
    width: int = 40,
    heads: int = 1,
    kind: NormName = "layer_norm",
) -> Graph:
    """Pixels, looked up by their number, ask latents of their own sample."""
    b = builder()
    count = math.prod(sizes)
    x = data(b, "x", count, before)
    parts = [x, position(b, x, *sizes, width=width)]
    if after:
        parts.append(data(b, "y", count, after))
    tokens = b(ops.Concat(-1), *parts, name="tokens")
    index = b.input("queries", "queries", "y", ("queries",), shape_of(QUERIES), "int64")
    rows = b(ops.Gather(1), tokens, index, name="rows")
    query = b.linear(b.norm(kind, rows, "norm", 1e-3), "query", 2 * (before + width + after))
    latents = data(b, "latents", 6, int(query.shape[-1]))
    value = b.linear(latents, "value", 8)
    found = b(ops.Attention(heads), query, latents, value, name="found")
    return FoldNormAffine().run(b.graph({"out": found})).graph


def prepared(graph: Graph) -> Graph:
    """The projection of the queries with the keys, and their rows looked up by parts."""
    for step in (AbsorbProjections(), GatherParts()):
        graph = step.run(graph).graph
    return graph


@pytest.mark.parametrize("kind", NORMS)
@pytest.mark.parametrize(("before", "after"), [(2, 0), (1, 3)])
@pytest.mark.parametrize("sizes", [(4, 5), (2, 3, 4)])
def test_positions_are_not_multiplied_out(
    sizes: tuple[int, ...], before: int, after: int, kind: NormName
) -> None:
    result = fires(ANY, prepared(asks(*sizes, before=before, after=after, kind=kind)))
    assert result.notes[0] == "1 attention rewritten"
    assert not {"attention", kind} & set(kinds(result.graph))
    node = next(n for n in result.graph.nodes if isinstance(n.op, ops.TableAttention))
    mean = kind == "layer_norm"
    assert node.inputs[0].shape[-1] == before + after + mean + 1  # the bias of the projection
    assert [int(table.shape[1]) for table in node.inputs[4::2]] == list(sizes)


def test_where_passes_cost_more_than_products_it_stays() -> None:
    stays(ScoreQueriesByAxis(), prepared(asks(4, 5)), "few channels")
    fires(ScoreQueriesByAxis(passes_flops=30), prepared(asks(4, 5)))
    fires(ScoreQueriesByAxis(), prepared(asks(20, 30, width=200)))


def test_what_is_no_sum_over_axes_and_several_heads_stay() -> None:
    note = "asked by positions on a grid"
    stays(ANY, prepared(asks(20)), note)
    stays(ANY, prepared(asks(4, 5, heads=2)), note)  # whose projections stay as well
    stays(ANY, asks(4, 5), note)  # rows that are looked up as a whole


@pytest.mark.parametrize("kind", NORMS)
def test_any_order_gives_the_same_numbers(kind: NormName) -> None:
    graph = asks(4, 5, kind=kind)
    steps: list[Pass] = [AbsorbProjections(), GatherParts(), ANY, ComposeLinear()]
    for order in itertools.permutations(steps):
        result = graph
        for step in (*order, ANY):
            result = step.run(result).graph
        check(graph, result)
        assert "table_attention" in kinds(result)
