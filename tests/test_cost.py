"""Costs of graphs small enough to count by hand."""

from __future__ import annotations

import pytest
from hypothesis import given

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.builder import GraphBuilder
from perceiver_graph.compiler.ir.dims import Symbol, shape_of
from perceiver_graph.compiler.ir.graph import Graph, Value
from perceiver_graph.compiler.ir.interpreter import trace
from perceiver_graph.compiler.ir.op import TensorType
from perceiver_graph.compiler.passes import DeadCode
from perceiver_graph.compiler.passes.pipeline import optimize
from perceiver_graph.compiler.programs.cost import estimate, nbytes
from perceiver_graph.compiler.programs.phases import split
from perceiver_graph.testing.graphs import SIZES, arrays, graphs


def _perceiver() -> Graph:
    """Latents [4, 8] read x [batch, 10, 8]; queries of a table [6, 8] read the latents."""
    b = GraphBuilder("small", {name: Symbol(name, max=64) for name in ("batch", "y_queries")})
    batch, count = b.symbols["batch"], b.symbols["y_queries"]
    x = b.input("x", "data", "x", ("batch", "n", "c"), shape_of(batch, 10, 8), "float32")
    q = b(
        ops.Broadcast(x.shape[:1]), b.linear(b.parameter("latents", (4, 8)), "q", 8), name="batch_q"
    )
    kv = b.linear(x, "kv", 8)
    latents = b(ops.Attention(2), q, kv, kv, name="read")
    positions = b.input("y.queries", "queries", "y", ("query",), shape_of(count), "int64")
    rows = b(ops.Gather(0), b.parameter("table", (6, 8)), positions, name="rows")
    query = b(ops.Broadcast(latents.shape[:1]), rows, name="query")
    y = b.linear(b(ops.Attention(1), query, latents, latents, name="look"), "head", 3, bias=False)
    return b.graph({"latents": latents, "y": y})


def test_flops_and_bytes_of_each_phase() -> None:
    cost = estimate(_perceiver(), {"batch": 2, "y_queries": 5})
    compile_, encode, decode = (cost.phases[phase] for phase in ("compile", "encode", "decode"))
    assert compile_.flops == 2 * 4 * 8 * 8
    assert encode.flops == 2 * 2 * 10 * 8 * 8 + 2 * (2 * 4 * 10) * (8 + 8)
    assert decode.flops == 2 * (2 * 5 * 4) * (8 + 8) + 2 * 2 * 5 * 8 * 3
    assert cost.flops == encode.flops + decode.flops
    assert compile_.parameter_bytes == 4 * (4 * 8 + 8 * 8 + 8)
    assert encode.parameter_bytes == 4 * (8 * 8 + 8)
    assert decode.parameter_bytes == 4 * (6 * 8 + 3 * 8)
    assert encode.constant_bytes == 4 * 4 * 8  # the query, from compile time
    assert (compile_.constant_bytes, decode.constant_bytes) == (0, 0)
    assert (compile_.nodes, encode.nodes, decode.nodes) == (1, 3, 4)


def test_peak_memory_with_and_without_scores() -> None:
    cost = estimate(_perceiver(), {"batch": 2, "y_queries": 5})
    x, query, kv, latents = 2 * 10 * 8, 2 * 4 * 8, 2 * 10 * 8, 2 * 4 * 8
    encode = cost.phases["encode"]
    assert encode.peak_bytes == 4 * (x + query + kv + latents)
    # Two heads: no scores, but copies of queries, keys and values.
    assert encode.peak_bytes_with_scores == encode.peak_bytes + 4 * (query + 2 * kv)
    assert encode.peak_at == "read"
    wide, scores = 2 * 5 * 8, 2 * 5 * 4
    decode = cost.phases["decode"]  # given: the latents and the positions (int64)
    assert decode.peak_bytes == 4 * latents + 8 * 5 + 4 * (wide + wide)
    assert decode.peak_bytes_with_scores == decode.peak_bytes + 4 * scores


def test_reshapes_take_no_memory_and_keep_what_they_view_alive() -> None:
    b = GraphBuilder("views", {"batch": Symbol("batch")})
    x = b.input("x", "data", "x", ("batch", "c"), shape_of(b.symbols["batch"], 12), "float32")
    made = b(ops.Scale(2.0), x)
    view = b(ops.Flatten(1, 2), b(ops.Unflatten(1, (3, 4)), made))
    total = b(ops.Add(), b(ops.Relu(), view), view)
    views, read_later = b.graph({"view": view}), b.graph({"total": total})
    views = DeadCode().run(views).graph
    assert estimate(views).phases["encode"].peak_bytes == 4 * 12 * 2  # x, made
    assert estimate(read_later).phases["encode"].peak_bytes == 4 * 12 * 4  # and relu, total


def test_a_value_that_is_handed_over_stays_to_the_end() -> None:
    b = GraphBuilder("chain", {"batch": Symbol("batch")})
    x = b.input("x", "data", "x", ("batch", "c"), shape_of(b.symbols["batch"], 12), "float32")
    first = b(ops.Scale(2.0), x)
    last = b(ops.Relu(), b(ops.Relu(), b(ops.Relu(), first)))
    freed, kept = b.graph({"last": last}), b.graph({"first": first, "last": last})
    assert estimate(freed).phases["encode"].peak_bytes == 4 * 12 * 3  # x and two of the chain
    assert estimate(kept).phases["encode"].peak_bytes == 4 * 12 * 4


def test_programs_cost_what_their_phases_cost() -> None:
    sizes = {"batch": 2, "y_queries": 5}
    whole = estimate(_perceiver(), sizes)
    programs = split(_perceiver())
    encode = estimate(programs["encode"], {"batch": 2}).phases["encode"]
    decode = estimate(programs["decode"], sizes).phases["decode"]
    assert (encode, decode) == (whole.phases["encode"], whole.phases["decode"])


def test_folding_moves_bytes_from_parameters_to_constants() -> None:
    graph = _perceiver()
    _, parameters = arrays(graph, {"batch": 1, "y_queries": 1})
    cost = estimate(optimize(graph, level=2, parameters=parameters))
    assert cost.phases["compile"].nodes == 0
    assert cost.phases["compile"].peak_at == ""
    assert cost.phases["encode"].constant_bytes == 4 * 4 * 8


def test_sizes_left_out_are_the_smallest() -> None:
    graph = _perceiver()
    assert estimate(graph).bindings == {"batch": 1, "y_queries": 1}
    assert estimate(graph) == estimate(graph, {"batch": 1, "y_queries": 1})


def test_a_forbidden_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"y_queries.*65"):
        estimate(_perceiver(), {"y_queries": 65})


@pytest.mark.parametrize(
    ("dtype", "size"), [("float32", 4), ("int64", 8), ("bool", 1), ("bfloat16", 2)]
)
def test_bytes_of_a_value(dtype: str, size: int) -> None:
    batch = Symbol("batch")
    value = Value("x", TensorType(shape_of(batch, 5), dtype))  # type: ignore[arg-type]
    assert nbytes(value, {"batch": 3}) == 15 * size


@given(graphs())
def test_estimates_lie_between_what_must_live_and_what_is_made(graph: Graph) -> None:
    cost = estimate(graph, SIZES)
    values = trace(graph, *arrays(graph))
    everything = sum(array.nbytes for array in values.values())
    for phase in cost.phases.values():
        assert 0 <= phase.peak_bytes <= phase.peak_bytes_with_scores
        assert phase.peak_bytes <= everything
    assert cost.flops + cost.phases["compile"].flops == graph.flops.evaluate(SIZES)
