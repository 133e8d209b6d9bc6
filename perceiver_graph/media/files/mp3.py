"""How long an MP3 says it is. Its first frame may be a silent one that counts the others (Xing, VBRI)."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

At = Callable[[int, int], bytes]
"""Gives bytes of a file: from a place on, and how many."""

_HAS_FRAMES, _HAS_BYTES = 1, 2


def read_at(file: BinaryIO, place: int, count: int) -> bytes:
    """Bytes of a file, none beyond its end, be that as far as it may."""
    try:
        file.seek(place)
        return file.read(count)
    except (OSError, ValueError, OverflowError):  # a place that no file has
        return b""


def after_tags(file: BinaryIO) -> int:
    """Where a file begins after tags of ID3, which FFmpeg passes over before any format."""
    start = 0
    while (head := read_at(file, start, 10))[:3] == b"ID3" and len(head) == 10:
        start += 10 + sum((byte & 0x7F) << 7 * (3 - i) for i, byte in enumerate(head[6:]))
    return start


def mp3_end(at: At, size: int) -> int | None:
    """Where the file says that its sound ends, in bytes; None where it does not say."""
    frame = _first_frame(at)
    if frame is None:
        return None
    mpeg1, mono = frame[1] & 8, frame[3] >> 6 == 3
    side = (17 if mono else 32) if mpeg1 else (9 if mono else 17)
    tag = frame[4 + side :]
    if tag[:4] in (b"Xing", b"Info"):
        flags = int.from_bytes(tag[4:8], "big")
        place = 12 if flags & _HAS_FRAMES else 8
        count = int.from_bytes(tag[place : place + 4], "big") if flags & _HAS_BYTES else 0
    elif frame[36:40] == b"VBRI":
        count = int.from_bytes(frame[46:50], "big")
    else:
        return None
    return count or None


def counts_frames(file: BinaryIO) -> bool:
    """Whether the first frame says how many there are."""
    start = after_tags(file)
    frame = _first_frame(lambda place, count: read_at(file, start + place, count))
    return frame is not None and any(name in frame for name in (b"Xing", b"Info", b"VBRI"))


def _first_frame(at: At) -> bytes | None:
    """The beginning of a first frame of layer III."""
    frame = at(0, 200)
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xE6 != 0xE2:
        return None
    return frame if 0 < frame[2] >> 4 < 15 else None
