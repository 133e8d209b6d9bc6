"""Phases, and that the two programs together are the whole graph."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.builder import GraphBuilder
from perceiver_graph.compiler.dims import Symbol, shape_of
from perceiver_graph.compiler.interpreter import evaluate
from perceiver_graph.compiler.ir import Graph
from perceiver_graph.compiler.phases import phase_of, split
from perceiver_graph.compiler.pipeline import optimize
from perceiver_graph.compiler.verify import verify
from perceiver_graph.testing.graphs import arrays, graphs
from tests.support import content


def _perceiver(*, queries: bool = True, mask: bool = False) -> Graph:
    """A small Perceiver: image -> 4 latents -> `image` at the queries, `label` from the latents."""
    names = ["batch", *(["image_queries"] if queries else [])]
    b = GraphBuilder("small", {name: Symbol(name) for name in names})
    axes = ("batch", "n", "channel")
    x = b.input("image", "data", "image", axes, shape_of(b.symbols["batch"], 6, 5), "float32")
    if mask:
        b.input("label", "data", "label", axes[:2], shape_of(b.symbols["batch"], 7), "float32")
    table = b(ops.FourierTable(6, 0, 1, 2, 6.0), name="table")
    with b.block("encode", "Encode"):
        tokens = b(ops.Add(), x, table, name="tokens")
        query = b.linear(b.parameter("latents", (4, 5)), "query", 8)
        query = b(ops.BroadcastLike(1), query, tokens, name="query_batch")
        keys = b.linear(tokens, "key", 8)
        latents = b(ops.Attention(2), query, keys, b.linear(tokens, "value", 8), name="latents")
    with b.block("decode", "Decode"):
        label = b(ops.Flatten(1, 2), b.linear(latents, "classes", 7), name="label")
        rows = table
        if queries:
            positions = b.input(
                "image.queries",
                "queries",
                "image",
                ("query",),
                shape_of(b.symbols["image_queries"]),
                "int64",
            )
            rows = b(ops.Gather(0), table, positions, name="rows")
        query = b(ops.BroadcastLike(1), b.linear(rows, "query", 8), latents, name="query_batch")
        k, v = b.linear(latents, "key", 8), b.linear(latents, "value", 8)
        image = b(ops.Attention(1), query, k, v, name="image")
    return b.graph({"latents": latents, "image": image, "label": label})


def _assert_split_agrees(graph: Graph) -> None:
    programs = split(graph)
    inputs, parameters = arrays(graph)
    expected = evaluate(graph, inputs, parameters)
    state = evaluate(programs["encode"], inputs, parameters)
    got = evaluate(programs["decode"], {**inputs, **state}, parameters)
    assert list(got) == [name for name in graph.outputs if name != "latents"]
    for name, array in got.items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)
    np.testing.assert_array_equal(state["latents"], expected["latents"])


def test_phases_follow_what_values_depend_on() -> None:
    phases = {value.name: phase for value, phase in phase_of(_perceiver()).items()}
    early = {"table", "encode/query", "encode.query.weight", "decode.query.bias"}
    late = {"image.queries", "decode/rows", "decode/query", "decode/query_batch", "decode/image"}
    assert {name for name in phases if phases[name] == "compile"} >= early
    assert {name for name in phases if phases[name] == "decode"} == late
    assert phases["decode/key"] == phases["decode/label"] == phases["image"] == "encode"


def test_without_queries_decode_is_what_comes_after_the_latents() -> None:
    phases = {value.name: phase for value, phase in phase_of(_perceiver(queries=False)).items()}
    assert phases["encode/latents"] == "encode"
    assert phases["decode/query"] == "compile"
    assert {phases[name] for name in ("decode/key", "decode/image", "decode/label")} == {"decode"}


def test_programs_of_a_graph_with_queries() -> None:
    programs = split(_perceiver())
    assert list(programs["encode"].outputs) == [
        "latents",
        "decode/key",
        "decode/value",
        "decode/label",
    ]
    assert [(leaf.role, leaf.of) for leaf in programs["decode"].inputs] == [
        ("state", "decode/key"),
        ("state", "decode/value"),
        ("state", "decode/label"),
        ("queries", "image"),
    ]
    assert programs["decode"].inputs[0].axes == ("batch", "axis_1", "axis_2")
    assert list(programs["decode"].outputs) == ["image", "label"]
    assert (programs["encode"].name, programs["decode"].name) == ("small.encode", "small.decode")
    assert "image_queries" not in programs["encode"].symbols


def test_programs_of_a_graph_without_queries() -> None:
    programs = split(_perceiver(queries=False))
    assert list(programs["encode"].outputs) == ["latents", "encode/latents"]
    assert [leaf.of for leaf in programs["decode"].inputs] == ["encode/latents"]
    _assert_split_agrees(_perceiver(queries=False))


def test_each_program_has_only_what_it_needs() -> None:
    programs = split(_perceiver(mask=True))
    assert [leaf.value.name for leaf in programs["encode"].inputs] == ["image"]
    needed = {leaf.value.name for leaf in programs["decode"].parameters}
    assert needed == {"decode.query.weight", "decode.query.bias"}
    assert "decode.query.weight" not in {leaf.value.name for leaf in programs["encode"].parameters}
    both = [node.name for p in (programs["encode"], programs["decode"]) for node in p.nodes]
    assert both.count("table") == 2  # compile time: each program has its own
    assert both.count("decode/key") == 1


def test_latents_are_not_handed_over_for_their_batch_size_alone() -> None:
    (like,) = (n for n in split(_perceiver())["decode"].nodes if n.name == "decode/query_batch")
    assert [value.name for value in like.inputs] == ["decode/query", "decode/key"]


def test_sizes_are_taken_from_a_value_that_has_them() -> None:
    b = GraphBuilder("sizes", {name: Symbol(name) for name in ("batch", "image_queries")})
    batch, count = b.symbols["batch"], b.symbols["image_queries"]
    x = b.input("image", "data", "image", ("batch", "c"), shape_of(batch, 4), "float32")
    turned = b(ops.Permute((1, 0)), b(ops.Relu(), x), name="turned")
    positions = b.input("image.queries", "queries", "image", ("query",), shape_of(count), "int64")
    rows = b(ops.Gather(0), turned, positions)  # reads a state of the wrong leading size first
    repeated = b(ops.BroadcastLike(1), rows, b(ops.Tanh(), x, name="like"))
    scaled = b(ops.Gather(1), b(ops.Scale(2.0), x, name="scaled"), positions)
    graph = b.graph({"repeated": repeated, "scaled": scaled})
    states = [leaf.of for leaf in split(graph)["decode"].inputs if leaf.role == "state"]
    assert states == ["turned", "scaled"]
    programs = split(graph)
    verify(programs["encode"], "program")
    verify(programs["decode"], "program")


@pytest.mark.parametrize("queries", [True, False])
@pytest.mark.parametrize("level", [0, 2])
def test_programs_are_legal_and_agree_with_the_whole(queries: bool, level: int) -> None:
    graph = _perceiver(queries=queries)
    _, parameters = arrays(graph)
    graph = optimize(graph, level=2 if level else 0, parameters=parameters, verify=True)
    _assert_split_agrees(graph)
    for program in (split(graph)["encode"], split(graph)["decode"]):
        verify(program, "program")


@given(graphs())
def test_programs_of_random_graphs_agree_with_the_whole(graph: Graph) -> None:
    _assert_split_agrees(graph)
    assert content(split(graph)) == content(split(graph))


@given(graphs(queries=False))
def test_programs_of_random_graphs_without_queries_agree_with_the_whole(graph: Graph) -> None:
    _assert_split_agrees(graph)


@given(graphs())
def test_phases_only_go_forward(graph: Graph) -> None:
    order = ["compile", "encode", "decode"]
    phases = phase_of(graph)
    for node in graph.nodes:
        reads = [order.index(phases[value]) for value in node.inputs]
        assert order.index(phases[node.output]) >= max(reads, default=0)
