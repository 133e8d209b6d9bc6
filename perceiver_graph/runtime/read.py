"""Files and texts as the arrays that they become, for who has no folder of results in mind."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics import DiagnosticError, Report, quote
from perceiver_graph.diagnostics.arguments import wrong_kind
from perceiver_graph.diagnostics.words import did_you_mean

if TYPE_CHECKING:
    from perceiver_graph.media.io import Piece, Reader
    from perceiver_graph.spec.manifest import Manifest

File = str | os.PathLike[str]


class Reads:
    """What a program does that reads files."""

    manifest: Any

    def read(
        self, *files: File, memory: int | None = None, **inputs: File | Sequence[File]
    ) -> dict[str, NDArray[Any]]:
        """The arrays of files and texts, as `perceiver-graph run` reads them: `run` takes them.

        `read("a text")`, `read("clip.mp4")` for a model that reads one kind; `read(text="Where?",
        image="cat.png")` says which input each is for. Several files by themselves, and the windows of
        a clip, follow each other in the batch. Inputs that are no files are added to what comes back.
        What the command line notes, a picture of which only one of several is taken say, is a warning.
        `memory` is what reading may take, in bytes. Raises DiagnosticError (PG501, PG507 to PG512, PG514).
        """
        return _read(self.manifest, files, inputs, memory)


def _read(
    manifest: Manifest,
    files: Sequence[File],
    inputs: Mapping[str, File | Sequence[File]],
    memory: int | None,
) -> dict[str, NDArray[Any]]:
    from perceiver_graph.media.entries import make_readers
    from perceiver_graph.runtime.sources import file_readers, find_subjects

    # What is no file, or is not named, may come as an array: it is for `run` to say what lacks.
    each = [reader.inputs for reader in make_readers(manifest)]
    known = [name for names in each for name in names]
    named = [name for names in each if not {*names}.isdisjoint(inputs) for name in names]
    read = named if named and not files else known
    arrays = [name for name in manifest.inputs if name not in read] if known else []
    readers = file_readers(manifest, memory, arrays)
    report = Report()
    for name in (name for name in inputs if name not in known):
        these = f"the inputs that are read from files are {', '.join(map(quote, known))}"
        message = f"the model reads no input {quote(name)} from files"
        array = f'add its array to what is read: `program.run({{**READ, "{name}": ARRAY}})`'
        other = f"{array}; {these}" if name in manifest.inputs else did_you_mean(name, known)
        report.error("PG502", message, help=other or these)
    report.raise_if_errors()
    values = [_text("a file or a text", one) for one in files]
    for name, given in inputs.items():
        several = [given] if isinstance(given, str | os.PathLike) else given
        if not isinstance(several, Sequence) or isinstance(several, bytes | bytearray):
            raise _told(wrong_kind(name, "a file, a text or a list of them", given), given)
        values += [f"{name}={_text(name, one)}" for one in several]
    subjects = [one for group in _groups(values, readers) for one in find_subjects(group, readers)]
    pieces = [piece for subject in subjects for piece in subject.pieces()]
    for note in dict.fromkeys(note for piece in pieces for note in piece.notes):
        warnings.warn(note, stacklevel=3)  # it is the caller's
    return _batch(pieces)


def _groups(values: Sequence[str], readers: Sequence[Reader]) -> list[list[str]]:
    """What goes together: all of it, but of several for one input each is read by itself."""
    names = {value.partition("=")[0] for value in values}
    named = [one for one in readers if len(one.inputs) == 1 and names == {*one.inputs}]
    if not named:
        return [[*values]]
    groups = named[0].split([value.partition("=")[2] for value in values])
    return [[f"{named[0].inputs[0]}={value}" for value in group] for group in groups]


def _text(argument: str, given: object) -> str:
    if isinstance(given, str | os.PathLike) and isinstance(text := os.fspath(given), str):
        return text
    raise _told(wrong_kind(argument, "a path or a text", given), given)


def _told(error: TypeError, given: object) -> TypeError:
    """With what is called of what is in memory already: to be written to a file, or to be run on."""
    way = None
    if isinstance(given, bytes | bytearray):
        way = "a text in bytes is `.decode()`; those of a file are written to one, and its path is read"
    elif hasattr(given, "save") and hasattr(given, "convert"):  # a picture of Pillow
        way = 'save it, `.save("a.png")`, and read that'
    elif hasattr(given, "read"):
        way = "give the path of the file: its `.name`, if it has one"
    elif hasattr(given, "shape"):
        way = "arrays need no reading: `run({NAME: ARRAY})` takes them"
    elif isinstance(given, Mapping):
        way = "give what it has by name: `read(**IT)`"
    elif isinstance(given, Iterable):
        way = "give them one by one: `read(*THEM)`, or a list of them by name"
    return TypeError(f"{error}: {way}") if way else error


def _batch(pieces: Sequence[Piece]) -> dict[str, NDArray[Any]]:
    """The pieces behind each other. Raises DiagnosticError (PG512) where they do not fit so."""
    shapes = [{name: array.shape[1:] for name, array in one.arrays.items()} for one in pieces]
    if any(one != shapes[0] for one in shapes):
        raise DiagnosticError.of(
            "PG512",
            "what was given has other shapes, or other inputs, from one to the next, and makes no batch",
            help="read each by itself",
        )
    if len(pieces) == 1:
        return dict(pieces[0].arrays)
    return {n: np.concatenate([one.arrays[n] for one in pieces]) for n in pieces[0].arrays}
