"""Norms of linear maps: what is normalised has more channels than it is made of."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.onnx.emit import emit
from perceiver_graph.compiler.backends.onnx.tensors import TensorStore
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.passes import (
    AbsorbProjections,
    ComposeLinear,
    FoldConstants,
    NormOfConcat,
    NormOfLinear,
    Pass,
)
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.spec.models import NormName
from tests.judge import arrays
from tests.rewrite_support import NORMS, builder, check, data, fires, kinds, stays
from tests.test_passes_grid import plain_norms


def widened(
    fewer: int = 3,
    channels: int = 20,
    out: tuple[int, ...] = (20,),
    *,
    bias: bool = True,
    residual: bool = False,
    attended: bool = False,
    kind: NormName = "layer_norm",
) -> Graph:
    """What a decoder does behind its cross-attention: widen, normalise, map, and add."""
    b = builder()
    a = data(b, "a", 7, fewer)
    if attended:
        a = b(ops.Attention(1), data(b, "q", 9, 4), data(b, "k", 7, 4), a, name="attended")
    x = b.linear(a, "output", channels, bias=bias)
    norm = b.norm(kind, x, "norm", 1e-2)
    outputs = {
        f"y{i}": b.linear(norm, f"dense{i}", width, bias=bias) for i, width in enumerate(out)
    }
    if residual:
        hidden = b.linear(b(ops.Relu(), outputs.pop("y0")), "dense", channels)
        outputs["head"] = b.linear(b(ops.Add(), x, hidden), "head", 2)
    return plain_norms(b.graph(outputs))


@pytest.mark.parametrize("kind", NORMS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("out", [(20,), (4, 30)])
def test_what_is_normalised_is_not_computed(
    out: tuple[int, ...], bias: bool, kind: NormName
) -> None:
    result = fires(NormOfLinear(), widened(out=out, bias=bias, kind=kind))
    assert result.notes[0] == "1 norm rewritten"
    assert kind not in kinds(result.graph)
    assert "output" not in {node.name for node in result.graph.nodes}
    widths = [n["x"].shape[-1] for n in result.graph.nodes if isinstance(n.op, ops.InverseNorm)]
    assert widths == [3 + bias]


def test_a_residual_connection_reads_it_first_and_is_composed_then() -> None:
    graph = widened(fewer=6, channels=40, out=(40,), residual=True)
    result = fires(NormOfLinear(), graph)
    assert "output" in {node.name for node in result.graph.nodes}
    composed = fires(ComposeLinear(), result.graph)
    assert "output" not in {node.name for node in composed.graph.nodes}
    check(graph, composed.graph)


def test_maps_that_save_nothing_stay() -> None:
    note = "maps of what %output reads would cost as much"
    stays(NormOfLinear(), widened(fewer=20), note)  # as many channels
    stays(NormOfLinear(), widened(fewer=12, out=(4,), residual=True), note)  # few are read
    fires(NormOfLinear(), widened(fewer=9))


def test_other_norms_stay() -> None:
    note = "no norm of a linear map is read by linear maps alone"
    b = builder()
    norm = b.layer_norm(data(b, "x", 7, 20), "norm", 1e-2)
    stays(NormOfLinear(), plain_norms(b.graph({"y": b.linear(norm, "y", 20)})), note)
    b = builder()
    norm = b.layer_norm(b.linear(data(b, "x", 7, 3), "output", 20), "norm", 1e-2)
    outputs = {"y": b.linear(norm, "y", 20), "z": b(ops.Relu(), norm)}
    stays(NormOfLinear(), plain_norms(b.graph(outputs)), note)
    stays(NormOfLinear(), b.graph({"y": outputs["y"]}), note)  # with an affine part


def test_numbers_far_from_zero_lose_no_digits() -> None:
    """All channels share a large number, which the norm takes away."""
    graph = widened(fewer=4, channels=40, out=(40,))
    after = fires(NormOfLinear(), graph).graph
    inputs, parameters = arrays(graph)
    parameters["output.bias"] = parameters["output.bias"] + 300
    inputs["a"] = inputs["a"].astype(np.float32)
    exact = evaluate(graph, inputs, parameters)["y0"]
    rough = {name: array.astype(np.float32) for name, array in parameters.items()}
    scale = np.abs(exact).max()
    error, reference = (
        np.abs(evaluate(g, inputs, rough)["y0"] - exact).max() for g in (after, graph)
    )
    assert error < 4 * reference + 1e-6 * scale


def test_less_than_full_rank() -> None:
    """Channels that are sums of others, and a map of nothing: the factor has zeros then."""
    graph = widened(fewer=6, channels=40, out=(40,))
    after = fires(NormOfLinear(), graph).graph
    inputs, parameters = arrays(graph)
    weight = parameters["output.weight"]
    for change in (weight @ np.diag([1, 1, 1, 0, 0, 0]), weight[:, [0, 0, 1, 1, 2, 2]], weight * 0):
        parameters["output.weight"] = change
        check(graph, after, (inputs, parameters))


def test_no_backend_is_asked_for_a_factor() -> None:
    """It is known when weights are; a program for weights that are not is refused by name."""
    graph = fires(NormOfLinear(), widened()).graph
    _, parameters = arrays(graph)
    known = {name: array.astype(np.float32) for name, array in parameters.items()}
    folded = FoldConstants(known).run(graph).graph
    emit(folded, known, TensorStore())
    with pytest.raises(DiagnosticError, match="triangular_factor"):
        emit(graph, known, TensorStore())


def test_any_order_gives_the_same_numbers() -> None:
    graph = widened(fewer=6, channels=40, out=(40,), residual=True, attended=True)
    steps: list[Pass] = [NormOfLinear(), ComposeLinear(), AbsorbProjections(), NormOfConcat()]
    fired = 0
    for order in itertools.permutations(steps):
        result = graph
        for step in (*order, *order):
            result = step.run(result).graph
        check(graph, result)
        fired += "inverse_norm" in kinds(result)
    assert fired >= 12  # not where the attention has absorbed the map before


@settings(deadline=None, max_examples=60)
@given(
    fewer=st.integers(1, 8),
    channels=st.integers(1, 30),
    out=st.lists(st.integers(1, 30), min_size=1, max_size=3),
    bias=st.booleans(),
    residual=st.booleans(),
    attended=st.booleans(),
    kind=st.sampled_from(NORMS),
)
def test_random_maps(
    fewer: int,
    channels: int,
    out: list[int],
    bias: bool,
    residual: bool,
    attended: bool,
    kind: NormName,
) -> None:
    said = {"bias": bias, "residual": residual, "attended": attended}
    graph = widened(fewer, channels, tuple(out), kind=kind, **said)
    result = NormOfLinear().run(graph).graph
    check(graph, ComposeLinear().run(AbsorbProjections().run(result).graph).graph)
