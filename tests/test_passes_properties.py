"""Rewrites of random networks and random specs: any order of passes keeps every number that has a name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import perceiver_graph as pg
from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.builder import GraphBuilder
from perceiver_graph.compiler.driver import Compiled
from perceiver_graph.compiler.ir.graph import Graph, Value
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.ir.parse import parse_graph
from perceiver_graph.compiler.ir.text import print_graph, same_structure
from perceiver_graph.compiler.ops.segmented_attention import segments
from perceiver_graph.compiler.passes import (
    PASSES,
    CommonSubexpressions,
    DeadCode,
    FoldConstants,
    Pass,
    ScoreKeysByAxis,
    ScoreQueriesByAxis,
)
from perceiver_graph.compiler.passes.pipeline import optimize
from perceiver_graph.compiler.passes.rewriter import Rewrite, largest_sizes
from perceiver_graph.compiler.programs import cost
from perceiver_graph.compiler.programs.phases import split
from perceiver_graph.spec.loader import parse_spec
from perceiver_graph.testing.inputs import LONGEST
from perceiver_graph.testing.specs import render, specs
from tests.judge import Arrays, arrays
from tests.rewrite_support import NORMS, builder, check, data
from tests.small import SMALL
from tests.support import random_inputs
from tests.test_differential import randomised

REWRITES: dict[str, Callable[[], Rewrite]] = {
    **{name: found for name, found in PASSES.items() if issubclass(found, Rewrite)},
    # Or these would want hundreds of channels.
    ScoreKeysByAxis.name: lambda: ScoreKeysByAxis(passes_flops=0),
    ScoreQueriesByAxis.name: lambda: ScoreQueriesByAxis(passes_flops=0),
}
STEPS: dict[str, Callable[[Mapping[str, Array]], Pass]] = {
    **{name: lambda _, step=step: step() for name, step in REWRITES.items()},  # type: ignore[misc]
    "fold-constants": FoldConstants,
    "common-subexpressions": lambda _: CommonSubexpressions(),
    "dead-code": lambda _: DeadCode(),
}
RMS = ("layers.norm=rms_norm",)
ORDERS = st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=7)
PATIENT = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@dataclass
class _Sketch:
    """A network in the making: tokens, and values [batch, 3, width] that read them and each other."""

    draw: st.DrawFn
    b: GraphBuilder = field(default_factory=builder)
    values: list[Value] = field(default_factory=list)
    names: int = 0

    def name(self, word: str) -> str:
        self.names += 1
        return f"{word}_{self.names}"

    def flag(self) -> bool:
        return self.draw(st.booleans())

    def width(self) -> int:
        return self.draw(st.sampled_from([2, 4, 12]))

    def linear(self, x: Value, word: str, width: int | None = None) -> Value:
        return self.b.linear(x, self.name(word), width or self.width(), bias=self.flag())

    def normed(self, x: Value) -> Value:
        plain = self.draw(st.integers(0, 3)) == 0
        if plain:
            return x
        return self.b.norm(self.draw(st.sampled_from(NORMS)), x, self.name("norm"), 1e-3)

    def source(self, width: int) -> Value:
        """Tokens of so many channels, some of which may be constant, that one may stand for."""
        b, name = self.b, self.name("source")
        varying = self.draw(st.sampled_from([2, 2, width - 1, width]))
        x = data(b, name, self.draw(st.integers(1, 6)), varying)
        if varying < width:
            row = b.parameter(f"{name}.padding", (width - varying,))
            row = b(ops.Broadcast(x.shape[:2]), row, name=f"{name}.rows")
            parts = (x, row) if self.flag() else (row, x)
            x = b(ops.Concat(-1), *parts, name=f"{name}.padded")
        if self.flag():
            present = data(b, f"{name}.present", 1, 1, dtype="bool")
            x = b(ops.Where(), present, x, b.parameter(f"{name}.token", (width,)))
        return x

    def picture(self, width: int) -> Value:
        """Tokens with positions on a grid."""
        b, name = self.b, self.name("picture")
        height, breadth, channels = (self.draw(st.integers(1, 3)) for _ in range(3))
        x = data(b, name, height * breadth, channels)
        rows = b.parameter(f"{name}.rows", (height, 1, width - channels))
        columns = b.parameter(f"{name}.columns", (1, breadth, width - channels))
        grid = b(ops.Add(), *((rows, columns) if self.flag() else (columns, rows)))
        position = b(
            ops.Broadcast(x.shape[:1]), b(ops.Flatten(0, 1), grid), name=f"{name}.position"
        )
        return b(ops.Concat(-1), *((x, position) if self.flag() else (position, x)))

    def tokens(self) -> Value:
        if self.draw(st.integers(0, 2)) == 0:
            return self.picture(self.draw(st.sampled_from([9, 30])))
        width = self.draw(st.sampled_from([5, 9]))
        parts = [self.source(width) for _ in range(self.draw(st.integers(1, 2)))]
        return parts[0] if len(parts) == 1 else self.b(ops.Concat(1), *parts)

    def queries(self, like: Value) -> Value:
        if self.values and self.flag():
            return self.linear(self.normed(self.draw(st.sampled_from(self.values))), "query")
        rows = self.b.parameter(self.name("latents"), (3, 4))
        return self.b(ops.Broadcast(like.shape[:1]), self.linear(self.normed(rows), "query"))

    def attend(self) -> None:
        b = self.b
        fresh = not self.values or self.draw(st.integers(0, 3)) > 0
        read = self.tokens() if fresh else self.values[-1]
        q = self.queries(read)
        x = self.normed(read)
        k = self.linear(x, "key", int(q.shape[-1]))
        v = k if self.draw(st.integers(0, 4)) == 0 else self.linear(x, "value")
        op = ops.Attention(self.draw(st.sampled_from([1, 1, 2])))
        masks = []
        if self.draw(st.integers(0, 3)) == 0:
            masks = [data(b, self.name("mask"), k.shape[1], dtype="bool")]
            op = ops.Attention(op.heads, self.draw(st.sampled_from(["uniform", "zero"])))
        self.values.append(self.linear(b(op, q, k, v, *masks), "output"))

    def think(self) -> None:
        b, x = self.b, self.draw(st.sampled_from(self.values))
        hidden = b(ops.Relu(), self.linear(self.normed(x), "dense1"))
        out = self.linear(hidden, "dense2", int(x.shape[-1]))
        self.values.append(b(ops.Add(), *((x, out) if self.flag() else (out, x))))

    def head(self) -> None:
        x = self.linear(self.draw(st.sampled_from(self.values)), "head")
        self.values.append(self.b(ops.Scale(0.5), x) if self.flag() else x)


@st.composite
def networks(draw: st.DrawFn) -> Graph:
    """Attention in all its forms, small enough for the cost to speak for either side."""
    sketch = _Sketch(draw)
    sketch.attend()
    for _ in range(draw(st.integers(0, 4))):
        draw(st.sampled_from([sketch.attend, sketch.think, sketch.head]))()
    outputs = {sketch.values[-1], *draw(st.lists(st.sampled_from(sketch.values), max_size=1))}
    graph = sketch.b.graph({f"out_{i}": value for i, value in enumerate(sorted(outputs, key=str))})
    return DeadCode().run(graph).graph


@PATIENT
@given(networks(), ORDERS)
def test_any_order_of_passes_keeps_the_numbers_of_networks(graph: Graph, order: list[str]) -> None:
    keep_numbers(graph, order, arrays(graph))


@PATIENT
@given(specs(symbolic=True), ORDERS, st.integers(2, LONGEST), st.integers(0, 2**31))
def test_any_order_of_passes_keeps_the_numbers_of_specs(
    spec: dict[str, Any], order: list[str], length: int, seed: int
) -> None:
    compiled = pg.compile(parse_spec(render(spec)))
    keep_numbers(compiled.graph, order, given_arrays(compiled, length, seed))


def keep_numbers(graph: Graph, order: list[str], arrays: Arrays) -> None:
    after = graph
    for name in order:
        result = STEPS[name](arrays[1]).run(after)
        assert result.notes
        assert result.changed != (result.graph is after)
        check(after, result.graph, arrays)
        sizes = largest_sizes(graph)
        if name != "fold-constants":  # which may leave a node of a table for another one
            assert cost.flops(result.graph, sizes) <= cost.flops(after, sizes)
        after = result.graph
    inputs, parameters = arrays
    expected, found = (evaluate(g, inputs, parameters) for g in (graph, after))
    for name, array in expected.items():
        close(found[name], array, 1e-5)


def close(found: Array, expected: Array, tolerance: float) -> None:
    """Equal to so many of the largest number."""
    scale = max(float(np.abs(expected).max(initial=0)), 1e-3)
    assert np.abs(found - expected).max(initial=0) <= tolerance * scale


def given_arrays(compiled: Compiled, length: int, seed: int, dtype: Any = np.float64) -> Arrays:
    """Inputs, presence of modalities at random, and weights without zeros and ones."""
    lengths = dict.fromkeys(compiled.lowered.document.spec.dims, length)
    inputs = random_inputs(compiled.lowered, 2, seed, lengths)
    weights = randomised(compiled, seed)
    return inputs, {name: array.astype(dtype) for name, array in weights.items()}


@PATIENT
@given(networks(), st.sampled_from(sorted(REWRITES)))
def test_a_second_run_finds_nothing(graph: Graph, name: str) -> None:
    once = REWRITES[name]().run(graph).graph
    assert not REWRITES[name]().run(once).changed


@PATIENT
@given(networks())
def test_the_result_is_the_same_every_time_and_can_be_written_down(graph: Graph) -> None:
    first, second = (optimize(graph, level=2, frozen=True, verify=True) for _ in range(2))
    assert same_structure(first, second)
    constants = {constant.value.name: constant.data for constant in first.constants}
    assert same_structure(parse_graph(print_graph(first), constants), first)


@PATIENT
@given(specs(symbolic=True), st.integers(2, LONGEST), st.integers(0, 2**31))
def test_level_2_computes_what_level_0_does(spec: dict[str, Any], length: int, seed: int) -> None:
    compiled = pg.compile(parse_spec(render(spec)))
    inputs, weights = given_arrays(compiled, length, seed, np.float32)
    expected = evaluate(optimize(compiled.graph, level=0, parameters=weights), inputs, weights)
    exact = {name: array.astype(np.float64) for name, array in weights.items()}
    double = evaluate(compiled.graph, inputs, exact)
    rounding = max(
        float(np.abs(expected[name] - array).max(initial=0)) for name, array in double.items()
    )
    after = optimize(compiled.graph, level=2, parameters=weights, verify=True)
    found = evaluate(after, inputs, weights)
    for name, array in double.items():
        scale = max(float(np.abs(array).max(initial=0)), 1e-3)
        assert np.abs(found[name] - array).max(initial=0) <= 1e-5 * scale + 4 * rounding


@pytest.mark.parametrize(
    ("name", "norm"),
    [
        *((name, ()) for name in sorted(SMALL)),
        *((name, RMS) for name in ("kinetics", "optical_flow")),
    ],
)
def test_shipped_systems_cost_less_and_compute_the_same(name: str, norm: tuple[str, ...]) -> None:
    compiled = pg.compile(name, overrides=[*SMALL[name], *norm])
    sizes = dict(largest_sizes(compiled.graph))
    lengths = {n: sizes[n] for n in compiled.lowered.document.spec.dims}
    inputs = random_inputs(compiled.lowered, 2, 0, lengths)
    for leaf in compiled.graph.inputs:
        if leaf.role == "present":
            inputs[leaf.value.name][:] = [True, False]
    weights = randomised(compiled, 0)
    graphs = [optimize(compiled.graph, level=n, parameters=weights, verify=True) for n in (0, 2)]
    expected, found = (evaluate(graph, inputs, weights) for graph in graphs)
    for output, array in expected.items():
        close(found[output], array, 1e-5)
    assert cost.flops(graphs[1], sizes) <= cost.flops(graphs[0], sizes)


def test_parameters_that_will_be_trained_are_left_alone() -> None:
    compiled = pg.compile("kinetics", overrides=SMALL["kinetics"])
    graph, sizes = compiled.graph, largest_sizes(compiled.graph)
    trained = optimize(graph, level=2)
    assert same_structure(trained, optimize(graph, level=1))
    frozen = optimize(graph, level=2, frozen=True)
    with_values = optimize(graph, level=2, parameters=compiled.weights())
    assert cost.flops(frozen, sizes) == cost.flops(with_values, sizes) < cost.flops(trained, sizes)
    kept = optimize(graph, level=2, parameters=compiled.weights(), frozen=False)
    assert cost.flops(kept, sizes) == cost.flops(trained, sizes)


def test_kinetics_at_full_size() -> None:
    """Padding is not built, tokens are keys and values, positions are scored by axis, and heads
    reach into the last layer."""
    graph = pg.compile("kinetics").graph
    after = optimize(graph, level=2, frozen=True)
    sizes = largest_sizes(graph)
    assert cost.flops(after, sizes) < 0.3 * cost.flops(graph, sizes)
    programs = split(after)
    assert cost.flops(programs["encode"], sizes) < 0.18 * cost.flops(split(graph)["encode"], sizes)
    joint = next(n for n in after.nodes if isinstance(n.op, ops.SegmentedAttention))
    each = segments(joint.op, joint.inputs)  # type: ignore[arg-type]
    assert [int(kind.keys.shape[-1]) for kind in each] == [404, 51, 704]


def test_the_published_autoencoder_costs_as_little_with_rms_norms() -> None:
    """No mean is taken: a channel less for each kind of tokens, and all else as with LayerNorms."""
    counts = []
    for kind in NORMS:
        graph = pg.compile("kinetics", overrides=[f"layers.norm={kind}"]).graph
        counts.append(cost.flops(optimize(graph, level=2, frozen=True), largest_sizes(graph)))
    usual, found = counts
    assert 0.99 * usual < found < usual
