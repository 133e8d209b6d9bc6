"""The points of a .pcd file (Point Cloud Data, version 0.7 and before): ascii, or binary."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, replace
from math import prod
from typing import BinaryIO

import numpy as np

from perceiver_graph.diagnostics import quote
from perceiver_graph.media.files.numbers.columns import PACKED, Cloud, arranged, left_out
from perceiver_graph.media.files.numbers.common import (
    MOST_BYTES,
    MOST_VALUES,
    Rows,
    decoding,
    in_float64,
    undecodable,
)
from perceiver_graph.media.files.numbers.text import parsed, text_lines
from perceiver_graph.runtime.opening import Source

_LONGEST_HEADER = 1 << 16
_KEYS = ("VERSION", "FIELDS", "SIZE", "TYPE", "COUNT", "WIDTH", "HEIGHT", "VIEWPOINT", "POINTS")
_AGAIN = "write the cloud again: pcl_convert_pcd_ascii_binary IN.pcd OUT.pcd 1, or save it as .ply"
_TYPES = {"F": "f", "I": "i", "U": "u"}


@dataclass(frozen=True)
class _Header:
    fields: tuple[str, ...]
    types: tuple[np.dtype[np.void], ...]  # of each field, with its count
    points: int
    data: str
    lines: int

    @property
    def taken(self) -> list[int]:
        """The fields that are coordinates or features: single real numbers, and x, y and z."""
        return [
            i
            for i, (name, kind) in enumerate(zip(self.fields, self.types, strict=True))
            if kind.shape == ()
            and name.casefold() not in (*PACKED, "_")
            and (kind.kind == "f" or name.casefold() in ("x", "y", "z"))
        ]


def read_pcd(source: Source) -> Cloud:
    """The points [n, 3 + k]: x, y, z and the k other fields of real numbers.

    Colours, whole numbers and fields of several values are left out. Raises DiagnosticError (PG507).
    """
    with decoding(source), source.open() as stream:
        header = _header(source, stream)
        read = _ascii if header.data == "ascii" else _binary
        rows = read(source, stream, header)
    cloud = arranged(source, rows, [header.fields[i] for i in header.taken])
    held = [name for name in header.fields if name != "_"]
    what = "colours, whole numbers and fields of several values"
    rest = tuple(name for name in held if name not in cloud.names)
    return replace(cloud, notes=(*cloud.notes, *left_out(held, cloud.names, what)), rest=rest)


def _header(source: Source, stream: BinaryIO) -> _Header:
    found: dict[str, list[str]] = {}
    number = 0
    while raw := stream.readline(_LONGEST_HEADER):
        number += 1
        words = raw.decode("latin-1").partition("#")[0].split()
        if not words:
            continue
        key = "FIELDS" if words[0].upper() == "COLUMNS" else words[0].upper()
        if key == "DATA" and len(words) == 2:
            return _checked(source, found, words[1].casefold(), number)
        if key not in _KEYS or key in found or number > 100:
            line = raw.decode("latin-1").strip()
            fault = f"{source}, line {number}: {quote(line)} has no place in a header"
            raise undecodable(fault, help=_AGAIN)
        found[key] = words[1:]
    raise undecodable(f"{source}: its header does not end (`DATA`)", help=_AGAIN)


def _checked(source: Source, found: dict[str, list[str]], data: str, lines: int) -> _Header:
    if data not in ("ascii", "binary"):
        fault = f"{source} is a PCD file with data that are not read ({quote(data)})"
        raise undecodable(fault, "`ascii` and `binary` are read", help=_AGAIN)
    fields = found.get("FIELDS", [])
    counts = _whole(source, found, "COUNT", len(fields), [1] * len(fields))
    sizes = _whole(source, found, "SIZE", len(fields), [4] * len(fields))
    kinds = found.get("TYPE", ["F"] * len(fields))
    try:
        types = tuple(
            np.dtype((f"<{_TYPES[kind]}{size}", (count,) if count != 1 else ()))
            for kind, size, count in zip(kinds, sizes, counts, strict=True)
        )
    except (KeyError, TypeError, ValueError) as error:
        fault = f"{source}: its header has fields that are unknown, or not one type and size each"
        raise undecodable(fault, help=_AGAIN) from error
    (width,) = _whole(source, found, "WIDTH", 1)
    (height,) = _whole(source, found, "HEIGHT", 1, [1])
    (points,) = _whole(source, found, "POINTS", 1, [width * height])
    if width * height != points:
        fault = f"{source}: {width} x {height} points are promised, and {points} as well"
        raise undecodable(fault, help=_AGAIN)
    if points == 0:
        raise undecodable(f"{source}: it has 0 points", help="give a cloud with points")
    return _Header(tuple(fields), types, points, data, lines)


def _whole(
    source: Source,
    found: dict[str, list[str]],
    key: str,
    count: int,
    default: list[int] | None = None,
) -> list[int]:
    words = found.get(key)
    if words is None and default is not None:
        return default
    if words is None or len(words) != count or not all(_is_whole(word) for word in words):
        wanted = "a number" if count == 1 else "a number for each field"
        raise undecodable(f"{source}: its header has no {wanted} in `{key}`", help=_AGAIN)
    return [int(word) for word in words]


def _is_whole(word: str) -> bool:
    return word.isascii() and word.isdecimal() and len(word) <= 15


def _ascii(source: Source, stream: BinaryIO, header: _Header) -> Rows:
    width = sum(prod(kind.shape) for kind in header.types)
    starts = np.cumsum([0, *(prod(kind.shape) for kind in header.types)]).tolist()
    taken = [starts[i] for i in header.taken]
    values, have = array("d"), 0
    for number, line in text_lines(source, stream, header.lines):
        words = line.split()
        if not words:
            continue
        have += 1
        if have > header.points:
            fault = f"{source}, line {number}: it goes on after the {header.points} points"
            raise undecodable(f"{fault} that it promises", help=_AGAIN)
        if len(words) != width:
            fault = f"{source}, line {number}: {len(words)} numbers, and a point has {width}"
            raise undecodable(fault, f"its fields: {', '.join(header.fields)}", help=_AGAIN)
        values.extend(parsed(source, number, place + 1, words[place]) for place in taken)
        if len(values) > MOST_VALUES:
            raise undecodable(f"{source}: it has too many points", help="leave points out")
    if have < header.points:
        raise undecodable(f"{source}: it ends after {have} of {header.points} points")
    return np.frombuffer(values, np.float64).reshape(have, len(taken))


def _binary(source: Source, stream: BinaryIO, header: _Header) -> Rows:
    # Fields may be called alike (`_`), which a record of numpy may not.
    record = np.dtype([(str(i), kind) for i, kind in enumerate(header.types)])
    size = record.itemsize * header.points
    if size > MOST_BYTES:
        fault = f"{source}: {size:,} bytes of points, and at most {MOST_BYTES:,} are read"
        raise undecodable(fault, help="leave points out")
    data = stream.read(size)
    if len(data) < size:
        have = len(data) // max(1, record.itemsize)
        raise undecodable(f"{source}: it ends after {have} of {header.points} points")
    if stream.read(64).strip():
        fault = f"{source}: it goes on after the {header.points} points that it promises"
        raise undecodable(fault, help=_AGAIN)
    table = np.frombuffer(data, record)
    columns = [in_float64(table[str(i)]) for i in header.taken]
    return np.stack(columns, axis=1) if columns else np.zeros((header.points, 0))
