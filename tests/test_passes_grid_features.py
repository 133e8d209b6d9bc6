"""Attention to padded tokens on a grid, some of which may be missing: positions by axis."""

from __future__ import annotations

import itertools
import math

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
    NormOfConcat,
    Pass,
    ScoreKeysByAxis,
    SplitAttention,
)
from tests.judge import arrays
from tests.rewrite_support import builder, check, data, fires, stays
from tests.test_passes_grid import plain_norms, position

ANY = ScoreKeysByAxis(passes_flops=0)
WIDTH = 40


def tokens(
    b: GraphBuilder, name: str, *sizes: int, channels: int = 2, masked: bool = False
) -> Value:
    """The points of a grid: data, positions of 20 channels and padding; one token may stand for all."""
    x = data(b, name, math.prod(sizes), channels)
    with b.block(f"inputs/{name}", "Modality"):
        at = position(b, x, *sizes, width=20)
        padding = b.parameter(f"{name}.padding", (WIDTH - 20 - channels,))
        rows = b(ops.Broadcast(x.shape[:2]), padding, name=f"{name}.padding.tokens")
        padded = b(ops.Concat(-1), x, at, rows, name=f"{name}.padded")
    if not masked:
        return padded
    present = data(b, f"{name}.present", 1, 1, dtype="bool")
    token = b.parameter(f"{name}.token", (WIDTH,))
    return b(ops.Where(), present, padded, token, name=f"{name}.masked")


def latents_read(*sources: tuple[str, tuple[int, ...], bool], learned: bool = True) -> Graph:
    """Latents, or given queries, read the tokens of each (name, grid, whether it may be missing)."""
    b = builder()
    parts = [tokens(b, name, *sizes, masked=masked) for name, sizes, masked in sources]
    x = b(ops.Concat(1), *parts, name="joined") if len(parts) > 1 else parts[0]
    norm = b.layer_norm(x, "norm", 1e-3)
    key, value = (b.linear(norm, name, WIDTH) for name in ("key", "value"))
    rows = b.parameter("latents", (3, WIDTH))
    q = b(ops.Broadcast(x.shape[:1]), rows, name="q") if learned else data(b, "q", 3, WIDTH)
    found = b(ops.Attention(1), q, key, value, name="found")
    return plain_norms(b.graph({"out": b.linear(found, "output", WIDTH)}))


def prepared(graph: Graph) -> Graph:
    """With attention to the features themselves."""
    for step in (NormOfConcat(), SplitAttention(), AbsorbProjections()):
        graph = step.run(graph).graph
    return graph


@pytest.mark.parametrize("learned", [True, False])
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("sizes", [(9, 12), (5, 4, 6)])
def test_positions_are_not_multiplied_out(
    sizes: tuple[int, ...], masked: bool, learned: bool
) -> None:
    graph = prepared(latents_read(("x", sizes, masked), learned=learned))
    result = fires(ANY, graph)
    assert result.notes[0] == "1 kind of keys rewritten"
    node = next(n for n in result.graph.nodes if isinstance(n.op, ops.SegmentedAttention))
    assert node.inputs[0].shape[-1] == 2 + 2 + masked  # data, 1 and mean (, token)
    assert node.output.shape[-1] == 2 + 2 + masked + sum(sizes)


@pytest.mark.parametrize("masked", list(itertools.product([True, False], repeat=2)))
@pytest.mark.parametrize("sizes", [((12, 15), (7, 5, 6)), ((6,), (9, 15)), ((9, 15), (6,))])
def test_each_kind_is_rewritten_apart(
    sizes: tuple[tuple[int, ...], tuple[int, ...]], masked: tuple[bool, bool]
) -> None:
    """One axis alone has nothing to be summed over: such a kind stays."""
    graph = prepared(latents_read(("x", sizes[0], masked[0]), ("z", sizes[1], masked[1])))
    result = fires(ANY, graph)
    axes = tuple(len(grid) if len(grid) > 1 else 0 for grid in sizes)
    (op,) = (n.op for n in result.graph.nodes if isinstance(n.op, ops.SegmentedAttention))
    assert op == ops.SegmentedAttention(axes)


def test_missing_tokens_have_no_positions() -> None:
    """What `check` compares in passing, for every way to miss."""
    graph = prepared(latents_read(("x", (9, 12), True), ("z", (11, 10), True)))
    after = fires(ANY, graph).graph
    for there in itertools.product([True, False], repeat=2):
        inputs, parameters = arrays(graph)
        for name, holds in zip(("x.present", "z.present"), there, strict=True):
            inputs[name] = np.full_like(inputs[name], holds)
        check(graph, after, (inputs, parameters))


def test_where_passes_cost_more_than_products_it_stays() -> None:
    graph = prepared(latents_read(("x", (9, 12), True)))
    stays(ScoreKeysByAxis(), graph, "few channels")
    fires(ScoreKeysByAxis(passes_flops=10), graph)


def test_other_keys_stay() -> None:
    note = "reads positions on a grid"
    stays(ANY, prepared(latents_read(("x", (20,), False))), note)  # a single axis
    stays(ANY, latents_read(("x", (9, 12), False)), note)  # keys are maps of tokens
    for heads, masked, note in ((2, False, "it has 2 heads"), (1, True, "it has a mask")):
        b = builder()
        x = data(b, "x", 20, 2)
        joined = b(ops.Concat(-1), x, position(b, x, 4, 5, width=6))
        features = b(ops.Mul(), joined, data(b, "s", 20, 1))
        mask = [data(b, "mask", 20, dtype="bool")] if masked else []
        found = b(ops.Attention(heads), data(b, "q", 3, 8), features, features, *mask)
        stays(ANY, b.graph({"out": found}), note)


def test_a_row_with_positions_stays() -> None:
    """It stands for missing tokens; nothing here makes such a row, and zeros would be wrong."""
    for number, result in ((1.0, False), (0.0, True)):
        b = builder()
        x = data(b, "x", 180, 2)
        joined = b(ops.Concat(-1), x, position(b, x, 12, 15, width=6))
        features = b(ops.Mul(), joined, data(b, "s", 180, 1))
        row = b.constant("row", np.array([1.0] * 2 + [number] * 6, np.float32))
        present = data(b, "present", 1, 1, dtype="bool")
        features = b(ops.Where(), present, features, row)
        graph = b.graph({"out": b(ops.Attention(1), data(b, "q", 30, 8), features, features)})
        assert ANY.run(graph).changed == result


def test_any_order_gives_the_same_numbers() -> None:
    graph = prepared(latents_read(("x", (9, 12), True), ("z", (11, 10), False)))
    steps: list[Pass] = [ANY, ComposeLinear(), NormOfConcat()]
    for order in itertools.permutations(steps):
        result = graph
        for step in (*order, *order):
            result = step.run(result).graph
        check(graph, result)
        assert any(getattr(n.op, "axes", ()) == (2, 2) for n in result.nodes)


@settings(deadline=None, max_examples=40)
@given(
    grids=st.lists(
        st.tuples(st.lists(st.integers(1, 12), min_size=1, max_size=3), st.booleans()),
        min_size=1,
        max_size=3,
    ),
    learned=st.booleans(),
    passes_flops=st.sampled_from([0, 30, 200]),
)
def test_random_inputs(
    grids: list[tuple[list[int], bool]], learned: bool, passes_flops: int
) -> None:
    sources = [(f"x{i}", tuple(sizes), masked) for i, (sizes, masked) in enumerate(grids)]
    graph = latents_read(*sources, learned=learned)
    result = prepared(graph)
    for step in (ScoreKeysByAxis(passes_flops), ComposeLinear()):
        result = step.run(result).graph
    check(graph, result)
