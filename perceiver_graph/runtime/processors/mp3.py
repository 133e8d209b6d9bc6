"""How long an MP3 says it is. Its first frame may be a silent one that counts the others (Xing, VBRI)."""

from __future__ import annotations

from typing import BinaryIO

_HAS_FRAMES, _HAS_BYTES = 1, 2


def read_at(file: BinaryIO, place: int, count: int) -> bytes:
    """Bytes of a file, none beyond its end, be that as far as it may."""
    try:
        file.seek(place)
        return file.read(count)
    except (OSError, ValueError, OverflowError):  # a place that no file has
        return b""


def mp3_end(file: BinaryIO, size: int) -> int | None:
    """Where the file says that its sound ends, in bytes; None where it does not say."""
    found = _first_frame(file)
    if found is None:
        return None
    start, frame = found
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
    return start + count if count else None


def counts_frames(file: BinaryIO) -> bool:
    """Whether the first frame says how many there are."""
    found = _first_frame(file)
    return found is not None and any(name in found[1] for name in (b"Xing", b"Info", b"VBRI"))


def _first_frame(file: BinaryIO) -> tuple[int, bytes] | None:
    """Where the first frame of layer III begins, after tags, and its first bytes."""
    start = 0
    while (head := read_at(file, start, 10))[:3] == b"ID3" and len(head) == 10:
        start += 10 + sum((byte & 0x7F) << 7 * (3 - i) for i, byte in enumerate(head[6:]))
    frame = read_at(file, start, 200)
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xE6 != 0xE2:
        return None
    return (start, frame) if 0 < frame[2] >> 4 < 15 else None
