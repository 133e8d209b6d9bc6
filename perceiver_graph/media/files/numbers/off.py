"""The vertices of an .off file (Object File Format, text), as ModelNet40 has them.

Its header may stand on the line of the counts (`OFF490 518 0`). Faces are counted, and not used.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator

import numpy as np

from perceiver_graph.diagnostics import quote
from perceiver_graph.media.files.numbers.columns import Cloud
from perceiver_graph.media.files.numbers.common import MOST_VALUES, decoding, undecodable
from perceiver_graph.media.files.numbers.text import parsed, text_lines
from perceiver_graph.runtime.opening import Source

HEADER = re.compile(r"(ST)?(C)?(N)?(4)?(n)?[Oo][Ff][Ff](?![A-Za-z_])(.*)")
_COUNTS = re.compile(r"(\d{1,15})\s+(\d{1,15})(\s+\d{1,15})?", re.ASCII)
_WHOLE = re.compile(r"\d{1,15}", re.ASCII)
_AGAIN = "save the mesh again as plain OFF, or as .ply"

Lines = Iterator[tuple[int, str]]


def read_off(source: Source) -> Cloud:
    """The vertices [n, 3], or [n, 6] with their normals. Raises DiagnosticError (PG507, PG514)."""
    with decoding(source), source.open() as stream:
        lines = (
            (number, line)
            for number, raw in text_lines(source, stream)
            if (line := raw.partition("#")[0].strip())
        )
        return _read(source, lines)


def _read(source: Source, lines: Lines) -> Cloud:
    number, line = next(lines, (1, ""))
    found = HEADER.fullmatch(line)
    if found is None:
        raise undecodable(f"{source}, line {number}: it does not begin with `OFF`", help=_AGAIN)
    texture, colour, normal, homogeneous, dimensions, rest = found.groups()
    if homogeneous or dimensions or rest.strip().casefold() == "binary":
        kind = "binary" if rest.strip() and not (homogeneous or dimensions) else line.split()[0]
        fault = f"{source} is an OFF mesh of a kind that is not read ({kind})"
        raise undecodable(fault, "OFF, COFF, NOFF and STOFF are read, as text", help=_AGAIN)
    if not rest.strip():
        number, rest = next(lines, (number + 1, ""))
    counts = _COUNTS.fullmatch(rest.strip())
    if counts is None:
        fault = f"{source}, line {number}: {quote(rest.strip())}"
        raise undecodable(f"{fault} is not the numbers of vertices, faces and edges", help=_AGAIN)
    width = 6 if normal else 3
    further = {0} if not colour else {3, 4}  # red, green, blue, and opacity
    widths = {width + more + 2 * bool(texture) for more in further}
    vertices = _vertices(source, lines, int(counts[1]), widths, width)
    _check_faces(source, lines, int(counts[2]))
    names = ("x", "y", "z", "nx", "ny", "nz")[:width]
    notes = ("colours are left out",) * bool(colour)
    return Cloud(vertices, names, notes)


def _vertices(
    source: Source, lines: Lines, count: int, widths: set[int], taken: int
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    if count == 0:
        raise undecodable(f"{source}: it has 0 vertices", help="give a mesh or a cloud with points")
    values = array("d")
    for have in range(count):
        number, line = next(lines, (0, ""))
        words = line.split()
        if not line:
            raise undecodable(f"{source}: it ends after {have} of {count} vertices")
        if len(words) not in widths:
            wanted = " or ".join(map(str, sorted(widths)))
            fault = f"{source}, line {number}: {quote(line)} is no vertex of {wanted} numbers"
            raise undecodable(fault, f"the header promises {count} vertices", help=_AGAIN)
        numbers = [parsed(source, number, column, word) for column, word in enumerate(words, 1)]
        values.extend(numbers[:taken])
        if len(values) > MOST_VALUES:
            raise undecodable(f"{source}: it has too many vertices", help="leave points out")
    return np.frombuffer(values, np.float64).reshape(count, taken)


def _check_faces(source: Source, lines: Lines, count: int) -> None:
    """As many faces as are promised: of a file that was cut off, points may be damaged, too."""
    have = 0
    for have, (number, line) in enumerate(lines, start=1):
        words = line.split()
        if have > count:
            fault = f"{source}, line {number}: it goes on after the {count} faces that it promises"
            raise undecodable(fault, help=_AGAIN)
        size = int(words[0]) if _WHOLE.fullmatch(words[0]) else 0
        corners = words[1 : size + 1]
        if not 0 < size == len(corners) or not all(_WHOLE.fullmatch(one) for one in corners):
            fault = f"{source}, line {number}: {quote(line)} is no face"
            raise undecodable(fault, help=_AGAIN)
    if have < count:
        raise undecodable(f"{source}: it ends after {have} of {count} faces")
