"""Inputs and outputs as the manifest of an artifact describes them, and what reads and writes them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from importlib import import_module
from typing import Any, Literal

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.media.base import Part, Signature, mismatch
from perceiver_graph.media.io import Reader, Setting, Writer
from perceiver_graph.spec.manifest import InputEntry, Manifest, OutputEntry

Entry = InputEntry | OutputEntry


def part_of(name: str, entry: Entry) -> Part:
    """What the checks of a kind look at."""
    side: Literal["inputs", "outputs"] = "inputs" if isinstance(entry, InputEntry) else "outputs"
    sizes = dict(zip(entry.axes[1:], entry.shape[1:], strict=True))
    vocabulary = getattr(entry, "vocabulary", None)
    return Part(name, side, entry.media, sizes, entry.dtype, vocabulary)


def signature_of(manifest: Manifest) -> Signature:
    """What the outputs of a model are held against."""
    inputs = (part_of(*item) for item in manifest.inputs.items() if item[1].mask != "always")
    return Signature.of(inputs, (part_of(*item) for item in manifest.outputs.items()))


def require_fit(part: Part, signature: Signature | None = None) -> None:
    """Refuse media that do not fit, as the compiler does. Raises DiagnosticError (PG403)."""
    found = mismatch(part, signature)
    if found is not None:
        help = f"{found.remedy} in the spec, or change its `media`, and compile again"
        help = f"compile again: {found.remedy}" if found.whole else help
        raise DiagnosticError.of("PG403", found.fault, help=help)


def make_readers(manifest: Manifest, given: Collection[str] = ()) -> tuple[Reader, ...]:
    """The readers of the inputs that have media, but for those that are `given` otherwise.

    Raises DiagnosticError (PG403, PG512).
    """
    groups: dict[type[Reader], dict[str, InputEntry]] = {}
    for name, entry in manifest.inputs.items():
        if name not in given and entry.media is not None and entry.mask != "always":
            require_fit(part_of(name, entry))
            groups.setdefault(loaded(entry.media.reader), {})[name] = entry
    return tuple(reader for kind, some in groups.items() for reader in kind.of(some, manifest))


def make_writers(outputs: Mapping[str, OutputEntry], setting: Setting) -> list[Writer]:
    """New writers for the outputs that have media, in the order in which they write.

    Raises DiagnosticError (PG403).
    """
    groups: dict[type[Writer], dict[str, OutputEntry]] = {}
    signature = signature_of(setting.manifest)
    for name, entry in outputs.items():
        if entry.media is not None:
            require_fit(part_of(name, entry), signature)
            groups.setdefault(loaded(entry.media.writer), {})[name] = entry
    found = [writer for kind, some in groups.items() for writer in kind.of(some, setting)]
    return sorted(found, key=lambda one: one.shows_others)


def loaded(place: Any) -> Any:
    """A class, or what `MODULE:NAME` names."""
    if not isinstance(place, str):
        return place
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def sizes_of(entry: Entry) -> dict[str, int]:
    """The sizes of axes that are all fixed, batch left out."""
    sizes = zip(entry.axes[1:], entry.shape[1:], strict=True)
    return {axis: size for axis, size in sizes if isinstance(size, int)}


def rows_of(entry: Entry, axes: Sequence[str]) -> list[int]:
    """How an array with `axes` is transposed to have those of the entry, batch left out."""
    return [list(axes).index(axis) for axis in entry.axes[1:]]
