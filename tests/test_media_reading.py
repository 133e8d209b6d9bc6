"""Media files in and out: real clips are encoded with PyAV, read, written and compared."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from perceiver_graph.media.clip.formats import VideoFormat
from tests.media_support import (
    code_of,
    encode,
    grey,
    index_of,
    tone,
    windows,
)


def test_a_clip_is_cut_into_aligned_windows_and_the_last_is_padded(tmp_path: Path) -> None:
    path = encode(tmp_path / "clip.mp4", [grey(i) for i in range(50)], tone(2.0))
    found = windows(path)

    assert [w.index for w in found] == [0, 1, 2, 3]
    assert [w.start for w in found] == pytest.approx([0.0, 0.64, 1.28, 1.92])
    assert [w.frame_count for w in found] == [16, 16, 16, 2]
    assert [w.sample_count for w in found] == [30_720, 30_720, 30_720, 3_840]
    indices = [index_of(f) for w in found if w.frames is not None for f in w.frames]
    assert indices == [*range(50), *[49] * 14]  # the last frame is repeated
    last = found[-1]
    assert last.frames is not None
    assert last.frames.shape == (16, 32, 32, 3)
    assert last.frames.dtype == np.uint8
    assert last.samples is not None
    assert last.samples.shape == (30_720, 1)
    assert last.samples.dtype == np.float32
    assert np.abs(last.samples[:3_840]).max() > 0.4
    assert not last.samples[3_840:].any()


@pytest.mark.parametrize(("count", "short"), [(15, True), (16, False), (17, False)])
def test_a_clip_that_does_not_fill_a_window_is_told(
    count: int, short: bool, tmp_path: Path
) -> None:
    path = encode(tmp_path / "clip.mp4", [grey(i) for i in range(count)], tone(count / 25))
    for options in ({}, {"audio": None}, {"video": None}):
        first, *rest = windows(path, **options)
        told = "it is shorter than a window of"
        assert [told in note for note in first.notes] == [True] * short
        for note in first.notes:  # of what is there alone
            assert ("frame" in note) == ("video" not in options)
            assert ("silence" in note) == ("audio" not in options)
        assert not any(told in note for window in rest for note in window.notes)


def shown(path: Path, rate: int = 25) -> list[int]:
    """Which frame of a clip of `grey` ones is seen at each moment that a model of a rate looks at."""
    found = windows(path, video=VideoFormat(4, 16, 16, rate=Fraction(rate)), audio=None)
    return [index_of(f) for w in found for f in w.frames[: w.frame_count]]  # type: ignore[index]


def on_screen(begins: Sequence[Fraction], ends: float, rate: int = 25) -> list[int]:
    """The same by the definition: the latest frame that has begun."""
    ticks = [Fraction(tick, rate) for tick in range(round(ends * rate))]
    return [max(i for i, begin in enumerate(begins) if begin <= tick) for tick in ticks]


@pytest.mark.parametrize("rate", [5, 8, 10, 24, 30, 50, 60])
@pytest.mark.parametrize("name", ["libx264.mp4", "libx264.mkv", "ffv1.avi"])
def test_other_frame_rates_take_the_frame_that_is_on_screen(
    name: str, rate: int | Fraction, tmp_path: Path
) -> None:
    count = round(rate)  # one second
    frames = [grey(i) for i in range(count)]
    path = encode(tmp_path / name, frames, rate=rate, codecs=(name[:-4], ""))
    begins = [i / Fraction(rate) for i in range(count)]
    assert shown(path) == on_screen(begins, 1.0)
    assert shown(path, 10) == on_screen(begins, 1.0, 10)


@pytest.mark.parametrize("rate", [25, 30, Fraction(30000, 1001), Fraction(24000, 1001)])
@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.mov"])
def test_a_model_of_the_rate_of_a_file_sees_every_frame_once(
    name: str, rate: int | Fraction, tmp_path: Path
) -> None:
    frames = [grey(i) for i in range(24)]
    path = encode(tmp_path / name, frames, rate=rate)
    assert shown(path, round(rate)) == list(range(24))


def test_jittered_timestamps_of_an_equal_rate_stay_one_to_one(tmp_path: Path) -> None:
    jitter = np.random.default_rng(0).integers(-12, 13, 32)
    pts = [40 * i + (int(jitter[i]) if i else 0) for i in range(32)]
    path = encode(tmp_path / "clip.mkv", [grey(i) for i in range(32)], pts=pts)
    found = windows(path, audio=None)
    assert [index_of(f) for w in found for f in w.frames] == list(range(32))  # type: ignore[union-attr]


def test_variable_frame_rate_holds_a_frame_through_a_pause(tmp_path: Path) -> None:
    path = encode(tmp_path / "clip.mkv", [grey(i) for i in range(4)], pts=[0, 40, 440, 480])
    (window,) = windows(path, audio=None)
    assert window.frames is not None
    held = [index_of(f) for f in window.frames[: window.frame_count]]
    assert held == [0, *[1] * 10, 2, 3]


@pytest.mark.parametrize("begins", [[0, 4000, 4400], [0, 100, 150, 300, 550, 1000], [0, 1460]])
def test_no_frame_of_a_slow_clip_comes_from_the_future(begins: list[int], tmp_path: Path) -> None:
    frames = [grey(7 * i) for i in range(len(begins))]
    path = encode(
        tmp_path / "a.mkv", frames, rate=10, pts=begins, codecs=("ffv1", ""), pix_fmt="bgr0"
    )
    ends = (begins[-1] + 100) / 1000
    expected = [7 * i for i in on_screen([Fraction(begin, 1000) for begin in begins], ends, 10)]
    assert shown(path, 10) == expected


def test_a_frame_of_a_gif_is_held_as_long_as_it_says(tmp_path: Path) -> None:
    first, second = (Image.fromarray(grey(20 * i)) for i in (0, 1))
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second], duration=[4000, 400])
    assert shown(tmp_path / "a.gif", 10) == [0] * 40 + [20] * 4


@pytest.mark.parametrize(("width", "height"), [(96, 48), (48, 96), (65, 49), (31, 77)])
def test_the_centre_square_is_cut_out(tmp_path: Path, width: int, height: int) -> None:
    side = min(width, height)
    top, left = (height - side) // 2, (width - side) // 2
    pixels = np.full((height, width, 3), 255, np.uint8)
    pixels[top : top + side, left : left + side] = (200, 40, 40)
    pixels[top : top + side // 2, left : left + side // 2] = (40, 40, 200)
    path = encode(tmp_path / "clip.mp4", [pixels] * 16, pix_fmt="yuv444p")
    (window,) = windows(path, audio=None)
    assert window.frames is not None
    frame = window.frames[8].astype(int)
    assert np.abs(frame[2:14, 2:14] - (40, 40, 200)).max() < 24
    assert np.abs(frame[18:30, 18:30] - (200, 40, 40)).max() < 24
    assert np.abs(frame[18:30, 2:14] - (200, 40, 40)).max() < 24


def test_a_rotated_recording_is_turned_upright(tmp_path: Path) -> None:
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:24] = 255  # as stored: the upper half is white
    path = encode(tmp_path / "clip.mp4", [pixels] * 16, rotation=90.0)
    (window,) = windows(path, audio=None)
    assert window.frames is not None
    frame = window.frames[4]
    assert frame[:, :12].min() > 200  # a quarter turn counter-clockwise: the left half is
    assert frame[:, 20:].max() < 50


MATRICES = {
    "identity": (1, 0, 0, 1),
    "quarter": (0, 1, -1, 0),
    "half": (-1, 0, 0, -1),
    "three quarters": (0, -1, 1, 0),
    "mirrored": (-1, 0, 0, 1),
    "upside down": (1, 0, 0, -1),
    "transposed": (0, 1, 1, 0),
    "transposed the other way": (0, -1, -1, 0),
}


def with_matrix(path: Path, matrix: tuple[float, float, float, float]) -> None:
    """Write the matrix of an mp4's only track: x' = a x + c y, y' = b x + d y."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (round(value * 65536) for value in matrix)
    data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


@pytest.mark.parametrize("name", MATRICES)
def test_frames_are_shown_as_the_matrix_says(name: str, tmp_path: Path) -> None:
    a, b, c, d = MATRICES[name]
    stored = np.zeros((64, 64, 3), np.uint8)
    shown = np.zeros((2, 2), np.uint8)
    for row in (0, 1):
        for column in (0, 1):
            grey_level = 60 * (1 + row + 2 * column)
            stored[32 * row : 32 * row + 32, 32 * column : 32 * column + 32] = grey_level
            x, y = 2 * column - 1, 2 * row - 1  # from the centre
            shown[(b * x + d * y + 1) // 2, (a * x + c * y + 1) // 2] = grey_level
    path = encode(tmp_path / "clip.mp4", [stored] * 4)
    with_matrix(path, MATRICES[name])
    (window,) = windows(path, audio=None)
    assert window.frames is not None
    found = window.frames[0, 8::16, 8::16, 0].astype(int)
    assert np.abs(found - shown).max() < 8


def test_a_frame_that_is_wider_than_high_lies_on_its_side(tmp_path: Path) -> None:
    stored = np.zeros((32, 96, 3), np.uint8)
    stored[:, 32:64] = 255  # the centre square
    path = encode(tmp_path / "clip.mp4", [stored] * 4)
    with_matrix(path, MATRICES["transposed"])
    (window,) = windows(path, audio=None)
    assert window.frames is not None
    assert window.frames[0, 2:-2].min() > 200


@pytest.mark.parametrize(
    "name", ["libx264.mp4", "libx264.mkv", "libx264.ts", "mpeg4.avi", "mjpeg.mov", "wmv2.wmv"]
)
@pytest.mark.parametrize("aspect", [Fraction(2), Fraction(1, 2), Fraction(4, 3), None])
def test_the_centre_is_cut_out_of_what_is_displayed(
    name: str, aspect: Fraction | None, tmp_path: Path
) -> None:
    """A pixel may be wider than high: it is not what is stored that is a square."""
    wide, high = 96 * (aspect or 1), 64
    side = min(wide, high)  # of the square, as it is displayed
    columns, rows = round(side / (aspect or 1)), round(side)
    left, top = (96 - columns) // 2, (64 - rows) // 2
    stored = np.zeros((64, 96, 3), np.uint8)
    stored[top : top + rows, left : left + columns] = 255
    path = encode(
        tmp_path / name,
        [stored] * 4,
        codecs=(name.partition(".")[0], ""),
        pixel_aspect=aspect,
        pix_fmt="yuvj420p" if name == "mjpeg.mov" else "yuv420p",
    )
    (window,) = windows(path, audio=None)
    assert window.frames is not None
    # Were another part cut out, black would be seen at its edges, or none within it.
    assert window.frames[0].mean() > 235
    larger = windows(path, audio=None, video=VideoFormat(4, 32, 48))[0].frames
    assert larger is not None
    if side < wide:
        assert larger[0, :, [0, -1]].mean() < 120


def test_pixels_of_a_frame_on_its_side_are_higher_than_wide(tmp_path: Path) -> None:
    stored = np.zeros((64, 96, 3), np.uint8)
    stored[:, 32:64] = 255  # displayed, the centre square: 64 of 192
    path = encode(tmp_path / "clip.mp4", [stored] * 4, pixel_aspect=Fraction(2))
    with_matrix(path, MATRICES["transposed"])
    (window,) = windows(path, audio=None)
    assert window.frames is not None
    assert window.frames[0].mean() > 235


def test_frames_at_an_angle_are_refused(tmp_path: Path) -> None:
    path = encode(tmp_path / "clip.mp4", [grey(9)] * 4)
    with_matrix(path, (0.8, 0.6, -0.6, 0.8))
    code, message = code_of(lambda: windows(path, audio=None))
    assert code == "PG507"
    assert "at an angle" in message


def test_the_model_may_take_frames_that_are_not_square(tmp_path: Path) -> None:
    path = encode(tmp_path / "clip.mp4", [grey(i) for i in range(4)])
    (window,) = windows(path, audio=None, video=VideoFormat(time=4, height=18, width=32))
    assert window.frames is not None
    assert window.frames.shape == (4, 18, 32, 3)


def photograph(orientation: int, format: str = "JPEG") -> bytes:
    """A picture of four grey quarters, which EXIF says to turn."""
    quarters = np.kron([[60, 120], [180, 240]], np.ones((32, 32))).astype(np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    file = BytesIO()
    Image.fromarray(quarters).convert("RGB").save(file, format, exif=exif)
    return file.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "film"])
def test_frames_with_exif_are_shown_as_it_says(
    format: str, orientation: int, tmp_path: Path
) -> None:
    data = photograph(orientation, "JPEG" if format == "film" else format)
    path = tmp_path / f"one.{format}"
    if format == "film":
        with av.open(path, "w", format="avi") as film:
            stream = film.add_stream("mjpeg", rate=25, width=64, height=64, pix_fmt="yuvj420p")
            for tick in range(4):
                packet = av.Packet(data)
                packet.stream, packet.pts, packet.dts = stream, tick, tick
                film.mux(packet)
    else:
        path.write_bytes(data)
    (window,) = windows(path, audio=None)
    assert window.frames is not None
    shown = np.asarray(ImageOps.exif_transpose(Image.open(BytesIO(data))).convert("L"))
    found = window.frames[0, 8::16, 8::16, 0].astype(int)
    assert np.abs(found - shown[16::32, 16::32]).max() < 8
