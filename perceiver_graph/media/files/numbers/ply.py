"""The vertices of a .ply file (Stanford polygon format 1.0): ascii, or binary of either byte order.

Only what a point cloud needs is kept; everything else in the file is stepped over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.media.files.numbers.columns import AXES, Cloud, left_out
from perceiver_graph.media.files.numbers.common import MOST_BYTES, in_float64, undecodable
from perceiver_graph.media.files.numbers.text import NUMBER
from perceiver_graph.runtime.opening import Source

_TYPES = {
    "char": "i1",
    "uchar": "u1",
    "short": "i2",
    "ushort": "u2",
    "int": "i4",
    "uint": "u4",
    "float": "f4",
    "double": "f8",
    "int8": "i1",
    "uint8": "u1",
    "int16": "i2",
    "uint16": "u2",
    "int32": "i4",
    "uint32": "u4",
    "float32": "f4",
    "float64": "f8",
}
_FORMATS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_LONGEST_HEADER = 1 << 20
_END = re.compile(rb"(?<=[\r\n])end_header[ \t]*(\r\n|\n|\r)")
_AGAIN = "export the cloud again, as ascii or binary PLY 1.0"


@dataclass(frozen=True)
class _Property:
    name: str
    type: str
    counted_by: str | None = None  # the type of the count, of a list


@dataclass(frozen=True)
class _Element:
    name: str
    count: int
    properties: tuple[_Property, ...]

    @property
    def has_lists(self) -> bool:
        return any(one.counted_by for one in self.properties)

    def dtype(self, order: str) -> np.dtype[np.void]:
        """The layout in a binary file of an element without lists."""
        return np.dtype([(one.name, order + one.type) for one in self.properties])


@dataclass(frozen=True)
class _Header:
    order: str  # the byte order as numpy writes it, empty for ascii
    elements: tuple[_Element, ...]
    start: int  # where the data begin


def read_ply(source: Source) -> Cloud:
    """The vertices [n, 3 + k]: x, y, z and the k other floating-point properties, in their order.

    Lists and whole-number properties (colours, indices) are left out. Raises DiagnosticError
    (PG507) for a damaged file and one without such vertices.
    """
    header = _header(source, source.peek(_LONGEST_HEADER))
    data = source.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        fault = f"{source} has more than {MOST_BYTES:,} bytes, the most that are read"
        raise DiagnosticError.of("PG514", fault, help="leave points out")
    elements = [one.name for one in header.elements]
    if "vertex" not in elements:
        raise undecodable(f"{source}: it has no element `vertex`", help=_AGAIN)
    vertex = header.elements[elements.index("vertex")]
    columns = _columns(source, vertex)
    if vertex.count == 0:
        raise undecodable(f"{source}: it has 0 vertices", help="give a cloud with points")
    place = elements.index("vertex")
    before, after = header.elements[:place], header.elements[place + 1 :]
    read = _binary if header.order else _ascii
    points = read(source, data, header, before, columns, after)
    names = tuple(name.casefold() if i < 3 else name for i, name in enumerate(columns))
    held = [one.name for one in vertex.properties]
    return Cloud(points, names, left_out(held, columns, "whole numbers and lists"))


def _header(source: Source, head: bytes) -> _Header:
    end = _END.search(head)
    if not head.startswith((b"ply\n", b"ply\r")) or end is None:
        fault = "it does not begin with `ply`" if end else "its header does not end (`end_header`)"
        raise undecodable(f"{source}: {fault}", help=_AGAIN)
    order: str | None = None
    found: list[tuple[str, int, list[_Property]]] = []
    lines = head[: end.start()].decode("latin-1").splitlines()
    for number, line in enumerate(lines[1:], start=2):
        match line.split():
            case [] | ["comment", *_] | ["obj_info", *_]:
                continue
            case ["format", name, "1.0"] if name in _FORMATS and order is None:
                order = _FORMATS[name]
            case ["element", name, count] if count.isascii() and count.isdecimal():
                if len(count) > 15 or name in [one[0] for one in found]:
                    raise _bad_line(source, number, line)
                found.append((name, int(count), []))
            case ["property", *words] if found and (made := _property(words)) is not None:
                if made.name in [one.name for one in found[-1][2]]:
                    raise _bad_line(source, number, line)
                found[-1][2].append(made)
            case _:
                raise _bad_line(source, number, line)
    if order is None:
        raise undecodable(f"{source}: its header has no `format` line", help=_AGAIN)
    start = end.end()
    if head.startswith(b"ply\r") and not head.startswith(b"ply\r\n") and end[1] == b"\r\n":
        start -= 1  # lines end with \r alone, and the first byte of the data happens to be \n
    elements = tuple(_Element(name, count, tuple(made)) for name, count, made in found)
    return _Header(order, elements, start)


def _property(words: list[str]) -> _Property | None:
    match words:
        case [kind, name] if kind in _TYPES:
            return _Property(name, _TYPES[kind])
        case ["list", count, kind, name] if kind in _TYPES and "f" not in _TYPES.get(count, "f"):
            return _Property(name, _TYPES[kind], _TYPES[count])
    return None


def _bad_line(source: Source, number: int, line: str) -> DiagnosticError:
    return undecodable(
        f"{source}, line {number}: {quote(line)} has no place in a header", help=_AGAIN
    )


def _columns(source: Source, vertex: _Element) -> list[str]:
    scalars = {one.name: one.type for one in vertex.properties if not one.counted_by}
    axes = {name.casefold(): name for name in reversed(scalars) if name.casefold() in AXES}
    missing = [axis for axis in AXES if axis not in axes]
    if missing:
        fault = f": its vertices have no {' and no '.join(quote(axis) for axis in missing)}"
        raise undecodable(
            f"{source}{fault}", f"they have: {', '.join(scalars) or 'nothing'}", help=_AGAIN
        )
    further = [n for n, kind in scalars.items() if kind[0] == "f" and n not in axes.values()]
    return [*(axes[axis] for axis in AXES), *further]


def _ascii(
    source: Source,
    data: bytes,
    header: _Header,
    before: tuple[_Element, ...],
    columns: list[str],
    after: tuple[_Element, ...],
) -> NDArray[np.float64]:
    vertex = header.elements[len(before)]
    lines = (line.split() for line in data[header.start :].splitlines())
    rows = (words for words in lines if words)
    skipped = sum(one.count for one in before)
    if sum(1 for _ in islice(rows, skipped)) < skipped:
        raise _cut(source, 0, vertex.count)
    points: list[list[float]] = []
    for index, words in enumerate(islice(rows, vertex.count)):
        try:
            values = _walk(words, vertex)
            points.append([_number(values[name]) for name in columns])
        except (ValueError, IndexError) as error:
            line = b" ".join(words).decode("latin-1")
            fault = f": vertex {index} is {quote(line)}, which is not what the header promises"
            names = ", ".join(one.name for one in vertex.properties)
            raise undecodable(f"{source}{fault}", f"a vertex has: {names}", help=_AGAIN) from error
    if len(points) < vertex.count:
        raise _cut(source, len(points), vertex.count)
    further = sum(one.count for one in after if one.properties)
    _check_rest(source, sum(1 for _ in rows), further)
    return np.array(points)


def _number(word: bytes) -> float:
    text = word.decode("ascii", "replace")
    if not NUMBER.fullmatch(text):
        raise ValueError(text)
    return float(text)


def _check_rest(source: Source, have: int, want: int) -> None:
    """What follows the points is as much as the header says. Raises DiagnosticError (PG507)."""
    if have != want:
        fault = f"{source}: after the vertices come {have} lines, and the header promises {want}"
        raise undecodable(fault, help="copy it again, or export it again")


def _walk(words: list[bytes], element: _Element) -> dict[str, bytes]:
    """The scalar properties of a line. Raises ValueError or IndexError if it has too few or many."""
    found: dict[str, bytes] = {}
    place = 0
    for one in element.properties:
        if one.counted_by:
            length = int(words[place])
            if length < 0:
                raise ValueError("a list of negative length")
            place += 1 + length
        else:
            found[one.name] = words[place]
            place += 1
    if place != len(words):
        raise ValueError(f"{len(words)} words in place of {place}")
    return found


def _binary(
    source: Source,
    data: bytes,
    header: _Header,
    before: tuple[_Element, ...],
    columns: list[str],
    after: tuple[_Element, ...],
) -> NDArray[np.float64]:
    vertex = header.elements[len(before)]
    start = header.start
    for element in before:
        start = _end(data, start, element, header.order)
        if start > len(data):
            raise _cut(source, 0, vertex.count)
    points, place = _vertices(source, data, start, vertex, header.order, columns)
    for element in after:
        place = _end(data, place, element, header.order)
        if place > len(data):
            fault = f"{source}: it ends within its {element.count} records {quote(element.name)}"
            raise undecodable(fault, help="copy it again")
    if data[place:].strip():
        more = len(data) - place
        fault = f"{source}: it goes on for {more:,} bytes after all that its header promises"
        raise undecodable(fault, help=_AGAIN)
    return points


def _end(data: bytes, place: int, element: _Element, order: str) -> int:
    """Where the records of an element end; beyond the data if they are cut off."""
    if not element.has_lists:
        return place + element.count * element.dtype(order).itemsize
    if (stride := _uniform(data, place, element, order)) is not None:
        return place + stride * element.count
    ends = (end for _, end in _records(data, place, element, order))
    return max(ends, default=place)


def _uniform(data: bytes, place: int, element: _Element, order: str) -> int | None:
    """The size of a record if all are alike, as the faces of most meshes are: found at once."""
    offset = 0
    counts: list[tuple[int, np.dtype[Any], int]] = []
    for one in element.properties:
        if one.counted_by:
            count = np.dtype(order + one.counted_by)
            if not element.count or place + offset + count.itemsize > len(data):
                return None
            length = int(np.frombuffer(data, count, 1, place + offset)[0])
            counts.append((offset, count, length))
            offset += count.itemsize + max(0, length) * np.dtype(one.type).itemsize
        else:
            offset += np.dtype(one.type).itemsize
    if place + offset * element.count > len(data):
        return None
    for at, count, length in counts:
        all_counts = np.ndarray(element.count, count, data, place + at, (offset,))
        if length < 0 or (all_counts != length).any():
            return None
    return offset


def _vertices(
    source: Source, data: bytes, place: int, vertex: _Element, order: str, columns: list[str]
) -> tuple[NDArray[np.float64], int]:
    """The points, and where they end."""
    if vertex.has_lists:
        found: list[dict[str, int]] = []
        end = place
        for places, end in _records(data, place, vertex, order):
            if end > len(data):
                raise _cut(source, len(found), vertex.count)
            found.append(places)
        return _gathered(data, found, vertex, order, columns), end
    dtype = vertex.dtype(order)
    whole = (len(data) - place) // dtype.itemsize
    if whole < vertex.count:
        raise _cut(source, whole, vertex.count)
    table = np.frombuffer(data, dtype, vertex.count, place)
    points = np.stack([in_float64(table[name]) for name in columns], axis=1)
    return points, place + vertex.count * dtype.itemsize


def _records(
    data: bytes, place: int, element: _Element, order: str
) -> Iterator[tuple[dict[str, int], int]]:
    """Of each record with lists: where its scalars are, and where it ends.

    An end beyond that of the data says that the file is cut off; there are no more after it.
    """
    for _ in range(element.count):
        places: dict[str, int] = {}
        for one in element.properties:
            if one.counted_by:
                count = np.dtype(order + one.counted_by)
                after = place + count.itemsize
                if after > len(data):
                    yield places, after
                    return
                length = int(np.frombuffer(data, count, 1, place)[0])
                if length < 0:
                    length = len(data)  # no list is: taken as cut off
                place = after + length * np.dtype(one.type).itemsize
            else:
                places[one.name] = place
                place += np.dtype(one.type).itemsize
        yield places, place
        if place > len(data):
            return


def _gathered(
    data: bytes,
    found: list[dict[str, int]],
    vertex: _Element,
    order: str,
    columns: list[str],
) -> NDArray[np.float64]:
    types = {one.name: np.dtype(order + one.type) for one in vertex.properties}
    rows = [
        [float(np.frombuffer(data, types[name], 1, places[name])[0]) for name in columns]
        for places in found
    ]
    return np.array(rows)


def _cut(source: Source, have: int, want: int) -> DiagnosticError:
    return undecodable(f"{source}: it ends after {have} of {want} vertices", help="copy it again")
