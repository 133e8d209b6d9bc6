"""The segments of a JPEG file, so far as to take its EXIF out."""

from __future__ import annotations

_START = b"\xff\xd8"
_SCAN, _APP1 = 0xDA, 0xE1
_EXIF = b"Exif\0\0"


def without_exif(data: bytes) -> tuple[bytes, bytes]:
    """A JPEG file without its EXIF, and the EXIF: empty where there is none, or no JPEG."""
    kept, exif, place = [data[:2]], b"", 2
    while data.startswith(_START) and data[place : place + 1] == b"\xff":
        kind, size = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        if kind == _SCAN or size < 2:
            break
        content = data[place + 4 : place + 2 + size]
        if kind == _APP1 and content.startswith(_EXIF):
            exif = exif or content
        else:
            kept.append(data[place : place + 2 + size])
        place += 2 + size
    return b"".join([*kept, data[place:]]), exif
