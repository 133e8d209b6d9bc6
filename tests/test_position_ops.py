"""Position tables resized and trimmed, and Fourier features of data: at the sizes models have."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.onnx.emit import emit
from perceiver_graph.compiler.backends.onnx.tensors import TensorStore
from perceiver_graph.compiler.backends.torch.source import source
from perceiver_graph.compiler.blocks.builder import GraphBuilder
from perceiver_graph.compiler.ir.dims import Dim, Symbol, shape_of
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ir.verify import verify
from perceiver_graph.compiler.ops import Array
from perceiver_graph.compiler.programs.phases import split
from tests.primitive_case import Case
from tests.test_onnx_lowerings import check as check_onnx
from tests.test_onnx_lowerings import proto_of, run
from tests.torch_support import assert_clean, check, module, parameters

BATCH, LENGTH = Symbol("batch"), Symbol("length", max=9)


def table(*shape: int) -> Array:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def bicubic(x: Array, sizes: tuple[int, ...], to: tuple[int, ...]) -> Array:
    image = torch.unflatten(torch.from_numpy(x), 0, sizes).permute(2, 0, 1)[None]
    return F.interpolate(image, to, mode="bicubic")[0].permute(1, 2, 0).flatten(0, 1).numpy()


@pytest.mark.parametrize(
    ("sizes", "to"),
    [((224, 224), (256, 256)), ((46, 62), (14, 14)), ((1, 1), (2, 3)), ((20, 30), (33, 50))],
    ids=str,
)
def test_tables_are_resized_as_torch_resizes_images(
    sizes: tuple[int, int], to: tuple[int, int]
) -> None:
    x = table(sizes[0] * sizes[1], 2)
    op = ops.Interpolate(sizes, to)
    np.testing.assert_allclose(op.evaluate(x), bicubic(x, sizes, to), rtol=0, atol=2e-6)
    check_onnx(Case(op, x), rtol=0, atol=5e-6)
    check(Case(op, x).graph(constant=False), {"x0": x}, {})


def test_float32_coordinates_are_rounded_as_in_torch() -> None:
    """In float64 the result would be off by 1e-4."""
    x = table(224 * 224, 1)
    resized = ops.Interpolate((224, 224), (368, 496)).evaluate(x)
    assert np.abs(resized - bicubic(x, (224, 224), (368, 496))).max() < 5e-6


@given(st.lists(st.tuples(st.integers(1, 7), st.integers(1, 9)), min_size=1, max_size=3))
def test_a_constant_table_stays_constant(axes: list[tuple[int, int]]) -> None:
    """The weights of every point sum to 1, also at the borders."""
    sizes, to = (tuple(axis[i] for axis in axes) for i in (0, 1))
    ones = np.ones((int(np.prod(sizes)), 2))
    resized = ops.Interpolate(sizes, to).evaluate(ones)
    np.testing.assert_allclose(resized, np.ones((int(np.prod(to)), 2)), atol=1e-12)


def test_what_keeps_its_size_is_not_multiplied() -> None:
    same = Case(ops.Interpolate((4, 3), (4, 3)), table(12, 2))
    assert [node.op_type for node in proto_of(same.graph(constant=True)).graph.node] == ["Reshape"]
    one = Case(ops.Interpolate((4, 3), (4, 6)), table(12, 2))
    found = [node.op_type for node in proto_of(one.graph(constant=True)).graph.node]
    assert found == ["Reshape", "MatMul", "Reshape"]


def resized_positions() -> Graph:
    """An image and learned positions for another grid, added up."""
    b = GraphBuilder("resized", {"batch": BATCH})
    axes = ("batch", "pixel", "channel")
    x = b.input("image", "data", "image", axes, shape_of(BATCH, 30, 4), "float32")
    with b.block("position", "Position"):
        learned = b.parameter("table", (12, 4))
        rows = b(ops.Interpolate((3, 4), (5, 6)), learned, name="rows")
    return b.graph({"latents": b(ops.Add(), x, rows)})


def test_torch_code_leaves_out_what_changes_no_size() -> None:
    learned = table(12, 4)
    for case in (
        Case(ops.Interpolate((3, 4), (3, 4)), learned),
        Case(ops.Trim(Dim.of(12)), learned),
    ):
        graph = case.graph(constant=False)
        text = check(graph, case.arrays(), {})
        assert "resize" not in text
        assert "[:12]" not in text


def test_resized_positions_are_trained_compiled_and_exported() -> None:
    graph = resized_positions()
    text = check(graph, {"image": table(2, 30, 4)}, parameters(graph))
    assert_clean(text)
    assert "resize(self.table, (3, 4), (5, 6))" in text
    assert_differentiable_and_exportable(module(text), table(2, 30, 4))


def assert_differentiable_and_exportable(net: Any, *inputs: Array, axes: Any = None) -> None:
    """All of the inputs work with what is exported for the first one."""
    first, *rest = ({"text" if axes else "image": torch.from_numpy(x)} for x in inputs)
    wanted = net.encode(first)["latents"]
    wanted.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in net.parameters())

    class Encode(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
            latents: torch.Tensor = self.net.encode(inputs)["latents"]
            return latents

    compiled: Any = torch.compile(Encode(), fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(first), wanted)
    dynamic = {"inputs": {"text": axes}} if axes else None
    exported = torch.export.export(Encode(), (first,), dynamic_shapes=dynamic, strict=True)
    for data in (first, *rest):
        torch.testing.assert_close(exported.module()(data), net.encode(data)["latents"])


SETTINGS: list[dict[str, Any]] = [
    {},
    {"periodic": (1,)},
    {"periodic": (0, 1), "sine_only": True},
    {"include_position": False},
]


@pytest.mark.parametrize("resolution", [(900.0, 900.0), (40.0, 900.0)])
@pytest.mark.parametrize("settings", SETTINGS)
def test_features_of_the_points_of_a_grid_are_those_of_the_grid(
    settings: dict[str, Any], resolution: tuple[float, float]
) -> None:
    first, second = (
        ops.FourierTable(n, axis, 2, 12, resolution[axis], axis == 0, **settings)
        for axis, n in enumerate((5, 7))
    )
    grid = first.evaluate()[:, None] + second.evaluate()[None]
    points = np.stack(np.meshgrid(first.coordinates(), second.coordinates(), indexing="ij"), -1)
    alike = resolution[0] == resolution[1]
    features = ops.FourierFeatures(12, resolution[0] if alike else resolution, 2, **settings)
    np.testing.assert_array_equal(features.evaluate(points), grid)
    check_onnx(Case(features, points.reshape(35, 2)), rtol=0, atol=1e-6)
    graph = Case(features, points).graph(constant=False)
    text = source(graph, name="points")
    assert_clean(text)
    found = module(text).decode(module(text).encode({"x0": torch.from_numpy(points)}))["result"]
    np.testing.assert_allclose(found, grid, rtol=0, atol=1e-6)


def test_features_of_periodic_coordinates_close_and_differ() -> None:
    features = ops.FourierFeatures(6, 15.0, 1, periodic=(0,))
    np.testing.assert_array_equal(features.frequencies(), [[1, 2, 3, 5, 6, 7]])
    around = features.evaluate(np.array([[-1], [1], [-0.75], [1.25]], np.float32))
    np.testing.assert_allclose(around[0], around[1], atol=1e-5)
    np.testing.assert_allclose(around[2], around[3], atol=1e-5)
    table = ops.FourierTable(8, 0, 1, 4, 8.0, endpoint=False, periodic=(0,)).evaluate()
    steps = np.linalg.norm(table - np.roll(table, 1, axis=0), axis=1)
    np.testing.assert_allclose(steps, steps[0], rtol=1e-5)


@pytest.mark.parametrize("start", [None, 0.0, -9.0, 48_000.0])
def test_what_is_many_periods_away_keeps_its_digits(start: float | None) -> None:
    period = 2.0 if start is None else 24.0
    first = -1.0 if start is None else start
    ranges = () if start is None else ((0.0, 8.0), (start, start + period))
    op = ops.FourierFeatures(6, 64.0, 2, periodic=(1,), ranges=ranges)
    place = np.array([0.25, 0.5, 1.0, 1.75], np.float32) + np.float32(first)
    here = op.evaluate(np.stack([place % 1, place], axis=-1))
    for turns in (-40_000, 20_000):
        away = place + np.float32(turns * period)
        np.testing.assert_array_equal(away - place, turns * period)  # float32 holds them exactly
        points = np.stack([place % 1, away], axis=-1)
        np.testing.assert_array_equal(op.evaluate(points), here)
        check_onnx(Case(op, points), rtol=0, atol=1e-6)
        check(Case(op, points).graph(constant=False), {"x0": points}, {})


def test_features_are_computed_in_float32_for_half_precision_too() -> None:
    op, points = ops.FourierFeatures(8, 64.0, 3), table(20, 4)
    b = GraphBuilder("points", {})
    x = b.input("x0", "data", "x0", (), shape_of(20, 4), "float32")
    beside = b.parameter("beside", (op.infer(x.type).shape[-1].value or 0,))
    net = module(source(b.graph({"result": b(ops.Add(), b(op, x), beside)}), name="points"))
    torch.nn.init.zeros_(net.beside)  # what the module computes in is told by its weights
    half = torch.from_numpy(points).bfloat16()
    found = net.bfloat16().decode(net.encode({"x0": half}))["result"]
    assert found.dtype == torch.bfloat16
    np.testing.assert_allclose(found.detach().float(), op.evaluate(half.float().numpy()), atol=0.01)


def trimmed_positions() -> Graph:
    """Words, and as many rows of a table of 9 as there are words, added up."""
    b = GraphBuilder("trimmed", {"batch": BATCH, "length": LENGTH})
    axes = ("batch", "length", "channel")
    x = b.input("text", "data", "text", axes, shape_of(BATCH, LENGTH, 4), "float32")
    with b.block("position", "Position"):
        rows = b(ops.Trim(Dim.of(LENGTH)), b.parameter("table", (9, 4)), name="rows")
    return b.graph({"latents": b(ops.Add(), x, rows)})


def late_table() -> Graph:
    """A table made of latents, trimmed to the length of a text that decode reads in another order."""
    b = GraphBuilder("late", {"batch": BATCH, "length": LENGTH})
    axes = ("batch", "length", "channel")
    x = b.input("text", "data", "text", axes, shape_of(BATCH, LENGTH, 4), "float32")
    turned = b(ops.Permute((1, 0, 2)), x, name="turned")
    latents = b(ops.Broadcast(x.shape[:1]), b.parameter("latents", (9, 4)), name="state")
    rows = b(ops.Trim(Dim.of(LENGTH)), b(ops.Mean(0), b(ops.Relu(), latents)), name="rows")
    cells = b(ops.Unflatten(1, (1, None)), rows)
    return b.graph(
        {"latents": latents, "y": b(ops.Add(), turned, cells), "z": b(ops.Mean(0), rows)}
    )


@pytest.mark.parametrize("length", [1, 6, 9])
def test_tables_are_trimmed_to_the_length_at_hand(length: int) -> None:
    graph = trimmed_positions()
    verify(graph, "program")
    weights, arrays = parameters(graph), {"text": table(2, length, 4)}
    wanted = arrays["text"] + weights["position.table"][:length]
    np.testing.assert_array_equal(evaluate(graph, arrays, weights)["latents"], wanted)
    text = check(graph, arrays, weights)
    assert_clean(text)
    model = ir.to_proto(emit(graph, weights, TensorStore()))
    for sizes in ({}, {"batch": 2, "length": length}):
        np.testing.assert_array_equal(run(model, arrays, sizes)["latents"], wanted)


def test_trimmed_positions_are_trained_compiled_and_exported() -> None:
    net = module(source(trimmed_positions(), name="trimmed"))
    axes = {1: torch.export.Dim("length", min=2, max=9)}
    assert_differentiable_and_exportable(net, table(2, 6, 4), table(2, 9, 4), axes=axes)


def test_a_length_is_that_of_what_is_handed_over_anyway() -> None:
    graph = late_table()
    programs = split(graph)
    for program in (programs["encode"], programs["decode"]):
        verify(program, "program")
    assert {leaf.of for leaf in programs["decode"].inputs} == {"state", "turned"}
    weights, arrays = parameters(graph), {"text": table(2, 5, 4)}
    state = evaluate(programs["encode"], arrays, weights)
    found = evaluate(programs["decode"], state, weights)
    for name, array in found.items():
        np.testing.assert_array_equal(array, evaluate(graph, arrays, weights)[name])
