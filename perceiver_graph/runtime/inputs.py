"""Arrays in .npz archives: read without pickles, written whole or not at all."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics import DiagnosticError, Report, quote
from perceiver_graph.runtime.reading import DAMAGED, holds_objects, quiet, reason
from perceiver_graph.runtime.written import ARCHIVE_COMMENT, refuse_others, seal
from perceiver_graph.storage import staged_file

_DAMAGED = (*DAMAGED, MemoryError)
_WRITE_ONE = "numpy.savez('in.npz', NAME=ARRAY, ...) writes one"


def read_arrays(path: str | Path) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz archive by name.

    Python objects are never unpickled. Raises DiagnosticError (PG513) naming every array that
    cannot be read.
    """
    path = Path(path)
    found: dict[str, NDArray[Any]] = {}
    report = Report()
    try:
        if path.is_file() and not zipfile.is_zipfile(path):
            raise _unreadable(path, _what_it_is(path))
        with quiet(), np.load(path, allow_pickle=False) as archive:
            for name in archive.files:
                try:
                    found[name] = archive[name]
                except _DAMAGED as error:
                    report.error("PG513", _fault(path, name, error), help=_help(error))
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    except _DAMAGED as error:
        raise _unreadable(path, f"it is damaged ({reason(error)})") from error
    report.raise_if_errors()
    return found


def write_arrays(path: str | Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays as an .npz archive, uncompressed.

    It replaces only an archive that was written here. Raises DiagnosticError (PG511).
    """
    path = Path(path)
    refuse_others(path)
    with staged_file(path) as temporary:
        with temporary.open("wb") as stream, zipfile.ZipFile(stream, "w") as archive:
            archive.comment = ARCHIVE_COMMENT
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, np.asanyarray(array), allow_pickle=False)
        seal(temporary)
        refuse_others(path)  # it may have come in the meantime


def _unreadable(path: Path, fault: str) -> DiagnosticError:
    return DiagnosticError.of("PG513", f"{path} cannot be read: {fault}", help=_WRITE_ONE)


def _what_it_is(path: Path) -> str:
    with path.open("rb") as stream:
        single = stream.read(6) == b"\x93NUMPY"
    if single:
        return "it is a single array (.npy), and arrays are given by name, in an archive (.npz)"
    return "it is not an .npz archive, or not a complete one"


def _fault(path: Path, name: str, error: Exception) -> str:
    fault = "holds Python objects" if holds_objects(error) else f"is damaged ({reason(error)})"
    return f"array {quote(name)} of {path} {fault}"


def _help(error: Exception) -> str:
    if holds_objects(error):
        return "save plain numbers: an array whose dtype is not `object`"
    return "write the archive again"
