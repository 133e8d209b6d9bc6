"""How much a media file says it holds, against how much there is of it.

FFmpeg plays what there is. Each format says how long it is in a place of its own: here is where, and
that is all that is read of it. Streams, whose length was not known when they were written, say 0, or
the largest number that there is; they are as long as they are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import BinaryIO, Literal

from perceiver_graph.media.files.gif import gif_frames
from perceiver_graph.media.files.mp3 import At, after_tags, mp3_end, read_at
from perceiver_graph.runtime.opening import Source

_UNKNOWN = 0x7FFF_0000
"""From here on, 32-bit sizes are what programs write into a pipe."""

_MOST_CHUNKS = 1_000_000
_LONGEST_INDEX = 1 << 20


def shortfall(file: BinaryIO, source: Source) -> str | None:
    """What is missing of a file, in words; None where nothing is, or nothing says so.

    Raises DiagnosticError (PG507) for a GIF without its end.
    """
    start = after_tags(file)
    head = read_at(file, start, 16)
    if head.startswith(b"GIF8"):
        file.seek(start)
        gif_frames(file, source)
        return _second(file, head, file.tell())
    for fits, declared in _KINDS:
        if fits(head):
            size = file.seek(0, os.SEEK_END)
            end = declared(lambda place, count: read_at(file, start + place, count), size - start)
            if end is None or start + end == size:
                return None
            end += start
            if end < size:
                return _second(file, head, end)
            return f"the file ends after {size:,} bytes, and its header says that there are {end:,}"
    return None


def _second(file: BinaryIO, head: bytes, end: int) -> str | None:
    """What is behind the end of a file, if it begins as that does; of MP3, all frames do."""
    again = read_at(file, end, 8)
    alike = again[:4] == head[:4] or (again[4:] == b"ftyp" == head[4:8])
    if not alike or head.startswith(b"\xff"):
        return None
    return f"a second file begins at byte {end:,}, and only the first would be read"


Chunk = tuple[bytes, int, int]
"""Kind, where its content begins (that of mp4: the chunk itself), and how many bytes that has."""


def _chunks(at: At, start: int, order: Literal["little", "big"]) -> Iterator[Chunk]:
    """Chunks of a 4-byte name and a 4-byte size; contents of odd sizes are padded."""
    place = start
    for _ in range(_MOST_CHUNKS):
        head = at(place, 8)
        if len(head) < 8:
            return
        size = int.from_bytes(head[4:], order)
        yield head[:4], place + 8, size
        place += 8 + size + size % 2


def _riff(at: At, size: int) -> int | None:
    """WAV (also of more than 4 GiB), AVI, which may go on in further parts, and WebP."""
    form = at(8, 4)
    if form != b"WAVE":
        end = 0
        for kind, start, length in _chunks(at, 0, "little"):
            more = end > 0 and at(start, 4) != b"AVIX"
            if kind != b"RIFF" or more or not 0 < length < _UNKNOWN:
                break
            end = start + length
        return end or None
    large = 0
    for kind, start, length in _chunks(at, 12, "little"):
        if kind == b"ds64":
            large = int.from_bytes(at(start + 8, 8), "little")
        elif kind == b"data":
            if length == 0xFFFF_FFFF and 0 < large < 1 << 62:
                return start + large
            return start + length if 0 < length < _UNKNOWN else None
    return None


def _aiff(at: At, size: int) -> int | None:
    for kind, start, length in _chunks(at, 12, "big"):
        if kind == b"SSND":
            return start + length if 0 < length < _UNKNOWN else None
    return None


def _au(at: At, size: int) -> int | None:
    start, length = (int.from_bytes(at(place, 4), "big") for place in (4, 8))
    return start + length if 0 < length < _UNKNOWN else None


def _w64(at: At, size: int) -> int | None:
    place = 40  # the name of the file, its size, the name of its form
    for _ in range(_MOST_CHUNKS):
        head = at(place, 24)
        length = int.from_bytes(head[16:], "little")
        if len(head) < 24 or length < 24:
            return None
        if head.startswith(b"data"):
            return place + length if length < 1 << 62 else None
        place += -(-length // 8) * 8
    return None


def _caf(at: At, size: int) -> int | None:
    place = 8
    for _ in range(_MOST_CHUNKS):
        head = at(place, 12)
        length = int.from_bytes(head[4:], "big", signed=True)
        if len(head) < 12 or length < 0:
            return None  # to the end of the file
        if head.startswith(b"data"):
            return place + 12 + length
        place += 12 + length
    return None


def _mp4(at: At, size: int) -> int | None:
    end, in_parts, indexed = 0, False, 0
    for kind, start, length in mp4_boxes(at):
        if kind == b"ftyp" and start and not in_parts:
            break  # another film; one in parts may have its beginning more than once
        if kind == b"sidx" and not in_parts:
            indexed = indexed_end(at, start, length)
        in_parts |= kind == b"moof"
        end = start + length
    return max(end, indexed) or None


def mp4_boxes(at: At) -> Iterator[Chunk]:
    """The kind of each outer box, where it begins, and how long it is."""
    place = 0
    for _ in range(_MOST_CHUNKS):
        head = at(place, 16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:], "big")
        if len(head) < 8 or length < 8 or not head[4:8].isalnum():
            return  # to the end of the file, or something else behind it
        yield head[4:8], place, length
        place += length


def indexed_end(at: At, place: int, length: int) -> int:
    """Where the last part ends of which an index of an mp4 (sidx) says how long it is."""
    head = at(place, min(length, _LONGEST_INDEX))
    width = 8 if head[8:9] > b"\0" else 4  # of a time and a distance
    distance = int.from_bytes(head[20 + width : 20 + 2 * width], "big")
    parts = range(24 + 2 * width, len(head) - 11, 12)
    sizes = (int.from_bytes(head[part : part + 4], "big") & 0x7FFF_FFFF for part in parts)
    return place + length + distance + sum(sizes)


def _matroska(at: At, size: int) -> int | None:
    place = 0
    for _ in range(2):  # the header, and the segment that holds everything
        head = at(place, 12)
        if len(head) < 5:
            return None
        length, width = ebml_size(head[4:])
        if not width or length == (1 << 7 * width) - 1:
            return None
        place += 4 + width + length
    return place


def ebml_size(data: bytes) -> tuple[int, int]:
    """A number that says itself how many bytes it has, and how many these are (0: no number)."""
    width = 9 - data[0].bit_length()
    if width > 8 or len(data) < width:
        return 0, 0
    return int.from_bytes(data[:width], "big") & ((1 << 7 * width) - 1), width


def _ogg(at: At, size: int) -> int | None:
    """Pages, each of which says how long it is."""
    end = 0
    while end < size:
        head = at(end, 27)
        if not head.startswith(b"OggS"[: len(head)]):
            return None  # something else behind it, or damage: the decoder's concern
        lengths = at(end + 27, head[26]) if len(head) == 27 else b""
        if len(head) < 27 or len(lengths) < head[26]:
            return size + 1
        end += 27 + len(lengths) + sum(lengths)
    return end


_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


def _asf(at: At, size: int) -> int | None:
    """The header holds the size of the file, among other objects; in a broadcast, none."""
    place, header = 30, int.from_bytes(at(16, 8), "little")
    while place < min(header, size):
        head = at(place, 92)
        if head.startswith(_ASF_PROPERTIES):
            broadcast = int.from_bytes(head[88:], "little") & 1
            end = int.from_bytes(head[40:48], "little")
            return end if end < 1 << 62 and not broadcast else None
        place += max(24, int.from_bytes(head[16:24], "little"))
    return header if header < 1 << 62 else None


def _mxf(at: At, size: int) -> int | None:
    """Triplets of a key, a length and a value. The first says where the last part begins."""
    length, width = _ber(at(16, 9))
    end = int.from_bytes(at(16 + width + 24, 8), "big") + 1  # 0: not known when this was written
    place = 0
    while place < size:
        key = at(place, 16)
        if not key.startswith(_MXF_KEY[: len(key)]):
            break  # something else behind it, or damage: the decoder's concern
        length, width = _ber(at(place + 16, 9))
        place += 16 + max(width, 1) + length
    return max(end, place)


_MXF_KEY = b"\x06\x0e\x2b\x34"


def _ber(data: bytes) -> tuple[int, int]:
    """A length, and how many bytes it has itself: one, or more where the first says so."""
    width = 1 + (data[0] & 0x7F) if data[:1] > b"\x7f" else 1
    return int.from_bytes(data[1:width] if width > 1 else data[:1], "big"), width


def _tta(at: At, size: int) -> int | None:
    """A table of the sizes of frames follows the header; behind the frames there may be a tag."""
    head = at(0, 18)
    rate, samples = (int.from_bytes(head[place : place + 4], "little") for place in (10, 14))
    count = -(-samples // max(1, rate * 256 // 245))
    table = at(22, 4 * count)
    sizes = (int.from_bytes(table[i : i + 4], "little") for i in range(0, len(table), 4))
    end = 22 + 4 * count + 4 + sum(sizes)  # both header and table have a check sum
    tag = at(end, 16)
    if tag and _TAG.startswith(tag[:8]):
        end += 32 + int.from_bytes(tag[12:], "little")
    return end


_TAG = b"APETAGEX"


def _flv(at: At, size: int) -> int | None:
    """Tags, each of which says how long it is, and after it once more."""
    end = 13
    while end < size:
        head = at(end, 4)
        end += 15 + int.from_bytes(head[1:], "big") if len(head) == 4 else 4
    return end


def _ivf(at: At, size: int) -> int | None:
    """Frames of VP8, VP9 and AV1, each of which says how long it is."""
    end = int.from_bytes(at(6, 2), "little")
    while 0 < end < size:
        end += 12 + int.from_bytes(at(end, 4), "little")
    return end


def _voc(at: At, size: int) -> int | None:
    """Blocks, of which one of kind 0, a single byte, is the last."""
    end = int.from_bytes(at(20, 2), "little")
    while (head := at(end, 4)) and head[0]:
        end += 4 + int.from_bytes(head[1:], "little")
    return end + 1


def _png(at: At, size: int) -> int | None:
    end = 8
    while end < size:
        head = at(end, 8)
        end += 12 + int.from_bytes(head[:4], "big")
        if head[4:] == b"IEND":
            return end
    return max(end, size + 1)


_KINDS: tuple[tuple[Callable[[bytes], bool], Callable[[At, int], int | None]], ...] = (
    (lambda head: head[:4] in (b"RIFF", b"RF64", b"BW64"), _riff),
    (lambda head: head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"), _aiff),
    (lambda head: head[:4] == b".snd", _au),
    (lambda head: head.startswith(b"riff\x2e\x91\xcf\x11"), _w64),
    (lambda head: head[:4] == b"caff", _caf),
    (lambda head: head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"), _mp4),
    (lambda head: head.startswith(b"\x1a\x45\xdf\xa3"), _matroska),
    (lambda head: head[:4] == b"OggS", _ogg),
    (lambda head: head.startswith(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"), _asf),
    (lambda head: head.startswith(_MXF_KEY), _mxf),
    (lambda head: head[:4] == b"TTA1", _tta),
    (lambda head: head[:4] == b"FLV\1", _flv),
    (lambda head: head[:4] == b"DKIF", _ivf),
    (lambda head: head.startswith(b"Creative Voice"), _voc),
    (lambda head: head.startswith(b"\x89PNG\r\n"), _png),
    (lambda head: head[:1] == b"\xff", mp3_end),
)
"""How a format is known by its first bytes, and what says where its end is."""
