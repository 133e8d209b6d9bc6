"""Arrays in .npz archives: read without pickles, written whole or not at all."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics import DiagnosticError, Report, quote
from perceiver_graph.runtime.feeds import check_shapes
from perceiver_graph.runtime.headers import SUFFIX, Header, read_header
from perceiver_graph.runtime.opening import Named, Source
from perceiver_graph.runtime.reading import DAMAGED, holds_objects, quiet, reason
from perceiver_graph.runtime.room import require_room
from perceiver_graph.runtime.written import ARCHIVE_COMMENT, refuse_others, seal
from perceiver_graph.spec.manifest import Manifest
from perceiver_graph.storage import staged_file

MOST_OF_A_PIPE = 1 << 31
"""The most bytes of an archive that comes through a pipe, and is kept while it is read."""

_DAMAGED = (*DAMAGED, MemoryError)
_SMALLER = "a smaller batch"
_WRITE_ONE = "numpy.savez('in.npz', NAME=ARRAY, ...) writes one"


def read_arrays(named: Named, manifest: Manifest | None = None) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz archive by name; it may come from a pipe.

    The headers are read first. Of what `manifest` does not permit, nothing more is read, and an input
    that is always masked comes without its values.
    Python objects are never unpickled. Raises DiagnosticError (PG513) naming every array that cannot
    be read, as `check_shapes` where there is a manifest, and PG603 for more than the memory of this
    machine.
    """
    source = archive_of_arrays(named)
    report = Report()
    try:
        head = source.peek(6)
        if not head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            raise _unreadable(source, _what_it_is(head))
        with source.open() as file, zipfile.ZipFile(file) as archive:
            headers = _headers(archive, source, report)
            report.raise_if_errors()
            ignored = _ignored(manifest, headers)
            for header in headers.values():
                require_room(header.shape, header.dtype, f"array {quote(header.name)}", _SMALLER)
            return {
                name: header.stand_in()
                if name in ignored
                else _read(archive, header, source, report)
                for name, header in headers.items()
            }
    except OSError as error:
        raise _unreadable(source, error.strerror or str(error)) from error
    except _DAMAGED as error:
        raise _unreadable(source, f"it is damaged ({reason(error)})") from error
    finally:
        report.raise_if_errors()


def archive_of_arrays(named: Named) -> Source:
    """What a name stands for. Raises DiagnosticError (PG513)."""
    try:
        return Source.of(named, noun="archive of arrays", most=MOST_OF_A_PIPE)
    except DiagnosticError as error:
        (found,) = error.diagnostics
        raise _unreadable(None, found.message) from error


def _headers(archive: zipfile.ZipFile, source: Source, report: Report) -> dict[str, Header]:
    """What each member says that it is; what is none, or there twice, is reported."""
    found: dict[str, Header] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(SUFFIX)
        try:
            if name in found:
                raise ValueError("it is there twice")
            found[name] = read_header(archive, member)
        except _DAMAGED as error:
            report.error("PG513", _fault(source, name, error), help=_help(error))
    return found


def _ignored(manifest: Manifest | None, headers: Mapping[str, Header]) -> set[str]:
    """The arrays whose values are not needed, once the others are known to be permitted."""
    if manifest is None:
        return set()
    check_shapes(manifest, {name: header.stand_in() for name, header in headers.items()})
    return {name for name, entry in manifest.inputs.items() if entry.mask == "always"}


def _read(archive: zipfile.ZipFile, header: Header, source: Source, report: Report) -> NDArray[Any]:
    try:
        with quiet(), archive.open(header.member) as stream:
            array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
            stream.read(1)  # the checksum is looked at with the end
        return array
    except _DAMAGED as error:
        report.error("PG513", _fault(source, header.name, error), help=_help(error))
        return header.stand_in()


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


def _unreadable(source: Source | None, fault: str) -> DiagnosticError:
    what = f"{source} cannot be read: {fault}" if source else fault
    help = _WRITE_ONE
    if source is not None and source.is_file and source.path.suffix != ".npz":
        name = str(source.path.with_suffix(".npz"))
        array = f"numpy.load({str(source.path)!r})" if source.path.suffix == SUFFIX else "ARRAY"
        help = f"numpy.savez({name!r}, NAME={array}) writes one"
    return DiagnosticError.of("PG513", what, help=help)


def _what_it_is(head: bytes) -> str:
    if head == b"\x93NUMPY":
        return "it is a single array (.npy), and arrays are given by name, in an archive (.npz)"
    return "it is not an .npz archive, or not a complete one" if head else "it is empty (0 bytes)"


def _fault(source: Source, name: str, error: Exception) -> str:
    fault = "holds Python objects" if holds_objects(error) else f"is damaged ({reason(error)})"
    return f"array {quote(name)} of {source} {fault}"


def _help(error: Exception) -> str:
    if holds_objects(error):
        return "save plain numbers: an array whose dtype is not `object`"
    return "write the archive again"
