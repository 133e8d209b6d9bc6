"""Phases, and that the two programs together are the whole graph."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.builder import GraphBuilder
from perceiver_graph.compiler.ir.dims import Dim, Symbol, shape_of
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ir.verify import verify
from perceiver_graph.compiler.passes.pipeline import optimize
from perceiver_graph.compiler.programs.phases import phase_of, split
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
        query = b(ops.Broadcast(tokens.shape[:1]), query, name="query_batch")
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
        query = b(ops.Broadcast(latents.shape[:1]), b.linear(rows, "query", 8), name="query_batch")
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


def _repeating(*, handed_over: bool) -> Graph:
    """Rows that decode looks up and repeats for a batch of texts, which it may read besides."""
    names = ("batch", "length", "image_queries")
    b = GraphBuilder("sizes", {name: Symbol(name) for name in names})
    batch, length, count = (Dim.of(b.symbols[name]) for name in names)
    x = b.input("text", "data", "text", ("batch", "n"), (batch, length), "float32")
    positions = b.input("image.queries", "queries", "image", ("query",), (count,), "int64")
    rows = b(ops.Gather(0), b.parameter("table", (6, 4)), positions, name="rows")
    repeated = b(ops.Broadcast((batch, length)), rows, name="repeated")
    ones = b(ops.Broadcast((batch, count)), b.constant("one", np.ones(4, np.float32)))
    outputs = {"latents": b(ops.Relu(), x), "repeated": repeated, "ones": ones}
    if handed_over:
        outputs["picked"] = b(ops.Gather(1), b(ops.Tanh(), x, name="tanh"), positions)
    return b.graph(outputs)


@pytest.mark.parametrize(
    ("handed_over", "given"), [(False, ["batch", "length"]), (True, [])], ids=str
)
def test_decode_is_given_the_sizes_that_nothing_it_reads_says(
    handed_over: bool, given: list[str]
) -> None:
    graph = _repeating(handed_over=handed_over)
    verify(graph, "lowered")
    programs = split(graph)
    verify(programs["encode"], "program")
    verify(programs["decode"], "program")
    inputs, parameters = arrays(graph, {"batch": 2, "length": 5, "image_queries": 3})
    sizes = {leaf.of: leaf.value.name for leaf in programs["decode"].inputs if leaf.role == "size"}
    assert list(sizes) == given
    assert [leaf.of for leaf in programs["decode"].inputs if leaf.role == "state"] == (
        ["tanh"] if handed_over else []
    )
    known = {"batch.size": np.array([2]), "length.size": np.array([5])}
    state = evaluate(programs["encode"], inputs, parameters)
    found = evaluate(programs["decode"], {**inputs, **state, **known}, parameters)
    for name, array in evaluate(graph, inputs, parameters).items():
        np.testing.assert_array_equal(found.get(name, state.get(name)), array)


def test_an_input_is_kept_for_a_size_that_it_alone_says() -> None:
    """And only the first of two; one whose numbers are read will do for all."""
    b = GraphBuilder("sizes", {"batch": Symbol("batch"), "length": Symbol("length")})
    batch, length = (Dim.of(b.symbols[name]) for name in ("batch", "length"))
    for name, shape in {"x": (batch,), "y": (length, batch), "z": (length,)}.items():
        b.input(name, "data", name, tuple("ab"[: len(shape)]), shape, "float32")
    row = b(ops.Broadcast((batch, length)), b.parameter("row", (4,)), name="rows")
    encode = split(b.graph({"latents": row}))["encode"]
    assert [leaf.value.name for leaf in encode.inputs] == ["x", "y"]
    verify(encode, "program")


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


def test_what_nobody_reads_comes_behind_what_it_reads() -> None:
    """A broadcast that only decoding reads, and a map of it whose result nobody reads."""
    b = GraphBuilder("small", {"batch": Symbol("batch")})
    x = b.input(
        "image", "data", "image", ("batch", "n"), shape_of(b.symbols["batch"], 4), "float32"
    )
    rows = b(ops.Broadcast(x.shape[:1]), b.parameter("table", (4,)), name="rows")
    b.linear(rows, "unread", 4)
    graph = b.graph({"latents": x, "out": b(ops.Add(), x, rows, name="out")})
    phases = phase_of(graph)
    assert {phases[node.output] for node in graph.nodes} == {"decode"}
