"""Clips whose pictures and sound differ in length: the longer one says how long, and all of it is read."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from perceiver_graph.media.clip.formats import AudioFormat, VideoFormat, Window
from perceiver_graph.media.clip.reader import ClipReader
from perceiver_graph.media.clip.windows import read_clip
from tests.media_support import encode, grey, index_of

RATE = 16_000
VIDEO = VideoFormat(time=4, height=16, width=16, rate=Fraction(10))
AUDIO = AudioFormat(samples=6400, rate=RATE)
LOSSLESS = ("ffv1", "pcm_s16le")


def ramp(seconds: float) -> NDArray[np.int16]:
    """A sound of which every sample tells where it is, 1 to 32 000 and again."""
    return (1 + np.arange(round(seconds * RATE)) % 32_000).astype(np.int16)[:, None]


def clip(
    path: Path, count: int, seconds: float, *, late: int = 0, sound_late: float = 0.0
) -> tuple[Path, NDArray[np.int16]]:
    """So many frames, 10 a second, from `late` ms on, and so many seconds of sound."""
    sound = ramp(seconds)
    frames = [grey(5 * i) for i in range(count)]
    pts = [late + 100 * i for i in range(count)]
    options = {"pts": pts, "rate": 10, "sample_rate": RATE, "sound_from": sound_late}
    return encode(path, frames, sound, codecs=LOSSLESS, pix_fmt="bgr0", **options), sound  # type: ignore[arg-type]


def seen(windows: list[Window]) -> list[int]:
    """The frames that belong to a clip, by number."""
    return [
        index_of(f) // 5 for w in windows if w.frames is not None for f in w.frames[: w.frame_count]
    ]


def heard(windows: list[Window]) -> NDArray[np.int16]:
    """The samples that belong to a clip."""
    kept = [w.samples[: w.sample_count, 0] for w in windows if w.samples is not None]
    return np.rint(np.concatenate(kept) * 2**15).astype(np.int16)


def notes(windows: list[Window]) -> str:
    return "; ".join(dict.fromkeys(note for w in windows for note in w.notes))


@pytest.mark.parametrize(
    ("count", "seconds"),
    [(1, 4.0), (5, 4.0), (4, 0.8), (5, 0.8), (8, 1.3), (1, 0.3), (8, 8.01), (2, 1.23456)],
)
def test_the_last_frame_is_held_while_there_is_sound(
    count: int, seconds: float, tmp_path: Path
) -> None:
    path, sound = clip(tmp_path / "a.mkv", count, seconds)
    found = list(read_clip(path, video=VIDEO, audio=AUDIO))
    ticks = int(np.ceil(round(seconds * 10, 6)))
    assert seen(found) == [min(tick, count - 1) for tick in range(ticks)]
    np.testing.assert_array_equal(heard(found), sound[:, 0])
    parts = [min(1.0, (seconds - 0.4 * w.index) / 0.4) for w in found]
    assert [float(w.part) for w in found] == pytest.approx(parts, abs=1 / 6400)
    assert f"its pictures end at {count / 10:.2f} s, and the sound goes on" in notes(found)
    assert ("shorter than a window" in notes(found)) == (seconds < 0.4)
    reader = ClipReader({"clip": VIDEO, "sound": AUDIO})
    assert reader.open([str(path)]).expected == len(found)


@pytest.mark.parametrize("late", [300, 3000])
def test_the_first_frame_is_shown_while_there_is_sound_before_it(late: int, tmp_path: Path) -> None:
    path, sound = clip(tmp_path / "a.mkv", 8, 1.5, late=late)
    found = list(read_clip(path, video=VIDEO, audio=AUDIO))
    before = late // 100
    ticks = max(15, before + 8)
    assert seen(found) == [min(max(0, tick - before), 7) for tick in range(ticks)]
    silence = np.zeros(max(0, ticks * 1600 - len(sound)), np.int16)
    np.testing.assert_array_equal(heard(found), np.concatenate([sound[:, 0], silence]))
    assert f"its pictures begin {late / 1000:.2f} s after its sound" in notes(found)


@pytest.mark.parametrize(("beyond", "late"), [(0.14, 0), (0.0, 100), (0.04, 100), (-0.3, 0)])
def test_streams_of_about_one_length_are_as_long_as_the_pictures(
    beyond: float, late: int, tmp_path: Path
) -> None:
    path, sound = clip(tmp_path / "a.mkv", 8, 0.8 + late / 1000 + beyond, late=late)
    found = list(read_clip(path, video=VIDEO, audio=AUDIO))
    assert seen(found) == list(range(8))
    expected = np.zeros(12_800, np.int16)
    kept = sound[late * 16 : late * 16 + 12_800, 0]
    expected[: len(kept)] = kept
    np.testing.assert_array_equal(heard(found), expected)
    assert notes(found) == ""


def test_pictures_and_sound_may_both_begin_late(tmp_path: Path) -> None:
    path, sound = clip(tmp_path / "a.mkv", 8, 0.8, late=5000, sound_late=5.0)
    found = list(read_clip(path, video=VIDEO, audio=AUDIO))
    assert seen(found) == list(range(8))
    np.testing.assert_array_equal(heard(found), sound[:, 0])
    assert notes(found) == ""


@pytest.mark.parametrize(("count", "seconds"), [(1, 1.0), (8, 0.5), (8, 0.8)])
def test_the_sound_of_another_file_says_how_long_too(
    count: int, seconds: float, tmp_path: Path
) -> None:
    pictures, _ = clip(tmp_path / "a.mkv", count, 0.1)
    path, sound = clip(tmp_path / "b.mkv", 1, seconds, sound_late=2.0)
    reader = ClipReader({"clip": VIDEO, "sound": AUDIO})
    reading = reader.open_named({"clip": [str(pictures)], "sound": [str(path)]})
    pieces = list(reading.pieces())
    ticks = max(count, round(seconds * 10))
    shown = np.concatenate([piece.arrays["clip"][0].mean((1, 2, 3)) for piece in pieces])
    held = [min(tick, count - 1) for tick in range(ticks)]
    np.testing.assert_array_equal(np.rint(shown[:ticks] * 255 / 20), held)
    samples = np.concatenate([piece.arrays["sound"][0, :, 0] for piece in pieces]) * 2**15
    expected = np.zeros(len(samples))
    expected[: len(sound)] = sound[:, 0]
    np.testing.assert_array_equal(samples, expected)
    assert pieces[-1].about["stop"] == pytest.approx(ticks / 10)


def test_a_model_of_pictures_alone_reads_no_further(tmp_path: Path) -> None:
    path, _ = clip(tmp_path / "a.mkv", 5, 4.0, late=300)
    found = list(read_clip(path, video=VIDEO, audio=None))
    assert (seen(found), notes(found)) == (list(range(5)), "")


def test_what_is_told_of_a_short_sound_is_how_much_of_a_window_it_fills(tmp_path: Path) -> None:
    path, sound = clip(tmp_path / "a.mkv", 1, 0.5)
    found = list(read_clip(path, video=None, audio=AUDIO))
    assert [one.part for one in found] == [1, Fraction(1, 4)]
    np.testing.assert_array_equal(heard(found), sound[:, 0])
