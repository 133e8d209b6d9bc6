"""A media file is as long as it says, or refused; streams, which do not say, are as long as they are."""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from perceiver_graph.runtime.processors import AudioFormat, VideoFormat, probe_clip, read_clip
from perceiver_graph.runtime.processors.clip import require_room
from tests.media_support import code_of

SOUND = AudioFormat(samples=1600, rate=16_000)
PICTURES = VideoFormat(time=4, height=16, width=16)
NOISE = np.random.default_rng(0)

SOUNDS: dict[str, dict[str, Any]] = {
    "a.wav": {"codec": "pcm_s16le"},
    "float.wav": {"codec": "pcm_f32le"},
    "adpcm.wav": {"codec": "adpcm_ms"},
    "rf64.wav": {"codec": "pcm_s16le", "options": {"rf64": "always"}},
    "a.w64": {"codec": "pcm_s16le"},
    "a.aiff": {"codec": "pcm_s16be"},
    "a.au": {"codec": "pcm_s16be"},
    "a.caf": {"codec": "pcm_s16be"},
    "a.voc": {"codec": "pcm_s16le"},
    "a.flac": {"codec": "flac"},
    "a.mp3": {"codec": "libmp3lame"},
    "a.opus": {"codec": "libopus"},
    "a.oga": {"codec": "flac", "format": "ogg"},
    "a.m4a": {"codec": "aac"},
    "a.mka": {"codec": "flac"},
    "a.wv": {"codec": "wavpack"},
    "a.tta": {"codec": "tta"},
}
FILMS: dict[str, dict[str, Any]] = {
    "a.mp4": {"codec": "libx264"},
    "fragments.mp4": {"codec": "libx264", "options": {"movflags": "frag_keyframe+empty_moov"}},
    "a.mkv": {"codec": "libx264"},
    "a.webm": {"codec": "libvpx"},
    "a.avi": {"codec": "mpeg4"},
    "a.mov": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "a.wmv": {"codec": "wmv2"},
    "a.flv": {"codec": "flv"},
    "a.gif": {"codec": "gif", "pix_fmt": "rgb8"},
    "a.apng": {"codec": "apng", "pix_fmt": "rgb24"},
}


def sound_file(
    path: Path,
    codec: str,
    *,
    rate: int = 16_000,
    format: str | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Two seconds of noise."""
    rate = 48_000 if codec == "libopus" else rate
    noise = (NOISE.standard_normal(2 * rate) * 3000).astype(np.int16)
    with av.open(str(path), "w", format=format, options=options or {}) as container:
        stream: Any = container.add_stream(codec, rate=rate, layout="mono")
        for start in range(0, len(noise), 1024):
            block = np.ascontiguousarray(noise[None, start : start + 1024])
            frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def film_file(
    path: Path, codec: str, *, pix_fmt: str = "yuv420p", options: dict[str, str] | None = None
) -> Path:
    """20 frames of noise, in 0.8 seconds."""
    with av.open(str(path), "w", options=options or {}) as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = pix_fmt
        for index in range(20):
            pixels = NOISE.integers(0, 256, (64, 64, 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def samples(named: Path | str, form: AudioFormat = SOUND) -> int:
    return sum(window.sample_count for window in read_clip(named, video=None, audio=form))


def frames(named: Path | str) -> int:
    return sum(window.frame_count for window in read_clip(named, video=PICTURES, audio=None))


@pytest.mark.parametrize("name", [*SOUNDS, *FILMS])
def test_a_file_that_is_cut_off_is_refused(name: str, tmp_path: Path) -> None:
    path, count = tmp_path / name, frames if name in FILMS else samples
    if name in FILMS:
        film_file(path, **FILMS[name])
    else:
        sound_file(path, **SOUNDS[name])
    data = path.read_bytes()
    whole = count(path)
    assert whole >= (20 if name in FILMS else 31_000)
    for share in (0.1, 0.5, 0.93):
        path.write_bytes(data[: int(share * len(data))])
        code, message = code_of(lambda: count(path))
        assert code == "PG507"
        assert name in message


@pytest.mark.parametrize("name", ["a.wav", "a.aiff", "a.au", "a.caf", "a.flac", "a.mp3", "a.tta"])
def test_sound_that_lacks_a_little_is_refused(name: str, tmp_path: Path) -> None:
    path = sound_file(tmp_path / name, **SOUNDS[name])
    path.write_bytes(path.read_bytes()[: -130 if name == "a.tta" else -40])
    assert code_of(lambda: samples(path))[0] == "PG507"


# Streams -----------------------------------------------------------------------------------------


def wav(data: NDArray[Any], rate: int = 16_000, size: int | None = None) -> bytes:
    """A WAV file of samples [time, channels], int16 or float32, whose header says `size` bytes."""
    count, each = data.shape[1], data.itemsize
    tag = 3 if data.dtype.kind == "f" else 1
    form = struct.pack("<HHIIHH", tag, count, rate, rate * count * each, count * each, 8 * each)
    size = data.nbytes if size is None else size
    riff = min(36 + size, 0xFFFF_FFFF)
    head = b"RIFF" + struct.pack("<I", riff) + b"WAVEfmt " + struct.pack("<I", 16) + form
    return head + b"data" + struct.pack("<I", size) + data.tobytes()


@pytest.mark.parametrize("size", [0, 0x7FFF_F000, 0x8000_0000, 0xFFFF_FFFF])
def test_a_wav_from_a_pipe_is_as_long_as_it_is(size: int, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav(np.zeros((5000, 1), np.int16), size=size))
    assert samples(tmp_path / "a.wav") == 5000


def unknown_au(data: bytearray) -> None:
    data[8:12] = b"\xff" * 4


def unknown_flac(data: bytearray) -> None:
    data[21] &= 0xF0  # 36 bits of the number of samples
    data[22:26] = bytes(4)


@pytest.mark.parametrize(
    ("name", "forget"),
    [("a.au", unknown_au), ("a.flac", unknown_flac)],
)
def test_headers_that_do_not_say(
    name: str, forget: Callable[[bytearray], None], tmp_path: Path
) -> None:
    path = sound_file(tmp_path / name, **SOUNDS[name])
    data = bytearray(path.read_bytes())
    forget(data)
    path.write_bytes(data)
    assert samples(path) == 32_000
    path.write_bytes(data[: len(data) // 2])
    assert 12_000 < samples(path) < 20_000


def test_an_mp3_that_does_not_count_its_frames(tmp_path: Path) -> None:
    path = sound_file(tmp_path / "a.mp3", "libmp3lame", options={"write_xing": "0"})
    whole = samples(path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert 0 < samples(path) < whole


# Names -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["f_%03d.wav", "concat:a.wav", "-y.wav", "http:x.wav", "*.wav", "a|b.wav", "é\n.wav"]
)
def test_what_is_read_is_what_was_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f_001.wav").write_bytes(wav(np.zeros((9999, 1), np.int16)))
    Path("a.wav").write_bytes(wav(np.zeros((9999, 1), np.int16)))
    Path(name).write_bytes(wav(np.zeros((5000, 1), np.int16)))
    assert samples(name) == 5000


def test_a_pattern_of_pictures_is_the_picture_of_that_name(tmp_path: Path) -> None:
    from PIL import Image

    for number in range(3):
        Image.new("RGB", (16, 16), (200, 0, 0)).save(tmp_path / f"f_{number:03d}.png")
    assert code_of(lambda: frames(tmp_path / "f_%03d.png"))[0] == "PG512"
    Image.new("RGB", (16, 16), (0, 0, 200)).save(tmp_path / "f_%03d.png")
    (window,) = read_clip(tmp_path / "f_%03d.png", video=PICTURES, audio=None)
    assert window.frames is not None
    assert (window.frame_count, window.frames[0, 8, 8].tolist()) == (1, [0, 0, 200])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\na.wav\n#EXT-X-ENDLIST\n"),
        ("a.ffconcat", "ffconcat version 1.0\nfile a.wav\n"),
        ("a.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nm=audio 5004 RTP/AVP 0\n"),
        ("a.mpd", '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>'),
    ],
)
def test_a_list_of_other_files_is_refused(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav(np.zeros((5000, 1), np.int16)))
    (tmp_path / name).write_text(text)
    code, message = code_of(lambda: samples(tmp_path / name))
    assert code == "PG507"
    assert "other files or addresses" in message


def test_a_clip_may_come_through_a_pipe(tmp_path: Path) -> None:
    data = film_file(tmp_path / "a.mp4", "libx264").read_bytes()
    read, write = os.pipe()

    def fill() -> None:
        with os.fdopen(write, "wb") as stream:
            stream.write(data)

    writer = threading.Thread(target=fill, daemon=True)
    writer.start()
    assert frames(f"/dev/fd/{read}") == 20
    os.close(read)
    writer.join()


# Bounds ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rate", "wanted"), [(1, 48_000), (20_000_000, 16_000)])
def test_rates_that_differ_too_much_are_refused(rate: int, wanted: int, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav(np.zeros((5000, 1), np.int16), rate))
    form = AudioFormat(samples=1600, rate=wanted)
    code, message = code_of(lambda: samples(tmp_path / "a.wav", form))
    assert code == "PG507"
    assert "a factor of 1024" in message


@pytest.mark.parametrize("kind", ["film", "sound"])
def test_a_clock_that_jumps_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream: Any
        frame: Any
        if kind == "film":
            stream = container.add_stream("ffv1", rate=25)
            stream.width = stream.height = 64
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        else:
            stream = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 640), np.int16), layout="mono")
            frame.sample_rate = 16_000
        for time in (0, 1, 2, 10_000_000):
            frame.pts, frame.time_base = time, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    code, message = code_of(lambda: frames(path) if kind == "film" else samples(path))
    assert code == "PG507"
    assert "at most 3600 s" in message


def test_a_video_that_takes_too_much_is_refused_with_what_would_fit(tmp_path: Path) -> None:
    path = film_file(tmp_path / "a.mp4", "libx264")
    assert (
        sum(w.frame_count for w in read_clip(path, video=PICTURES, audio=None, room=200_000)) == 20
    )
    code, message = code_of(lambda: list(read_clip(path, video=PICTURES, audio=None, room=45_056)))
    assert code == "PG510"
    assert "64 x 64 pixels takes 176 KiB" in message
    assert "scale=32:32" in message


def test_frames_that_are_too_large_are_refused(tmp_path: Path) -> None:
    info = probe_clip(film_file(tmp_path / "a.mp4", "libx264"))
    code, message = code_of(lambda: require_room(replace(info, width=10_000, height=7000), None))
    assert code == "PG507"
    assert "at most 67,108,864 pixels" in message


def test_a_frame_does_not_outlive_its_turn(tmp_path: Path) -> None:
    """What PyAV keeps beside a frame would hold it until Python looks for cycles."""
    import gc

    path = film_file(tmp_path / "a.mp4", "libx264")
    gc.collect()
    gc.disable()
    try:
        assert frames(path) == 20
        alive = sum(isinstance(one, av.VideoFrame) for one in gc.get_objects())
    finally:
        gc.enable()
    assert alive <= 2


# Values ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_sound_that_is_no_number_is_refused(value: float, tmp_path: Path) -> None:
    data = np.zeros((5000, 1), np.float32)
    data[3000] = value
    (tmp_path / "a.wav").write_bytes(wav(data))
    assert code_of(lambda: samples(tmp_path / "a.wav"))[0] == "PG505"


def notes_of(path: Path) -> set[str]:
    return {note for window in read_clip(path, video=None, audio=SOUND) for note in window.notes}


def test_sound_beyond_what_is_loudest_is_told(tmp_path: Path) -> None:
    data = np.zeros((5000, 1), np.float32)
    (tmp_path / "a.wav").write_bytes(wav(data))
    assert not notes_of(tmp_path / "a.wav")
    data[3000] = 2.5
    (tmp_path / "a.wav").write_bytes(wav(data))
    (note,) = notes_of(tmp_path / "a.wav")
    assert "cut off" in note
    assert "2.5" in note


def test_many_channels_are_told_or_refused(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav(np.zeros((5000, 2), np.int16)))
    assert not notes_of(tmp_path / "a.wav")
    (tmp_path / "a.wav").write_bytes(wav(np.zeros((5000, 6), np.int16)))
    assert "6 channels become 1" in "".join(notes_of(tmp_path / "a.wav"))
    (tmp_path / "a.wav").write_bytes(wav(np.zeros((5000, 200), np.int16)))
    code, message = code_of(lambda: samples(tmp_path / "a.wav"))
    assert code == "PG507"
    assert "200 channels" in message
