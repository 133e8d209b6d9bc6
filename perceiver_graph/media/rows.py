"""Points and tables in: rows of numbers, one for each token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.media.files.numbers.common import MOST_BYTES
from perceiver_graph.media.io import Arrays, Piece, Reader, Reading, reading
from perceiver_graph.media.lengths import Length
from perceiver_graph.runtime.opening import Source
from perceiver_graph.spec.manifest import Dimension, InputEntry


class RowsReader(Reader):
    """Reads a file as rows of numbers, which are filled up to as many as the model takes."""

    archives = True
    media_types = ("text/csv",)
    endings: ClassVar[tuple[str, ...]] = (".npy", ".npz", ".tsv")

    def __init__(self, name: str, entry: InputEntry, dims: Mapping[str, Dimension]) -> None:
        super().__init__(name, entry, dims)
        self._masked = entry.attention_mask is not None
        self._are_places = bool(entry.beside or entry.points_of)
        channels = entry.shape[-1]
        assert isinstance(channels, int)  # or its media would not fit
        self._channels = channels
        self._count = Length(entry, dims)

    def open(self, values: Sequence[str]) -> Reading:
        """Read the file. Raises DiagnosticError (PG502 to PG505, PG507, PG512, PG514)."""
        source = Source.of(values[0], noun="file of numbers", most=MOST_BYTES)
        piece = self._piece(source)
        return reading(source, pieces=lambda: iter([piece]))

    def _piece(self, source: Source) -> Piece:
        raise NotImplementedError

    def _filled(
        self,
        source: Source,
        values: NDArray[np.float32],
        there: NDArray[np.bool_],
        notes: tuple[str, ...],
    ) -> Piece:
        """The rows, of which some are `there`, filled up with zeros, which are not, to a number of
        them that the model takes, [1, count, channels]."""
        rows = len(there)
        count = self._count.at_least(rows)
        if count is None:
            raise DiagnosticError.of(
                "PG514",
                f"{source.label} has {rows} rows, and `{self._name}` takes {self._count}",
                help="leave rows out, or split the file",
            )
        padding = self._count.padding(count - rows)
        there = np.pad(there, padding)
        arrays: Arrays = {self._name: np.pad(values, (padding, (0, 0)))[None]}
        if self._masked:
            arrays[f"{self._name}.attention_mask"] = self._count.tokens(there)
        elif not there.all():
            what = f"{rows} rows" if count > rows else "rows that are masked"
            raise DiagnosticError.of(
                "PG503",
                f"{source.label} has {what}, and `{self._name}` takes {self._count}, "
                "all of them there",
                help="give as many rows"
                if self._are_places  # which cannot be masked by themselves
                else "give as many rows, or set `attention_mask: true` in the spec and compile again",
            )
        return Piece(arrays, notes=notes)
