"""The axes of an input or output, as a kind of media needs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.media.fit import Around, Part, misfit, named
from perceiver_graph.spec.manifest import InputEntry, Manifest, OutputEntry

Entry = InputEntry | OutputEntry


def part_of(name: str, entry: Entry) -> Part:
    """An input or an output as the manifest of an artifact describes it."""
    side: Literal["inputs", "outputs"] = "inputs" if isinstance(entry, InputEntry) else "outputs"
    sizes = dict(zip(entry.axes[1:], entry.shape[1:], strict=True))
    part = Part(name, side, *named(entry.media), sizes)
    if isinstance(entry, OutputEntry):
        return part
    return replace(part, dtype=entry.dtype, vocabulary=entry.vocabulary)


def surroundings(manifest: Manifest) -> Around:
    """What the outputs of a model are held against."""
    inputs = (part_of(*item) for item in manifest.inputs.items() if item[1].mask != "always")
    return Around.of(inputs, (part_of(*item) for item in manifest.outputs.items()))


def require_fit(part: Part, around: Around | None = None) -> None:
    """Refuse media that do not fit, as the compiler does. Raises DiagnosticError (PG403)."""
    found = misfit(part, around)
    if found is not None:
        help = f"{found.remedy} in the spec, or change its `media`, and compile again"
        raise DiagnosticError.of("PG403", found.fault, help=help)


def sizes_of(entry: Entry) -> dict[str, int]:
    """The sizes of axes that are all fixed, batch left out."""
    sizes = zip(entry.axes[1:], entry.shape[1:], strict=True)
    return {axis: size for axis, size in sizes if isinstance(size, int)}


def rows_of(entry: Entry, axes: Sequence[str]) -> list[int]:
    """How an array with `axes` is transposed to have those of the entry, batch left out."""
    return [list(axes).index(axis) for axis in entry.axes[1:]]
