"""Each rewrite: where it fires and what it leaves, where it must not and what it says."""

from __future__ import annotations

from typing import Literal

import pytest

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.builder import GraphBuilder
from perceiver_graph.compiler.ir.dims import shape_of
from perceiver_graph.compiler.ir.graph import Graph, Value
from perceiver_graph.compiler.passes import (
    AbsorbProjections,
    ComposeLinear,
    DropKeyBias,
    FoldNormAffine,
)
from perceiver_graph.compiler.passes.rewriter import Rewriter, largest_sizes
from perceiver_graph.spec.models import NormName
from tests.rewrite_support import NORMS, QUERIES, builder, data, fires, kinds, made_by, stays

# DropKeyBias


def attention(
    heads: int = 1, *, mask: bool = False, rows: Literal["uniform", "zero"] = "uniform"
) -> tuple[GraphBuilder, Value, Value, Value, Value]:
    """Queries, keys, values and the result of an attention of 3 to 5 rows."""
    b = builder()
    x, y = data(b, "x", 5, 6), data(b, "y", 3, 6)
    q, k, v = b.linear(y, "query", 4), b.linear(x, "key", 4), b.linear(x, "value", 4)
    masks = (data(b, "x.attention_mask", 5, dtype="bool"),) if mask else ()
    found = b(ops.Attention(heads, rows), q, k, v, *masks, name="attended")
    return b, q, k, v, found


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("rows", ["uniform", "zero"])
def test_key_biases_are_dropped(heads: int, mask: bool, rows: Literal["uniform", "zero"]) -> None:
    b, _, _, _, found = attention(heads, mask=mask, rows=rows)
    result = fires(DropKeyBias(), b.graph({"y": found}), cheaper=False)
    assert result.notes == ("1 key bias dropped",)
    keys = next(node for node in result.graph.nodes if node.name == "key~linear")
    assert len(keys.inputs) == 2
    assert "key" not in [node.name for node in result.graph.nodes]


def test_a_row_added_to_all_keys_is_dropped_and_one_for_each_key_is_not() -> None:
    for shape, changed in (((4,), True), ((1, 4), True), ((5, 4), False)):
        b = builder()
        x = data(b, "x", 5, 4)
        k = b(ops.Add(), b.parameter("row", shape), x, name="key")
        graph = b.graph({"y": b(ops.Attention(2), x, k, x, name="y")})
        if changed:
            assert kinds(fires(DropKeyBias(), graph, cheaper=False).graph) == ["attention"]
        else:
            stays(DropKeyBias(), graph, "no bias is added to keys alone")


def test_keys_that_several_attentions_read_are_changed_for_all() -> None:
    b, q, k, v, found = attention()
    other = b(ops.Attention(2), q, k, v, name="other")
    fires(DropKeyBias(), b.graph({"y": found, "z": other}), cheaper=False)


@pytest.mark.parametrize("reader", ["values", "output", "another"])
def test_keys_that_are_something_else_too_keep_their_bias(reader: str) -> None:
    b, q, k, _, found = attention()
    outputs = {"y": found}
    if reader == "values":
        outputs["z"] = b(ops.Attention(1), q, k, k, name="z")
    elif reader == "output":
        outputs["z"] = k
    else:
        outputs["z"] = b(ops.Relu(), k, name="z")
    stays(DropKeyBias(), b.graph(outputs), "an output" if reader == "output" else "%z")


# FoldNormAffine


def test_a_norm_that_linear_maps_read_loses_its_affine_part() -> None:
    b = builder()
    x = b.layer_norm(data(b, "x", 5, 6), "norm", 1e-5)
    left, right = b.linear(x, "left", 3), b.linear(x, "right", 4, bias=False)
    result = fires(FoldNormAffine(), b.graph({"l": left, "r": right}), cheaper=False)
    assert kinds(result.graph) == ["layer_norm", "linear", "linear"]
    constants = {constant.value.name: constant.data for constant in result.graph.constants}
    assert (constants["ones.6"] == 1).all()
    assert not constants["zeros.6"].any()


def test_an_rms_norm_loses_its_weight_and_biases_stay_as_they_are() -> None:
    b = builder()
    x = b.rms_norm(data(b, "x", 5, 6), "norm", 1e-5)
    left, right = b.linear(x, "left", 3), b.linear(x, "right", 4, bias=False)
    result = fires(FoldNormAffine(), b.graph({"l": left, "r": right}), cheaper=False)
    assert kinds(result.graph) == ["rms_norm", "linear", "linear"]
    read = {node.name: [x.name for x in node.inputs[2:]] for node in result.graph.nodes}
    assert (read["left"], read["right"]) == (["left.bias"], [])


@pytest.mark.parametrize("kind", NORMS)
def test_a_norm_that_others_read_keeps_its_affine_part(kind: NormName) -> None:
    for output in (True, False):
        b = builder()
        x = b.norm(kind, data(b, "x", 5, 6), "norm", 1e-5)
        y = b.linear(x, "left", 3)
        graph = b.graph({"y": y, "z": x if output else b(ops.Relu(), x, name="relu")})
        stays(FoldNormAffine(), graph, "it is an output" if output else "%relu is no linear map")


@pytest.mark.parametrize("bias", [True, False])
def test_a_batch_norm_goes_into_the_convolution_or_the_map_before_it(bias: bool) -> None:
    for convolution in (True, False):
        b = builder()
        y = _batch_norm(b, _mapped(b, convolution, bias), 4)
        result = fires(FoldNormAffine(), b.graph({"y": y}), cheaper=False)
        assert kinds(result.graph) == ["conv" if convolution else "linear"]
        assert made_by(result.graph, "norm").name in ("conv", "linear")


def _mapped(b: GraphBuilder, convolution: bool, bias: bool) -> Value:
    x = data(b, "x", 5, 7, 2)
    if not convolution:
        return b.linear(x, "map", 4, bias=bias)
    biases = (b.parameter("map.bias", (4,)),) if bias else ()
    weight = b.parameter("map.weight", (4, 2, 3, 2))
    return b(ops.Conv((2, 1), ((1, 0), (0, 1))), x, weight, *biases, name="map")


def _batch_norm(b: GraphBuilder, x: Value, width: int) -> Value:
    names = ("weight", "bias", "running_mean", "running_var")
    statistics = [b.parameter(f"norm.{name}", (width,)) for name in names]
    return b(ops.BatchNorm(1e-3), x, *statistics, name="norm")


def test_a_batch_norm_stays_where_the_map_has_other_readers_or_there_is_none() -> None:
    b = builder()
    x = _mapped(b, True, True)
    graph = b.graph({"x": x, "y": _batch_norm(b, x, 4)})
    stays(FoldNormAffine(), graph, "%map is read by something else too")
    b = builder()
    graph = b.graph({"y": _batch_norm(b, b(ops.Relu(), data(b, "x", 5, 4)), 4)})
    stays(FoldNormAffine(), graph, "no convolution or linear map comes before it")


# AbsorbProjections


def encoder(heads: int = 1, *, mask: bool = False, tokens: int = 50) -> Graph:
    """Latents, the same for the whole batch, read tokens; a linear map follows."""
    b = builder()
    x = data(b, "x", tokens, 6)
    latents = b.linear(b.parameter("latents", (3, 5)), "query", 8)
    q = b(ops.Broadcast(x.shape[:1]), latents, name="query_batch")
    k, v = b.linear(x, "key", 8), b.linear(x, "value", 8)
    masks = (data(b, "x.attention_mask", tokens, dtype="bool"),) if mask else ()
    rows: Literal["uniform", "zero"] = "zero" if mask else "uniform"
    found = b(ops.Attention(heads, rows), q, k, v, *masks, name="attended")
    return b.graph({"y": b.linear(found, "output", 5)})


def test_constant_queries_take_on_the_projection_of_the_keys() -> None:
    result = fires(AbsorbProjections(), encoder())
    assert kinds(result.graph) == ["broadcast", "attention", "linear"]
    attended = next(n for n in result.graph.nodes if isinstance(n.op, ops.Attention))
    assert [value.name for value in attended.inputs[1:]] == ["x", "x"]
    (shared,) = [n for n in result.graph.nodes if isinstance(n.op, ops.Broadcast)]
    late = result.graph.descendants(leaf.value for leaf in result.graph.inputs)
    assert shared.inputs[0] not in late


def test_a_bias_of_values_stays_where_no_key_gives_zeros() -> None:
    result = fires(AbsorbProjections(), encoder(mask=True))
    assert result.notes == ("1 projection moved",)
    assert kinds(result.graph).count("linear") == 2  # of the values, and after the attention


def test_several_heads_keep_their_projections() -> None:
    stays(AbsorbProjections(), encoder(heads=2), "%attended stays: it has 2 heads")


def decoder(
    *, bias: bool = True, mask: bool = False, rows: Literal["uniform", "zero"] = "uniform"
) -> Graph:
    """Up to 1000 queries of 5 channels, the same for the whole batch, read 4 latents."""
    b = builder()
    y = b.input("y", "data", "y", ("n", "c"), shape_of(QUERIES, 5), "float32")
    latents = data(b, "latents", 4, 6)
    q = b.linear(y, "query", 8, bias=bias)
    q = b(ops.Broadcast(latents.shape[:1]), q, name="query_batch")
    k, v = b.linear(latents, "key", 8), b.linear(latents, "value", 8)
    masks = (data(b, "latents.attention_mask", 4, dtype="bool"),) if mask else ()
    found = b(ops.Attention(1, rows), q, k, v, *masks, name="attended")
    return b.graph({"y": b.linear(found, "output", 6)})


def test_keys_take_on_the_projection_of_many_queries_and_values_the_map_that_follows() -> None:
    result = fires(AbsorbProjections(), decoder(bias=False))
    late = kinds(result.graph)
    assert late[-1] == "attention"
    assert made_by(result.graph, "output") == ops.Attention(1)
    assert late.count("linear") == 2  # of the latents: keys and values


def test_the_bias_of_queries_becomes_a_channel() -> None:
    result = fires(AbsorbProjections(), decoder())
    attended = next(n for n in result.graph.nodes if isinstance(n.op, ops.Attention))
    assert [int(value.shape[-1]) for value in attended.inputs] == [6, 6, 6]
    assert "concat" in kinds(result.graph)


@pytest.mark.parametrize("rows", ["uniform", "zero"])
def test_masked_decoders(rows: Literal["uniform", "zero"]) -> None:
    result = fires(AbsorbProjections(), decoder(mask=True, rows=rows))
    absorbed = made_by(result.graph, "output").name == "attention"
    assert absorbed == (rows == "uniform")


def test_projections_stay_where_they_are_cheaper() -> None:
    b = builder()
    x, y = data(b, "x", 4, 30), data(b, "y", 4, 30)
    q, k, v = b.linear(y, "query", 2), b.linear(x, "key", 2), b.linear(x, "value", 2)
    found = b(ops.Attention(1), q, k, v, name="attended")
    graph = b.graph({"y": b.linear(found, "output", 30)})
    stays(AbsorbProjections(), graph, "would cost more with the")


def test_keys_that_are_the_values_too_may_move_and_are_then_computed_once() -> None:
    b = builder()
    x = data(b, "x", 50, 6)
    q = b(ops.Broadcast(x.shape[:1]), b.parameter("latents", (3, 8)))
    k = b.linear(x, "key", 8)
    result = fires(AbsorbProjections(), b.graph({"y": b(ops.Attention(1), q, k, k, name="y")}))
    assert "key" not in [node.name for node in result.graph.nodes]


# ComposeLinear


def test_two_maps_become_one_where_that_is_cheaper() -> None:
    b = builder()
    x = data(b, "x", 5, 6)
    y = b.linear(b.linear(x, "first", 7), "second", 2)
    result = fires(ComposeLinear(), b.graph({"y": y}))
    assert result.notes == ("1 map composed",)
    assert kinds(result.graph) == ["linear"]
    b = builder()
    y = b.linear(b.linear(data(b, "x", 5, 6), "narrow", 1), "wide", 6)
    stays(ComposeLinear(), b.graph({"y": y}), "%wide stays: one map instead of %narrow and it")


def test_all_readers_of_a_map_go_at_once_or_those_that_pay_alone() -> None:
    b = builder()
    first = b.linear(data(b, "x", 5, 6), "first", 5, bias=False)
    maps = {f"y{i}": b.linear(first, f"y{i}", 2) for i in range(2)}
    assert kinds(fires(ComposeLinear(), b.graph(maps)).graph) == ["linear"] * 2
    stays(ComposeLinear(), b.graph({**maps, "first": first}), "one map instead of")
    b = builder()
    first = b.linear(data(b, "x", 5, 4), "first", 9)
    graph = b.graph({"first": first, "y": b.linear(first, "y", 3)})
    assert len(fires(ComposeLinear(), graph).graph.nodes) == 4  # first stays for the output


def test_a_head_goes_past_the_residual_into_the_layer_before_it() -> None:
    b = builder()
    a = b(ops.Relu(), data(b, "x", 5, 8), name="a")
    hidden = b(ops.Gelu(), b.linear(a, "dense1", 8))
    total = b(ops.Add(), a, b.linear(hidden, "dense2", 8), name="total")
    y = b.linear(b.linear(total, "project", 6), "head", 2)
    result = fires(ComposeLinear(), b.graph({"y": y}))
    assert kinds(result.graph) == ["relu", "linear", "gelu", "linear", "linear", "add"]
    wide = [n for n in result.graph.nodes if n.op.name == "linear" and n.output.shape[-1] == 2]
    assert len([n for n in wide if n.output.type.rank == 3]) == 2


def test_a_sum_that_others_read_or_that_is_narrower_than_the_map_stays() -> None:
    for head, shared, note in ((2, True, "nothing composed"), (9, False, "it maps a sum")):
        b = builder()
        a = b(ops.Relu(), data(b, "x", 5, 8), name="a")
        total = b(ops.Add(), a, b.linear(a, "dense", 8), name="total")
        outputs = {"y": b.linear(total, "head", head)} | ({"total": total} if shared else {})
        stays(ComposeLinear(), b.graph(outputs), note)


def test_numbers_go_into_weights() -> None:
    b = builder()
    x = b(ops.Scale(0.5), data(b, "x", 5, 8), name="before")
    y = b(ops.Scale(3.0), b.linear(x, "map", 8), name="after")
    result = fires(ComposeLinear(), b.graph({"y": y}), cheaper=False)
    assert result.notes == ("2 maps composed",)
    assert kinds(result.graph) == ["linear"]


def test_rows_are_mapped_before_they_are_repeated() -> None:
    b = builder()
    x = data(b, "x", 5, 8)
    row = b(ops.Broadcast(shape_of(4)), b.parameter("row", (8,)))
    y = b.linear(b(ops.Broadcast(x.shape[:1]), row), "map", 3)
    result = fires(ComposeLinear(), b.graph({"y": y}))
    assert kinds(result.graph) == ["broadcast"]


# The rewriter


def test_what_is_added_is_called_after_its_node_and_stands_before_it() -> None:
    b = builder()
    x = data(b, "x", 5, 6)
    with b.block("attend", "Attend"):
        key = b.linear(x, "key", 4)
    graph = b.graph({"y": b(ops.Relu(), key, name="y")})
    rewriter = Rewriter(graph)
    for node in rewriter.visit():
        doubled = rewriter.add(ops.Scale(2.0), rewriter.add(ops.Scale(0.5), node["x"]))
        with rewriter.at(graph.nodes[0]):
            rewriter.add(ops.Relu(), x)
        rewriter.add(ops.Tanh(), doubled)
    nodes = {node.name: node for node in rewriter.graph().nodes}
    assert list(nodes) == [
        *("attend/key~scale", "attend/key~scale_2", "attend/key~relu", "attend/key~tanh"),
        *("attend/key~relu_2", "attend/key", "y~scale", "y~scale_2", "y~tanh", "y"),
    ]
    assert all(node.scope == ("attend",) * ("attend" in name) for name, node in nodes.items())


def test_what_was_added_lends_its_short_name_in_turn() -> None:
    b = builder()
    graph = b.graph({"y": b(ops.Relu(), data(b, "x", 5, 6), name="y~relu")})
    rewriter = Rewriter(graph)
    added = [rewriter.add(ops.Relu(), node.output).name for node in rewriter.visit()]
    assert added == ["y~relu_2"]


def test_nothing_is_added_where_nothing_is_visited() -> None:
    graph = decoder()
    with pytest.raises(AssertionError, match="while one is visited"):
        Rewriter(graph).add(ops.Relu(), graph.nodes[0].output)


def test_a_rewrite_that_changes_the_type_is_refused() -> None:
    b = builder()
    x = data(b, "x", 5, 6)
    graph = b.graph({"y": b.linear(x, "y", 4)})
    with pytest.raises(ValueError, match="gives something else than %y"):
        Rewriter(graph).rewrite(graph.nodes[0], ops.Relu(), x)


def test_costs_are_counted_for_the_largest_sizes() -> None:
    graph = decoder()
    assert largest_sizes(graph) == {"batch": 1, "queries": 1000}
