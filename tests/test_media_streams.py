"""Of streams that were cut off, and of damage that leaves something to see and to hear, it is told."""

from __future__ import annotations

import os
import re
import threading
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.media.clip.decode import _Decoding
from perceiver_graph.media.clip.formats import AudioFormat, VideoFormat
from perceiver_graph.media.clip.windows import read_clip
from tests.media_files import FILM_STREAMS, SOUND_STREAMS, film_file, made, sound_file, wav
from tests.media_support import code_of, encode, grey, tone

SOUND = AudioFormat(samples=1600, rate=16_000)
PICTURES = VideoFormat(time=5, height=16, width=16)


def told(path: Path, *, film: bool) -> tuple[int, set[str]]:
    """How many frames or samples a file has, and what is told of them."""
    form = (PICTURES, None) if film else (None, SOUND)
    windows = list(read_clip(path, video=form[0], audio=form[1]))
    count = sum(one.frame_count if film else one.sample_count for one in windows)
    return count, {note for one in windows for note in one.notes}


# Cut off -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*SOUND_STREAMS, *FILM_STREAMS])
def test_a_stream_that_ends_within_a_part_is_told(name: str, tmp_path: Path) -> None:
    path, film = made(tmp_path / name), name in FILM_STREAMS
    data = path.read_bytes()
    whole, notes = told(path, film=film)
    assert whole >= (20 if film else 31_000)
    assert not notes
    for length in (len(data) - 1, len(data) - 37, int(0.6 * len(data)) // 188 * 188 + 7):
        path.write_bytes(data[:length])
        count, notes = told(path, film=film)
        assert (0.2 if length < 0.7 * len(data) else 0.8) * whole < count <= whole
        assert "may have been cut off" in "".join(notes)


def test_a_last_page_of_ogg_is_missed(tmp_path: Path) -> None:
    data = made(tmp_path / "a.opus").read_bytes()
    (tmp_path / "a.opus").write_bytes(data[: data.rfind(b"OggS")])
    _, notes = told(tmp_path / "a.opus", film=False)
    assert "ends without its last page" in "".join(notes)


def test_a_stream_through_a_pipe_is_read_as_it_comes(tmp_path: Path) -> None:
    data = made(tmp_path / "a.ts").read_bytes()[:-100]
    os.mkfifo(tmp_path / "pipe.ts")

    def fill() -> None:
        with (tmp_path / "pipe.ts").open("wb") as stream:
            stream.write(data)

    writer = threading.Thread(target=fill, daemon=True)
    writer.start()
    count, notes = told(tmp_path / "pipe.ts", film=True)
    writer.join()
    assert (count, "may have been cut off" in "".join(notes)) == (20, True)


@pytest.mark.parametrize("name", ["a.aac", "a.ts", "a.m2ts", "a.mpg"])
def test_something_else_behind_a_stream_is_no_cut(name: str, tmp_path: Path) -> None:
    path = made(tmp_path / name)
    with path.open("ab") as stream:
        stream.write(bytes(192) if name == "a.m2ts" else bytes(188))
    _, notes = told(path, film=name in FILM_STREAMS)
    assert "cut off" not in "".join(notes)


# Damaged -----------------------------------------------------------------------------------------


def spoilt(path: Path, place: float, *, hole: int = 0) -> Path:
    """A file with a byte changed, or with a hole."""
    data = bytearray(path.read_bytes())
    start = int(place * len(data))
    data[start : start + (hole or 1)] = bytes(hole) if hole else bytes([data[start] ^ 0x55])
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("place", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("name", ["a.mpg", "a.vob", "a.ts"])
def test_a_film_that_is_damaged_is_told(name: str, place: float, tmp_path: Path) -> None:
    path = spoilt(made(tmp_path / name), place, hole=900)
    _, notes = told(path, film=True)
    assert "the video is damaged at 0." in "".join(notes)


def test_a_film_that_is_damaged_at_its_beginning_is_told(tmp_path: Path) -> None:
    path = film_file(tmp_path / "a.avi", "mjpeg", pix_fmt="yuvj420p")
    data = path.read_bytes()
    first = data.index(b"\xff\xd8")
    path.write_bytes(data[:first] + bytes(2000) + data[first + 2000 :])
    _, notes = told(path, film=True)
    assert "cannot be decoded at its beginning" in "".join(notes)


@pytest.mark.parametrize("place", [0.3, 0.5, 0.7])
@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.flac", "flac"),
        ("a.mka", "flac"),
        ("a.wv", "wavpack"),
        ("a.tta", "tta"),
        ("a.ac3", "ac3"),
    ],
)
def test_check_sums_of_sound_are_checked(
    name: str, codec: str, place: float, tmp_path: Path
) -> None:
    rate = 48_000 if codec == "ac3" else 16_000
    path = spoilt(sound_file(tmp_path / name, codec, rate=rate), place)
    assert "gaps there is silence" in outcome(path) or outcome(path) == "PG507"


def outcome(path: Path) -> str:
    """What is told of a sound, or the code of why it is refused."""
    try:
        return "".join(told(path, film=False)[1])
    except DiagnosticError as error:
        return error.diagnostics[0].code


@pytest.mark.parametrize("name", ["a.opus", "a.oga"])
def test_pages_of_ogg_that_are_lost_are_missed(name: str, tmp_path: Path) -> None:
    path = spoilt(made(tmp_path / name), 0.5)
    code, message = code_of(lambda: told(path, film=False))
    assert code == "PG507"
    assert "of the 2.0" in message


def test_a_clock_that_begins_anew_is_refused(tmp_path: Path) -> None:
    one = sound_file(tmp_path / "a.opus", "libopus").read_bytes()
    (tmp_path / "b.opus").write_bytes(one + one)
    code, message = code_of(lambda: told(tmp_path / "b.opus", film=False))
    assert code == "PG507"
    assert "its clock goes back by 2.0" in message
    ahead = encode(
        tmp_path / "c.mkv",
        [grey(9)] * 10,
        tone(5.0),
        pts=range(3000, 3400, 40),
        codecs=("ffv1", "flac"),
    )
    assert list(
        read_clip(ahead, video=PICTURES, audio=AudioFormat(samples=3200, rate=16_000))
    )  # sound from 3 s before the pictures
    film = film_file(tmp_path / "a.ts", "libx264", count=50).read_bytes()
    (tmp_path / "b.ts").write_bytes(film + film)
    code, message = code_of(lambda: told(tmp_path / "b.ts", film=True))
    assert (code, "its clock goes back by 1.96" in message) == ("PG507", True)


@pytest.mark.parametrize("place", [0.25, 0.5, 0.75])
def test_a_gif_with_a_hole_is_refused(place: float, tmp_path: Path) -> None:
    from PIL import Image

    noise = np.random.default_rng(1).integers(0, 256, (20, 64, 64, 3), np.uint8)
    first, *others = map(Image.fromarray, noise)
    first.save(tmp_path / "a.gif", save_all=True, append_images=others, duration=40)
    assert told(tmp_path / "a.gif", film=True) == (20, set())
    path = spoilt(tmp_path / "a.gif", place, hole=600)
    code, message = code_of(lambda: told(path, film=True))
    assert code == "PG507"
    assert "is damaged" in message


# Films in parts -------------------------------------------------------------------------------------


def in_parts(path: Path, flags: str) -> tuple[bytes, list[int]]:
    """A film of 25 frames, and where each of its parts begins."""
    options = {"movflags": f"{flags}+frag_keyframe+empty_moov"}
    with av.open(path, "w", options=options) as film:
        stream = film.add_stream("libx264", rate=25, width=16, height=16, options={"g": "5"})
        for index in range(25):
            frame = av.VideoFrame.from_ndarray(grey(index, 16, 16), format="rgb24")
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
    data = path.read_bytes()
    first = b"sidx" if "dash" in flags and "global" not in flags else b"moof"
    return data, [found.start() - 4 for found in re.finditer(first, data)]


@pytest.mark.parametrize("flags", ["cmaf", "dash", "skip_trailer"])
def test_a_film_in_parts_that_ends_behind_one_is_told(flags: str, tmp_path: Path) -> None:
    data, parts = in_parts(tmp_path / "a.mp4", flags)
    count, notes = told(tmp_path / "a.mp4", film=True)
    assert (count, bool(notes)) == (25, flags == "skip_trailer")
    assert len(parts) > 4
    for part in parts[2:]:
        (tmp_path / "a.mp4").write_bytes(data[:part])
        count, notes = told(tmp_path / "a.mp4", film=True)
        assert 5 <= count < 25
        assert "the file ends without an index of its parts" in "".join(notes)


def test_a_film_in_parts_may_say_before_them_how_long_they_are(tmp_path: Path) -> None:
    data, parts = in_parts(tmp_path / "a.mp4", "dash+global_sidx")
    whole = data[: data.rindex(b"mfra") - 4]
    (tmp_path / "a.mp4").write_bytes(whole)
    assert told(tmp_path / "a.mp4", film=True) == (25, set())
    for part in parts[2:]:
        (tmp_path / "a.mp4").write_bytes(data[:part])
        code, text = code_of(lambda: told(tmp_path / "a.mp4", film=True))
        assert (code, f"its header says that there are {len(whole):,}" in text) == ("PG507", True)


# Sound of unknown length ---------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 0xFFFF_FFFF])
@pytest.mark.parametrize("dtype", ["<i2", "<f4"])
@pytest.mark.parametrize("count", [1024, 5000])
def test_a_wav_from_a_pipe_is_not_damaged(
    size: int, dtype: str, count: int, tmp_path: Path
) -> None:
    """Its last packet has fewer samples than the others."""
    path = tmp_path / "a.wav"
    path.write_bytes(wav(np.zeros((count, 1), dtype), size=size))
    windows = list(read_clip(path, video=None, audio=AudioFormat(samples=count, rate=16_000)))
    assert [(one.sample_count, one.notes) for one in windows] == [(count, ())]


@pytest.mark.parametrize("samples", [True, False])
@pytest.mark.parametrize("corrupt", [0, 1, 2])
def test_a_packet_within_a_sound_that_lacks_something_is_told(samples: bool, corrupt: int) -> None:
    stream = SimpleNamespace(index=0)
    end = SimpleNamespace(stream=stream, pts=None, is_corrupt=False, size=0, decode=list)
    packets = [
        SimpleNamespace(
            stream=stream,
            pts=place,
            time_base=Fraction(1),
            duration=1,
            is_corrupt=place == corrupt,
            size=9,
            decode=lambda: [SimpleNamespace(is_corrupt=False)],
        )
        for place in range(3)
    ]
    demuxed = SimpleNamespace(demux=lambda: [*packets, end])
    media: Any = SimpleNamespace(container=demuxed, start=Fraction(0), cut_off=lambda size: None)
    notes: dict[str, None] = {}
    assert len(list(_Decoding(media, "audio", notes, samples).frames(0))) == 3
    told = [
        f"the audio is damaged at {corrupt + 1}.00 s, and perhaps elsewhere: it is taken as it is"
    ]
    assert list(notes) == told * (corrupt < 2 or not samples)
