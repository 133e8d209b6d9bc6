"""What kind of numbers a file holds: its first bytes say so, not its name."""

from __future__ import annotations

import re
from typing import Literal

from perceiver_graph.diagnostics.encodings import as_utf8, other_unicode
from perceiver_graph.media.files.foreign import foreign
from perceiver_graph.media.files.numbers.common import undecodable
from perceiver_graph.media.files.numbers.off import HEADER
from perceiver_graph.runtime.opening import Source

FileKind = Literal["npy", "npz", "ply", "off", "pcd", "text"]

POINTS = "points are read from .ply, .off, .pcd, .npy, .npz and text files (.csv, .xyz, .pts, .txt)"
TABLES = "tables are read from .npz, .npy and text files (.csv, .txt)"

_MAGIC: tuple[tuple[bytes, FileKind], ...] = (
    (b"\x93NUMPY", "npy"),
    (b"PK\x03\x04", "npz"),
    (b"PK\x05\x06", "npz"),  # without members
    (b"ply\n", "ply"),
    (b"ply\r", "ply"),
)
_OFF = re.compile(rb"(\s|#[^\n]*\n)*" + HEADER.pattern.encode())
_OFF_COUNTS = re.compile(rb"(\s|#[^\n]*\n)*\d+[ \t]+\d+([ \t]+\d+)?[ \t]*[\r\n]")
_PCD = re.compile(rb"# \.PCD|(#[^\n]*\n|\s)*(VERSION|FIELDS|COLUMNS)[ \t]+[.\w]")


def kind_of_file(source: Source, read: str = POINTS) -> FileKind:
    """What a file is; `read` says what could be. Raises DiagnosticError (PG507)."""
    head = source.peek(4096)
    if not head:
        raise undecodable(f"{source}: the file is empty (0 bytes)")
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    text = head.removeprefix(b"\xef\xbb\xbf")
    if _OFF.match(text):
        return "off"
    if _PCD.match(text):
        return "pcd"
    if name := foreign(text):
        binary = b"\0" in head or head[0] >= 0x80
        what = ": neither text nor a file of arrays, but" if binary else " is"
        raise undecodable(f"{source}{what} {name}", help=read)
    if encoding := other_unicode(head):
        help = as_utf8(head, source.file)
        raise undecodable(
            f"{source} is a text in {encoding}, and numbers are read in UTF-8", help=help
        )
    if b"\0" in head:
        fault = f"{source}: neither text nor a file of arrays; it begins with {head[:8]!r}"
        raise undecodable(fault, help=read)
    if source.path.suffix.casefold() == ".off" and _OFF_COUNTS.match(text):
        return "off"  # without its first line, which may not be left out: the counts are no point
    return "text"
