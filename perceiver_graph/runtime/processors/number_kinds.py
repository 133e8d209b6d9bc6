"""What kind of numbers a file holds: its first bytes say so, not its name.

Formats that are known and not read are called by their names.
"""

from __future__ import annotations

import re
from typing import Literal

from perceiver_graph.runtime.opening import Source
from perceiver_graph.runtime.processors.number_common import undecodable
from perceiver_graph.runtime.processors.off import HEADER
from perceiver_graph.runtime.reading import as_utf8, other_unicode

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
_PCD = re.compile(rb"# \.PCD|(#[^\n]*\n|\s)*(VERSION|FIELDS|COLUMNS)[ \t]+[.\w]")

_FOREIGN: tuple[tuple[re.Pattern[bytes], str], ...] = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (
            rb"version https://git-lfs",
            "a pointer of Git LFS, and not the file (git lfs pull gets it)",
        ),
        (rb"LASF", "a LAS or LAZ cloud of points"),
        (rb"ASTM-E57", "an E57 cloud of points"),
        (rb"glTF", "a glTF scene"),
        (rb"solid\s", "an STL mesh"),
        (rb"(#[^\n]*\n|\s|mtllib [^\n]*\n|[og] [^\n]*\n)*v[ \t]+[-+.\d]", "an OBJ mesh"),
        (rb"\x89HDF\r\n", "an HDF5 file"),
        (rb"MATLAB 5\.0 MAT-file", "a MATLAB file"),
        (rb"PAR1", "a Parquet file"),
        (rb"ARROW1|FEA1", "an Arrow or Feather file"),
        (rb"\x1f\x8b", "a file compressed with gzip"),
        (rb"BZh\d1AY", "a file compressed with bzip2"),
        (rb"\xfd7zXZ\x00", "a file compressed with xz"),
        (rb"\x28\xb5\x2f\xfd", "a file compressed with zstd"),
        (rb"\xd0\xcf\x11\xe0", "a document of Microsoft Office"),
        (rb"\x80[\x02-\x05]", "a Python pickle, of which nothing is run"),
        (rb"%PDF-", "a PDF document"),
        (rb"\x89PNG|\xff\xd8\xff|GIF8|II\*\x00|MM\x00\*", "a picture"),
        (rb"RIFF....(WAVE|AVI |WEBP)", "a media file"),
        (rb"\s*<(\?xml|!DOCTYPE|html)", "an XML or HTML document"),
        (rb"\s*[\[{]", "a JSON document"),
    )
)


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
    for pattern, name in _FOREIGN:
        if pattern.match(text):
            binary = b"\0" in head or head[0] >= 0x80
            what = ": neither text nor a file of arrays, but" if binary else " is"
            raise undecodable(f"{source}{what} {name}", help=read)
    if encoding := other_unicode(head):
        help = as_utf8(encoding, source.path)
        raise undecodable(
            f"{source} is a text in {encoding}, and numbers are read in UTF-8", help=help
        )
    if b"\0" in head:
        fault = f"{source}: neither text nor a file of arrays; it begins with {head[:8]!r}"
        raise undecodable(fault, help=read)
    return "text"
