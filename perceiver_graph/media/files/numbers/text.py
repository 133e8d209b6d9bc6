"""Text of numbers: its lines, and what is a number.

What could be read in two ways (a decimal comma, or one of thousands) is refused, with its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import IO

from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.diagnostics.encodings import as_utf8
from perceiver_graph.media.files.numbers.common import undecodable
from perceiver_graph.media.files.numbers.expressions import MISSING
from perceiver_graph.runtime.opening import Source

LONGEST_LINE = 1 << 24
MOST_LINES = 1 << 24
"""The most lines that are read: a stream of comments may have no end."""
_PLAIN = "give plain text, with a line for each row"
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.I | re.A)

# What is written that is nearly a number, what it is called, and what to do: {0} is the field without
# its commas, {1} with points in their place.
_NEARLY: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (
        re.compile(r"[+-]?[1-9]\d{0,2},\d{3}"),
        "has a comma within a number",
        "write {0}, if it separates thousands, or {1}, if it is a decimal comma",
    ),
    (re.compile(r"[+-]?\d+,\d+"), "has a comma within a number", "write a decimal point: {1}"),
    (
        re.compile(r"[+-]?\d{1,3}([,.' _\u2019\u00a0\u202f]\d{3})+([.,]\d*)?"),
        "has separators within a number",
        "write numbers without separators of thousands: 1234567.5",
    ),
    (re.compile(r"[+-]?0[xX][\da-fA-F.]+"), "is hexadecimal", "write decimal numbers"),
    (re.compile(r"[+-]?[\d.]+[dD][+-]?\d+"), "has an exponent of Fortran", "write 1.5e3 for 1.5D3"),
    (re.compile(r"[+-]?[\d.,]+ ?%"), "is a percentage", "write 0.25 for 25%"),
)


def parsed(
    source: Source,
    line: int,
    column: int,
    field: str,
    names: Sequence[str] = (),
    missing: Callable[[], str] | None = None,
) -> float:
    """The number in a field, which may not be finite; `missing` says what to do where there is none.

    Raises DiagnosticError (PG507).
    """
    if NUMBER.fullmatch(field):
        return float(field)
    what = f"{quote(field)} is no number" if field else "there is no number"
    help = "give numbers with a decimal point, separated by commas or blanks"
    if missing and field.casefold() in MISSING:
        help = missing()
    for pattern, called, remedy in _NEARLY:
        if pattern.fullmatch(field):
            what = f"{quote(field)} {called}"
            help = remedy.format(field.replace(",", ""), field.replace(",", "."))
            break
    notes = [f"the column is called {quote(name)}" for name in names[column - 1 : column]]
    raise undecodable(f"{source}, line {line}, column {column}: {what}", *notes, help=help)


def is_nearly(field: str) -> bool:
    """Whether a field is written as a number, though not as one that is read."""
    return any(pattern.fullmatch(field) for pattern, _, _ in _NEARLY)


def all_parsed(fields: Sequence[str]) -> list[float] | None:
    """All numbers of a row, quickly; None where one of the fields may be none."""
    try:
        numbers = [float(field) for field in fields]
    except ValueError:
        return None
    # Python takes underscores for separators, and digits of every script.
    return numbers if all(field.isascii() and "_" not in field for field in fields) else None


def text_lines(source: Source, stream: IO[bytes], number: int = 0) -> Iterator[tuple[int, str]]:
    """The lines of a text, numbered from the one after `number`.

    Raises DiagnosticError (PG507, PG514).
    """
    place = stream.tell()
    while raw := stream.readline(LONGEST_LINE):
        if len(raw) == LONGEST_LINE and not raw.endswith(b"\n"):
            fault = f"{source}, line {number + 1}: it is longer than {LONGEST_LINE:,} bytes"
            raise undecodable(fault, help=_PLAIN)
        if number > MOST_LINES:
            fault = f"{source} has more than {MOST_LINES:,} lines, the most that are read"
            raise DiagnosticError.of("PG514", fault, help="leave lines out, or split the file")
        for line in raw.splitlines(keepends=True):
            number += 1
            try:
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                fault = f"{source}, line {number}: not a text of numbers"
                note = f"byte {place + error.start} is no UTF-8"
                raise undecodable(fault, note, help=as_utf8(line, source.file)) from error
            place += len(line)
