"""What readers of files of numbers have in common: how much is read, and how faults are told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.runtime.kinds import real_numbers
from perceiver_graph.runtime.opening import Source
from perceiver_graph.runtime.read_errors import DAMAGED, holds_objects, quiet, reason

Rows = NDArray[np.float64]

MOST_VALUES = 1 << 26
"""The most numbers that are read from a file, whatever the model takes."""
MOST_BYTES = 1 << 30
"""The most bytes that are read from a file of numbers."""


def undecodable(what: str, *notes: str, help: str | None = None) -> DiagnosticError:
    """The diagnostic PG507 for a file of numbers."""
    help = help or "write or copy the file again, completely"
    return DiagnosticError.of("PG507", what, notes=notes, help=help)


def in_float64(array: NDArray[Any]) -> Rows:
    """Numbers of any width in float64. A signalling NaN, which damage makes, is any NaN, not a warning."""
    with np.errstate(invalid="ignore"):
        return array.astype(np.float64)


def as_rows(source: Source, array: NDArray[Any], name: str = "") -> Rows:
    """An array as float64 [n, channels]; a leading axis of 1 before these is dropped.

    Raises DiagnosticError (PG503, PG504).
    """
    what = f"array {quote(name)} of {source}" if name else str(source)
    if array.dtype.kind not in "biuf":
        message = f"{what} is of dtype {array.dtype}, and holds no numbers"
        raise DiagnosticError.of("PG504", message, help=real_numbers(array, "array"))
    rows = array[0] if array.ndim == 3 and len(array) == 1 else array
    if rows.ndim != 2 or rows.size == 0:
        raise DiagnosticError.of(
            "PG503",
            f"{what} has the shape {list(array.shape)}, and takes [rows, columns], not empty",
            help="save one of them: array[0]"
            if array.ndim == 3
            else "save a row for each element: .reshape(-1, COLUMNS)",
        )
    return in_float64(rows)


@dataclass(frozen=True)
class Lines:
    """Where in a text rows of numbers are: the line of each, and what their columns are called there."""

    numbers: Sequence[int] = ()
    left_out: int = 0
    """Columns before the first of those that are taken."""
    names: Sequence[str] = ()
    missing: str = ""
    """What to do about those that are not there."""

    def where(self, row: int, column: int) -> str:
        """The place of a number, counted from 1 as editors do."""
        called = f"column {self.left_out + column + 1}"
        called = f"the column {quote(self.names[column])}" if self.names else called
        return f"line {self.numbers[row]}, {called}"


def require_finite(
    source: Source, values: NDArray[Any], element: str, lines: Lines | None = None
) -> None:
    """Raise DiagnosticError (PG505) for values [n, columns] that are not finite."""
    wrong = ~np.isfinite(values)
    if wrong.any():
        row, column = (int(i) for i in np.unravel_index(int(wrong.argmax()), wrong.shape))
        in_a_text = lines is not None and len(lines.numbers) > 0
        where = f"{element} {row}, column {column}"
        where = lines.where(row, column) if lines and in_a_text else where
        raise DiagnosticError.of(
            "PG505",
            f"{np.count_nonzero(wrong)} of {values.size} values of {source} are not finite in "
            f"{values.dtype}",
            notes=[f"the first is {values[row, column]}: {where}"],
            help=lines.missing
            if lines and lines.missing and np.isnan(values[row, column])
            else f"remove every {element} with such values",
        )


@contextmanager
def decoding(source: Source, name: str = "") -> Iterator[None]:
    """Translate what reading a file raises: PG507."""
    what = f"{source}: array {quote(name)}" if name else f"{source}:"
    try:
        with quiet():
            yield
    except MemoryError as error:
        raise undecodable(f"{what} does not fit in memory") from error
    except (*DAMAGED, OSError) as error:
        if holds_objects(error):
            help = "save plain numbers: an array whose dtype is not `object`"
            raise undecodable(f"{what} holds Python objects", help=help) from error
        raise undecodable(f"{what} is damaged", f"numpy says: {reason(error)}") from error
