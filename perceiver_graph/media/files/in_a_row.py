"""Where a second picture begins, in a file of pictures one after the other that says no number."""

from __future__ import annotations

import re
from collections.abc import Iterator

from perceiver_graph.media.files.mp3 import At, read_at
from perceiver_graph.runtime.opening import Source

_BLOCK = 1 << 16

# JPEG: markers within coded pixels, those without a segment, and those that matter here.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_ALONE = {0x01, *range(0xD0, 0xD9)}
_SCAN, _APP2, _END, _FILL = 0xDA, 0xE2, 0xD9, 0xFF

_NUMBER = rb"(?:\s|#[^\r\n]*[\r\n])+(\d{1,9})"
_NETPBM = re.compile(rb"P([56])%s%s%s\s|P(4)%s%s\s" % ((_NUMBER,) * 5))


def further_pictures(source: Source) -> Iterator[str]:
    """The note that a second picture follows the first one, if one does."""
    with source.open() as file:

        def at(place: int, count: int) -> bytes:
            return read_at(file, place, count)

        for begins, behind in _KINDS:
            if begins.match(at(0, 8)) and (end := behind(at)) and begins.match(at(end, 8)):
                yield f"a second picture begins at byte {end:,}: the first is read"


def _jpeg(at: At) -> int | None:
    """Behind the end of a picture; None where the file says itself that there are others (MPF)."""
    place = 2
    while len(head := at(place, 4)) > 1 and head[0] == _FILL:
        kind, size = head[1], int.from_bytes(head[2:], "big")
        if kind == _END:
            return place + 2
        if kind == _FILL or kind in _ALONE:
            place += 1 if kind == _FILL else 2
        elif size < 2 or (kind == _APP2 and at(place + 4, 4) == b"MPF\0"):
            return None
        else:
            place += 2 + size
            place = _next_marker(at, place) if kind == _SCAN else place
    return None


def _next_marker(at: At, place: int) -> int:
    """Behind the coded pixels that begin at a place."""
    while len(block := at(place, _BLOCK)) > 1:
        if found := _MARKER.search(block):
            return place + found.start()
        place += len(block) - block.endswith(b"\xff")
    return place


def _netpbm(at: At) -> int | None:
    """Behind the pixels; None where they are text, of which a file holds one picture."""
    found = _NETPBM.match(at(0, _BLOCK))
    if found is None:
        return None
    if found[5]:
        return found.end() + -(-int(found[6]) // 8) * int(found[7])
    channels = 3 if found[1] == b"6" else 1
    return found.end() + channels * int(found[2]) * int(found[3]) * (1 + (int(found[4]) > 255))


_KINDS = (
    (re.compile(rb"\xff\xd8\xff"), _jpeg),
    (re.compile(rb"P[1-6]\s"), _netpbm),
    (re.compile(rb"BM(?!\0{4})[\0-\xff]{4}"), lambda at: int.from_bytes(at(2, 4), "little")),
)
