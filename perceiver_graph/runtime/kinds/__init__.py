"""The kinds of media that the runtime knows: a row for each, and a file with its reader or writer.

Codecs and filters are imported when they are first needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from perceiver_graph.runtime.kinds import (
    boxes,
    classes,
    clips,
    fill,
    flows,
    images,
    rows,
    spans,
    texts,
    tracks,
)
from perceiver_graph.runtime.kinds.axes import require_fit, surroundings
from perceiver_graph.runtime.kinds.base import (
    Answer,
    Arrays,
    Piece,
    Reader,
    Reading,
    Setting,
    Writer,
)
from perceiver_graph.spec.manifest import InputEntry, Manifest, OutputEntry
from perceiver_graph.spec.media_fit import Part
from perceiver_graph.spec.models.media import kind_of

MakeReaders = Callable[[Mapping[str, InputEntry], Manifest], list[Reader]]
MakeWriters = Callable[[Mapping[str, OutputEntry], Setting], list[Writer]]

READERS: dict[str, MakeReaders] = {
    "video": clips.readers,
    "audio": clips.readers,
    "mel": clips.readers,
    "image": images.readers,
    "text": texts.readers,
    "flow": flows.readers,
    "points": rows.point_readers,
    "table": rows.table_readers,
}
"""By the kind of an input; what makes the readers is called once with all inputs of its kinds."""

WRITERS: dict[str, MakeWriters] = {
    "classes": classes.class_writers,
    "scores": classes.score_writers,
    "text": fill.writers,
    "labels": spans.label_writers,
    "span": spans.span_writers,
    "boxes": boxes.writers,
    "flow": flows.writers,
    "video": tracks.writers,
    "audio": tracks.writers,
}
"""By the kind of an output, in the order in which they write: a sheet shows what others say."""


def make_readers(manifest: Manifest) -> tuple[Reader, ...]:
    """The readers of the inputs that have media. Raises DiagnosticError (PG403, PG512)."""
    groups: dict[MakeReaders, dict[str, InputEntry]] = {}
    for name, entry in manifest.inputs.items():
        if entry.media is not None and entry.mask != "always":
            require_fit(Part.of_input(name, entry))
            groups.setdefault(READERS[kind_of(entry.media)], {})[name] = entry
    return tuple(reader for make, inputs in groups.items() for reader in make(inputs, manifest))


def make_writers(outputs: Mapping[str, OutputEntry], setting: Setting) -> list[Writer]:
    """New writers for the outputs that have media. Raises DiagnosticError (PG403)."""
    groups: dict[MakeWriters, dict[str, OutputEntry]] = {make: {} for make in WRITERS.values()}
    model = surroundings(setting.manifest)
    for name, entry in outputs.items():
        if entry.media is not None:
            require_fit(Part.of_output(name, entry), model)
            groups[WRITERS[kind_of(entry.media)]][name] = entry
    return [writer for make, some in groups.items() if some for writer in make(some, setting)]


__all__ = [
    "READERS",
    "WRITERS",
    "Answer",
    "Arrays",
    "Piece",
    "Reader",
    "Reading",
    "Setting",
    "Writer",
    "make_readers",
    "make_writers",
]
