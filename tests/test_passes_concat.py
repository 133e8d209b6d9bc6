"""Tokens put together from parts: norms of constant channels, attention to several sources."""

from __future__ import annotations

import numpy as np
import pytest

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.builder import GraphBuilder
from perceiver_graph.compiler.ir.dims import shape_of
from perceiver_graph.compiler.ir.graph import Graph, Value
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.passes import NormOfConcat, SplitAttention
from perceiver_graph.spec.models import NormName
from tests.judge import arrays
from tests.rewrite_support import (
    NORMS,
    builder,
    check,
    data,
    fires,
    kinds,
    made_by,
    stays,
)


def tokens(b: GraphBuilder, name: str, count: int, channels: int, *, masked: bool = False) -> Value:
    """Data, positions and padding of 20 channels in all; one token may stand for all of them."""
    x = data(b, name, count, channels)
    position = b.parameter(f"{name}.position", (count, 3))
    position = b(ops.Broadcast(x.shape[:1]), position, name=f"{name}.position.batch")
    x = b(ops.Concat(-1), x, position, name=f"{name}.with_position")
    padding = b.parameter(f"{name}.padding", (20 - channels - 3,))
    padding = b(ops.Broadcast(x.shape[:2]), padding, name=f"{name}.padding.tokens")
    x = b(ops.Concat(-1), x, padding, name=f"{name}.padded")
    if not masked:
        return x
    present = data(b, f"{name}.present", 1, 1, dtype="bool")
    return b(ops.Where(), present, x, b.parameter(f"{name}.token", (20,)), name=f"{name}.masked")


@pytest.mark.parametrize("kind", NORMS)
@pytest.mark.parametrize("masked", [False, True])
def test_constant_channels_are_not_built(masked: bool, kind: NormName) -> None:
    b = builder()
    norm = b.norm(kind, tokens(b, "x", 7, 2, masked=masked), "norm", 1e-5)
    maps = {name: b.linear(norm, name, 4, bias=name == "key") for name in ("key", "value")}
    result = fires(NormOfConcat(), b.graph(maps))
    assert result.notes == ("1 norm rewritten",)
    assert kind not in kinds(result.graph)
    key = next(node for node in result.graph.nodes if node.name == "key")
    mean = kind == "layer_norm"
    assert (
        key.inputs[0].shape[-1] == 2 + 3 + 1 + mean + masked
    )  # data, position, 1 (, mean) (, token)


def test_constant_channels_may_lie_anywhere() -> None:
    b = builder()
    x = data(b, "x", 7, 2)
    rows = [b(ops.Broadcast(x.shape[:2]), b.parameter(f"p{i}", (4,))) for i in range(2)]
    joined = b(ops.Concat(-1), rows[0], x, rows[1], x)
    y = b.linear(b.layer_norm(joined, "norm", 1e-5), "y", 3)
    result = fires(NormOfConcat(), b.graph({"y": y}))
    (node,) = [node for node in result.graph.nodes if node.name == "y"]
    assert node.inputs[0].shape[-1] == 2 + 2 + 2


@pytest.mark.parametrize("kind", NORMS)
def test_numbers_far_from_zero_lose_no_digits(kind: NormName) -> None:
    """The variance is not the difference of two large numbers."""
    b = builder()
    x = tokens(b, "x", 7, 2)
    graph = b.graph({"y": b.linear(b.norm(kind, x, "norm", 1e-5), "y", 3)})
    after = fires(NormOfConcat(), graph).graph
    inputs, parameters = (
        {name: array.astype(np.float32) for name, array in given.items()} for given in arrays(graph)
    )
    for name in ("x.position", "x.padding"):
        parameters[name] += 300
    inputs["x"] += 300
    exact = {name: array.astype(np.float64) for name, array in parameters.items()}
    expected = evaluate(graph, inputs, exact)["y"]
    scale = np.abs(expected).max()
    error = np.abs(evaluate(after, inputs, parameters)["y"] - expected).max() / scale
    reference = np.abs(evaluate(graph, inputs, parameters)["y"] - expected).max() / scale
    assert error < 4 * reference + 1e-6


def test_norms_without_constant_channels_or_with_other_readers_stay() -> None:
    b = builder()
    x = data(b, "x", 7, 20)
    y = b.linear(b.layer_norm(x, "norm", 1e-5), "y", 3)
    stays(NormOfConcat(), b.graph({"y": y}), "no norm has constant channels")
    b = builder()
    norm = b.layer_norm(tokens(b, "x", 7, 2), "norm", 1e-5)
    y, relu = b.linear(norm, "y", 3), b(ops.Relu(), norm, name="relu")
    stays(NormOfConcat(), b.graph({"y": y, "z": relu}), "%relu is no linear map of it")
    stays(NormOfConcat(), b.graph({"y": y, "z": norm}), "it is an output")


def test_too_few_constant_channels_stay() -> None:
    b = builder()
    x = tokens(b, "x", 7, 16)  # 16 + 3 + 2 channels for 20
    y = b.linear(b.layer_norm(x, "norm", 1e-5), "y", 3)
    stays(NormOfConcat(), b.graph({"y": y}), "no norm has constant channels")


def joined(
    heads: int = 1, *, masked: bool = False, mask: bool = False, kind: NormName = "layer_norm"
) -> Graph:
    """Latents read two kinds of tokens and one that is always the same."""
    b = builder()
    parts = [tokens(b, "x", 9, 2, masked=masked), tokens(b, "z", 4, 6)]
    row = b(ops.Broadcast(shape_of(1)), b.parameter("label", (20,)), name="label.rows")
    parts.append(b(ops.Broadcast(parts[0].shape[:1]), row, name="label.tokens"))
    x = b.norm(kind, b(ops.Concat(1), *parts, name="joined"), "norm", 1e-5)
    q = b(ops.Broadcast(parts[0].shape[:1]), b.linear(b.parameter("latents", (2, 5)), "query", 20))
    k, v = b.linear(x, "key", 20), b.linear(x, "value", 20)
    masks = (data(b, "x.attention_mask", 14, dtype="bool"),) if mask else ()
    found = b(ops.Attention(heads), q, k, v, *masks, name="attended")
    return b.graph({"y": b.linear(found, "output", 5)})


@pytest.mark.parametrize("kind", NORMS)
@pytest.mark.parametrize("masked", [False, True])
def test_sources_are_mapped_one_by_one_and_attended_to_jointly(
    masked: bool, kind: NormName
) -> None:
    graph = joined(masked=masked, kind=kind)
    apart = fires(NormOfConcat(), graph).graph
    result = fires(SplitAttention(), apart)
    check(graph, result.graph)
    joint = next(n for n in result.graph.nodes if isinstance(n.op, ops.SegmentedAttention))
    less = kind == "rms_norm"  # no channel for a mean
    widths = [7 + masked - less, 11 - less, 20]
    assert [int(value.shape[-1]) for value in joint.inputs[1::3]] == widths
    assert joint.inputs[1::3] == joint.inputs[2::3]
    assert made_by(result.graph, "attended") == ops.Linear()


def test_attention_with_heads_or_a_mask_is_not_split() -> None:
    for graph, note in ((joined(2), "it has 2 heads"), (joined(mask=True), "it has a mask")):
        apart = NormOfConcat().run(graph).graph
        stays(SplitAttention(), apart, f"%attended stays: {note}")
    stays(SplitAttention(), joined(), "no keys and values are maps of several sources")


@pytest.mark.parametrize("which", ["keys", "values"])
def test_biases_that_differ_between_sources_are_not_dropped(which: str) -> None:
    b = builder()
    sources = [data(b, "x", 30, 2), data(b, "z", 20, 3)]
    q = b(ops.Broadcast(sources[0].shape[:1]), b.parameter("latents", (2, 8)))
    k, v = (
        b(ops.Concat(1), *(b.linear(x, f"{n}_{x.name}", 8, bias=n == which) for x in sources))
        for n in ("keys", "values")
    )
    graph = b.graph({"y": b(ops.Attention(1), q, k, v, name="y")})
    stays(SplitAttention(), graph, "%y stays: the biases of the sources differ")


def test_wide_sources_are_not_attended_to_themselves() -> None:
    b = builder()
    sources = [data(b, "x", 4, 30), data(b, "z", 3, 40)]
    q = data(b, "q", 50, 2)
    k, v = (
        b(ops.Concat(1), *(b.linear(x, f"{n}_{x.name}", 2, bias=False) for x in sources))
        for n in ("keys", "values")
    )
    graph = b.graph({"y": b(ops.Attention(1), q, k, v, name="y")})
    stays(SplitAttention(), graph, "its projections cost less")
