"""A media file is as long as it says, or refused; streams, which do not say, are as long as they are."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.media.clip.formats import AudioFormat, VideoFormat
from perceiver_graph.media.clip.windows import probe_clip, read_clip, require_room
from perceiver_graph.media.files.pictures import read_picture
from tests.media_files import FILM_STREAMS, FILMS, SOUNDS, film_file, made, sound_file, wav
from tests.media_support import code_of

SOUND = AudioFormat(samples=1600, rate=16_000)
PICTURES = VideoFormat(time=4, height=16, width=16)


def samples(named: Path | str, form: AudioFormat = SOUND) -> int:
    return sum(window.sample_count for window in read_clip(named, video=None, audio=form))


def frames(named: Path | str) -> int:
    return sum(window.frame_count for window in read_clip(named, video=PICTURES, audio=None))


@pytest.mark.parametrize("name", [*SOUNDS, *FILMS])
def test_a_file_that_is_cut_off_is_refused(name: str, tmp_path: Path) -> None:
    path, count = made(tmp_path / name), frames if name in FILMS else samples
    data = path.read_bytes()
    whole = count(path)
    assert whole >= (20 if name in FILMS else 31_000)
    for share in (0.1, 0.5, 0.93):
        path.write_bytes(data[: int(share * len(data))])
        code, message = code_of(lambda: count(path))
        assert code == "PG507"
        assert name in message


@pytest.mark.parametrize("name", [*SOUNDS, *FILMS])
def test_a_file_that_lacks_a_byte_is_refused(name: str, tmp_path: Path) -> None:
    path = made(tmp_path / name)
    path.write_bytes(path.read_bytes()[:-1])
    assert code_of(lambda: (frames if name in FILMS else samples)(path))[0] == "PG507"


@pytest.mark.parametrize("name", ["a.flac", "a.tta"])
def test_a_tag_before_a_file_hides_nothing(name: str, tmp_path: Path) -> None:
    path = sound_file(tmp_path / name, **SOUNDS[name])
    tag = b"ID3\x04\0\0\0\0\1\0" + bytes(128)
    path.write_bytes(tag + path.read_bytes())
    assert samples(path) == 32_000
    path.write_bytes(path.read_bytes()[:-200])
    assert code_of(lambda: samples(path))[0] == "PG507"


@pytest.mark.parametrize("name", ["a.wav", "a.au", "a.mp4", "a.mov", "a.avi", "a.mkv", "a.gif"])
def test_two_files_in_one_are_refused(name: str, tmp_path: Path) -> None:
    path, count = made(tmp_path / name), frames if name in FILMS else samples
    if name == "a.wav":
        path.write_bytes(wav(np.zeros((5000, 1), np.int16)))
    data = path.read_bytes()
    path.write_bytes(data + b"\0" * 64)
    assert count(path)
    path.write_bytes(data + data)
    code, message = code_of(lambda: count(path))
    assert (code, f"a second file begins at byte {len(data):,}" in message) == ("PG507", True)


def test_what_holds_the_samples_may_go_to_the_end_of_the_file(tmp_path: Path) -> None:
    path = film_file(tmp_path / "a.mp4", "libx264", options={"movflags": "faststart"})
    data = path.read_bytes()
    place = data.index(b"mdat") - 4
    path.write_bytes(data[:place] + bytes(4) + data[place + 4 :])
    assert frames(path) == 20


def test_a_film_in_parts_may_have_its_beginning_twice(tmp_path: Path) -> None:
    parts = {"movflags": "frag_every_frame+empty_moov+default_base_moof"}
    path = film_file(tmp_path / "a.mp4", "libx264", options=parts)
    data = path.read_bytes()
    first = data.index(b"moof") - 4
    later = data.index(b"moof", len(data) // 2) - 4
    path.write_bytes(data[:later] + data[:first] + data[later:])
    assert frames(path) == 20


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.flv", "a.wmv", "a.nut", "a.mov"])
def test_a_film_may_begin_late(name: str, tmp_path: Path) -> None:
    path = film_file(tmp_path / name, **(FILMS | FILM_STREAMS)[name], start=100)
    assert frames(path) == 20


# Streams -----------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("a.w64", 56, b"\xff" * 8),  # a chunk that ends where no file does
        ("a.caf", 12, b"\x7f" + b"\xff" * 7),
        ("a.mov", 0, b"\0\0\0\1"),
    ],
)
def test_sizes_that_no_file_has(
    name: str, place: int, value: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = made(tmp_path / name)
    data = bytearray(path.read_bytes())
    data[place : place + len(value)] = value
    path.write_bytes(data)
    capfd.readouterr()
    assert code_of(lambda: (frames if name in FILMS else samples)(path))[0] == "PG507"
    assert capfd.readouterr().err == ""  # PyAV prints what is raised while FFmpeg reads


def test_an_encoding_that_is_not_known(tmp_path: Path) -> None:
    path = film_file(tmp_path / "a.avi", "mpeg4")
    path.write_bytes(path.read_bytes().replace(b"FMP4", b"Zz?9"))
    code, message = code_of(lambda: frames(path))
    assert code == "PG507"
    assert "does not know how its video is encoded" in message


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["a.wav", "a.flac", "a.caf", "a.w64", "a.opus", "a.mp4", "a.avi", "a.gif"]),
    st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8)), min_size=1, max_size=6),
)
def test_damage_of_any_kind_is_a_diagnostic(name: str, damage: list[tuple[float, bytes]]) -> None:
    data = bytearray(intact(name))
    for place, value in damage:
        start = int(place**3 * len(data))  # more often in the header
        data[start : start + len(value)] = value
    with TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(data)
        with suppress(DiagnosticError):
            (frames if name in FILMS else samples)(path)


@cache
def intact(name: str) -> bytes:
    with TemporaryDirectory() as folder:
        return made(Path(folder, name)).read_bytes()


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


class _Endless:
    """What is behind a pipe that never ends, and how much was taken of it."""

    taken = 0

    def read(self, count: int) -> bytes:
        self.taken += count
        assert self.taken < 64 << 20
        return (b"abc\n" * (count // 4 + 1))[:count]


def test_a_stream_that_is_no_media_is_refused_before_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=_Endless()))
    code, text = code_of(lambda: samples("-"))
    assert (code, "not a media file" in text) == ("PG507", True)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=_Endless()))
    code, text = code_of(lambda: read_picture("-"))
    assert (code, "not a picture" in text) == ("PG507", True)


def test_a_pointer_of_git_lfs_is_no_clip(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    code, text = code_of(lambda: frames(tmp_path / "a.mp4"))
    assert (code, "a.mp4 is a pointer of Git LFS" in text) == ("PG507", True)
