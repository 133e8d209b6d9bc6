"""Media files in and out: real clips are encoded with PyAV, read, written and compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import islice
from os import PathLike
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from perceiver_graph.media.clip.encode import ClipWriter
from perceiver_graph.media.clip.formats import AudioFormat, VideoFormat, to_int16, to_pixels
from perceiver_graph.media.clip.sheet import contact_sheet
from perceiver_graph.media.clip.windows import probe_clip
from tests.media_support import (
    RATE,
    code_of,
    grey,
    pitch,
    tone,
    windows,
)


def write_clip(
    path: str | PathLike[str],
    frames: Iterable[ArrayLike],
    rate: float | Fraction,
    samples: ArrayLike | None = None,
    sample_rate: int = 48000,
) -> None:
    """Write frames [height, width, 3], one by one, and samples [time, channels] as an mp4.

    Frames may come from a generator of any length. For values and errors see `ClipWriter`.
    """
    sound = None if samples is None else to_int16(samples)
    if sound is not None and sound.ndim == 1:
        sound = sound[:, None]
    channels = 1 if sound is None else sound.shape[1]
    source = iter(frames)
    with ClipWriter(
        path, rate=rate, sample_rate=None if sound is None else sample_rate, channels=channels
    ) as clip:
        done = 0
        while batch := list(islice(source, 32)):
            end = round((clip.frame_count + len(batch)) / Fraction(str(rate)) * sample_rate)
            clip.add(np.stack(batch), None if sound is None else sound[done:end])
            done = end
        if sound is not None and done < len(sound):
            clip.add(None, sound[done:])


def shapes(count: int) -> NDArray[np.uint8]:
    """Frames 96 x 64 with a light square that moves over a coloured ground."""
    frames = np.empty((count, 64, 96, 3), np.uint8)
    frames[:] = (60, 90, 140)
    for i in range(count):
        frames[i, 20:44, 2 * i % 64 : 2 * i % 64 + 24] = (220, 200, 80)
    return frames


def test_what_is_written_can_be_read_back(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    frames, samples = shapes(40), tone(1.6, 523.0).astype(np.float32) / 2**15
    write_clip(path, iter(frames), 25, samples)

    info = probe_clip(path)
    assert (info.frames, info.fps, info.width, info.height) == (40, 25.0, 96, 64)
    assert (info.sample_rate, info.channels) == (RATE, 1)
    form = VideoFormat(time=20, height=64, width=96)
    found = windows(path, video=form, audio=AudioFormat(38_400))
    assert [w.frame_count for w in found] == [20, 20]
    back = np.concatenate([w.frames for w in found if w.frames is not None])
    assert np.abs(back.astype(int) - frames).mean() < 4
    heard = np.concatenate([w.samples for w in found if w.samples is not None])
    assert pitch(heard) == pytest.approx(523, abs=1)
    assert np.abs(heard - samples)[2000:-2000].max() < 0.06  # in phase: nothing was shifted
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("colour", [(230, 20, 20), (20, 200, 40), (30, 30, 220)])
def test_strong_colours_survive(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    path = tmp_path / "out.mp4"
    write_clip(path, [np.full((64, 64, 3), colour, np.uint8)] * 3, 25)
    (window,) = windows(path, audio=None)
    assert window.frames is not None
    assert np.abs(window.frames.astype(int) - colour).max() <= 6


def test_windows_are_appended_without_a_seam(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    frames, samples = shapes(40) / np.float32(255), tone(1.6) / np.float32(2**15)
    with ClipWriter(path, rate=25, sample_rate=RATE) as clip:
        for first in range(0, 40, 16):
            clip.add(frames[first : first + 16], samples[first * 1920 : (first + 16) * 1920])
    assert probe_clip(path).frames == 40
    heard = np.concatenate([w.samples for w in windows(path) if w.samples is not None])
    assert np.abs(heard[: len(samples)] - samples)[2000:-2000].max() < 0.06


def test_odd_sizes_rates_and_channels_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    stereo = np.repeat(tone(1.0, rate=10_000), 2, axis=1)
    write_clip(path, [grey(i, 33, 21) for i in range(12)], Fraction(12), stereo, sample_rate=10_000)
    info = probe_clip(path)
    assert (info.width, info.height, info.frames, info.fps) == (34, 22, 12, 12.0)
    assert info.channels == 2
    (first, *_) = windows(path)
    assert first.samples is not None
    assert pitch(first.samples) == pytest.approx(440, abs=2)


def test_silent_clips_and_sound_alone_can_be_written(tmp_path: Path) -> None:
    write_clip(tmp_path / "silent.mp4", shapes(3), 25)
    info = probe_clip(tmp_path / "silent.mp4")
    assert (info.has_video, info.has_audio, info.frames) == (True, False, 3)
    with ClipWriter(tmp_path / "sound.mp4", rate=None, sample_rate=RATE) as clip:
        clip.add(None, tone(0.5))
    info = probe_clip(tmp_path / "sound.mp4")
    assert (info.has_video, info.has_audio) == (False, True)


def test_reconstructions_are_clipped() -> None:
    values = np.array([-0.5, 0.0, 0.5, 1.0, 7.0, np.nan], np.float32)
    assert to_pixels(values).tolist() == [0, 0, 128, 255, 255, 0]


def failing(frames: NDArray[np.uint8], error: BaseException) -> Iterator[NDArray[np.uint8]]:
    yield from frames
    raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("model failed")])
@pytest.mark.parametrize("after", [0, 100])
def test_an_interruption_leaves_no_file_and_an_older_one_alone(
    tmp_path: Path, error: BaseException, after: int
) -> None:
    path = tmp_path / "out.mp4"
    with pytest.raises(type(error)):
        write_clip(path, failing(shapes(after), error), 25, tone(4.0))
    assert list(tmp_path.iterdir()) == []
    path.write_bytes(b"older")
    with pytest.raises(type(error)):
        write_clip(path, failing(shapes(after), error), 25, tone(4.0))
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]
    assert path.read_bytes() == b"older"


def test_a_result_that_cannot_be_written_is_a_diagnostic(tmp_path: Path) -> None:
    absent = tmp_path / "absent" / "out.mp4"
    for path in (absent, tmp_path):
        code, message = code_of(lambda p=path: write_clip(p, shapes(2), 25))  # type: ignore[misc]
        assert code == "PG511"
        assert str(path) in message
    code, message = code_of(lambda: contact_sheet(absent, [(grey(1), grey(2))]))
    assert code == "PG511"
    assert list(tmp_path.iterdir()) == []


def test_frames_that_do_not_fit_the_clip_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with ClipWriter(tmp_path / "kept.mp4", rate=25) as clip:
        clip.add(shapes(2))
        with pytest.raises(ValueError, match="do not belong"):
            clip.add(np.stack([grey(1)]))
    (tmp_path / "kept.mp4").unlink()
    with (
        pytest.raises(ValueError, match="without a sample rate"),
        ClipWriter(path, rate=25) as clip,
    ):
        clip.add(shapes(2), tone(0.1))
    with pytest.raises(ValueError, match="nothing was added"), ClipWriter(path, rate=25):
        pass
    assert list(tmp_path.iterdir()) == []


# Formats, classes, contact sheets ----------------------------------------------------------------
