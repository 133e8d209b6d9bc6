"""Rows of numbers from text files (.csv, .txt, .xyz, .pts), of which each fault has its place.

A line is read at a time: a file may be longer than what is taken of it.
"""

from __future__ import annotations

import csv
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.runtime.opening import Source
from perceiver_graph.runtime.processors.number_common import (
    MOST_VALUES,
    READABLE,
    Rows,
    decoding,
    undecodable,
)

_LONGEST_LINE = 1 << 24
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.I | re.A)
_WHOLE = re.compile(r"\d{1,15}", re.A)

# What is written that is nearly a number, what it is called, and what to do.
_NEARLY: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (re.compile(r"[+-]?\d+,\d+"), "has a comma within a number", "write a decimal point: 1.5"),
    (
        re.compile(r"[+-]?\d{1,3}([,.' _\u2019\u00a0\u202f]\d{3})+([.,]\d*)?"),
        "has separators within a number",
        "write numbers without separators of thousands: 1234567.5",
    ),
    (re.compile(r"[+-]?0[xX][\da-fA-F.]+"), "is hexadecimal", "write decimal numbers"),
    (re.compile(r"[+-]?[\d.]+[dD][+-]?\d+"), "has an exponent of Fortran", "write 1.5e3 for 1.5D3"),
    (re.compile(r"[+-]?[\d.,]+ ?%"), "is a percentage", "write 0.25 for 25%"),
)


@dataclass(frozen=True, eq=False)
class Sheet:
    """Numbers [n, columns], and what a first row calls the columns (empty if there is none)."""

    values: Rows
    names: tuple[str, ...] = ()


def read_rows(source: Source, most: int | None = None) -> Sheet:
    """The rows of a text file of numbers. Raises DiagnosticError (PG507, PG514).

    Columns are separated by commas, semicolons, tabs or blanks, as in the first row. Empty lines and
    what follows a `#` are left out; a first row may name the columns, or say how many rows follow
    (as in .pts files). Of more rows than `most`, none is read.
    """
    with decoding(source), source.open() as stream:
        return _Parser(source, most).parse(stream)


class _Parser:
    def __init__(self, source: Source, most: int | None) -> None:
        self._source = source
        self._most = most
        self._names: tuple[str, ...] = ()
        self._values = array("d")
        self._rows = 0
        self._width = 0
        self._promised: int | None = None
        self._delimiter: str | None = None
        self._begun = False

    def parse(self, stream: BinaryIO) -> Sheet:
        first = ""
        for number, line in _lines(self._source, stream):
            first = first or line
            line = line.partition("#")[0].strip()
            if line:
                self._take(number, line)
        if self._promised is not None and self._promised != self._rows:
            fault = f"{self._source}: there are {self._rows} rows, and its first line promises "
            raise undecodable(f"{fault}{self._promised}")
        if not self._rows:
            fault = f"{self._source}: there are no numbers in it"
            note = f"it begins with {quote(first.lstrip()[:40])}"
            raise undecodable(fault, note, help=f"give {READABLE}")
        values = np.frombuffer(self._values, np.float64).reshape(self._rows, self._width)
        return Sheet(values, self._names)

    def _take(self, number: int, line: str) -> None:
        if not self._begun or self._is_count(line):
            self._delimiter = _delimiter(line)
        fields = self._fields(number, line)
        if not self._begun:
            self._begun = True
            if not any(_NUMBER.fullmatch(field) for field in fields):
                self._names = tuple(fields)
                self._width = len(fields)
                return
            self._width = len(fields)
        numbers = self._numbers(number, fields)
        if len(fields) != self._width and not self._retake_as_count(fields):
            first = "the first row names" if self._names else "the first row has"
            fault = f"{self._at(number)}: {len(fields)} numbers, and {first} {self._width}"
            raise undecodable(fault, help="give every row the same number of columns")
        self._values.extend(numbers)
        self._rows += 1
        self._check_amount()

    def _is_count(self, line: str) -> bool:
        """Whether the row before this one was the number of rows, as far as can be told by now."""
        return self._rows == 1 and self._width == 1 and not self._names

    def _retake_as_count(self, fields: list[str]) -> bool:
        if not (self._rows == self._width == 1 and not self._names and self._values[0] >= 0):
            return False
        if self._promised is not None or not self._values[0].is_integer():
            return False
        self._promised = int(self._values[0])
        self._values, self._rows, self._width = array("d"), 0, len(fields)
        return True

    def _check_amount(self) -> None:
        if self._most is not None and self._rows > self._most:
            raise DiagnosticError.of(
                "PG514",
                f"{self._source} has more than {self._most} rows, the most that are taken",
                help="leave rows out, or split the file",
            )
        if len(self._values) > MOST_VALUES:
            raise DiagnosticError.of(
                "PG514",
                f"{self._source} has more than {MOST_VALUES:,} numbers, the most that are read",
                help="split the file, or leave rows out",
            )

    def _fields(self, number: int, line: str) -> list[str]:
        if self._delimiter is None:
            return [field.strip('"') for field in line.split()]
        try:
            (fields,) = csv.reader([line], delimiter=self._delimiter, skipinitialspace=True)
        except (csv.Error, ValueError) as error:
            raise undecodable(f"{self._at(number)}: {error}") from error
        fields = [field.strip() for field in fields]
        return fields[:-1] if len(fields) > 1 and not fields[-1] else fields

    def _numbers(self, number: int, fields: list[str]) -> list[float]:
        for column, field in enumerate(fields, start=1):
            if not _NUMBER.fullmatch(field):
                raise self._no_number(number, column, field)
        return [float(field) for field in fields]

    def _no_number(self, number: int, column: int, field: str) -> DiagnosticError:
        what = f"{quote(field)} is no number" if field else "there is no number"
        help = "give numbers with a decimal point, separated by commas or blanks"
        for pattern, called, remedy in _NEARLY:
            if pattern.fullmatch(field):
                what, help = f"{quote(field)} {called}", remedy
                break
        named = self._names[column - 1 : column]
        notes = [f"the column is called {quote(name)}" for name in named]
        return undecodable(f"{self._at(number)}, column {column}: {what}", *notes, help=help)

    def _at(self, number: int) -> str:
        return f"{self._source}, line {number}"


def _delimiter(line: str) -> str | None:
    """What separates the columns of a line: None for blanks."""
    if ";" in line:
        return ";"
    tabs = "\t" in re.sub(r"\s*,\s*", ",", line)  # not those beside commas
    if tabs:
        return "\t"
    return "," if "," in line else None


def _lines(source: Source, stream: BinaryIO) -> Iterator[tuple[int, str]]:
    """The lines of a text, numbered from 1. Raises DiagnosticError (PG507)."""
    number = place = 0
    while raw := stream.readline(_LONGEST_LINE):
        if len(raw) == _LONGEST_LINE and not raw.endswith(b"\n"):
            fault = f"{source}, line {number + 1}: it is longer than {_LONGEST_LINE:,} bytes"
            raise undecodable(fault, help=f"give {READABLE}")
        for line in raw.splitlines(keepends=True):
            number += 1
            try:
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                fault = f"{source}, line {number}: not a text of numbers"
                note = f"byte {place + error.start} is no UTF-8"
                raise undecodable(fault, note, help=f"give {READABLE}") from error
            place += len(line)
