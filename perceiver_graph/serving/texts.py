"""Texts in requests: they become ids as `run` makes them, for inputs that read texts.

A text is a text here, whatever it says: none is taken for the name of a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.media.entries import make_readers
from perceiver_graph.media.io import Reader
from perceiver_graph.serving.calls import Call
from perceiver_graph.serving.tensors import TEXTS, wrong
from perceiver_graph.spec.manifest import Manifest

_MOST = 1 << 24
"""Ids of a request: a few bytes could ask for any number, since a batch is as long as its longest text."""


def readers_of(manifest: Manifest) -> dict[str, Reader]:
    """What makes arrays of texts, by the inputs that take some."""
    found: dict[str, Reader] = {}
    names = manifest.inputs.keys()
    for name in names:
        with suppress(DiagnosticError):  # it is read from no file either
            for reader in make_readers(manifest, names - {name}):
                found |= {name: reader} if reader.literal else {}
    return found


def has_texts(call: Call) -> bool:
    """Whether anything of a call is a text still."""
    return any(array.dtype == object for array in call.arrays.values())


def with_ids(readers: Mapping[str, Reader], call: Call) -> Call:
    """A call whose texts are ids, each batch padded to the longest of it.

    Raises DiagnosticError (PG512, PG514, PG531, PG603).
    """
    arrays, notes = {}, list(call.notes)
    for name, array in call.arrays.items():
        if array.dtype != object:
            arrays[name] = array
            continue
        if name not in readers:
            known = ", ".join(map(quote, readers)) or "none of this model"
            help = f"inputs that read texts: {known}"
            raise wrong(f"input {quote(name)} takes numbers, and {TEXTS} are given", help)
        if array.ndim not in (1, 2):
            message = f"texts for input {quote(name)} have {array.ndim} axes"
            raise wrong(message, "give [batch], or [batch, texts of one element]")
        rows = array.reshape(len(array), -1).tolist()
        longest = max(sum(map(len, row)) for row in rows)
        if len(rows) * longest > _MOST:
            message = f"{len(rows)} texts, the longest of {longest:,} characters, are too many"
            raise wrong(message, "send fewer at a time: all become as long as the longest")
        piece = readers[name].of_texts(rows)
        arrays |= piece.arrays
        notes += piece.notes
    return replace(call, arrays=arrays, notes=tuple(notes))
