"""Arrays from .npy and .npz files: nothing is unpickled, and nothing is allocated on the word of a header
before it is known that the file holds as much and that it may be as large."""

from __future__ import annotations

import math
import zipfile
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.media.files.numbers.common import MOST_BYTES, decoding, undecodable
from perceiver_graph.runtime.opening import Named, Source

_VERSIONS = ((1, 0), (2, 0), (3, 0))


def read_npy(named: Named) -> NDArray[Any]:
    """The array of an .npy file. Raises DiagnosticError (PG507, PG514)."""
    source = Source.of(named)
    with decoding(source), source.open() as stream:
        return _array(stream, source.label, source.size() if source.is_file else None)


def array_names(named: Named) -> list[str]:
    """The names of the arrays of an .npz archive. Raises DiagnosticError (PG507)."""
    source = Source.of(named)
    with decoding(source), source.open() as stream, zipfile.ZipFile(stream) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]


def read_array(named: Named, name: str) -> NDArray[Any]:
    """An array of an .npz archive. Raises DiagnosticError (PG507, PG514)."""
    source = Source.of(named)
    with decoding(source, name), source.open() as stream, zipfile.ZipFile(stream) as archive:
        members = archive.namelist()
        member = next(one for one in (f"{name}.npy", name) if one in members)
        with archive.open(member) as entry:
            held = archive.getinfo(member).file_size
            return _array(entry, f"array {quote(name)} of {source}", held)


def only_array(source: Source, wanted: str, besides: frozenset[str] = frozenset()) -> str:
    """The name of the array to read: `wanted`, or that of the only one that is not in `besides`.

    Raises DiagnosticError (PG512) if there is neither, PG507 for a damaged archive.
    """
    names = array_names(source)
    candidates = [name for name in names if name not in besides]
    if wanted in candidates:
        return wanted
    if len(candidates) == 1:
        return candidates[0]
    held = ", ".join(quote(name) for name in candidates[:8]) or "none"
    raise DiagnosticError.of(
        "PG512",
        f"{source} has no array called {quote(wanted)}",
        notes=[f"its arrays: {held}" + (", ..." if len(candidates) > 8 else "")],
        help=f"numpy.savez('in.npz', {wanted}=ARRAY) writes one",
    )


def _array(stream: IO[bytes], what: str, held: int | None) -> NDArray[Any]:
    """The array that is all of a stream, which holds so many bytes as far as that is known."""
    shape, in_columns, dtype = _header(stream)
    if dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded")
    size = math.prod(shape) * dtype.itemsize
    rest = size if held is None else held - stream.tell()
    if rest < size:
        raise _ends_early(what, rest, size)
    if size > MOST_BYTES:
        raise DiagnosticError.of(
            "PG514",
            f"{what} has the shape {list(shape)}: {size:,} bytes, and at most {MOST_BYTES:,} are read",
            help="save a part of it",
        )
    data = stream.read(size)
    if len(data) < size:
        raise _ends_early(what, len(data), size)
    if stream.read(1):
        fault = f"{what} goes on after the {size:,} bytes that its header promises"
        raise undecodable(fault, help="save one array to a file: numpy.save('points.npy', ARRAY)")
    values = np.frombuffer(data, dtype) if size else np.zeros(math.prod(shape), dtype)
    return values.reshape(shape, order="F" if in_columns else "C")


def _ends_early(what: str, have: int, want: int) -> DiagnosticError:
    fault = f"{what} is damaged: it ends after {have:,} of the {want:,} bytes"
    return undecodable(f"{fault} that its header promises")


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(stream)
    if version not in _VERSIONS:
        raise ValueError(f"format version {version[0]}.{version[1]}")
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, in_columns, dtype = read(stream)
    if any(size < 0 for size in shape):
        raise ValueError(f"the shape {list(shape)}")
    return shape, in_columns, dtype
