"""Arrays in .npz archives: read without pickles, written whole or not at all."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph import limits
from perceiver_graph.diagnostics import DiagnosticError, Report, quote
from perceiver_graph.runtime.feeds import check_shapes
from perceiver_graph.runtime.headers import SUFFIX, Header, read_header
from perceiver_graph.runtime.masks import SUFFIX as MASK
from perceiver_graph.runtime.opening import STANDARD_INPUT, Named, Source
from perceiver_graph.runtime.paths import is_path
from perceiver_graph.runtime.read_errors import DAMAGED, holds_objects, quiet, reason
from perceiver_graph.runtime.room import require_room
from perceiver_graph.runtime.written import ARCHIVE_COMMENT, refuse_others, seal
from perceiver_graph.spec.manifest import Manifest
from perceiver_graph.storage import staged_file

_DAMAGED = (*DAMAGED, MemoryError)
_SMALLER = "a smaller batch"
_MOST_NAMES = 6  # inputs whose arrays are shown


def read_arrays(
    named: Named, manifest: Manifest | None = None, *, element: bool = False
) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz archive by name; it may come from a pipe.

    `element`: they are those of one element of a batch, whose axis may be left out.

    The headers are read first. Of what `manifest` does not permit, nothing more is read, and an input
    that is always masked comes without its values.
    Python objects are never unpickled. Raises DiagnosticError (PG513) naming every array that cannot
    be read, as `check_shapes` where there is a manifest, and PG603 for more than the memory of this
    machine.
    """
    source = archive_of_arrays(named, manifest)
    report = Report()
    try:
        head = source.peek(6)
        if not head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            raise _unreadable(source, f"{source} cannot be read: {_what_it_is(head)}", manifest)
        with source.open() as file, zipfile.ZipFile(file) as archive:
            _refuse_torch(source, archive)
            headers = _headers(archive, source, report)
            report.raise_if_errors()
            ignored = _ignored(manifest, headers, element)
            for header in headers.values():
                require_room(header.shape, header.dtype, f"array {quote(header.name)}", _SMALLER)
            return {
                name: header.stand_in()
                if name in ignored
                else _read(archive, header, source, report)
                for name, header in headers.items()
            }
    except OSError as error:
        fault = f"{source} cannot be read: {error.strerror or error}"
        raise _unreadable(source, fault, manifest) from error
    except _DAMAGED as error:
        fault = f"{source} cannot be read: it is damaged ({reason(error)})"
        raise _unreadable(source, fault, manifest) from error
    finally:
        report.raise_if_errors()


def archive_of_arrays(named: Named, manifest: Manifest | None = None) -> Source:
    """What a name stands for. Raises DiagnosticError (PG513)."""
    try:
        return Source.of(named, noun="archive of arrays", most=limits.ARCHIVE_BYTES)
    except DiagnosticError as error:
        (found,) = error.diagnostics
        name, equals, single = str(named).partition("=")
        if equals and single.endswith(SUFFIX) and is_path(single):
            fault = f"{found.message}: arrays are given by name in an archive (.npz)"
            raise _unreadable(Path(single), fault, manifest, name) from error
        if str(named).endswith(SUFFIX) and not is_path(str(named)):  # nothing to make one of
            raise DiagnosticError.of("PG513", found.message, help=found.help) from error
        raise _unreadable(named, found.message, manifest) from error


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


def as_element(arrays: Mapping[str, NDArray[Any]], manifest: Manifest) -> dict[str, NDArray[Any]]:
    """Arrays of one element of a batch, with its axis where that was left out."""
    ranks = {name: len(entry.shape) for name, entry in manifest.inputs.items()}
    for name, entry in manifest.inputs.items():
        if entry.attention_mask is not None:
            ranks[f"{name}{MASK}"] = len(entry.attention_mask.shape)
    return {
        name: array[None] if array.ndim + 1 == ranks.get(name) else array
        for name, array in arrays.items()
    }


def _ignored(manifest: Manifest | None, headers: Mapping[str, Header], element: bool) -> set[str]:
    """The arrays whose values are not needed, once the others are known to be permitted."""
    if manifest is None:
        return set()
    described = {name: header.stand_in() for name, header in headers.items()}
    check_shapes(manifest, as_element(described, manifest) if element else described)
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


def _unreadable(
    named: Named, fault: str, manifest: Manifest | None, only: str = ""
) -> DiagnosticError:
    """PG513 with the program that writes such an archive, under the name that was given; a single array
    is for the input `only`, if one was named."""
    path = named.path if isinstance(named, Source) else Path(named)
    if str(path) == STANDARD_INPUT or (is_path(str(path)) and not path.is_file()):
        path = Path("in.npz")
    single = path.suffix == SUFFIX
    loaded = f"numpy.load({str(path)!r})" if single else "ARRAY"
    used = manifest.inputs.items() if manifest else ()
    names = [name for name, entry in used if entry.mask != "always"]
    arrays = {n: "ARRAY" if only in names and n != only else loaded for n in names[:_MOST_NAMES]}
    if not names or (single and len(names) > 1 and only not in names):
        arrays = {"NAME": loaded}
    plain = [f"{name}={array}" for name, array in arrays.items() if name.isidentifier()]
    others = [f"{name!r}: {array}" for name, array in arrays.items() if not name.isidentifier()]
    words = [*plain, *([f"**{{{', '.join(others)}}}"] if others else [])]
    target = repr(str(path.with_suffix(".npz")))
    return DiagnosticError.of(
        "PG513", fault, help=f"numpy.savez({', '.join([target, *words])}) writes one"
    )


def _refuse_torch(source: Source, archive: zipfile.ZipFile) -> None:
    """A file of PyTorch is an archive as well, and of another kind. Raises DiagnosticError (PG513)."""
    if any(name.endswith("/data.pkl") for name in archive.namelist()):
        path = source.path if source.is_file else Path("FILE.pt")
        target, loaded = str(path.with_suffix(".npz")), f"torch.load({str(path)!r})"
        raise DiagnosticError.of(
            "PG513",
            f"{source} is a file of PyTorch, and arrays are given by name in an archive (.npz)",
            help=f"numpy.savez({target!r}, NAME={loaded}) writes one of a tensor, and "
            f"numpy.savez({target!r}, **{loaded}) one of a dict of tensors by the names of inputs",
        )


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
