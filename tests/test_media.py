"""Media files in and out: real clips are encoded with PyAV, read, written and compared."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition
from numpy.typing import NDArray
from PIL import Image

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.runtime.processors import (
    AudioFormat,
    ClassesFormat,
    ClipWriter,
    VideoFormat,
    Window,
    contact_sheet,
    evenly_spaced,
    media_formats,
    probe_clip,
    read_clip,
    to_arrays,
    to_frames,
    to_pixels,
    to_samples,
    top_classes,
    write_clip,
)

RATE = 48_000
VIDEO = VideoFormat(time=16, height=32, width=32)
AUDIO = AudioFormat(samples=30_720)


def grey(index: int, width: int = 64, height: int = 64) -> NDArray[np.uint8]:
    """A plain frame whose brightness tells its index, 0 to 60."""
    return np.full((height, width, 3), 4 * index, np.uint8)


def index_of(frame: NDArray[np.uint8]) -> int:
    return round(float(frame.mean()) / 4)


def tone(seconds: float, hertz: float = 440.0, rate: int = RATE) -> NDArray[np.int16]:
    wave = np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return (16_000 * wave).astype(np.int16)[:, None]


def pitch(samples: NDArray[np.float32], rate: int = RATE) -> float:
    spectrum = np.abs(np.fft.rfft(samples[:, 0] * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))


def encode(
    path: Path,
    frames: Sequence[NDArray[np.uint8]] = (),
    samples: NDArray[np.int16] | None = None,
    *,
    rate: int | Fraction = 25,
    pts: Sequence[int] | None = None,
    sample_rate: int = RATE,
    sound_from: float = 0.0,
    gap: tuple[float, float] = (1e9, 0.0),
    codecs: tuple[str, str] = ("libx264", "aac"),
    pix_fmt: str = "yuv420p",
    rotation: float = 0.0,
    options: dict[str, str] | None = None,
) -> Path:
    """A clip made with PyAV alone, so that reading is not tested against our own writing.

    `pts` are in units of 1/1000 s; `gap` is (after how many seconds, how long) of the sound.
    """
    with av.open(str(path), "w", options=options or {}) as container:
        video: Any = None
        audio: Any = None
        if len(frames):
            video = container.add_stream(codecs[0], rate=rate)
            video.height, video.width = frames[0].shape[:2]
            video.pix_fmt = pix_fmt
            if pts is not None:
                video.codec_context.time_base = Fraction(1, 1000)
            if rotation:
                video.set_display_rotation(rotation)
        if samples is not None:
            layout = {1: "mono", 2: "stereo"}[samples.shape[1]]
            audio = container.add_stream(codecs[1], rate=sample_rate, layout=layout)
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = index if pts is None else pts[index]
            frame.time_base = 1 / Fraction(rate) if pts is None else Fraction(1, 1000)
            container.mux(video.encode(frame))
        for start in range(0, 0 if samples is None else len(samples), 1024):
            assert samples is not None
            block = np.ascontiguousarray(samples[start : start + 1024]).reshape(1, -1)
            sound = av.AudioFrame.from_ndarray(block, format="s16", layout=layout)
            sound.sample_rate = sample_rate
            late = sound_from + (gap[1] if start >= gap[0] * sample_rate else 0.0)
            sound.pts, sound.time_base = start + round(late * sample_rate), Fraction(1, sample_rate)
            container.mux(audio.encode(sound))
        for stream in (video, audio):
            if stream is not None:
                container.mux(stream.encode(None))
    return path


def windows(path: Path, **options: Any) -> list[Window]:
    return list(read_clip(path, **{"video": VIDEO, "audio": AUDIO, **options}))


def code_of(call: Callable[[], object]) -> tuple[str, str]:
    """The code and the full text of the diagnostic that a call raises."""
    with pytest.raises(DiagnosticError) as caught:
        call()
    (found,) = caught.value.diagnostics
    return found.code, " ".join([found.message, *found.notes, found.help or ""])


# Reading -----------------------------------------------------------------------------------------


def test_a_clip_is_cut_into_aligned_windows_and_the_last_is_padded(tmp_path: Path) -> None:
    path = encode(tmp_path / "clip.mp4", [grey(i) for i in range(50)], tone(2.0))
    calls: list[tuple[int, int | None]] = []
    found = windows(path, progress=lambda done, total: calls.append((done, total)))

    assert [w.index for w in found] == [0, 1, 2, 3]
    assert [w.start for w in found] == pytest.approx([0.0, 0.64, 1.28, 1.92])
    assert [w.frame_count for w in found] == [16, 16, 16, 2]
    assert [w.sample_count for w in found] == [30_720, 30_720, 30_720, 3_840]
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
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


@pytest.mark.parametrize("rate", [10, 24, 30, Fraction(30000, 1001), 50])
def test_other_frame_rates_take_the_frame_nearest_in_time(
    tmp_path: Path, rate: int | Fraction
) -> None:
    count = round(rate)  # one second
    path = encode(tmp_path / "clip.mp4", [grey(i) for i in range(count)], rate=rate)
    found = windows(path, audio=None)
    indices = [index_of(f) for w in found for f in w.frames[: w.frame_count]]  # type: ignore[index]
    assert len(indices) == 25
    for tick, index in enumerate(indices):
        assert abs(index / rate - tick / 25) <= 0.5 / rate + 1e-9 or index == count - 1


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
    assert held == [0, *[1] * 5, *[2] * 6, 3]  # the change is half-way between 0.04 s and 0.44 s


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


def test_the_model_may_take_frames_that_are_not_square(tmp_path: Path) -> None:
    path = encode(tmp_path / "clip.mp4", [grey(i) for i in range(4)])
    (window,) = windows(path, audio=None, video=VideoFormat(time=4, height=18, width=32))
    assert window.frames is not None
    assert window.frames.shape == (4, 18, 32, 3)


@pytest.mark.parametrize("sample_rate", [8_000, 44_100, 48_000])
def test_sound_is_resampled_and_mixed_to_the_mean_of_its_channels(
    tmp_path: Path, sample_rate: int
) -> None:
    left = tone(1.0, rate=sample_rate)
    sound = np.concatenate([left, np.zeros_like(left)], axis=1)
    path = encode(
        tmp_path / "clip.mkv",
        [grey(i) for i in range(25)],
        sound,
        sample_rate=sample_rate,
        codecs=("libx264", "pcm_s16le"),
    )
    first = windows(path)[0].samples
    assert first is not None
    assert pitch(first) == pytest.approx(440, abs=2)
    assert np.abs(first[1000:-1000]).max() == pytest.approx(16_000 / 2**15 / 2, rel=0.02)


def test_samples_are_the_16_bit_integers_over_two_to_the_15(tmp_path: Path) -> None:
    sound = np.random.default_rng(1).integers(-(2**15), 2**15, (30_720, 1)).astype(np.int16)
    frames = [grey(i) for i in range(16)]
    path = encode(tmp_path / "clip.mkv", frames, sound, codecs=("libx264", "pcm_s16le"))
    (window,) = windows(path)
    assert window.samples is not None
    np.testing.assert_array_equal(window.samples, sound.astype(np.float32) / 2**15)


def test_a_flash_and_a_beep_at_the_same_moment_stay_together(tmp_path: Path) -> None:
    flash = 30  # frame; 1.2 s, in the second window
    frames = [np.full((64, 64, 3), 255 * (i == flash), np.uint8) for i in range(50)]
    sound = np.zeros((96_000, 1), np.int16)
    sound[flash * 1920 : (flash + 1) * 1920] = tone(0.04, 1000.0)
    for name in ("clip.mp4", "clip.mkv"):
        found = windows(encode(tmp_path / name, frames, sound))
        second = found[1]
        assert second.frames is not None
        assert second.samples is not None
        assert int(np.argmax(second.frames.mean(axis=(1, 2, 3)))) == flash - 16
        loud = np.flatnonzero(np.abs(second.samples[:, 0]) > 0.2)
        assert loud[0] == pytest.approx((flash - 16) * 1920, abs=240)  # 5 ms
        assert loud[-1] == pytest.approx((flash - 15) * 1920, abs=240)
        for other in (found[0], *found[2:]):
            assert other.samples is not None
            assert np.abs(other.samples).max() < 0.05


def test_sound_that_starts_late_has_gaps_or_ends_early_is_filled_with_silence(
    tmp_path: Path,
) -> None:
    path = encode(
        tmp_path / "clip.mkv",
        [grey(i) for i in range(48)],
        np.full((24_000, 1), 8_192, np.int16),  # half a second at 0.25
        sound_from=0.2,
        gap=(0.256, 0.5),  # at 12,288 samples, a multiple of the blocks that are encoded
        codecs=("libx264", "pcm_s16le"),
    )
    joined = np.concatenate([w.samples for w in windows(path) if w.samples is not None])[:, 0]
    expected = np.zeros(3 * 30_720, np.float32)
    expected[9_600 : 9_600 + 12_288] = 0.25
    second = 9_600 + 12_288 + 24_000
    expected[second : second + 24_000 - 12_288] = 0.25
    assert np.count_nonzero(joined != expected) <= 4 * 48  # timestamps are whole milliseconds


def test_sound_before_the_first_frame_and_after_the_last_is_left_out(tmp_path: Path) -> None:
    sound = np.concatenate([tone(0.4, 300.0), tone(0.64, 600.0), tone(0.5, 900.0)])
    frames = [grey(i) for i in range(16)]
    path = encode(
        tmp_path / "clip.mkv",
        frames,
        sound,
        pts=[400 + 40 * i for i in range(16)],
        codecs=("libx264", "pcm_s16le"),
    )
    (window,) = windows(path)
    assert window.sample_count == 30_720
    assert window.samples is not None
    assert pitch(window.samples) == pytest.approx(600, abs=2)
    edges = (window.samples[:480], window.samples[-480:])
    assert [pitch(edge) for edge in edges] == pytest.approx([600, 600], abs=100)


@pytest.mark.parametrize("samples", [10_000, 30_720, 50_000])
def test_sound_windows_of_another_length_still_begin_with_their_frames(
    tmp_path: Path, samples: int
) -> None:
    ramp = (np.arange(92_160)[:, None] // 4).astype(np.int16)
    frames = [grey(i) for i in range(48)]
    path = encode(tmp_path / "clip.mkv", frames, ramp, codecs=("libx264", "pcm_s16le"))
    for window in windows(path, audio=AudioFormat(samples)):
        first = window.index * 30_720
        expected = np.zeros((samples, 1), np.float32)
        rest = ramp[first : first + samples]
        expected[: len(rest)] = rest.astype(np.float32) / 2**15
        np.testing.assert_array_equal(window.samples, expected)


def test_a_missing_modality_is_an_error_unless_allowed(tmp_path: Path) -> None:
    silent = encode(tmp_path / "silent.mp4", [grey(i) for i in range(20)])
    song = encode(tmp_path / "song.m4a", samples=tone(1.0))

    code, text = code_of(lambda: windows(silent))
    assert code == "PG508"
    assert "silent.mp4 has no audio" in text
    assert "video of 64 x 64, 25 frames/s" in text
    code, text = code_of(lambda: windows(song))
    assert code == "PG508"
    assert "song.m4a has no video" in text
    assert code_of(lambda: windows(song, audio=None, allow_missing={"video"}))[0] == "PG508"

    found = windows(silent, allow_missing={"audio"})
    assert [(w.samples, w.sample_count, w.frame_count) for w in found] == [
        (None, 0, 16),
        (None, 0, 4),
    ]
    found = windows(song, allow_missing={"video"})
    assert [(w.frames, w.frame_count) for w in found] == [(None, 0)] * 2
    assert sum(w.sample_count for w in found) == pytest.approx(48_000, abs=1024)


def test_a_model_of_sound_alone_reads_the_sound_of_any_file(tmp_path: Path) -> None:
    song = encode(tmp_path / "song.m4a", samples=tone(0.9))
    clip = encode(tmp_path / "clip.mp4", [grey(i) for i in range(10)], tone(0.9))
    for path in (song, clip):
        found = windows(path, video=None)
        assert len(found) == 2
        assert found[0].samples is not None
        assert pitch(found[0].samples) == pytest.approx(440, abs=2)
        assert sum(w.sample_count for w in found) == pytest.approx(0.9 * RATE, abs=1024)


def test_the_cover_picture_of_a_song_is_not_a_video(tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as container:
        audio = container.add_stream("mp3", rate=44_100, layout="mono")
        cover = container.add_stream("png")
        cover.width, cover.height, cover.pix_fmt = 64, 64, "rgb24"
        cover.disposition = Disposition.attached_pic
        container.mux(cover.encode(av.VideoFrame.from_ndarray(grey(1), format="rgb24")))
        sound = av.AudioFrame.from_ndarray(tone(1.0, rate=44_100).T, format="s16", layout="mono")
        sound.sample_rate = 44_100
        container.mux([*audio.encode(sound), *audio.encode(None)])
    assert not probe_clip(path).has_video
    first = windows(path, video=None)[0].samples
    assert first is not None
    assert pitch(first) == pytest.approx(440, abs=2)


def test_a_probe_says_what_is_in_the_file(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", [grey(i, 80, 60) for i in range(30)], tone(1.0), rate=30)
    info = probe_clip(path)
    assert (info.has_video, info.has_audio) == (True, True)
    assert (info.width, info.height, info.fps, info.frames) == (80, 60, 30.0, 30)
    assert (info.sample_rate, info.channels) == (RATE, 1)
    assert info.duration == pytest.approx(1.0)


# Files that cannot be used -----------------------------------------------------------------------


def test_what_is_not_a_clip_is_refused_with_its_name(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("This is not a video.\n" * 50)
    empty = tmp_path / "empty.mp4"
    empty.touch()
    cases = {
        text: ("PG507", "not a media file"),
        empty: ("PG507", "0 bytes"),
        tmp_path / "absent.mp4": ("PG512", "does not exist"),
        tmp_path: ("PG512", "is a folder"),
    }
    for path, (code, words) in cases.items():
        for call in (lambda p=path: probe_clip(p), lambda p=path: windows(p)):
            found, message = code_of(call)
            assert (found, words in message, str(path) in message) == (code, True, True), message


@pytest.mark.parametrize("share", [0.3, 0.6, 0.85])
@pytest.mark.parametrize(
    ("name", "options"),
    [("index_first.mp4", {"movflags": "faststart"}), ("index_last.mp4", {}), ("clip.mkv", {})],
)
def test_a_file_that_was_cut_off_is_refused(
    tmp_path: Path, name: str, options: dict[str, str], share: float
) -> None:
    noise = np.random.default_rng(2).integers(0, 256, (75, 64, 64, 3)).astype(np.uint8)
    path = encode(tmp_path / name, list(noise), tone(3.0), options=options)
    data = path.read_bytes()
    assert len(windows(path)) == 5
    path.write_bytes(data[: round(len(data) * share)])
    code, message = code_of(lambda: windows(path))
    assert code == "PG507"
    assert str(path) in message


def test_windows_before_the_damage_are_delivered_as_they_are_decoded(tmp_path: Path) -> None:
    frames = [grey(i % 60) for i in range(200)]
    path = encode(tmp_path / "clip.mp4", frames, options={"movflags": "faststart"})
    data = path.read_bytes()
    path.write_bytes(data[: round(len(data) * 0.8)])
    found = read_clip(path, video=VIDEO, audio=None)
    assert next(found).frame_count == 16  # the whole clip has not been decoded by now
    assert code_of(lambda: list(found))[0] == "PG507"


def test_reading_needs_a_format(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="video format"):
        read_clip(tmp_path / "a.mp4", video=None, audio=None)


def test_more_channels_than_two_are_refused(tmp_path: Path) -> None:
    path = encode(tmp_path / "song.m4a", samples=tone(0.2))
    assert code_of(lambda: windows(path, video=None, audio=AudioFormat(1920, 16)))[0] == "PG403"


# Writing -----------------------------------------------------------------------------------------


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

INPUTS = {
    "audio": {"axes": ["batch", "time", "channel"], "shape": ["batch", 30720, 1]}
    | {"media": {"audio": {"rate": 48000}}},
    "image": {
        "axes": ["batch", "time", "channel", "height", "width"],
        "shape": ["batch", 16, 3, 32, 48],
        "media": {"video": {"rate": 29.97}},
    },
    "label": {"axes": ["batch", "channel"], "shape": ["batch", 700]},
}


def test_formats_follow_the_manifest() -> None:
    axes = ("time", "channel", "height", "width")
    assert media_formats(INPUTS) == {
        "audio": AudioFormat(30_720, 1, 48_000, ("time", "channel"), (30_720, 1)),
        "image": VideoFormat(16, 32, 48, 3, Fraction(2997, 100), axes),
    }
    outputs = {
        "audio": {
            "axes": ["batch", "time", "channel"],
            "shape": [1, 1920, 16],
            "media": {"audio": {}},
        },
        "label": {"axes": ["batch", "channel"], "shape": [1, 3], "media": {"classes": {"top": 2}}},
    }
    assert media_formats(outputs, channels=1) == {
        "audio": AudioFormat(30_720, 1, 48_000, ("time", "channel"), (1920, 16)),
        "label": ClassesFormat(2),
    }


@pytest.mark.parametrize(
    ("axes", "shape", "media"),
    [
        (["batch", "time", "channel"], ["batch", 16, 3], {"video": {}}),
        (["batch", "time", "height", "width", "channel"], ["batch", 16, 8, 8, 4], {"video": {}}),
        (["batch", "time", "channel"], ["batch", "length", 1], {"audio": {}}),
        (["batch", "channel"], ["batch", 7], {"smell": {}}),
    ],
)
def test_an_entry_that_cannot_be_media_is_a_diagnostic(
    axes: list[str], shape: list[Any], media: dict[str, Any]
) -> None:
    entry = {"axes": axes, "shape": shape, "media": media}
    code, message = code_of(lambda: media_formats({"nose": entry}))
    assert code == "PG403"
    assert "`nose`" in message


def test_arrays_have_the_axes_of_the_manifest_and_come_back() -> None:
    formats = media_formats(INPUTS)
    random = np.random.default_rng(3)
    frames = random.integers(0, 256, (16, 32, 48, 3)).astype(np.uint8)
    samples = random.uniform(-1, 1, (30_720, 1)).astype(np.float32)
    arrays = to_arrays(SimpleNamespace(frames=frames, samples=samples), formats)
    assert {name: (a.shape, a.dtype.name) for name, a in arrays.items()} == {
        "audio": ((1, 30_720, 1), "float32"),
        "image": ((1, 16, 3, 32, 48), "float32"),
    }
    assert arrays["image"][0, 5, 2, 7, 9] == np.float32(frames[5, 7, 9, 2]) / np.float32(255)
    image, audio = formats["image"], formats["audio"]
    assert isinstance(image, VideoFormat)
    assert isinstance(audio, AudioFormat)
    np.testing.assert_array_equal(to_pixels(to_frames(arrays["image"], image)), frames)
    np.testing.assert_array_equal(to_samples(arrays["audio"], audio), samples)
    patches = AudioFormat(30_720, shape=(1920, 16))
    np.testing.assert_array_equal(to_samples(samples.reshape(1, 1920, 16), patches), samples)
    assert list(to_arrays(SimpleNamespace(frames=frames, samples=None), formats)) == ["image"]


def test_the_best_classes_come_first_with_their_probabilities() -> None:
    logits = np.array([[0.0, 3.0, 1.0, 3.0]], np.float32)
    best = top_classes(logits, top=3, names=["a", "b"])
    assert [(c["index"], c["name"]) for c in best] == [(1, "b"), (3, "class 3"), (2, "class 2")]
    total = np.exp([0.0, 3.0, 1.0, 3.0]).sum()
    assert best[2]["probability"] == pytest.approx(np.e / total)
    assert sum(c["probability"] for c in top_classes([1e4, 0.0, -1e4], top=9)) == pytest.approx(1)
    with pytest.raises(ValueError, match="one vector"):
        top_classes(np.zeros((2, 3)))


def test_evenly_spaced_keeps_both_ends() -> None:
    assert evenly_spaced(3) == [0, 1, 2]
    assert evenly_spaced(16) == [0, 2, 4, 6, 9, 11, 13, 15]
    assert evenly_spaced(5, limit=1) == [0]


def test_a_contact_sheet_shows_inputs_above_reconstructions(tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    red, blue = np.zeros((100, 100, 3), np.uint8), np.zeros((100, 100, 3), np.float32)
    red[..., 0], blue[..., 2] = 255, 1.0
    sound = tone(0.64) / 2**15
    contact_sheet(
        path,
        [(red, blue)] * 16,
        title="a model",
        lines=["a clip"],
        times=[i / 25 for i in range(16)],
        sounds=(sound, sound[:, 0] / 2),
    )
    pixels = np.asarray(Image.open(path))
    reds = np.argwhere((pixels == (255, 0, 0)).all(axis=-1))
    blues = np.argwhere((pixels == (0, 0, 255)).all(axis=-1))
    assert len(reds) == len(blues) == 8 * 100 * 100
    assert reds[:, 0].max() < blues[:, 0].min()
    assert (reds[:, 1].min(), reds[:, 1].max()) == (blues[:, 1].min(), blues[:, 1].max())
    below = pixels[blues[:, 0].max() + 1 :]
    assert (below != 255).any()  # the strips of the sounds
    assert (pixels[:8] == 255).all()  # the margin
    assert list(tmp_path.iterdir()) == [path]


# The package and the example ---------------------------------------------------------------------


def test_the_package_imports_without_the_media_extra() -> None:
    program = (
        "import sys; sys.modules['av'] = sys.modules['PIL'] = None\n"
        "import perceiver_graph.runtime.processors as p\n"
        "from perceiver_graph.diagnostics import DiagnosticError\n"
        "try: p.probe_clip('a.mp4')\n"
        "except DiagnosticError as e: print(e.diagnostics[0].code, e.diagnostics[0].help)"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.stdout == 'PG509 pip install "perceiver-graph[media]"\n', done.stderr


def load_example() -> ModuleType:
    path = Path(__file__).parents[1] / "examples" / "make_clip.py"
    spec = importlib.util.spec_from_file_location("make_clip", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_clip_is_always_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_clip = load_example()
    paths = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for path in paths:
        assert make_clip.main(["-o", str(path), "--seconds", "0.8", "--size", "64x48"]) == 0
    assert paths[0].read_bytes() == paths[1].read_bytes()
    info = probe_clip(paths[0])
    assert (info.frames, info.width, info.height, info.fps) == (20, 64, 48, 25.0)
    assert (info.sample_rate, info.channels) == (RATE, 2)
    assert make_clip.main(["-o", str(tmp_path / "no" / "a.mp4")]) == 1
    assert "PG511" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        make_clip.main(["--size", "huge"])
