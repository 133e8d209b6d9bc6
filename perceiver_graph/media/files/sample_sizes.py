"""How many bytes a sample of a sound takes, and how many of its bits count.

A recorder of 24 bits may write samples of 4 bytes, the valid bits at their upper end, and say so.
FFmpeg takes them for samples of 3 bytes, which makes noise of them. Their lower bits are 0, so it is
told that all bits count.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from perceiver_graph.media.files.extents import mp4_boxes
from perceiver_graph.media.files.mp3 import after_tags, read_at

_FIRST = 1 << 16  # bytes of a file, in which its formats are described

# Tags of a format in WAV, and in what is made like it.
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_CODED = b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"  # of an extensible format, after its tag
_W64_FORMAT = b"fmt \xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"

_QUICKTIME = b"\x7f\0\0\0"  # what stands before the bits of a sample
_AT_THE_UPPER_END = 1 << 4
_LONGEST_BOX = 1 << 24


def all_bits_count(file: BinaryIO) -> tuple[int, bytes]:
    """A place of the file, and what FFmpeg is to find there; nothing if it reads the file as it is.

    Raises ValueError where sizes contradict each other, and says how.
    """
    start = after_tags(file)
    head = read_at(file, start, _FIRST)
    if head.startswith(b"caff"):
        _check_caf(head)
        return 0, b""
    if head[4:8] in (b"ftyp", b"wide", b"moov", b"mdat", b"free", b"skip"):
        return _in_quicktime(file)
    place = _described(head)
    if len(head) < place + 16 or not place:
        return 0, b""
    tag, channels, _, _, block, bits = struct.unpack_from("<HHIIHH", head, place)
    valid = bits
    if extensible := tag == _EXTENSIBLE and head[place + 26 : place + 40] == _CODED:
        _, valid, _, tag = struct.unpack_from("<HHIH", head, place + 16)
    if tag not in (_PCM, _FLOAT) or not channels or _fits(valid or bits, channels, block):
        return 0, b""
    size = block // channels
    if extensible and block % channels == 0 and valid <= 8 * size <= 64:
        return start + place + 18, struct.pack("<H", 8 * size)
    if (tag, bits, block) == (_PCM, 24, 4 * channels):
        return 0, b""  # floating-point numbers of Cool Edit, which FFmpeg knows
    raise ValueError(_contradiction(bits, channels, block))


def _described(head: bytes) -> int:
    """Where a WAV, W64 or AVI describes its sound; 0 in other files."""
    if head.startswith((b"RIFF", b"RF64", b"BW64")) and head[8:12] == b"WAVE":
        place = 12
        while head[place : place + 4] != b"fmt " and len(head) >= place + 8:
            size = int.from_bytes(head[place + 4 : place + 8], "little")
            place += 8 + size + size % 2
        return place + 8
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return head.find(b"strf", head.find(b"auds")) + 8 if b"auds" in head else 0
    return head.find(_W64_FORMAT) + 24 if head.startswith(b"riff") and _W64_FORMAT in head else 0


def _in_quicktime(file: BinaryIO) -> tuple[int, bytes]:
    """The same of samples in a QuickTime film (`lpcm`), which says at which end the valid bits are."""
    for kind, start, length in mp4_boxes(lambda place, count: read_at(file, place, count)):
        box = read_at(file, start, min(length, _LONGEST_BOX)) if kind == b"moov" else b""
        place = box.find(b"lpcm") + 52
        if place < 52 or box[place - 4 : place] != _QUICKTIME or len(box) < place + 16:
            continue
        samples = int.from_bytes(box[place - 8 : place - 4], "big")
        bits, flags, block, frames = struct.unpack_from(">4I", box, place)
        if not samples * frames or _fits(bits, samples * frames, block):
            continue
        if flags & _AT_THE_UPPER_END and block in (2 * samples * frames, 4 * samples * frames):
            return start + place, struct.pack(">I", 8 * block // (samples * frames))
        raise ValueError(_contradiction(bits, samples * frames, block))
    return 0, b""


def _check_caf(head: bytes) -> None:
    place = head.find(b"desc") + 12
    if head[place + 8 : place + 12] == b"lpcm" and len(head) >= place + 32:
        block, frames, channels, bits = struct.unpack_from(">4I", head, place + 16)
        if not _fits(bits, channels * frames, block):
            raise ValueError(_contradiction(bits, channels * frames, block))


def _fits(bits: int, samples: int, block: int) -> bool:
    return block == samples * -(-bits // 8)


def _contradiction(bits: int, samples: int, block: int) -> str:
    return f"its header says {bits} bits a sample, and {block} bytes for {samples} of them"
