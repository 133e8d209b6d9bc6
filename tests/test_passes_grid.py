"""Attention to tokens on a grid: positions by axis instead of by token."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.builder import GraphBuilder
from perceiver_graph.compiler.ir.graph import Graph, Value
from perceiver_graph.compiler.passes import (
    AbsorbProjections,
    ComposeLinear,
    FoldNormAffine,
    GatherParts,
    NormOfConcat,
    Pass,
    ScoreKeysByAxis,
    SplitAttention,
)
from perceiver_graph.spec.models import NormName
from tests.rewrite_support import NORMS, builder, check, data, fires, kinds, stays

ANY = ScoreKeysByAxis(passes_flops=0)


def position(b: GraphBuilder, like: Value, *sizes: int, width: int = 40) -> Value:
    """Sums over the axes of a grid, for every sample."""
    total = None
    for axis, size in enumerate(sizes):
        shape = [size if a == axis else 1 for a in range(len(sizes))]
        table = b.parameter(f"position.{axis}", (*shape, width))
        total = table if total is None else b(ops.Add(), total, table)
    assert total is not None
    rows = b(ops.Flatten(0, len(sizes) - 1), total, name="position")
    return b(ops.Broadcast(like.shape[:1]), rows, name="position.batch")


def plain_norms(graph: Graph) -> Graph:
    """With ones and zeros in the norms, as FoldNormAffine leaves them."""
    return FoldNormAffine().run(graph).graph


def picture(
    *sizes: int,
    before: int = 2,
    after: int = 0,
    width: int = 40,
    queries: int = 3,
    learned: bool = True,
    kind: NormName = "layer_norm",
) -> Graph:
    """Latents, or given queries, read the points of a picture, which have keys and values of their own."""
    b = builder()
    x = data(b, "x", math.prod(sizes), before)
    parts = [x, position(b, x, *sizes, width=width)]
    if after:
        parts.append(data(b, "y", math.prod(sizes), after))
    tokens = b(ops.Concat(-1), *parts, name="tokens")
    channels = before + width + after
    norm = b.norm(kind, tokens, "norm", 1e-3)
    key, value = (b.linear(norm, name, channels) for name in ("key", "value"))
    rows = b.parameter("latents", (queries, channels))
    q = (
        b(ops.Broadcast(x.shape[:1]), rows, name="q")
        if learned
        else data(b, "q", queries, channels)
    )
    found = b(ops.Attention(1), q, key, value, name="found")
    return plain_norms(b.graph({"out": b.linear(found, "output", channels)}))


def absorbed(graph: Graph) -> Graph:
    return AbsorbProjections().run(graph).graph


@pytest.mark.parametrize("kind", NORMS)
@pytest.mark.parametrize("learned", [True, False])
@pytest.mark.parametrize(("before", "after"), [(2, 0), (1, 3)])
@pytest.mark.parametrize("sizes", [(4, 5), (2, 3, 4)])
def test_positions_are_not_multiplied_out(
    sizes: tuple[int, ...], before: int, after: int, learned: bool, kind: NormName
) -> None:
    graph = absorbed(picture(*sizes, before=before, after=after, learned=learned, kind=kind))
    result = fires(ANY, graph)
    assert result.notes[0] == "1 kind of keys rewritten"
    assert "segmented_attention" in kinds(result.graph)
    assert not {"attention", kind} & set(kinds(result.graph))
    node = next(n for n in result.graph.nodes if isinstance(n.op, ops.SegmentedAttention))
    assert node.inputs[0].shape[-1] == before + after
    assert node.output.shape[-1] == before + after + sum(sizes)


def test_where_passes_cost_more_than_products_it_stays() -> None:
    graph = absorbed(picture(4, 5))
    stays(ScoreKeysByAxis(), graph, "few channels")
    fires(ScoreKeysByAxis(passes_flops=30), graph)


def test_many_channels_of_position_are_worth_it() -> None:
    fires(ScoreKeysByAxis(), absorbed(picture(20, 30, before=3, width=200, queries=300)))


def test_what_is_no_sum_over_axes_stays() -> None:
    note = "reads positions on a grid"
    stays(ANY, absorbed(picture(20)), note)  # a single axis
    b = builder()  # learned positions
    x = data(b, "x", 20, 2)
    rows = b(ops.Broadcast(x.shape[:1]), b.parameter("position", (20, 40)))
    tokens = b(ops.Concat(-1), x, rows)
    key = b.linear(b.layer_norm(tokens, "norm", 1e-3), "key", 42)
    q = b(ops.Broadcast(x.shape[:1]), b.parameter("latents", (3, 42)))
    graph = b.graph({"out": b(ops.Attention(1), q, key, key)})
    stays(ANY, absorbed(plain_norms(graph)), note)


def test_several_heads_masks_and_norms_with_an_affine_part_stay() -> None:
    for heads, masked, affine, note in (
        (2, False, False, "%found stays: it has 2 heads"),
        (1, True, False, "%found stays: it has a mask"),
        (1, False, True, "reads positions on a grid"),
    ):
        b = builder()
        x = data(b, "x", 20, 2)
        tokens = b(ops.Concat(-1), x, position(b, x, 4, 5), name="tokens")
        ones, zeros = (b.constant(str(n), np.full(42, n, np.float32)) for n in (1, 0))
        plain = b(ops.LayerNorm(1e-3), tokens, ones, zeros)
        norm = b.layer_norm(tokens, "norm", 1e-3) if affine else plain
        q = data(b, "q", 3, 42)
        mask = [data(b, "mask", 20, dtype="bool")] if masked else []
        found = b(ops.Attention(heads), q, norm, norm, *mask, name="found")
        stays(ANY, b.graph({"out": found}), note)


@pytest.mark.parametrize("kind", NORMS)
def test_any_order_gives_the_same_numbers(kind: NormName) -> None:
    """Before or after the map behind it is composed, and with passes that cannot fire between."""
    graph = picture(4, 5, kind=kind)
    steps: list[Pass] = [AbsorbProjections(), ANY, ComposeLinear(), NormOfConcat()]
    fired = 0
    for order in itertools.permutations(steps):
        result = graph
        for step in (*order, *order):
            result = step.run(result).graph
        check(graph, result)
        fired += "segmented_attention" in kinds(result)
    assert fired == 24


STEPS: dict[str, Callable[[], Pass]] = {
    "absorb": AbsorbProjections,
    "compose": ComposeLinear,
    "concat": NormOfConcat,
    "gather": GatherParts,
    "grid": lambda: ANY,
    "split": SplitAttention,
}


@settings(deadline=None, max_examples=60)
@given(
    sizes=st.lists(st.integers(1, 4), min_size=2, max_size=3),
    before=st.integers(1, 3),
    after=st.integers(0, 3),
    width=st.integers(2, 40),
    queries=st.integers(1, 4),
    learned=st.booleans(),
    order=st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=6),
    kind=st.sampled_from(NORMS),
)
def test_random_pictures(
    sizes: list[int],
    before: int,
    after: int,
    width: int,
    queries: int,
    learned: bool,
    order: list[str],
    kind: NormName,
) -> None:
    channels = {"before": before, "after": after, "width": width}
    graph = picture(*sizes, **channels, queries=queries, learned=learned, kind=kind)
    result = absorbed(graph)
    for name in order:
        result = STEPS[name]().run(result).graph
    check(graph, result)
