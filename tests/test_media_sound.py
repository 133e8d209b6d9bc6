"""Media files in and out: real clips are encoded with PyAV, read, written and compared."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from perceiver_graph.media.clip.formats import AudioFormat
from perceiver_graph.media.clip.windows import probe_clip, read_clip
from tests.media_support import (
    RATE,
    VIDEO,
    code_of,
    encode,
    grey,
    pitch,
    tone,
    windows,
)


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
    path = encode(tmp_path / "clip.mkv", [grey(i % 60) for i in range(200)])
    data = bytearray(path.read_bytes())
    size = data.index(b"\x18\x53\x80\x67") + 4  # of the segment: unknown, as of a stream
    data[size : size + 8] = b"\x01" + b"\xff" * 7
    path.write_bytes(data[: round(len(data) * 0.8)])
    found = read_clip(path, video=VIDEO, audio=None)
    assert next(found).frame_count == 16  # the whole clip has not been decoded by now
    code, message = code_of(lambda: list(found))
    assert code == "PG507"
    assert "of the 8.00 s it declares" in message


def test_reading_needs_a_format(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="video format"):
        read_clip(tmp_path / "a.mp4", video=None, audio=None)


def test_more_channels_than_two_are_refused(tmp_path: Path) -> None:
    path = encode(tmp_path / "song.m4a", samples=tone(0.2))
    assert code_of(lambda: windows(path, video=None, audio=AudioFormat(1920, 16)))[0] == "PG403"


# Writing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("samples", [3, 100])
def test_sound_shorter_than_the_filter_of_a_resampler_is_silence_and_told(
    tmp_path: Path, samples: int
) -> None:
    path = encode(
        tmp_path / "short.wav",
        samples=np.full((samples, 1), 2**14, np.int16),
        sample_rate=48_000,
        codecs=("", "pcm_s16le"),
    )
    found = list(read_clip(path, video=None, audio=AudioFormat(rate=8000, channels=1, samples=800)))
    assert len(found) == 1
    assert found[0].samples is not None
    assert not found[0].samples.any()
    assert any("too short to be brought to 8000 Hz" in note for note in found[0].notes)
