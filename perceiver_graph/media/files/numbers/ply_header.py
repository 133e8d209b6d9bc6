"""The header of a .ply file: which elements it has, of which properties, and where they begin."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.media.files.numbers.common import undecodable
from perceiver_graph.runtime.opening import Source

_SIGNED = {"char": "i1", "short": "i2", "int": "i4", "int8": "i1", "int16": "i2", "int32": "i4"}
_TYPES = _SIGNED | {f"u{name}": f"u{kind[1]}" for name, kind in _SIGNED.items()}
_TYPES |= {"float": "f4", "double": "f8", "float32": "f4", "float64": "f8"}
_FORMATS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_LONGEST_HEADER = 1 << 20
_DIGITS = 15  # of a count: with more, a file would be larger than any disk
_END = re.compile(rb"(?<=[\r\n])end_header[ \t]*(\r\n|\n|\r)")
AGAIN = "export the cloud again, as ascii or binary PLY 1.0"


@dataclass(frozen=True)
class Property:
    """A number, or a list of numbers."""

    name: str
    type: str
    counted_by: str | None = None  # the type of the count, of a list


@dataclass(frozen=True)
class Element:
    """So many records of the same properties."""

    name: str
    count: int
    properties: tuple[Property, ...]

    @property
    def has_lists(self) -> bool:
        """Whether records may differ in size."""
        return any(one.counted_by for one in self.properties)

    def dtype(self, order: str) -> np.dtype[np.void]:
        """The layout in a binary file of an element without lists."""
        return np.dtype([(one.name, order + one.type) for one in self.properties])


@dataclass(frozen=True)
class Header:
    """What the data are."""

    order: str  # the byte order as numpy writes it, empty for ascii
    before: tuple[Element, ...]
    vertex: Element
    after: tuple[Element, ...]
    start: int  # where the data begin


def read_header(source: Source) -> Header:
    """The header. Raises DiagnosticError (PG507)."""
    head = source.peek(_LONGEST_HEADER)
    end = _END.search(head)
    if not head.startswith((b"ply\n", b"ply\r")) or end is None:
        fault = "it does not begin with `ply`" if end else "its header does not end (`end_header`)"
        raise undecodable(f"{source}: {fault}", help=AGAIN)
    order: str | None = None
    found: list[tuple[str, int, list[Property]]] = []
    lines = head[: end.start()].decode("latin-1").splitlines()
    for number, line in enumerate(lines[1:], start=2):
        match line.split():
            case [] | ["comment", *_] | ["obj_info", *_]:
                continue
            case ["format", name, "1.0"] if name in _FORMATS and order is None:
                order = _FORMATS[name]
            case ["element", name, count] if count.isascii() and count.isdecimal():
                if len(count) > _DIGITS or name in [one[0] for one in found]:
                    raise _bad_line(source, number, line)
                found.append((name, int(count), []))
            case ["property", *words] if found and (made := _property(words)) is not None:
                if made.name in [one.name for one in found[-1][2]]:
                    raise _bad_line(source, number, line)
                found[-1][2].append(made)
            case _:
                raise _bad_line(source, number, line)
    if order is None:
        raise undecodable(f"{source}: its header has no `format` line", help=AGAIN)
    start = end.end()
    if head.startswith(b"ply\r") and not head.startswith(b"ply\r\n") and end[1] == b"\r\n":
        start -= 1  # lines end with \r alone, and the first byte of the data happens to be \n
    elements = [Element(name, count, tuple(made)) for name, count, made in found]
    place = next((i for i, one in enumerate(elements) if one.name == "vertex"), None)
    if place is None:
        raise undecodable(f"{source}: it has no element `vertex`", help=AGAIN)
    before, after = tuple(elements[:place]), tuple(elements[place + 1 :])
    return Header(order, before, elements[place], after, start)


def _property(words: list[str]) -> Property | None:
    match words:
        case [kind, name] if kind in _TYPES:
            return Property(name, _TYPES[kind])
        case ["list", count, kind, name] if kind in _TYPES and "f" not in _TYPES.get(count, "f"):
            return Property(name, _TYPES[kind], _TYPES[count])
    return None


def _bad_line(source: Source, number: int, line: str) -> DiagnosticError:
    fault = "has no place in a header"
    match line.split():
        case ["element", _, count] if count.isdecimal() and len(count) > _DIGITS:
            fault = "announces more records than any file holds"
    return undecodable(f"{source}, line {number}: {quote(line)} {fault}", help=AGAIN)
