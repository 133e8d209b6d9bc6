"""The kinds of media that the runtime knows: a row for each, and a file with its reader or writer.

Codecs and filters are imported when they are first needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from perceiver_graph.media.axes import part_of, require_fit, surroundings
from perceiver_graph.media.base import kind_of
from perceiver_graph.media.boxes import writer as boxes
from perceiver_graph.media.classes import writer as classes
from perceiver_graph.media.clip import reader as clips
from perceiver_graph.media.clip import writer as tracks
from perceiver_graph.media.flow import reader as flows
from perceiver_graph.media.flow import writer as flow_writer
from perceiver_graph.media.image import reader as images
from perceiver_graph.media.io import Answer, Arrays, Piece, Reader, Reading, Setting, Writer
from perceiver_graph.media.labels import writer as labels
from perceiver_graph.media.points import reader as points
from perceiver_graph.media.scores import writer as scores
from perceiver_graph.media.span import writer as spans
from perceiver_graph.media.table import reader as table
from perceiver_graph.media.text import reader as texts
from perceiver_graph.media.text import writer as fill
from perceiver_graph.spec.manifest import InputEntry, Manifest, OutputEntry

MakeReaders = Callable[[Mapping[str, InputEntry], Manifest], list[Reader]]
MakeWriters = Callable[[Mapping[str, OutputEntry], Setting], list[Writer]]

READERS: dict[str, MakeReaders] = {
    "video": clips.readers,
    "audio": clips.readers,
    "mel": clips.readers,
    "image": images.readers,
    "text": texts.readers,
    "flow": flows.readers,
    "points": points.point_readers,
    "table": table.table_readers,
}
"""By the kind of an input; what makes the readers is called once with all inputs of its kinds."""

WRITERS: dict[str, MakeWriters] = {
    "classes": classes.class_writers,
    "scores": scores.score_writers,
    "text": fill.writers,
    "labels": labels.label_writers,
    "span": spans.span_writers,
    "boxes": boxes.writers,
    "flow": flow_writer.writers,
    "video": tracks.writers,
    "audio": tracks.writers,
}
"""By the kind of an output, in the order in which they write: a sheet shows what others say."""


def make_readers(manifest: Manifest) -> tuple[Reader, ...]:
    """The readers of the inputs that have media. Raises DiagnosticError (PG403, PG512)."""
    groups: dict[MakeReaders, dict[str, InputEntry]] = {}
    for name, entry in manifest.inputs.items():
        if entry.media is not None and entry.mask != "always":
            require_fit(part_of(name, entry))
            groups.setdefault(READERS[kind_of(entry.media)], {})[name] = entry
    return tuple(reader for make, inputs in groups.items() for reader in make(inputs, manifest))


def make_writers(outputs: Mapping[str, OutputEntry], setting: Setting) -> list[Writer]:
    """New writers for the outputs that have media. Raises DiagnosticError (PG403)."""
    groups: dict[MakeWriters, dict[str, OutputEntry]] = {make: {} for make in WRITERS.values()}
    model = surroundings(setting.manifest)
    for name, entry in outputs.items():
        if entry.media is not None:
            require_fit(part_of(name, entry), model)
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
