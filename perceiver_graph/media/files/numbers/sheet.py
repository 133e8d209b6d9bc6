"""Rows of numbers from text files (.csv, .txt, .xyz, .pts), of which each fault has its place.

A line is read at a time: a file may be longer than what is taken of it.
"""

from __future__ import annotations

import csv
import re
from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.media.files.numbers.columns import AXES, PACKED, is_unnamed, plain
from perceiver_graph.media.files.numbers.common import Rows, decoding, undecodable
from perceiver_graph.media.files.numbers.expressions import of_text, without_missing
from perceiver_graph.media.files.numbers.text import (
    NUMBER,
    all_parsed,
    is_nearly,
    parsed,
    text_lines,
)
from perceiver_graph.runtime.opening import Source

MOST_VALUES = 1 << 24
"""The most numbers that are read from a text, which takes seconds: arrays are for more."""
_COMMENTS, _LONGEST_COMMENT = 64, 10_000  # before the first row: one may name the columns
_MOST_BLANK = 1 << 20
_COMMENT = re.compile(r"(?<![,;])#(?!N/A|(DIV/0|REF|VALUE|NUM|NULL|SPILL|CALC)!|NAME\?)")
"""Where a comment begins: not at what spreadsheets write for a value that they do not have."""
_NAMED_COMMENT = re.compile(r"^#|#(?!\w)")  # behind names, of which one may be `ch #1`
_SEPARATOR = re.compile(r'"?sep=([,;\t|])"?', re.IGNORECASE)  # a first line that Excel writes
_PLAIN = "give a row of numbers for each element"


@dataclass(frozen=True, eq=False)
class Sheet:
    """Numbers [n, columns], what a first row calls the columns (empty if there is none), notes, the line
    of each row, what reads it in Python, and what to do about values that are not there."""

    values: Rows
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    lines: Sequence[int] = ()
    expression: str = ""
    missing: str = ""


def read_rows(
    source: Source,
    most: int | None = None,
    known: Sequence[str] = AXES,
    masked: str = "",
    fixed: bool = False,
) -> Sheet:
    """The rows of a text file of numbers. Raises DiagnosticError (PG507, PG514).

    Columns are separated by commas, semicolons, tabs or blanks, as in the first row. Empty lines and
    what follows a `#` are left out; a first row may name the columns, or say how many rows follow
    (as in .pts files). The last comment before the first row that has all names that are `known` (x,
    y and z) among its words names them, as numpy.savetxt writes it, however they are separated. Of more
    rows than `most`, none is read. `masked` is the input whose rows may be masked, and `fixed` is whether
    there have to be so many, for messages.
    """
    with decoding(source), source.open() as stream:
        return _Parser(source, most, known, masked, fixed).parse(stream)


class _Parser:
    def __init__(
        self, source: Source, most: int | None, known: Sequence[str], masked: str, fixed: bool
    ) -> None:
        self._source = source
        self._known = known
        self._masked, self._fixed = masked, fixed
        self._most = most
        self._names: tuple[str, ...] = ()
        self._values = array("d")
        self._lines = array("q")
        self._rows = 0
        self._width = 0
        self._promised: int | None = None
        self._delimiter: str | None = None
        self._told: str | None = None  # the delimiter that the first line says
        self._header = 0  # the line of the names
        self._ends_separated = False  # whether a separator stands behind the last column
        self._has_quotes = False
        self._begun = False
        self._comments: deque[str] = deque(maxlen=_COMMENTS)
        self._notes: tuple[str, ...] = ()

    def parse(self, stream: BinaryIO) -> Sheet:
        first, blank = "", 0
        for number, line in text_lines(self._source, stream):
            first = first or line
            line, comment = self._parted(line)
            if number == 1 and (found := _SEPARATOR.fullmatch(line.strip(" \r\n"))):
                self._told = found[1]
            elif line.strip():
                self._take(number, line.strip())
            if line.strip():
                continue
            blank += 1
            if blank > _MOST_BLANK:
                fault = f"{self._source} has more than {_MOST_BLANK:,} lines without numbers"
                raise DiagnosticError.of("PG514", fault, help="leave empty lines and comments out")
            if not self._begun and len(comment) < _LONGEST_COMMENT:
                self._comments.appendleft(comment.strip())
        if self._promised is not None and self._promised != self._rows:
            fault = f"{self._source}: there are {self._rows} rows, and its first line promises "
            raise undecodable(f"{fault}{self._promised}")
        if not self._rows:
            fault = f"{self._source}: there are no numbers in it"
            note = f"it begins with {quote(first.lstrip()[:40])}"
            raise undecodable(fault, note, help=_PLAIN)
        values = np.frombuffer(self._values, np.float64).reshape(self._rows, self._width)
        frame, missing = self._expression(), self._missing()
        return Sheet(values, self._names, self._notes, self._lines, frame, missing)

    def _expression(self) -> str:
        """What reads the columns that are taken, in their order."""
        names = [plain(name) for name in self._names]
        begin = int(len(names) > 1 and is_unnamed(names[0]))
        taken = list(range(begin, self._width))
        if {*self._known} <= {*names}:
            taken = [names.index(name) for name in self._known]
            if self._known is AXES:
                taken += [i for i in range(begin, self._width) if names[i] not in (*AXES, *PACKED)]
        all_taken = taken == [*range(self._width)] and not self._ends_separated
        columns = () if all_taken else taken
        return of_text(self._source, self._delimiter, self._header, columns, self._has_quotes)

    def _missing(self) -> str:
        return without_missing(self._expression(), self._masked, self._fixed)

    def _take(self, number: int, line: str) -> None:
        if not self._begun or self._may_be_count:
            self._delimiter = self._told or _delimiter(line)
        fields = self._fields(number, line)
        if not self._begun:
            self._begun, self._width = True, len(fields)
            if _are_names(fields):
                self._names, self._header = tuple(fields), number
                return
            self._look_at_first(number, fields)
        numbers = all_parsed(fields) or [
            parsed(self._source, number, column, field, self._names, self._missing)
            for column, field in enumerate(fields, start=1)
        ]
        if len(fields) != self._width and not self._retake_as_count(fields):
            first = "the first row names" if self._names else "the first row has"
            have = f"{len(fields)} number{'s' * (len(fields) != 1)}"
            fault = f"{self._at(number)}: {have}, and {first} {self._width}"
            raise undecodable(fault, help="give every row the same number of columns")
        self._values.extend(numbers)
        self._lines.append(number)
        self._rows += 1
        self._check_amount()

    def _parted(self, line: str) -> tuple[str, str]:
        """A line without its comment, and the comment."""
        line = line.strip(" \r\n")
        named = not self._begun and not NUMBER.match(line)
        found = (_NAMED_COMMENT if named else _COMMENT).search(line)
        return (line[: found.start()], line[found.end() :]) if found else (line, "")

    def _look_at_first(self, number: int, fields: list[str]) -> None:
        """Whether a comment names the columns, or the numbers of the first row do."""
        for comment in self._comments:
            if {*self._known} <= {plain(name) for name in _words(comment)}:
                read = [self._fields(number, comment), *map(_words, (comment, _headless(comment)))]
                fitting = [names for names in read if len(names) == len(fields)]
                named = [names for names in fitting if {*self._known} <= {*map(plain, names)}]
                if named:
                    self._names = tuple(named[0])
                    return
                fault = f"the comment {quote(comment[:40])} does not name the {len(fields)} columns"
                self._notes = (f"{fault}, which are taken as they come",)
                return
        begin = int(fields[0]) if re.fullmatch(r"\d{1,9}", fields[0], re.ASCII) else 0
        if len(fields) > 2 and fields == [str(begin + i) for i in range(len(fields))]:
            shown = ", ".join(fields[:3])
            note = f"the first row is {shown}, ...: if it names the columns, leave it out"
            self._notes = (note,)

    @property
    def _may_be_count(self) -> bool:
        """Whether the one row until now may say how many follow."""
        return self._rows == self._width == 1 and not self._names and self._promised is None

    def _retake_as_count(self, fields: list[str]) -> bool:
        """Take the row before for the number of those that follow it, if it can be that."""
        if not self._may_be_count or self._values[0] < 0 or not self._values[0].is_integer():
            return False
        self._promised = int(self._values[0])
        self._values, self._rows, self._width = array("d"), 0, len(fields)
        self._lines = array("q")
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
                f"{self._source} has more than {MOST_VALUES:,} numbers, the most that are read of a text",
                help="leave rows out, or save an array: numpy.save('points.npy', ARRAY)",
            )

    def _fields(self, number: int, line: str) -> list[str]:
        self._has_quotes |= '"' in line
        if self._delimiter is None:
            return [field.strip('"') for field in line.split()]
        fields = line.split(self._delimiter) if '"' not in line else self._quoted(number, line)
        fields = [field.strip() for field in fields]
        whole = self._begun and len(fields) == self._width  # the last value is not there
        if len(fields) < 2 or fields[-1] or whole:
            return fields
        self._ends_separated = True
        return fields[:-1]

    def _quoted(self, number: int, line: str) -> list[str]:
        assert self._delimiter is not None
        try:
            (fields,) = csv.reader([line], delimiter=self._delimiter, skipinitialspace=True)
        except (csv.Error, ValueError) as error:
            raise undecodable(f"{self._at(number)}: {error}") from error
        return fields

    def _at(self, number: int) -> str:
        return f"{self._source}, line {number}"


def _are_names(fields: list[str]) -> bool:
    """Whether a first row names the columns: none of it is a number, nor all of it nearly one, or it
    begins with the unnamed index of pandas and the columns are numbered."""
    if all(map(is_nearly, fields)):
        return False
    numbered = [str(i) for i in range(len(fields) - 1)]
    return not any(NUMBER.fullmatch(one) for one in fields) or fields == ["", *numbered]


def _words(comment: str) -> list[str]:
    """The words of a comment, each with the unit behind it."""
    return re.split(r"\s*[,;]\s*|\s+", re.sub(r"\s+(?=[\[(])", "", comment))


def _headless(comment: str) -> str:
    """A comment without what it calls the names: `columns: x y z`."""
    return comment.rpartition(":")[2].strip()


def _delimiter(line: str) -> str | None:
    """What separates the columns of a line: None for blanks."""
    if ";" in line:
        return ";"
    tabs = "\t" in re.sub(r"\s*,\s*", ",", line)  # not those beside commas
    if tabs:
        return "\t"
    return "," if "," in line else None
