"""Arrays of other kinds of numbers, and of large ones: the programs and the module take the same, and refuse
the same."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

import perceiver_graph as pg
from perceiver_graph import limits
from perceiver_graph.compiler.backends.torch.library.checks import LARGEST_NUMBER
from perceiver_graph.compiler.passes.pipeline import Level
from perceiver_graph.diagnostics import DiagnosticError, Report
from perceiver_graph.runtime.program import Program
from perceiver_graph.runtime.values import check_values
from perceiver_graph.spec.loader import parse_spec
from perceiver_graph.spec.manifest import InputEntry
from tests.test_differential import onnx_program, randomised

SPEC = """\
perceiver: 1
name: kinds
inputs:
  text: {shape: {place: 4}, steps: [{embedding: {vocabulary: 9, width: 6}}]}
  units: {shape: {spike: 2, channel: 2}, steps: [{embedding: {vocabulary: {unit: 5, kind: 2}, width: 6}}]}
  record:
    shape: {entry: 5, channel: 2}
    position:
      given: [hour]
      range: {hour: [0, 24]}
      fourier: {bands: 2, max_resolution: 8, periodic: [hour]}
    mask: optional
join: {padding: {min: 1}}
latents: {count: 3, width: 8}
process: {layers: 1, heads: 2}
decode: {padding: {min: 1}}
outputs:
  label: {query: {learned: {}}, head: {linear: 2}}
  map: {query: {grid: {row: 3}, position: {learned: {width: 3}}}}
  inside: {query: {points: [x, y], position: {fourier: {bands: 2, max_resolution: 8}}}, head: {linear: 1}}
"""
UNSIGNED = (np.uint8, np.uint16, np.uint32, np.uint64)
IDS: tuple[Any, ...] = (np.int64, np.int32, np.int16, np.int8, *UNSIGNED)
NUMBERS: tuple[Any, ...] = (np.float32, np.float64, np.float16, np.int64, np.int32, *UNSIGNED)


def inputs(ids: Any, numbers: Any) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    return {
        "text": rng.integers(0, 9, (2, 4)).astype(ids),
        "units": rng.integers(0, 2, (2, 2, 2)).astype(ids),
        "record": rng.integers(0, 9, (2, 5, 2)).astype(numbers),
        "record.position": rng.integers(0, 24, (2, 5, 1)).astype(numbers),
    }


Backends = Callable[[Level], tuple[Program, torch.nn.Module]]


@pytest.fixture(scope="module")
def backends(tmp_path_factory: pytest.TempPathFactory) -> Backends:
    """The program and the module of a level, with the same weights."""

    @cache
    def made(level: Level) -> tuple[Program, torch.nn.Module]:
        model = pg.compile(parse_spec(SPEC, "kinds.yaml"), level=level)
        weights = randomised(model, 5)
        program = onnx_program(model, weights, tmp_path_factory.mktemp("kinds"))
        return program, model.to_torch(weights).eval()

    return made


def answers(
    both: tuple[Program, torch.nn.Module], given: dict[str, Any], points: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the program says, and the module."""
    program, net = both
    of_onnx = program.run(given, {"label": None, "map": None, "inside": points})
    with torch.no_grad():
        tensors = {name: torch.from_numpy(x) for name, x in given.items()}
        of_torch = net(tensors, {"inside": torch.from_numpy(points)})
    return of_onnx, {name: x.numpy() for name, x in of_torch.items()}


@pytest.mark.parametrize(
    ("ids", "numbers"),
    [*((kind, np.float32) for kind in IDS), *((np.int64, kind) for kind in NUMBERS[1:])],
)
def test_both_take_the_same_kinds(ids: Any, numbers: Any, backends: Backends) -> None:
    points = np.array([[[0, 1], [1, 0]]] * 2).astype(numbers)
    plain = answers(backends(2), inputs(np.int64, np.float32), points.astype(np.float32))
    found = answers(backends(2), inputs(ids, numbers), points)
    for name, wanted in plain[0].items():
        np.testing.assert_array_equal(found[0][name], wanted)
        np.testing.assert_array_equal(found[1][name], plain[1][name])
        np.testing.assert_allclose(found[1][name], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", UNSIGNED)
def test_ids_without_a_sign_are_looked_at_too(kind: Any, backends: Backends) -> None:
    program, net = backends(2)
    given = inputs(kind, np.float32)
    given["text"][1, 2] = most = np.iinfo(kind).max
    with pytest.raises(DiagnosticError) as error:
        program.run(given)
    assert error.value.diagnostics[0].code == "PG514"
    tensors = {n: torch.from_numpy(x) for n, x in given.items()}
    with pytest.raises(ValueError, match=f"input `text` holds {most}, and takes 0 to 8"):
        net(tensors)


@pytest.mark.parametrize("kind", UNSIGNED)
def test_masks_and_flags_without_a_sign(kind: Any) -> None:
    text = SPEC.replace("width: 6}}]}", "width: 6}}], attention_mask: true}", 1)
    model = pg.compile(parse_spec(text, "kinds.yaml"))
    net: Any = model.to_torch(randomised(model, 5)).eval()
    tensors = {n: torch.from_numpy(x) for n, x in inputs(np.int64, np.float32).items()}
    mask = torch.tensor([[1, 0, 1, 1], [0, 1, 1, 1]])
    flags = torch.tensor([1, 0])
    given = [
        {"text.attention_mask": m, "record.present": f}
        for m, f in (
            (mask.bool(), flags.bool()),
            (
                torch.from_numpy(mask.numpy().astype(kind)),
                torch.from_numpy(flags.numpy().astype(kind)),
            ),
        )
    ]
    one, other = (net({**tensors, **more}, {})["label"] for more in given)
    torch.testing.assert_close(one, other)
    wrong = {"text.attention_mask": torch.from_numpy(2 * mask.numpy().astype(kind))}
    with pytest.raises(ValueError, match="holds 2, and takes 0 to 1"):
        net({**tensors, **wrong}, {})


@pytest.mark.parametrize("kind", [np.float64, np.int64])
def test_moments_lose_their_whole_periods_before_they_are_rounded(
    kind: Any, backends: Backends
) -> None:
    given = inputs(np.int64, np.float32)
    points = np.zeros((2, 1, 2), np.float32)
    near = answers(backends(2), given, points)
    hours = given["record.position"].astype(kind) + kind(24 * 10**12)
    far = answers(backends(2), {**given, "record.position": hours}, points)
    for one, other in zip(near, far, strict=True):
        for name in one:
            np.testing.assert_allclose(other[name], one[name], rtol=1e-4, atol=1e-5)


def test_positions_of_an_output_are_no_mask(backends: Backends) -> None:
    _, net = backends(2)
    tensors = {n: torch.from_numpy(x) for n, x in inputs(np.int64, np.float32).items()}
    one, other = (
        net(tensors, {"map": torch.tensor([2, 0], dtype=kind)})["map"]
        for kind in (torch.int64, torch.int32)
    )
    torch.testing.assert_close(one, other)
    with pytest.raises(ValueError, match=r"positions of output `map` are torch\.uint8"):
        net(tensors, {"map": torch.tensor([1, 0, 1], dtype=torch.uint8)})


@pytest.mark.parametrize("level", [0, 2])
@pytest.mark.parametrize("value", [1e18, -3e19, 1e38])
def test_numbers_whose_squares_overflow_are_refused(
    level: Level, value: float, backends: Backends
) -> None:
    """What a norm makes of them depends on how it is computed, and nobody would be told."""
    given, points = inputs(np.int64, np.float32), np.zeros((2, 1, 2), np.float32)
    for name in ("record", "inside.points"):
        wrong = {key: array.copy() for key, array in given.items()}
        asked = points.copy() if name == "inside.points" else points
        target = asked if name == "inside.points" else wrong[name]
        target[1, 0, 1] = value
        program, net = backends(level)
        with pytest.raises(DiagnosticError) as error:
            program.run(wrong, {"inside": asked})
        (said,) = error.value.diagnostics
        assert said.code == "PG505"
        assert f"1 of {target.size} values of input `{name}` are beyond 1e+17" in said.message
        tensors = {n: torch.from_numpy(x) for n, x in wrong.items()}
        with pytest.raises(ValueError, match=r"takes numbers up to 1e\+17"):
            net(tensors, {"inside": torch.from_numpy(asked)})


def test_coordinates_that_are_too_far_are_told_how_to_count() -> None:
    """Nanoseconds of 1970 are beyond the limit, and 137 seconds apart in float32."""
    moments = np.full((1, 5, 1), 1.7e18, np.float32)
    said = {}
    for beside in (["record"], []):
        entry = InputEntry(
            dtype="float32",
            axes=["batch", "entry", "channel"],
            shape=["batch", 5, 1],
            mask="never",
            beside=beside,
        )
        report = Report()
        check_values("when", entry, moments, report)
        (found,) = report.diagnostics
        assert found.code == "PG505"
        said[len(beside)] = found.help or ""
    assert "(when - when.min()) / 1e9 makes seconds of nanoseconds" in said[1]
    assert said[0].startswith("give them in a larger unit; ")


@pytest.mark.parametrize("level", [0, 2])
def test_the_largest_numbers_are_finite_everywhere(level: Level, backends: Backends) -> None:
    given = inputs(np.int64, np.float32)
    given["record"] = np.sign(given["record"] - 4) * np.float32(limits.NUMBER)
    one, other = answers(backends(level), given, np.zeros((2, 1, 2), np.float32))
    assert limits.NUMBER == LARGEST_NUMBER
    for name, array in one.items():
        assert np.isfinite(array).all()
        np.testing.assert_allclose(other[name], array, rtol=1e-3, atol=1e-4)
