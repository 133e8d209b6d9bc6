"""The vertices of a .ply file (Stanford polygon format 1.0): ascii, or binary of either byte order.

Only what a point cloud needs is kept; everything else in the file is stepped over.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.media.files.numbers.columns import AXES, PACKED, Cloud, left_out
from perceiver_graph.media.files.numbers.common import MOST_BYTES, in_float64, undecodable
from perceiver_graph.media.files.numbers.ply_header import AGAIN, Element, Header, read_header
from perceiver_graph.media.files.numbers.text import NUMBER
from perceiver_graph.runtime.opening import Source

_LIMITS = {
    f"{sign}{size}": range(-(1 << 8 * size - 1) * (sign == "i"), 1 << 8 * size - (sign == "i"))
    for sign in "iu"
    for size in (1, 2, 4)
}


def read_ply(source: Source) -> Cloud:
    """The vertices [n, 3 + k]: x, y, z and the k other floating-point properties, in their order.

    Lists, whole-number properties (colours, indices) and packed colours are left out. Raises
    DiagnosticError (PG507) for a damaged file and one without such vertices.
    """
    header = read_header(source)
    data = source.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        fault = f"{source} has more than {MOST_BYTES:,} bytes, the most that are read"
        raise DiagnosticError.of("PG514", fault, help="leave points out")
    vertex = header.vertex
    columns = _columns(source, vertex)
    if vertex.count == 0:
        raise undecodable(f"{source}: it has 0 vertices", help="give a cloud with points")
    points = (_binary if header.order else _ascii)(source, data, header, columns)
    names = tuple(name.casefold() if i < 3 else name for i, name in enumerate(columns))
    held = [one.name for one in vertex.properties]
    notes = left_out(held, columns, "colours, whole numbers and lists")
    whole = {one.name for one in vertex.properties if not one.counted_by} - {*columns}
    rest = tuple(name for name in held if name in whole and name.casefold() not in PACKED)
    path = str(source.path) if source.is_file else "FILE.ply"
    read = f"plyfile.PlyData.read({path!r})['vertex']"
    return Cloud(points, names, notes, rest=rest, expression=read)


def _columns(source: Source, vertex: Element) -> list[str]:
    scalars = {one.name: one.type for one in vertex.properties if not one.counted_by}
    axes = {name.casefold(): name for name in reversed(scalars) if name.casefold() in AXES}
    missing = [axis for axis in AXES if axis not in axes]
    if missing:
        fault = f": its vertices have no {' and no '.join(quote(axis) for axis in missing)}"
        raise undecodable(
            f"{source}{fault}", f"they have: {', '.join(scalars) or 'nothing'}", help=AGAIN
        )
    passed_over = {*axes.values(), *(name for name in scalars if name.casefold() in PACKED)}
    further = [n for n, kind in scalars.items() if kind[0] == "f" and n not in passed_over]
    return [*(axes[axis] for axis in AXES), *further]


def _ascii(source: Source, data: bytes, header: Header, columns: list[str]) -> NDArray[np.float64]:
    vertex = header.vertex
    lines = (line.split() for line in data[header.start :].splitlines())
    rows = (words for words in lines if words)
    for one in header.before:
        if sum(1 for _ in _values(source, rows, one)) < one.count:
            raise _cut(source, 0, vertex.count)
    points = [[values[name] for name in columns] for values in _values(source, rows, vertex)]
    if len(points) < vertex.count:
        raise _cut(source, len(points), vertex.count)
    further = [one for one in header.after if one.properties]
    have = sum(sum(1 for _ in _values(source, rows, one)) for one in further)
    _check_rest(source, have + sum(1 for _ in rows), sum(one.count for one in further))
    return np.array(points)


def _values(
    source: Source, rows: Iterator[list[bytes]], element: Element
) -> Iterator[dict[str, float]]:
    """The scalars of each record of an element, as far as there are any. Raises DiagnosticError."""
    for index, words in enumerate(islice(rows, element.count)):
        try:
            yield _walk(words, element)
        except (ValueError, IndexError) as error:
            line = b" ".join(words).decode("latin-1")
            fault = (
                f"{element.name} {index} is {quote(line)}, which is not what the header promises"
            )
            names = ", ".join(one.name for one in element.properties)
            note = f"a {element.name} has: {names}"
            raise undecodable(f"{source}: {fault}", note, help=AGAIN) from error


def _number(word: bytes, kind: str) -> float:
    """A number that a type can hold. Raises ValueError."""
    if word.isdigit() and kind in _LIMITS and int(word) in _LIMITS[kind]:
        return int(word)
    text = word.decode("ascii", "replace")
    if not NUMBER.fullmatch(text):
        raise ValueError(text)
    value = float(text)
    if kind in _LIMITS and not (value.is_integer() and int(value) in _LIMITS[kind]):
        raise ValueError(text)
    return value


def _check_rest(source: Source, have: int, want: int) -> None:
    """What follows the points is as much as the header says. Raises DiagnosticError (PG507)."""
    if have != want:
        fault = f"{source}: after the vertices come {have} lines, and the header promises {want}"
        raise undecodable(fault, help="copy it again, or export it again")


def _walk(words: list[bytes], element: Element) -> dict[str, float]:
    """The scalar properties of a line. Raises ValueError or IndexError if it has too few or many, or
    numbers that their types cannot hold."""
    found: dict[str, float] = {}
    place = 0
    for one in element.properties:
        if one.counted_by:
            length = int(_number(words[place], one.counted_by))
            if length < 0:
                raise ValueError("a list of negative length")
            for word in words[place + 1 : place + 1 + length]:
                _number(word, one.type)
            place += 1 + length
        else:
            found[one.name] = _number(words[place], one.type)
            place += 1
    if place != len(words):
        raise ValueError(f"{len(words)} words in place of {place}")
    return found


def _binary(source: Source, data: bytes, header: Header, columns: list[str]) -> NDArray[np.float64]:
    vertex = header.vertex
    start = header.start
    for element in header.before:
        start = _end(data, start, element, header.order)
        if start > len(data):
            raise _cut(source, 0, vertex.count)
    points, place = _vertices(source, data, start, vertex, header.order, columns)
    for element in header.after:
        place = _end(data, place, element, header.order)
        if place > len(data):
            fault = f"{source}: it ends within its {element.count} records {quote(element.name)}"
            raise undecodable(fault, help="copy it again")
    if data[place:].strip():
        more = len(data) - place
        fault = f"{source}: it goes on for {more:,} bytes after all that its header promises"
        raise undecodable(fault, help=AGAIN)
    return points


def _end(data: bytes, place: int, element: Element, order: str) -> int:
    """Where the records of an element end; beyond the data if they are cut off."""
    if not element.has_lists:
        return place + element.count * element.dtype(order).itemsize
    if (stride := _uniform(data, place, element, order)) is not None:
        return place + stride * element.count
    ends = (end for _, end in _records(data, place, element, order))
    return max(ends, default=place)


def _uniform(data: bytes, place: int, element: Element, order: str) -> int | None:
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
    source: Source, data: bytes, place: int, vertex: Element, order: str, columns: list[str]
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
    data: bytes, place: int, element: Element, order: str
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
    vertex: Element,
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
