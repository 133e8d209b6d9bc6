"""Fourier features of each spacing, against formulas written out in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import perceiver_graph as pg
from perceiver_graph.compiler import ops
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ops import Array
from perceiver_graph.spec.loader import parse_spec
from tests.primitive_case import Case
from tests.test_differential import agree, onnx_program, randomised
from tests.test_onnx_lowerings import check as check_onnx
from tests.torch_support import check as check_torch

K = 5
SPECS = Path(__file__).parents[1] / "specs"


def octaves(x: float, k: int) -> float:
    return float(np.pi * 2.0**k * x)


def without_pi(x: float, k: int) -> float:
    return float(2.0**k * x)


def of_lengths(x: float, k: int) -> float:
    """From 0.5 to 300, evenly spaced on a logarithmic scale."""
    length = float(np.exp(np.log(0.5) + (np.log(300) - np.log(0.5)) * k / (K - 1)))
    return 2 * float(np.pi) * x / length


def of_base(x: float, k: int) -> float:
    """As in the paper of the Transformer, with d_model = 2 K."""
    return x / float(10000 ** (2 * k / (2 * K)))


def linear(x: float, k: int) -> float:
    """From 1 to 10 / 2."""
    return float(np.pi) * (1 + (5 - 1) * k / (K - 1)) * x


ANGLES: dict[str, tuple[Callable[[float, int], float], dict[str, Any]]] = {
    "octaves": (octaves, {"spacing": "octaves"}),
    "octaves without pi": (without_pi, {"spacing": "octaves", "pi": False}),
    "wavelengths": (of_lengths, {"wavelengths": [0.5, 300]}),
    "base": (of_base, {"base": 10000}),
    "linear": (linear, {"max_resolution": 10}),
}
each_spacing = pytest.mark.parametrize("kind", ANGLES)
each_order = pytest.mark.parametrize("order", ["waves", "axes"])


def expected(points: Array, kind: str, order: str, front: bool | None = None) -> Array:
    """Features of points [..., c], one number after the other."""
    angle, settings = ANGLES[kind]
    if front is None:
        front = "wavelengths" not in settings and "base" not in settings
    count = points.shape[-1]
    rows = []
    for point in points.reshape(-1, count).astype(np.float64):
        place = [[x] if front else [] for x in point]
        sines = [[np.sin(angle(x, k)) for k in range(K)] for x in point]
        cosines = [[np.cos(angle(x, k)) for k in range(K)] for x in point]
        if order == "waves":
            rows.append([v for part in (place, sines, cosines) for one in part for v in one])
        else:
            parts = zip(sines, cosines, place, strict=True)
            rows.append([v for part in parts for one in part for v in one])
    return np.array(rows).reshape(*points.shape[:-1], -1)


def spec(kind: str, order: str, **more: Any) -> str:
    """The same features of a grid, of one whose size is known at run time, and of coordinates that are
    given, held by an input, replaced by a step, asked for as a grid and as points."""
    fourier: dict[str, Any] = {"bands": K, **ANGLES[kind][1], "order": order, **more}
    own: dict[str, Any] = {"fourier": fourier}
    step = {key: value for key, value in fourier.items() if key != "include_position"}
    grid = {"row": 3, "column": 4, "channel": 1}
    return yaml.safe_dump(
        {
            "perceiver": 1,
            "name": "waves",
            "dims": {"length": {"max": 9}},
            "inputs": {
                "grid": {"shape": grid, "position": own},
                "text": {
                    "shape": {"time": "length", "channel": 2},
                    "position": own,
                    "mask": "never",
                },
                "events": {"shape": {"event": 6, "channel": 1}, "position": {"given": 2, **own}},
                "held": {
                    "shape": {"event": 6, "channel": 1},
                    "position": {"inputs": "places", "coordinates": ["x", "y"], **own},
                },
                "places": {"shape": {"event": 6, "channel": 2}},
                "cloud": {"shape": {"point": 6, "channel": 2}, "steps": [{"fourier": step}]},
            },
            "join": {"padding": {"min": 1}},
            "latents": {"count": 4, "width": 8},
            "process": {"layers": 1, "heads": 2},
            "decode": {"heads": 1, "padding": {"min": 1}},
            "outputs": {
                "map": {"query": {"grid": {"row": 3, "column": 4}, "position": own}},
                "inside": {"query": {"points": ["x", "y"], "position": own}, "head": {"linear": 1}},
            },
        },
        sort_keys=False,
    )


def numbers(*shape: int, far: float = 1.0, seed: int = 0) -> Array:
    return np.random.default_rng(seed).uniform(-far, far, shape).astype(np.float32)


def arrays(kind: str) -> dict[str, Array]:
    far = 1.0 if kind in ("linear", "octaves") else 90.0
    return {
        "grid": numbers(2, 3, 4, 1),
        "text": numbers(2, 7, 2),
        "events": numbers(2, 6, 1),
        "events.position": numbers(2, 6, 2, far=far, seed=1),
        "held": numbers(2, 6, 1),
        "places": numbers(2, 6, 2, far=far, seed=2),
        "cloud": numbers(2, 6, 2, far=far, seed=3),
        "inside.points": numbers(2, 5, 2, far=far, seed=4),
    }


def made(text: str, given: dict[str, Array]) -> dict[str, Array]:
    """The features as the graph has them, by where they are made."""
    compiled = pg.compile(parse_spec(text), level=0)
    graph = compiled.graph
    names = {
        "inputs/grid/position": "grid",
        "inputs/text/position": "text",
        "inputs/events/position": "events",
        "inputs/held/position": "held",
        "inputs/cloud/fourier": "cloud",
        "queries/map/position.sum": "map",
        "queries/inside/position": "inside",
    }
    outputs = {names[node.name]: node.output for node in graph.nodes if node.name in names}
    assert outputs.keys() == set(names.values())
    found = evaluate(
        replace(graph, outputs=outputs), {**given, **BESIDE}, randomised(compiled, seed=1)
    )
    return dict(found)


BESIDE: dict[str, Array] = {
    **{f"{name}.present": np.ones(2, bool) for name in ("grid", "events", "held", "cloud")},
    "map.queries": np.arange(12),
}
"""What programs fill in where a call says nothing of it."""


def on_grid(sizes: Sequence[int], kind: str, *, endpoint: bool = True) -> Array:
    """The coordinates of a grid."""
    axes: list[Array] = []
    for size in sizes:
        index = np.arange(size)
        if kind in ("wavelengths", "base"):
            axes.append(index.astype(np.float64))
        elif endpoint:
            axes.append(np.linspace(-1, 1, size))
        else:
            axes.append(-1 + 2 * index / size)
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(sizes))


@each_spacing
@each_order
def test_features_are_those_of_the_formula(kind: str, order: str) -> None:
    given = arrays(kind)
    found = made(spec(kind, order), given)
    wanted = {
        "grid": on_grid((3, 4), kind),
        "text": on_grid((7,), kind),
        "events": given["events.position"],
        "held": given["places"],
        "cloud": given["cloud"],
        "map": on_grid((3, 4), kind, endpoint=False),
        "inside": given["inside.points"],
    }
    for name, points in wanted.items():
        features = expected(points, kind, order)
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], features, rtol=0, atol=2e-5, err_msg=name)


@each_spacing
@pytest.mark.parametrize("level", [0, 2])
def test_compiled_programs_have_the_same_features(kind: str, level: Any, tmp_path: Path) -> None:
    compiled = pg.compile(parse_spec(spec(kind, "axes")), level=level, verify=True)
    weights, given = randomised(compiled, seed=3), arrays(kind)
    wanted = evaluate(compiled.graph, {**given, **BESIDE}, weights)
    program = onnx_program(compiled, weights, tmp_path)
    module: Any = compiled.to_torch(weights).eval()
    tensors = {name: torch.from_numpy(x) for name, x in given.items()}
    points = {"inside": tensors.pop("inside.points")}
    with torch.no_grad():
        from_torch = module(tensors, points)
    for name, found in program.run(given).items():
        agree(found, wanted[name])
        agree(from_torch[name].numpy(), wanted[name])


@each_spacing
@each_order
@pytest.mark.parametrize("settings", [{}, {"include_position": True}, {"sine_only": True}])
def test_every_backend_computes_them(kind: str, order: str, settings: dict[str, Any]) -> None:
    """Coordinates, and a channel that is none."""
    said = ANGLES[kind][1]
    ends = (2 * np.pi, 2 * np.pi * 10000 ** (1 - 1 / K)) if kind == "base" else (0.5, 300.0)
    op = ops.FourierFeatures(
        K,
        10.0 if kind == "linear" else None,
        2,
        include_position=settings.get("include_position", False),
        sine_only=settings.get("sine_only", False),
        spacing=said.get("spacing", "linear"),
        pi=said.get("pi", True),
        wavelengths=(ends,) * 2 if kind in ("wavelengths", "base") else (),
        order=order,  # type: ignore[arg-type]
    )
    x = numbers(6, 3, far=1.0 if kind in ("linear", "octaves") else 90.0)
    wanted = expected(x[:, :2], kind, order, front=op.include_position)
    if op.sine_only:
        both = expected(x[:, :2], kind, "waves", front=False)
        wanted = both[:, : 2 * K]  # of one kind of wave alone, axis after axis in both orders
    wanted = np.concatenate([wanted, x[:, 2:]], axis=-1)
    np.testing.assert_allclose(op.evaluate(x.astype(np.float64)), wanted, rtol=0, atol=1e-6)
    np.testing.assert_allclose(op.evaluate(x), wanted, rtol=0, atol=2e-5)
    check_onnx(Case(op, x), rtol=0, atol=1e-6)
    check_torch(Case(op, x).graph(constant=False), {"x0": x}, {})


@pytest.mark.parametrize("far", [360.0, 480_000.0, 1.6e7])
def test_turns_are_counted_in_float64(far: float) -> None:
    """Of a number that is many waves long, in float32 whole radians would be lost."""
    x = np.array([[far - 1], [far], [0.0]], np.float32)
    op = ops.FourierFeatures(64, None, 1, include_position=False, wavelengths=((0.01, 9000.0),))
    lengths = 0.01 * 900_000.0 ** (np.arange(64) / 63)
    angles = 2 * np.pi * np.fmod(x.astype(np.longdouble), lengths) / lengths
    wanted = np.concatenate([np.sin(angles), np.cos(angles)], axis=-1).astype(np.float64)
    tolerance = max(1e-6, far / 0.01 * 2e-15)
    np.testing.assert_allclose(op.evaluate(x), wanted, rtol=0, atol=tolerance)
    check_onnx(Case(op, x), rtol=0, atol=1e-6)
    check_torch(Case(op, x).graph(constant=False), {"x0": x}, {})


def test_octaves_are_exact_powers_and_close_with_the_period() -> None:
    op = ops.FourierFeatures(19, None, 1, spacing="octaves", periodic=(0,))
    np.testing.assert_array_equal(op.frequencies()[0], 2.0 ** np.arange(19))
    x = np.array([[-0.75], [0.3125], [0.5]], np.float32)
    away = x + np.float32(2 * 4096)
    np.testing.assert_array_equal(away - x, 8192)
    np.testing.assert_array_equal(op.evaluate(away), op.evaluate(x))
    check_onnx(Case(op, away), rtol=0, atol=1e-6)
    check_torch(Case(op, away).graph(constant=False), {"x0": away}, {})


def test_what_is_usual_is_not_told() -> None:
    """IR text of linear features is as it was before there were others."""
    linear = ops.FourierTable(2, 0, 1, 1, 4.0)
    assert str(linear).endswith("periodic=())")
    assert str(replace(linear, order="axes")).endswith("periodic=(), order='axes')")


@pytest.mark.parametrize(
    "waves", ["spacing: octaves", "spacing: octaves, order: axes", "wavelengths: [2, 224]"]
)
def test_positions_are_scored_by_axis_whatever_their_waves(waves: str) -> None:
    text = (SPECS / "imagenet_fourier.yaml").read_text(encoding="utf-8")
    before = "bands: 64, max_resolution: {height: 224, width: 224}"
    text = text.replace(before, f"bands: 19, {waves}")
    assert waves in text
    optimized = pg.compile(parse_spec(text)).optimized
    (read,) = [node.op for node in optimized.nodes if isinstance(node.op, ops.SegmentedAttention)]
    assert read.axes == (2,)


def test_inputs_with_one_period_and_different_axes_have_tables_of_their_own(tmp_path: Path) -> None:
    text = """\
perceiver: 1
name: two
dims: {n: {max: 6}}
inputs:
  grid:
    shape: {height: n, width: 3, channel: 1}
    position: {fourier: {bands: 2, periodic: [height], max_resolution: 6}}
  line:
    shape: {time: n, channel: 1}
    position: {fourier: {bands: 2, periodic: [time], max_resolution: 6}}
join: {padding: {}}
latents: {count: 2, width: 4}
process: {layers: 0}
outputs: {answer: {query: latents}}
"""
    model = pg.compile(parse_spec(text, "two.yaml"))
    rng = np.random.default_rng(0)
    x = {"grid": rng.random((1, 4, 3, 1)), "line": rng.random((1, 4, 1))}
    x = {name: array.astype(np.float32) for name, array in x.items()}
    weights = randomised(model, 0)
    there = {f"{name}.present": np.ones(1, bool) for name in x}
    expected = evaluate(model.graph, x | there, weights)["answer"]
    found = onnx_program(model, weights, tmp_path).run(x)["answer"]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
