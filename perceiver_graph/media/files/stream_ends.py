"""Streams: formats whose headers do not say how much there is, so that a file is read as far as it goes.

One that was cut off between two of its parts cannot be told from one that ended there; one that ends
within a part can, and that is said. Raw H.264, HEVC, MPEG and MP3 do not always show even that.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import BinaryIO

from perceiver_graph.media.files.extents import ebml_size, indexed_end, mp4_boxes
from perceiver_graph.media.files.mp3 import after_tags, read_at

_MOST_FRAMES = 10_000_000
_TAIL = 1 << 17
"""Bytes in which a pack of an MPEG program stream begins: a part has 65,541 at most."""


def loose_end(file: BinaryIO, form: str, packet: int) -> str | None:
    """What a stream of FFmpeg's format `form` ends within, in words; None where nothing shows.

    `packet` is the size of its first packet.
    """
    what, is_loose = _ENDS.get(form, ("", None))
    if is_loose is None or not is_loose(file, file.seek(0, os.SEEK_END), packet):
        return None
    return what


def _frames(length: Callable[[bytes], int]) -> Callable[[BinaryIO, int, int], bool]:
    """For frames that say how long they are; a length of 0 is that of something else."""

    def is_loose(file: BinaryIO, size: int, packet: int) -> bool:
        place = after_tags(file)
        for _ in range(_MOST_FRAMES):
            step = length(read_at(file, place, 8).ljust(8, b"\0")) if place < size else 0
            if not step:
                break
            place += step
        return place > size

    return is_loose


def _adts(head: bytes) -> int:
    if head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return 0
    return max(7, (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5)


def _ac3(head: bytes) -> int:
    """AC-3, and E-AC-3, which says it in another way."""
    if head[:2] != b"\x0b\x77":
        return 0
    if head[5] >> 3 > 10:
        return 2 * ((head[2] & 7) << 8 | head[3]) + 2
    rate, code = head[4] >> 6, head[4] & 63
    if rate == 3 or code // 2 >= len(_AC3_RATES):
        return 0
    bits = _AC3_RATES[code // 2]
    return 2 * (2 * bits, bits * 320 // 147 + code % 2, 3 * bits)[rate]


_AC3_RATES: tuple[int, ...] = (
    *range(32, 64, 8),
    *range(64, 128, 16),
    *range(128, 256, 32),
    *range(256, 641, 64),
)


def _transport(file: BinaryIO, size: int, packet: int) -> bool:
    """Packets of one size, each of which begins with the same byte."""
    head = read_at(file, 0, 2048)
    for start in range(204):
        for step in (188, 192, 204):
            if len(seen := head[start::step]) > 4 and set(seen) == {0x47}:
                before = 4 if step == 192 else 0  # the time of arrival
                return (size - start + before) % step != 0
    return False


def _program(file: BinaryIO, size: int, packet: int) -> bool:
    """Packs of parts that say how long they are; the last ones are looked at."""
    tail = read_at(file, max(0, size - _TAIL), _TAIL)
    place = tail.rfind(b"\0\0\1\xba")
    while 0 <= place < len(tail):
        head = tail[place : place + 14]
        if head[:3] != b"\0\0\1"[: len(head)]:
            return False  # something else behind it
        if head[3:4] != b"\xba":
            place += 6 + int.from_bytes(head[4:6], "big") if head[3:4] != b"\xb9" else 4
        else:
            place += 14 + (head[-1] & 7) if head[4:5] > b"\x3f" else 12
    return place > len(tail)


def _pictures(file: BinaryIO, size: int, packet: int) -> bool:
    """Of YUV4MPEG2: a line before each picture, and all pictures of one size."""
    place = read_at(file, 0, 1024).find(b"\n") + 1
    while 0 < place < size:
        line = read_at(file, place, 128).find(b"\n") + 1
        place += line + packet if line else size
    return place > size


def _motion_jpeg(file: BinaryIO, size: int, packet: int) -> bool:
    return b"\xff\xd9" not in read_at(file, max(0, size - 64), 64)


def _nut(file: BinaryIO, size: int, packet: int) -> bool:
    index = size - int.from_bytes(read_at(file, size - 12, 8), "big")
    return read_at(file, index, 8) != b"NX\xdd\x67\x2f\x23\xe6\x4e"


def _fragments(file: BinaryIO, size: int, packet: int) -> bool:
    """Of an mp4 in parts: an index at its end, or one before them that is of all."""

    def at(place: int, count: int) -> bytes:
        return read_at(file, place, count)

    in_parts = False
    for kind, place, length in mp4_boxes(at):
        in_parts |= kind == b"moof"
        if kind == b"mfra" or (
            kind == b"sidx" and not in_parts and indexed_end(at, place, length) == size
        ):
            return False
    return in_parts


def _digital_video(file: BinaryIO, size: int, packet: int) -> bool:
    return size % packet != 0


def _ogg(file: BinaryIO, size: int, packet: int) -> bool:
    """The last page says that it is the last one."""
    tail = read_at(file, max(0, size - _TAIL), _TAIL)
    page = tail[tail.rfind(b"OggS") :]
    return not page.startswith(b"OggS") or not page[5:6] or not page[5] & 4


def _matroska(file: BinaryIO, size: int, packet: int) -> bool:
    """Elements that say how long they are, in those that need not."""
    place = 0
    for _ in range(_MOST_FRAMES):
        head = read_at(file, place, 12)
        if place >= size:
            break
        name = 9 - head[0].bit_length()
        length, width = ebml_size(head[name:] or b"\0")
        if head[:4] == _SEGMENT and length != (1 << 7 * width) - 1:
            return False  # that says it all
        if head[:4] in (_SEGMENT, _CLUSTER):
            place += 4 + width
        elif name <= 4 and width:
            place += name + width + length
        else:
            return len(head) < 12
    return place > size


_SEGMENT, _CLUSTER = b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75"


_ENDS: dict[str, tuple[str, Callable[[BinaryIO, int, int], bool]]] = {
    "aac": ("within a frame", _frames(_adts)),
    "ac3": ("within a frame", _frames(_ac3)),
    "eac3": ("within a frame", _frames(_ac3)),
    "mpegts": ("within a packet", _transport),
    "mpeg": ("within a packet", _program),
    "yuv4mpegpipe": ("within a picture", _pictures),
    "dv": ("within a picture", _digital_video),
    "mjpeg": ("within a picture", _motion_jpeg),
    "matroska,webm": ("within a block", _matroska),
    "ogg": ("without its last page", _ogg),
    "nut": ("without an index", _nut),
    "mov,mp4,m4a,3gp,3g2,mj2": ("without an index of its parts", _fragments),
}
