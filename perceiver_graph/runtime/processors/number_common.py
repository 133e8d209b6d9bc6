"""What files of numbers have in common: what kind they are, how much is read, and how faults are told.

What a file is, its first bytes say, not its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.runtime.opening import Source
from perceiver_graph.runtime.reading import (
    DAMAGED,
    as_utf8,
    holds_objects,
    other_unicode,
    quiet,
    reason,
)

Rows = NDArray[np.float64]
FileKind = Literal["npy", "npz", "ply", "text"]

MOST_VALUES = 1 << 26
"""The most numbers that are read from a file, whatever the model takes."""
MOST_BYTES = 1 << 30
"""The most bytes that are read from a file of numbers."""
READABLE = "a .npy, .npz, .csv or .txt file"

_MAGIC: tuple[tuple[bytes, FileKind], ...] = (
    (b"\x93NUMPY", "npy"),
    (b"PK\x03\x04", "npz"),
    (b"PK\x05\x06", "npz"),  # without members
    (b"ply\n", "ply"),
    (b"ply\r", "ply"),
)


def undecodable(what: str, *notes: str, help: str | None = None) -> DiagnosticError:
    """The diagnostic PG507 for a file of numbers."""
    help = help or "write or copy the file again, completely"
    return DiagnosticError.of("PG507", what, notes=notes, help=help)


def kind_of_file(source: Source) -> FileKind:
    """What a file is. Raises DiagnosticError: PG507 if it is unreadable or of no known kind."""
    head = source.peek(4096)
    if not head:
        raise undecodable(f"{source}: the file is empty (0 bytes)")
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if encoding := other_unicode(head):
        help = as_utf8(encoding, source.path)
        raise undecodable(
            f"{source}: a text in {encoding}, and numbers are read in UTF-8", help=help
        )
    if b"\0" in head:
        fault = f"{source}: neither text nor a file of arrays; it begins with {head[:8]!r}"
        raise undecodable(fault, help=f"give {READABLE}")
    return "text"


def as_rows(source: Source, array: NDArray[Any], name: str = "") -> Rows:
    """An array as float64 [n, channels]; a leading axis of 1 before these is dropped.

    Raises DiagnosticError (PG503, PG504).
    """
    what = f"array {quote(name)} of {source}" if name else str(source)
    if array.dtype.kind not in "biuf":
        message = f"{what} is of dtype {array.dtype}, and holds no numbers"
        raise DiagnosticError.of("PG504", message, help="save numbers: .astype('float32')")
    rows = array[0] if array.ndim == 3 and len(array) == 1 else array
    if rows.ndim != 2 or rows.size == 0:
        raise DiagnosticError.of(
            "PG503",
            f"{what} has the shape {list(array.shape)}, and takes [rows, columns], not empty",
            help="save a row for each element: .reshape(-1, COLUMNS)",
        )
    return rows.astype(np.float64)


def require_finite(source: Source, values: NDArray[Any], element: str) -> None:
    """Raise DiagnosticError (PG505) for values [n, columns] that are not finite."""
    wrong = ~np.isfinite(values)
    if wrong.any():
        row, column = (int(i) for i in np.unravel_index(int(wrong.argmax()), wrong.shape))
        raise DiagnosticError.of(
            "PG505",
            f"{np.count_nonzero(wrong)} of {values.size} values of {source} are not finite in "
            f"{values.dtype}",
            notes=[f"the first is {values[row, column]}: {element} {row}, column {column}"],
            help=f"remove every {element} with such values",
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
