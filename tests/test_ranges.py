"""Coordinates and the range that the spec says they lie in: which is told when they do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.test_coordinates import (
    GIVEN,
    RECORD,
    SCENE,
    an_event_record,
    compiled,
    numbers,
    refusal,
)
from tests.test_differential import onnx_program
from tests.torch_support import emit, lowered, module


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("given: 1, ", "given: [hour], "),
        ("inputs: times, ", "inputs: times, coordinates: [hour], "),
    ],
)
def test_a_value_outside_of_its_range_is_called_by_its_name(
    old: str, new: str, tmp_path: Path
) -> None:
    text = (GIVEN if "given" in old else RECORD).replace(old, new)
    program = onnx_program(*compiled(text), tmp_path)
    (name,) = (name for name, one in program.manifest.inputs.items() if one.ranges)
    assert program.manifest.inputs[name].coordinates == ["hour"]
    arrays = an_event_record()
    late = arrays.pop("times") + 24
    told = refusal(program.run, {**arrays, name: late})
    assert f"PG517: 10 of 10 values of `hour` in `{name}` lie outside of 0 to 24" in told


def test_points_outside_of_their_range_are_called_by_their_name(tmp_path: Path) -> None:
    text = SCENE.replace(
        "{points: [x, y, z], position: {",
        "{points: [x, y, z], position: {range: {x: [-9, 9], y: [-9, 9], z: [0, 2]}, ",
    )
    program = onnx_program(*compiled(text), tmp_path)
    points = np.ones((2, 3, 3), np.float32)
    points[1, 2, 2] = -0.5
    told = refusal(program.run, {"cloud": numbers(2, 6, 3), "inside.points": points})
    assert "PG517: 1 of 6 values of `z` in `inside.points` lie outside of 0 to 2" in told


def test_the_range_of_points_is_not_that_of_an_input_of_the_same_name() -> None:
    text = SCENE.replace("inside", "cloud").replace(
        "{points: [x, y, z], position: {", "{points: [x, y, z], position: {range: [0, 2], "
    )
    net = module(emit(lowered(text)))
    cloud = torch.full((2, 6, 3), -50.0)
    state = net.encode({"cloud": cloud})
    with pytest.raises(ValueError, match="points of output `cloud` holds -50 for x"):
        net.decode(state, {"cloud": cloud})


def test_coordinates_without_a_range_that_lie_beyond_it_are_noted(tmp_path: Path) -> None:
    """In degrees, say: positions that the features do not tell apart."""
    scene = onnx_program(*compiled(SCENE), tmp_path)
    cloud, points = numbers(2, 6, 3) / 9, np.full((2, 4, 3), 0.5, np.float32)
    for far in (-51.5, 0.5):
        points[1, 2, 1] = far
        notes: list[str] = []
        scene.run({"cloud": cloud, "inside.points": points}, note=notes.append)
        told = "`inside.points` goes up to 51.5, and is taken to lie in -1 to 1: `range`"
        assert [told in note for note in notes] == [True] * (far != 0.5)


def test_coordinates_of_a_fourier_step_that_lie_beyond_it_are_noted(tmp_path: Path) -> None:
    """Those that follow the coordinates in further channels are no coordinates."""
    text = SCENE.replace("channel: 3}", "channel: 4}").replace(
        "max_resolution: 8}", "max_resolution: 8, channels: 3}"
    )
    scene = onnx_program(*compiled(text.replace("heads: 3", "heads: 4")), tmp_path)
    cloud = np.full((2, 6, 4), 0.5, np.float32)
    for channel in (0, 3):
        cloud[1, 2] = 0.5
        cloud[1, 2, channel] = -51.5
        notes: list[str] = []
        scene.run({"cloud": cloud}, {"label": None}, note=notes.append)
        told = "`cloud` goes up to 51.5, and is taken to lie in -1 to 1: bring it there first"
        assert [told in note for note in notes] == [True] * (channel == 0)


@pytest.mark.parametrize(
    ("waves", "most", "far"),
    [
        ("wavelengths: [1, 100]", 100_000, 300_000),
        ("base: 10000", 1_000_000, 3_000_000),
        ("spacing: octaves, pi: false", 500_000, 3_000_000),
    ],
)
def test_coordinates_of_waves_with_lengths_may_lie_anywhere_that_float32_tells_apart(
    waves: str, most: float, far: float, tmp_path: Path
) -> None:
    text = SCENE.replace("bands: 2, max_resolution: 16", f"bands: 2, {waves}").replace(
        "bands: 2, max_resolution: 8", f"bands: 2, {waves}"
    )
    if "pi" not in waves:
        text = text.replace("heads: 3", "heads: 4")
    scene = onnx_program(*compiled(text), tmp_path)
    points = np.full((2, 4, 3), 0.5, np.float32)
    for x in (most, far):
        points[1, 2, 1] = x
        notes: list[str] = []
        scene.run({"cloud": 90 * numbers(2, 6, 3), "inside.points": points}, note=notes.append)
        told = f"`inside.points` goes up to {far:g}, where numbers in float32 differ by "
        assert [told in note for note in notes] == [True] * (x == far)


def test_what_one_reader_takes_to_lie_in_the_unit_is_noted(tmp_path: Path) -> None:
    """Two inputs at the same places, of which one has waves with lengths."""
    second = """
  other:
    shape: {event: events, channel: 1}
    position: {inputs: times, fourier: {bands: 2, FOURIER}}
  times:"""
    for fourier, noted in (("base: 100", False), ("max_resolution: 8", True)):
        text = RECORD.replace("\n  times:", second.replace("FOURIER", fourier))
        text = text.replace("max_resolution: 16}, range: [0, 24]}", "base: 100}}")
        text = text.replace("heads: 2", "heads: 1")
        folder = tmp_path / str(noted)
        folder.mkdir()
        program = onnx_program(*compiled(text), folder)
        notes: list[str] = []
        arrays = {**an_event_record(), "other": numbers(2, 5, 1)}
        program.run(arrays, note=notes.append)
        assert ["to lie in -1 to 1" in note for note in notes] == [True] * noted


@pytest.mark.parametrize("text", [RECORD, GIVEN])
def test_masks_and_positions_that_are_not_as_many(text: str, tmp_path: Path) -> None:
    """That they are not is told, before the mask says which positions are looked at."""
    program = onnx_program(*compiled(text), tmp_path)
    arrays = an_event_record()
    if text == GIVEN:
        arrays["record.position"] = arrays.pop("times")
    (name,) = (name for name, one in program.manifest.inputs.items() if one.ranges)
    arrays |= {name: arrays[name][:, :-1], "record.attention_mask": arrays["record"] > -1}
    assert "PG503: `events` cannot be several sizes" in refusal(program.run, arrays)


def test_a_range_of_waves_with_lengths_is_checked_and_maps_nothing(tmp_path: Path) -> None:
    text = SCENE.replace("{bands: 2, max_resolution: 16}", "{bands: 2, base: 100}, range: [0, 24]")
    made, weights = compiled(text)
    (op,) = [n.op for n in made.graph.nodes if n.name == "queries/inside/position"]
    assert op.attributes["ranges"] == ()
    program = onnx_program(made, weights, tmp_path)
    points = np.full((2, 1, 3), 24, np.float32)
    cloud, notes = numbers(2, 6, 3) / 9, list[str]()
    program.run({"cloud": cloud, "inside.points": points}, note=notes.append)
    assert not notes
    told = refusal(program.run, {"cloud": cloud, "inside.points": points + 1})
    assert "PG517: 2 of 2 values of `x` in `inside.points` lie outside of 0 to 24" in told
