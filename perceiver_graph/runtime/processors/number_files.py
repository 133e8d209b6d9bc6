"""Rows of numbers from .npy, .npz and text files (.csv, .txt, .xyz), of which each fault is explained.

What a file is, its first bytes say, not its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.runtime.reading import DAMAGED, holds_objects, quiet, reason

Rows = NDArray[np.float64]
FileKind = Literal["npy", "npz", "ply", "text"]

_MAGIC: tuple[tuple[bytes, FileKind], ...] = (
    (b"\x93NUMPY", "npy"),
    (b"PK\x03\x04", "npz"),
    (b"PK\x05\x06", "npz"),  # without members
    (b"ply\n", "ply"),
    (b"ply\r", "ply"),
)
_DELIMITERS = ",;\t"
_READABLE = "a .npy, .npz, .csv or .txt file"


def undecodable(path: Path, fault: str, *notes: str, help: str | None = None) -> DiagnosticError:
    """The diagnostic PG507 for a file of numbers."""
    help = help or "write or copy the file again, completely"
    return DiagnosticError.of("PG507", f"{path}{fault}", notes=notes, help=help)


def kind_of_file(path: Path) -> FileKind:
    """What a file is. Raises DiagnosticError: PG512 if it is not there, PG507 if it is unreadable."""
    if path.is_dir():
        raise DiagnosticError.of("PG512", f"{path} is a folder", help="name a file in it")
    if not path.exists():
        raise DiagnosticError.of("PG512", f"{path} does not exist", help="check the path")
    with _reading(path), path.open("rb") as stream:
        head = stream.read(4096)
    if not head:
        raise undecodable(path, ": the file is empty (0 bytes)")
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if b"\0" in head:
        fault = f": neither text nor a file of arrays; it begins with {head[:8]!r}"
        raise undecodable(path, fault, help=f"give {_READABLE}")
    return "text"


def read_npy(path: Path) -> NDArray[Any]:
    """The array of an .npy file; objects are never unpickled. Raises DiagnosticError (PG507)."""
    # Mapped first: a header that promises more than the file holds is noticed before it is allocated.
    with _reading(path):
        return np.array(np.load(path, mmap_mode="r", allow_pickle=False))


def array_names(path: Path) -> list[str]:
    """The names of the arrays of an .npz archive. Raises DiagnosticError (PG507)."""
    with _reading(path), np.load(path, allow_pickle=False) as archive:
        return list(archive.files)


def read_array(path: Path, name: str) -> NDArray[Any]:
    """An array of an .npz archive; objects are never unpickled. Raises DiagnosticError (PG507)."""
    with _reading(path, name), np.load(path, allow_pickle=False) as archive:
        return np.asarray(archive[name])


def only_array(path: Path, wanted: str, besides: frozenset[str] = frozenset()) -> str:
    """The name of the array to read: `wanted`, or that of the only one that is not in `besides`.

    Raises DiagnosticError (PG512) if there is neither, PG507 for a damaged archive.
    """
    names = array_names(path)
    candidates = [name for name in names if name not in besides]
    if wanted in candidates:
        return wanted
    if len(candidates) == 1:
        return candidates[0]
    held = ", ".join(quote(name) for name in candidates[:8]) or "none"
    raise DiagnosticError.of(
        "PG512",
        f"{path} has no array called {quote(wanted)}",
        notes=[f"its arrays: {held}" + (", ..." if len(candidates) > 8 else "")],
        help=f"numpy.savez('in.npz', {wanted}=ARRAY) writes one",
    )


def as_rows(path: Path, array: NDArray[Any], name: str = "") -> Rows:
    """An array as float64 [n, channels]; a leading axis of 1 before these is dropped.

    Raises DiagnosticError (PG503, PG504).
    """
    what = f"array {quote(name)} of {path}" if name else str(path)
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


def read_rows(path: Path) -> Rows:
    """The rows [n, columns] of a text file of numbers. Raises DiagnosticError (PG507).

    Columns are separated by commas, semicolons, tabs or blanks, as in the first row. Empty lines,
    what follows a `#`, and a first row of names are left out.
    """
    with _reading(path):
        data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        fault = f": not a text of numbers (byte {error.start} is no UTF-8)"
        raise undecodable(path, fault, help=f"give {_READABLE}") from error
    rows: list[list[float]] = []
    delimiter: str | None = None
    names: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.partition("#")[0].strip(" \r\n")
        if not line.strip():
            continue
        if not rows and not names:
            delimiter = next((char for char in _DELIMITERS if char in line), None)
        fields = _fields(line, delimiter)
        if not rows and not names and not any(_is_number(field) for field in fields):
            names = fields
            continue
        rows.append(_numbers(path, number, fields))
        if len(rows[-1]) != len(rows[0]):
            fault = (
                f", line {number}: {len(rows[-1])} numbers, and the first row has {len(rows[0])}"
            )
            raise undecodable(path, fault, help="give every row the same number of columns")
    if not rows:
        first = text.lstrip()[:40]
        fault = ": there are no numbers in it"
        raise undecodable(path, fault, f"it begins with {quote(first)}", help=f"give {_READABLE}")
    return np.array(rows)


def require_finite(path: Path, values: NDArray[Any], element: str) -> None:
    """Raise DiagnosticError (PG505) for values [n, columns] that are not finite."""
    wrong = ~np.isfinite(values)
    if wrong.any():
        row, column = (int(i) for i in np.unravel_index(int(wrong.argmax()), wrong.shape))
        raise DiagnosticError.of(
            "PG505",
            f"{np.count_nonzero(wrong)} of {values.size} values of {path} are not finite in "
            f"{values.dtype}",
            notes=[f"the first is {values[row, column]}: {element} {row}, column {column}"],
            help=f"remove every {element} with such values",
        )


def _fields(line: str, delimiter: str | None) -> list[str]:
    if delimiter is None:
        return line.split()
    fields = [field.strip().strip('"') for field in line.split(delimiter)]
    return fields[:-1] if len(fields) > 1 and not fields[-1] else fields


def _numbers(path: Path, number: int, fields: list[str]) -> list[float]:
    try:
        return [float(field) for field in fields]
    except ValueError as error:
        column, field = next((i, f) for i, f in enumerate(fields, 1) if not _is_number(f))
        what = f"{quote(field)} is no number" if field else "there is no number"
        fault = f", line {number}, column {column}: {what}"
        help = "give numbers with a decimal point, separated by commas or blanks"
        raise undecodable(path, fault, help=help) from error


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


@contextmanager
def _reading(path: Path, name: str = "") -> Iterator[None]:
    """Translate what reading a file raises: PG507."""
    what = f": array {quote(name)}" if name else ":"
    try:
        with quiet():
            yield
    except PermissionError as error:
        raise undecodable(path, ": it may not be read", help=f"chmod +r {path}") from error
    except MemoryError as error:
        raise undecodable(path, f"{what} does not fit in memory") from error
    except (*DAMAGED, OSError) as error:
        if holds_objects(error):
            help = "save plain numbers: an array whose dtype is not `object`"
            raise undecodable(path, f"{what} holds Python objects", help=help) from error
        raise undecodable(path, f"{what} is damaged", f"numpy says: {reason(error)}") from error
