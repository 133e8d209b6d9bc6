"""Clouds of points in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from perceiver_graph.media.io import Piece, Reader
from perceiver_graph.media.points.cloud import points_input
from perceiver_graph.media.rows import RowsReader
from perceiver_graph.runtime.opening import Source
from perceiver_graph.spec.manifest import InputEntry, Manifest


class PointsReader(RowsReader):
    """Reads a cloud of points; of more than the model takes, evenly spaced ones are taken, unless some
    are latents that the caller chooses by their numbers: these are numbers of the file's points."""

    noun = "a file of points"
    endings = (*RowsReader.endings, ".ply", ".off", ".pcd", ".xyz", ".pts", ".txt")
    _numbered = False
    """Whether another array holds numbers of its points."""

    @classmethod
    def of(cls, inputs: Mapping[str, InputEntry], manifest: Manifest) -> Sequence[Reader]:
        """One for each input."""
        numbers = [entry for entry in manifest.inputs.values() if entry.among is not None]
        found = [cls(name, entry, manifest.dims) for name, entry in inputs.items()]
        for reader in found:
            reader._numbered = any(reader._name in entry.beside for entry in numbers)
        return found

    def _piece(self, source: Source) -> Piece:
        limit = None if self._numbered else self._count.max
        points, notes = points_input(
            source,
            self._channels,
            limit=limit,
            centre=self._form.centre,
            name=self._name,
            called=self._entry.coordinates,
        )
        return self._filled(source, points[0], np.ones(points.shape[1], np.bool_), notes)
