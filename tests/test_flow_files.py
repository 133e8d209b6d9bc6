"""Optical flow and its frames as files: pictures, .flo and the colours of directions."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from perceiver_graph.media.flow.frames import Frames, fitted, flow_inputs, read_frames
from perceiver_graph.media.flow.picture import flow_picture, write_flo, write_flow_picture
from tests.media_support import code_of, read_flo


def picture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def pair(height: int, width: int) -> NDArray[np.uint8]:
    return np.stack([picture(height, width, 0), picture(height, width, 1)])


# Files -------------------------------------------------------------------------------------------


def save(path: Path, pixels: NDArray[np.uint8]) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def test_two_pictures_are_read(tmp_path: Path) -> None:
    frames = pair(9, 13)
    first, second = save(tmp_path / "a.png", frames[0]), save(tmp_path / "b.png", frames[1])
    assert np.array_equal(read_frames(first, second)[0], frames)


def test_pictures_that_do_not_go_together(tmp_path: Path) -> None:
    first = save(tmp_path / "a.png", picture(9, 13))
    second = save(tmp_path / "b.png", picture(13, 9))
    code, text = code_of(lambda: read_frames(first, second))
    assert code == "PG503"
    assert "a.png: 9 x 13 pixels" in text
    assert "b.png: 13 x 9 pixels" in text
    assert code_of(lambda: read_frames(first, tmp_path / "none.png"))[0] == "PG512"


def test_missing_pillow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    small = pair(40, 60)
    flow = np.zeros((4, 4, 2), np.float32)
    assert code_of(lambda: fitted(small, 80, 120))[0] == "PG509"
    assert code_of(lambda: write_flow_picture(tmp_path / "flow.png", flow))[0] == "PG509"
    assert list(flow_inputs(Frames(small, (40, 60)), 40, 60))  # needs none


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_flo_files_round_trip(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, seed: int
) -> None:
    path = tmp_path_factory.mktemp("flo") / "a.flo"
    bits = np.random.default_rng(seed).integers(0, 2**32, (height, width, 2), np.uint32)
    flow = bits.view(np.float32)  # every float there is, NaN included
    write_flo(path, flow)
    back = read_flo(path)
    assert np.array_equal(back.view(np.uint32), bits)
    assert list(path.parent.iterdir()) == [path]


def test_flo_files_are_laid_out_as_the_benchmark_does(tmp_path: Path) -> None:
    path = tmp_path / "a.flo"
    write_flo(path, np.arange(12.0).reshape(2, 3, 2))
    data = path.read_bytes()
    assert struct.unpack("<fii", data[:12]) == (202021.25, 3, 2)
    assert struct.unpack("<12f", data[12:]) == tuple(map(float, range(12)))


def test_results_that_cannot_be_written(tmp_path: Path) -> None:
    flow = np.zeros((4, 4, 2))
    for write in (write_flo, write_flow_picture):
        assert code_of(lambda write=write: write(tmp_path / "no" / "a", flow))[0] == "PG511"  # type: ignore[misc]
        assert code_of(lambda write=write: write(tmp_path, flow))[0] == "PG511"  # type: ignore[misc]
        with pytest.raises(ValueError, match=r"\[height, width, 2\]"):
            write(tmp_path / "a", np.zeros((4, 4)))
    assert list(tmp_path.iterdir()) == []


# The picture -------------------------------------------------------------------------------------


def test_colours_of_directions() -> None:
    """Right red, down yellow, left between cyan and blue, up violet; no motion is white."""
    flow = np.array([[[1, 0], [0, 1], [-1, 0], [0, -1], [0, 0]]], np.float32)
    red, yellow, left, up, still = flow_picture(flow)[0].tolist()
    assert red == [255, 0, 0]
    assert yellow[0] == 255
    assert 200 < yellow[1] < 255
    assert yellow[2] == 0
    assert left[0] == 0
    assert left[2] == 255
    assert up[1] == 0
    assert up[2] == 255
    assert still == [255, 255, 255]


def test_colours_of_lengths() -> None:
    flow = np.array([[[2, 0], [4, 0], [8, 0], [np.nan, 0], [2e9, 0], [-np.inf, 1]]], np.float32)
    found = flow_picture(flow, longest=4.0)[0].tolist()
    assert found == [[255, 128, 128], [255, 0, 0], [191, 0, 0]] + [[0, 0, 0]] * 3
    assert flow_picture(flow)[0].tolist()[2] == [255, 0, 0]  # by default the longest there is


def test_directions_close_to_each_other_look_alike() -> None:
    angles = np.linspace(0, 2 * np.pi, 2000)
    flow = np.stack([np.cos(angles), np.sin(angles)], axis=-1)[None].astype(np.float32)
    pixels = flow_picture(flow)[0].astype(int)
    assert np.abs(np.diff(pixels, axis=0)).max() <= 3  # all the way round, also where it closes
    assert len(np.unique(pixels, axis=0)) > 800


def test_the_picture_is_a_png(tmp_path: Path) -> None:
    path = tmp_path / "flow.png"
    flow = np.random.default_rng(0).standard_normal((20, 30, 2)).astype(np.float32)
    write_flow_picture(path, flow, longest=2.0)
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert np.array_equal(np.asarray(image), flow_picture(flow, 2.0))
    assert list(tmp_path.iterdir()) == [path]
    assert flow_picture(np.zeros((3, 3, 2))).min() == 255
