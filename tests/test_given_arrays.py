"""Arrays as callers have them: masked, of another library, of other units, beyond float32."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import perceiver_graph as pg
from perceiver_graph.diagnostics import Report
from perceiver_graph.media.clip.model import AudioMedia, VideoMedia
from perceiver_graph.media.image.model import ImageMedia
from perceiver_graph.media.table.model import TableMedia
from perceiver_graph.runtime import Program, load
from perceiver_graph.runtime.arrays import as_array, rounded, unscaled, wrapped
from tests.tiny import fault, write_artifact

FOURIER = {"bands": 4, "max_resolution": 8, "periodic": ["s"]}


def moments(fourier: dict[str, Any], bounds: list[float] | None) -> dict[str, Any]:
    position: dict[str, Any] = {"given": ["s"], "fourier": fourier}
    return {
        "perceiver": 1,
        "name": "moments",
        "inputs": {
            "a": {
                "shape": {"e": 4, "channel": 2},
                "mask": "never",
                "position": position | ({} if bounds is None else {"range": bounds}),
            }
        },
        "latents": {"count": 2, "width": 8},
        "process": {"layers": 1, "heads": 1},
        "outputs": {"y": {"query": {"learned": {}}, "head": {"linear": 3}}},
    }


def saved(spec: dict[str, Any], folder: Path) -> Program:
    pg.compile(spec).save(folder / "artifact")
    return load(folder / "artifact", device="cpu")


@pytest.mark.parametrize(("bounds", "period"), [([0.0, 60.0], 60), (None, 2)])
@pytest.mark.parametrize(("dtype", "now"), [(float, 17e8), (np.int64, 17e8), (np.float32, 1e6)])
def test_moments_keep_their_place_in_a_period(
    tmp_path: Path, bounds: list[float] | None, period: int, dtype: type, now: float
) -> None:
    program = saved(moments(FOURIER, bounds), tmp_path)
    seconds: NDArray[Any] = (now // period * period + np.array([7, 21, 32, 59])).astype(dtype)
    values, notes = np.ones((1, 4, 2), np.float32), list[str]()
    found = program.run({"a": values, "a.position": seconds[None, :, None]}, note=notes.append)
    within = (seconds % period).astype(np.float32)
    wanted = program.run({"a": values, "a.position": within[None, :, None]})
    np.testing.assert_allclose(found["y"], wanted["y"], rtol=1e-5, atol=1e-7)
    assert notes == []


def test_whole_numbers_that_float32_rounds_are_told(tmp_path: Path) -> None:
    program = saved(moments(FOURIER, None), tmp_path)
    for dtype in (np.int64, np.float64):
        values, notes = np.ones((1, 4, 2), dtype), list[str]()
        values[0, 2, 1] = 16_777_217
        position = np.zeros((1, 4, 1), np.float32)
        program.run({"a": values, "a.position": position}, note=notes.append)
        (said,) = notes
        assert said.startswith("input `a`: whole numbers beyond 16,777,216 are rounded to float32")
        assert "16777217 becomes 16777216, in batch 0, e 2, channel 1" in said


@pytest.mark.parametrize(
    ("number", "becomes"),
    [
        (2**53 + 1, 2**53),
        (-(2**60) - 1, -(2**60)),
        (2**63 - 1, 2**63),
        (2**60, None),
        (-(2**63), None),
    ],
)
def test_so_are_those_that_float64_rounds(number: int, becomes: int | None) -> None:
    given = np.array([0, number], np.int64)
    notes = [*rounded(given, given.astype(np.float32), ("batch",))]
    assert len(notes) == (becomes is not None)
    assert all(f"{number} becomes {becomes}, in batch 1" in text for text in notes)


def test_outputs_that_are_not_finite_are_told_in_python_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perceiver_graph.limits.NUMBER", np.inf)  # let some reach the model
    program = load(write_artifact(tmp_path / "tiny"), device="cpu")
    inputs: dict[str, NDArray[Any]] = {
        "points": np.full((1, 4, 2), 3e38, np.float32),
        "ids": np.zeros(1, np.int64),
        "extra": np.zeros((1, 3), np.float32),
    }
    notes = list[str]()
    found = program.run(inputs, {"total": None}, note=notes.append)
    assert not np.isfinite(found["total"]).all()
    assert [text.partition(":")[0] for text in notes] == [
        "output `total` is not finite in all its values"
    ]


def test_what_is_masked_is_not_taken_for_data(tmp_path: Path) -> None:
    program = saved(moments(FOURIER, None), tmp_path)
    position = np.zeros((1, 4, 1), np.float32)
    values = np.ma.masked_equal(np.array([[[1, 2], [-9999, 1], [0, 0], [1, -9999]]]), -9999)
    found = fault(lambda: program.run({"a": values, "a.position": position}))
    assert (found.code, found.message) == (
        "PG504",
        "input `a` is a masked array, and 2 of its 8 values are masked",
    )
    plain = program.run({"a": values.filled(0), "a.position": position})["y"]
    unmasked = np.ma.masked_array(values.filled(0))
    np.testing.assert_array_equal(program.run({"a": unmasked, "a.position": position})["y"], plain)


@pytest.mark.parametrize(
    ("tensor", "help"),
    [
        (torch.ones(2, requires_grad=True), "tensor.detach().numpy()"),
        (torch.ones(2, dtype=torch.bfloat16), "tensor.float().numpy()"),
        (
            torch.ones(2, dtype=torch.bfloat16, requires_grad=True),
            "tensor.detach().float().numpy()",
        ),
    ],
)
def test_tensors_that_are_no_arrays_yet(tensor: torch.Tensor, help: str) -> None:
    report = Report()
    assert as_array("input `a`", tensor, report) is None
    (found,) = report.diagnostics
    assert (found.code, found.help) == ("PG504", f"pass numbers of numpy: {help}")
    made: Any = eval(help, {"tensor": tensor})
    np.testing.assert_array_equal(as_array("input `a`", made, report), np.ones(2))


@pytest.mark.parametrize(
    ("array", "media", "said"),
    [
        ([0, 200], ImageMedia.model_validate({"image": {}}), "values of 0 to 200, where files are"),
        ([0, 200], VideoMedia.model_validate({"video": {}}), "values of 0 to 200, where files are"),
        ([-9, 99], AudioMedia.model_validate({"audio": {}}), "values of -9 to 99, where files are"),
        ([-9, 1], AudioMedia.model_validate({"audio": {}}), "values of -9 to 1, where files are"),
        ([0, 1], ImageMedia.model_validate({"image": {}}), ""),
        ([-3, 3], ImageMedia.model_validate({"image": {}}), ""),
        ([], ImageMedia.model_validate({"image": {}}), ""),
        ([0, 200], TableMedia.model_validate({"table": {}}), ""),
        ([0, 200], None, ""),
    ],
)
def test_numbers_far_beyond_those_of_files(array: list[float], media: Any, said: str) -> None:
    found = "".join(unscaled(np.array(array, np.float32), media))
    assert found.startswith(said)
    assert bool(found) == bool(said)


@pytest.mark.parametrize(("low", "high"), [(-180.0, 180.0), (-90.0, 90.0), (0.0, 60.0), (5, 8)])
@pytest.mark.parametrize("far", [1e3, 1e12, 1e18, 1e30, 3e38])
def test_far_coordinates_are_wrapped_without_rounding(low: float, high: float, far: float) -> None:
    signs = np.random.default_rng(0).uniform(-1, 1, (50, 1))
    given = (signs * far).astype(np.float32)
    found = wrapped(given, [[low, high]])
    exact = [low + (Fraction(float(x)) - Fraction(low)) % Fraction(high - low) for x in given[:, 0]]
    inside = (given >= low) & (given <= high)
    wanted = np.where(inside[:, 0], given[:, 0], np.array(exact, float))
    np.testing.assert_allclose(found[:, 0], wanted, rtol=0, atol=1e-12 * (high - low))
