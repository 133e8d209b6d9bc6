"""What a file is by its first bytes: one table for all who are given a file that they do not read.

Who reads a format asks for it before; a name here only says what else there is.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["picture", "media", "pickle", "compressed", "other"]

HEAD = 4096
"""Bytes from the beginning of a file that are enough to tell."""


@dataclass(frozen=True)
class Format:
    """A format of files. `name` completes "it is ..."."""

    name: str
    kind: Kind = "other"


LFS = Format("a pointer of Git LFS, and not the file (git lfs pull gets it)")
GGUF = Format("a GGUF file, the format of llama.cpp")
HDF5 = Format("an HDF5 file")
NUMPY = Format("an array of numpy (.npy)")
ZIP = Format("a zip archive")
PICKLE = Format("a Python pickle, of which nothing is run", "pickle")
ONNX = Format("an ONNX program")
JSON = Format("a JSON document")
MARKUP = Format("an XML or HTML document")

_FORMATS: tuple[tuple[re.Pattern[bytes], Format], ...] = tuple(
    (re.compile(pattern, re.DOTALL), found)
    for pattern, found in (
        (rb"version https://git-lfs", LFS),
        (rb"GGUF", GGUF),
        (rb"LASF", Format("a LAS or LAZ cloud of points")),
        (rb"ASTM-E57", Format("an E57 cloud of points")),
        (rb"ply\r?\n", Format("a PLY cloud of points")),
        (rb"glTF", Format("a glTF scene")),
        (rb"solid\s", Format("an STL mesh")),
        (rb"(#[^\n]*\n|\s|mtllib [^\n]*\n|[og] [^\n]*\n)*v[ \t]+[-+.\d]", Format("an OBJ mesh")),
        (rb"# vtk DataFile", Format("a VTK file")),
        (rb"\x89HDF\r\n", HDF5),
        (rb"MATLAB 5\.0 MAT-file", Format("a MATLAB file")),
        (rb"PAR1", Format("a Parquet file")),
        (rb"ARROW1|FEA1", Format("an Arrow or Feather file")),
        (rb"\x1f\x8b", Format("a file compressed with gzip", "compressed")),
        (rb"BZh\d1AY", Format("a file compressed with bzip2", "compressed")),
        (rb"\xfd7zXZ\x00", Format("a file compressed with xz", "compressed")),
        (rb"\x28\xb5\x2f\xfd", Format("a file compressed with zstd", "compressed")),
        (rb"7z\xbc\xaf\x27\x1c", Format("a 7z archive", "compressed")),
        (rb"PK\x03\x04", ZIP),
        (rb"\x93NUMPY", NUMPY),
        (rb"\xd0\xcf\x11\xe0", Format("a document of Microsoft Office")),
        (rb"\x80[\x02-\x05]", PICKLE),
        (rb"%PDF-", Format("a PDF document")),
        (rb"\x89PNG", Format("a PNG picture", "picture")),
        (rb"\xff\xd8\xff", Format("a JPEG picture", "picture")),
        (rb"GIF8", Format("a GIF picture", "picture")),
        (rb"II\*\x00|MM\x00\*", Format("a TIFF picture", "picture")),
        (rb"RIFF....WEBP", Format("a WebP picture", "media")),
        (rb"RIFF....WAVE", Format("a WAV recording", "media")),
        (rb"RIFF....AVI ", Format("an AVI video", "media")),
        (rb"....ftyp(hei|hev|mif1|msf1)", Format("a HEIF picture, as phones take them")),
        (rb"....ftyp", Format("an MP4 file, or one of its relatives", "media")),
        (rb"\x1aE\xdf\xa3", Format("a Matroska or WebM video", "media")),
        (rb"fLaC", Format("a FLAC recording", "media")),
        (rb"OggS", Format("an Ogg recording", "media")),
        (rb"ID3", Format("an MP3 recording", "media")),
        (rb"v/1\x01", Format("an OpenEXR picture")),
        (rb"SIMPLE  = ", Format("a FITS file")),
        (rb".{128}DICM", Format("a DICOM file")),
        (rb"8BPS", Format("a Photoshop document")),
        # Its version, a small number, and who has written it: fields 1 and 2, or a later one.
        (rb"\x08[\x01-\x1f][\x12\x1a\x22\x32\x3a\x42]", ONNX),
        (rb"\s*<([?]xml[^>]*>\s*<)?svg", Format("an SVG drawing")),
        (rb"\s*<([?]xml|!DOCTYPE|html)", MARKUP),
        (rb"\s*[\[{]", JSON),
    )
)


def known(head: bytes) -> Format | None:
    """The format of a file that begins so, if it is one of these."""
    return next((found for pattern, found in _FORMATS if pattern.match(head)), None)


def is_text(head: bytes) -> bool:
    """Whether a file that begins so is text in UTF-8, as far as it goes."""
    try:  # A decoder of pieces waits for the rest of a character that is cut off.
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return bool(head) and b"\0" not in head
