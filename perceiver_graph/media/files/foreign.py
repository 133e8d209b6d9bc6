"""Formats that are known by their first bytes and not read: they are called by their names."""

from __future__ import annotations

import re

MEDIA, PICTURE = "a media file", "a picture"

_FORMATS: tuple[tuple[re.Pattern[bytes], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), name)
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
        (rb"# vtk DataFile", "a VTK file"),
        (rb"\x89HDF\r\n", "an HDF5 file"),
        (rb"MATLAB 5\.0 MAT-file", "a MATLAB file"),
        (rb"PAR1", "a Parquet file"),
        (rb"ARROW1|FEA1", "an Arrow or Feather file"),
        (rb"\x1f\x8b", "a file compressed with gzip"),
        (rb"BZh\d1AY", "a file compressed with bzip2"),
        (rb"\xfd7zXZ\x00", "a file compressed with xz"),
        (rb"\x28\xb5\x2f\xfd", "a file compressed with zstd"),
        (rb"PK\x03\x04", "a zip archive"),
        (rb"\x93NUMPY", "an array of numpy (.npy)"),
        (rb"\xd0\xcf\x11\xe0", "a document of Microsoft Office"),
        (rb"\x80[\x02-\x05]", "a Python pickle, of which nothing is run"),
        (rb"%PDF-", "a PDF document"),
        (rb"\x89PNG|\xff\xd8\xff|GIF8|II\*\x00|MM\x00\*", PICTURE),
        (rb"....ftyp(hei|hev|mif1|msf1)", "a HEIF picture, as phones take them"),
        (rb"v/1\x01", "an OpenEXR picture"),
        (rb"SIMPLE  = ", "a FITS file"),
        (rb".{128}DICM", "a DICOM file"),
        (rb"8BPS", "a Photoshop document"),
        (rb"RIFF....(WAVE|AVI |WEBP)", MEDIA),
        (rb"\s*<([?]xml[^>]*>\s*<)?svg", "an SVG drawing"),
        (rb"\s*<([?]xml|!DOCTYPE|html)", "an XML or HTML document"),
        (rb"\s*[\[{]", "a JSON document"),
    )
)


def foreign(head: bytes) -> str | None:
    """What the first bytes of a file say that it is, if it is one of these formats."""
    return next((name for pattern, name in _FORMATS if pattern.match(head)), None)
