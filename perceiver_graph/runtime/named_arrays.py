"""Arrays that are named beside files: `joints=j.npy`, for inputs that are read from no kind of media."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics import DiagnosticError, Report, quote
from perceiver_graph.diagnostics.commands import command, option
from perceiver_graph.diagnostics.words import did_you_mean, joined
from perceiver_graph.media.entries import loaded
from perceiver_graph.media.files.numbers.npy import only_array, read_array, read_npy
from perceiver_graph.media.io import Piece, Reading
from perceiver_graph.runtime.inputs import as_element
from perceiver_graph.runtime.masks import mask_names
from perceiver_graph.runtime.opening import Source
from perceiver_graph.runtime.paths import is_path
from perceiver_graph.runtime.read_calls import as_given
from perceiver_graph.spec.manifest import Manifest

NPY, NPZ = ".npy", ".npz"


@dataclass(frozen=True)
class Named:
    """Arrays by the names of inputs, and their files as what is read in one piece."""

    arrays: Mapping[str, NDArray[Any]]
    reading: Reading


def array_names(manifest: Manifest) -> list[str]:
    """What comes as an array alone: inputs without media, and attention masks."""
    inputs = manifest.inputs.items()
    left = [name for name, entry in inputs if entry.media is None and entry.mask != "always"]
    return [*left, *mask_names(manifest)]


def array_of(name: str, path: str) -> NDArray[Any]:
    """The array of a file that is for an input of this name. Raises DiagnosticError (PG507, PG512, PG514)."""
    source = Source.of(path, noun="file of one array (.npy)")
    if source.path.suffix == NPZ:
        return read_array(source, only_array(source, name))
    return read_npy(source)


def take_arrays(
    values: Sequence[str | Path], manifest: Manifest
) -> tuple[list[str | Path], Named | None]:
    """The values that are not `NAME=FILE.npy`, and the arrays of those that are, as what is read in one
    piece. Raises DiagnosticError (PG503, PG507, PG512, PG514)."""
    rest: list[str | Path] = []
    found: dict[str, NDArray[Any]] = {}
    paths: list[Path] = []
    only = array_names(manifest)
    for value in values:
        name, equals, path = str(value).partition("=")
        _refuse_unnamed(str(value), manifest, only)
        if not equals or is_path(str(value)) or not _is_array(name, path, manifest, only):
            rest.append(value)
            continue
        if Path(path).suffix not in (NPY, NPZ):
            message = f"{quote(name)} comes as an array, and {quote(path)} names no file of one"
            help = f"save it (numpy.save) and name that: {option(f'{name}=FILE.npy')}"
            raise DiagnosticError.of("PG512", message, help=help)
        if name in found:
            raise DiagnosticError.of(
                "PG512", f"input {quote(name)} is given twice", help="give it once"
            )
        found[name] = array_of(name, path)
        paths.append(Path(path))
    if not found:
        return rest, None
    arrays = as_element(found, manifest)
    refuse_several(arrays, manifest)
    first = paths[0]
    pieces = [Piece(dict(arrays))]
    reading = Reading(str(first), first.stem, tuple(paths), lambda: iter(pieces))
    return rest, Named(arrays, reading)


def _refuse_unnamed(value: str, manifest: Manifest, only: Sequence[str]) -> None:
    """Refuse (PG512) a file of an array of which nothing says the input, or whose input is not there."""
    name, equals, path = ("", "", value) if is_path(value) else value.partition("=")
    if Path(path).suffix != NPY or not is_path(path):
        return
    read = {n: loaded(e.media.reader) for n, e in manifest.inputs.items() if e.media}
    takers = [*read, *only, *(f"{one}.points" for one in manifest.outputs)]
    if not read or name in takers:
        return
    if any(reader.archives for reader in read.values()) and not equals:
        return  # it is what is read from such files
    ways = did_you_mean(name, takers) if equals else None
    message = f"{quote(path)} is an array, and nothing says which input it is for"
    if equals:
        message = f"the model has no input {quote(name)}"
    inputs = [*dict.fromkeys([*only, *read])]
    say = f"say it: {joined([as_given(f'{one}={path}') for one in inputs], 'or')}"
    raise DiagnosticError.of("PG512", message, help=ways or say)


def _is_array(name: str, path: str, manifest: Manifest, only: Sequence[str]) -> bool:
    if name in only:
        return True
    entry = manifest.inputs.get(name)
    if entry is None or entry.media is None or Path(path).suffix != NPY:
        return False
    return not loaded(entry.media.reader).archives and is_path(path)


def refuse_several(arrays: Mapping[str, NDArray[Any]], manifest: Manifest) -> None:
    """Refuse (PG503) several elements of a batch where one is run on. Raises DiagnosticError."""
    report = Report()
    for name, array in arrays.items():
        entry = manifest.inputs.get(name)
        if entry is not None and np.ndim(array) == len(entry.shape) and len(array) != 1:
            report.error(
                "PG503",
                f"{quote(name)} has {len(array)} batch elements, and an item of a batch is one",
                help="give each a row of a table, or a file, of its own; all at once are for "
                f"{command('run', 'ARTIFACT', '--inputs', 'IN.npz')}",
            )
    report.raise_if_errors()
