"""What a model takes of an item: which inputs files are read for, and which are given as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from perceiver_graph.cluster.job import Item
from perceiver_graph.diagnostics import DiagnosticError, escape
from perceiver_graph.media.entries import make_readers
from perceiver_graph.media.io import Reader
from perceiver_graph.runtime.masks import mask_names
from perceiver_graph.runtime.named_arrays import NPY, NPZ
from perceiver_graph.spec.manifest import Manifest


@dataclass(frozen=True)
class Takes:
    """The readers of a model, and the names of what comes as an array alone: inputs without media,
    attention masks. `needed` are those that may not be left out."""

    readers: tuple[Reader, ...]
    arrays: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """What the model of a manifest takes. Raises DiagnosticError (PG403, PG512)."""
        readers = _readers(manifest)
        read = {name for reader in readers for name in reader.inputs}
        left = {n: e for n, e in manifest.inputs.items() if e.mask != "always" and n not in read}
        needed = tuple(name for name, entry in left.items() if entry.mask == "never")
        return cls(readers, (*left, *mask_names(manifest)), needed)

    @property
    def read(self) -> list[str]:
        """The inputs that files are read for."""
        return [name for reader in self.readers for name in reader.inputs]

    @property
    def nouns(self) -> str:
        """What it is run on, for messages."""
        found = [reader.noun for reader in self.readers] or ["an archive of arrays (.npz)"]
        return " or ".join(found)

    def table(self, file: object = "FILE") -> str:
        """A table that would do, as help shows it."""
        names = self.needed or (() if self.read else self.arrays[:1])
        cells = dict.fromkeys(self.read, file) | dict.fromkeys(names, "FILE.npy")
        row = escape.json(cells, indent=None, end="")
        return f"a table (.jsonl, .parquet) with rows such as {row}"

    def is_array(self, name: str, path: str) -> bool:
        """Whether a file that is given for an input is an array, and none of its reader's."""
        readers = [reader for reader in self.readers if name in reader.inputs]
        return path.endswith((NPY, NPZ)) and not any(reader.archives for reader in readers)

    def item(self, name: str, path: Path) -> Item:
        """The item of a file that nothing says more of: an archive has arrays by the names of inputs."""
        place, archives = str(path.absolute()), any(reader.archives for reader in self.readers)
        if path.suffix == NPZ and not archives:
            return Item(name, (), (f"={place}",))
        if path.suffix == NPY and not archives and (only := self._only):
            return Item(name, (), (f"{only}={place}",))
        return Item(name, (place,))

    @property
    def _only(self) -> str | None:
        """The input that a single array is for, if there is one only."""
        names = [*self.read, *self.needed]
        return names[0] if len(names) == 1 else None


def _readers(manifest: Manifest) -> tuple[Reader, ...]:
    """The readers of a model, or those of each input where all of them together cannot be read: a row
    may give some as arrays."""
    try:
        return make_readers(manifest)
    except DiagnosticError:
        names = {name for name, entry in manifest.inputs.items() if entry.media is not None}
        each = (make_readers(manifest, names - {name}) for name in manifest.inputs if name in names)
        return tuple(reader for readers in each for reader in readers)


def columns(takes: Takes, more: Sequence[str]) -> list[str]:
    """The names that a table may have for its columns; `more` are those that are no inputs."""
    names = [*takes.read, *takes.arrays]
    return [*names, *(name for name in more if name not in names)]
