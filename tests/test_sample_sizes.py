"""Sounds whose samples have bits that do not count: what is read is what was recorded."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from perceiver_graph.media.clip.formats import AudioFormat
from perceiver_graph.media.clip.windows import read_clip
from perceiver_graph.media.files.containers import _Nameless
from tests.media_support import code_of

RATE, COUNT = 16_000, 1600
WAVE = np.sin(2 * np.pi * 440 * np.arange(COUNT) / RATE) / 2
GUID = bytes.fromhex("000000001000800000aa00389b71")
W64 = bytes.fromhex("f3acd3118cd100c04f8edb8a")
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE


def left(bits: int, size: int, channels: int = 1) -> bytes:
    """The wave as whole numbers of so many bits at the upper end of so many bytes."""
    values = np.round(WAVE * (2 ** (bits - 1) - 1)).astype(np.int64) << (8 * size - bits)
    return b"".join(int(one).to_bytes(size, "little", signed=True) * channels for one in values)


def form(
    bits: int, size: int, valid: int | None = None, *, tag: int = PCM, count: int = 1
) -> bytes:
    """What a WAV says of its samples: their bits, the bytes of each, the bits that count."""
    outer = tag if valid is None else EXTENSIBLE
    found = struct.pack("<HHIIHH", outer, count, RATE, RATE * size * count, size * count, bits)
    extension = b"" if valid is None else struct.pack("<HHIH", 22, valid, 4, tag) + GUID
    return found + extension


def chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data


def wav(header: bytes, data: bytes, before: bytes = b"") -> bytes:
    body = b"WAVE" + before + chunk(b"fmt ", header) + chunk(b"data", data)
    return chunk(b"RIFF", body)


def w64(header: bytes, data: bytes) -> bytes:
    parts = [
        name + W64 + struct.pack("<Q", 24 + len(held)) + held + bytes(-len(held) % 8)
        for name, held in ((b"fmt ", header), (b"data", data))
    ]
    body = b"wave" + W64 + b"".join(parts)
    riff = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000")
    return riff + struct.pack("<Q", 24 + len(body)) + body


def caf(bits: int, size: int, data: bytes) -> bytes:
    described = struct.pack(">d4sIIIII", RATE, b"lpcm", 2, size, 1, 1, bits)
    return b"caff\0\1\0\0" + b"".join(
        name + struct.pack(">q", len(held)) + held
        for name, held in ((b"desc", described), (b"data", bytes(4) + data))
    )


def read(path: Path) -> NDArray[np.float32]:
    form = AudioFormat(samples=COUNT, rate=RATE)
    (window,) = read_clip(path, video=None, audio=form)
    assert window.sample_count == COUNT
    assert window.samples is not None
    return window.samples[:, 0]


LIST = chunk(b"LIST", b"INFO" + bytes(300))
READ = {
    "24 in 4": wav(form(32, 4, 24), left(24, 4)),
    "24 in 4, said twice": wav(form(24, 4, 24), left(24, 4)),
    "20 in 4": wav(form(32, 4, 20), left(20, 4)),
    "16 in 4": wav(form(32, 4, 16), left(16, 4)),
    "16 in 3": wav(form(24, 3, 16), left(16, 3)),
    "20 in 3": wav(form(24, 3, 20), left(20, 3)),
    "12 in 2": wav(form(12, 2), left(12, 2)),
    "8 in 2": wav(form(16, 2, 8), left(8, 2)),
    "stereo": wav(form(32, 4, 24, count=2), left(24, 4, 2)),
    "behind a list": wav(form(32, 4, 24), left(24, 4), LIST),
    "all of them": wav(form(32, 4, 0), left(32, 4)),
    "floating-point": wav(form(32, 4, 24, tag=FLOAT), WAVE.astype("<f4").tobytes()),
    "Cool Edit": wav(form(24, 4), (WAVE * 2**23).astype("<f4").tobytes()),
    "W64": w64(form(32, 4, 24), left(24, 4)),
    "CAF": caf(24, 3, left(24, 3)),
}


@pytest.mark.parametrize("name", READ)
def test_samples_with_bits_that_do_not_count_are_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / "one"
    path.write_bytes(READ[name])
    assert np.abs(read(path) - WAVE).max() < (0.01 if name == "8 in 2" else 0.0005)


def test_so_is_the_sound_of_a_film(tmp_path: Path) -> None:
    path = tmp_path / "one.avi"
    with av.open(path, "w") as film:
        film.add_stream("mjpeg", rate=25, width=16, height=16, pix_fmt="yuvj420p")
        stream = film.add_stream("pcm_s32le", rate=RATE, layout="mono")
        packet = av.Packet(left(24, 4))
        packet.stream, packet.pts, packet.dts = stream, 0, 0
        film.mux(packet)
    data = path.read_bytes()
    said = form(32, 4, 32)[16:]
    assert said in data
    path.write_bytes(data.replace(said, form(32, 4, 24)[16:]))
    assert np.abs(read(path) - WAVE).max() < 0.0005


def quicktime(path: Path, bits: int, flags: int) -> None:
    """The wave as whole numbers of 24 bits at the upper end of 4 bytes, of which so many are said."""
    with av.open(path, "w", format="mov") as film:
        stream = film.add_stream("pcm_s32le", rate=RATE * 6, layout="mono")
        packet = av.Packet(left(24, 4))
        packet.stream, packet.pts, packet.dts = stream, 0, 0
        film.mux(packet)
    data = path.read_bytes()
    said = struct.pack(">4I", 32, 12, 4, 1)
    assert data.count(said) == 1
    path.write_bytes(data.replace(said, struct.pack(">4I", bits, flags, 4, 1)))


def test_so_is_a_quicktime_film_that_says_which_end_they_are_at(tmp_path: Path) -> None:
    path, audio = tmp_path / "one.mov", AudioFormat(samples=COUNT, rate=RATE * 6)
    for bits, flags in ((32, 12), (24, 0x14), (20, 0x14)):
        quicktime(path, bits, flags)
        (window,) = read_clip(path, video=None, audio=audio)
        assert window.samples is not None
        assert np.abs(window.samples[:, 0] - WAVE).max() < 0.0005
    quicktime(path, 24, 4)
    code, message = code_of(lambda: list(read_clip(path, video=None, audio=audio)))
    assert (code, "24 bits a sample, and 4 bytes for 1" in message) == ("PG507", True)


REFUSED = {
    "20 bits a sample, and 4 bytes for 1": wav(form(20, 4), left(20, 4)),
    "16 bits a sample, and 8 bytes for 2": wav(form(16, 4, count=2), left(16, 4, 2)),
    "32 bits a sample, and 8 bytes for 1": wav(form(32, 8, tag=FLOAT), left(32, 8)),
    "24 bits a sample, and 4 bytes for 1": caf(24, 4, left(24, 4)),
    "32 bits a sample, and 5 bytes for 2": wav(
        form(32, 4, 24, count=2).replace(b"\x08\0\x20\0", b"\x05\0\x20\0"), left(24, 4)
    ),
    "where floating-point samples reach about 1": wav(form(24, 4), left(24, 4)),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_sizes_that_contradict_each_other_are_refused(fault: str, tmp_path: Path) -> None:
    path = tmp_path / "one"
    path.write_bytes(REFUSED[fault])
    code, message = code_of(lambda: read(path))
    assert (code, fault in message) == ("PG507", True)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 64])
def test_other_bytes_stand_at_their_place_in_reads_of_any_size(size: int) -> None:
    file = _Nameless(BytesIO(bytes(range(20))), 9, b"ab")
    found = b""
    while data := file.read(size):
        found += data
    assert found == bytes(range(9)) + b"ab" + bytes(range(11, 20))


# Channels ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("speakers", [0, 1, 4, 256])
def test_one_channel_is_as_loud_in_both(speakers: int, tmp_path: Path) -> None:
    header = form(16, 2, 16).replace(struct.pack("<HI", 16, 4), struct.pack("<HI", 16, speakers))
    (tmp_path / "a.wav").write_bytes(wav(header, left(16, 2)))
    stereo = AudioFormat(samples=COUNT, channels=2, rate=RATE)
    (window,) = read_clip(tmp_path / "a.wav", video=None, audio=stereo)
    assert window.samples is not None
    assert np.abs(window.samples - WAVE[:, None]).max() < 0.0005
    assert window.notes == ("its one channel is taken for both",)


def test_one_channel_is_resampled_before_it_is_taken_for_both(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav(form(16, 2), left(16, 2)))
    found = []
    for channels in (1, 2):
        audio = AudioFormat(samples=4000, channels=channels, rate=44_100)
        found.append(next(read_clip(tmp_path / "a.wav", video=None, audio=audio)).samples)
    np.testing.assert_array_equal(found[1], np.repeat(found[0], 2, axis=1))  # type: ignore[arg-type]


def test_two_channels_that_are_no_pair_are_told_to_be_mixed(tmp_path: Path) -> None:
    for speakers, notes in ((3, ()), (12, ("its 2 channels become 2, as FFmpeg mixes them",))):
        header = form(16, 2, 16, count=2)
        header = header.replace(struct.pack("<HI", 16, 4), struct.pack("<HI", 16, speakers))
        (tmp_path / "a.wav").write_bytes(wav(header, left(16, 2, 2)))
        stereo = AudioFormat(samples=COUNT, channels=2, rate=RATE)
        (window,) = read_clip(tmp_path / "a.wav", video=None, audio=stereo)
        assert window.notes == notes
