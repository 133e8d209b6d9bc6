"""Clouds of points in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.media.io import Piece, Reader
from perceiver_graph.media.points.cloud import points_input
from perceiver_graph.media.points.model import PointsMedia
from perceiver_graph.media.rows import RowsReader
from perceiver_graph.media.table.rows import Table
from perceiver_graph.runtime.opening import Source
from perceiver_graph.spec.manifest import Dimension, InputEntry, Manifest


def point_readers(inputs: Mapping[str, InputEntry], manifest: Manifest) -> list[Reader]:
    """A reader for each input that is a cloud of points."""
    return [
        PointsReader(name, entry, manifest.dims, entry.media.points.centre)
        for name, entry in inputs.items()
        if isinstance(entry.media, PointsMedia)
    ]


class PointsReader(RowsReader):
    """Reads a cloud of points; of more than the model takes, evenly spaced ones are taken."""

    noun = "a file of points"

    def __init__(
        self, name: str, entry: InputEntry, dims: Mapping[str, Dimension], centre: bool
    ) -> None:
        super().__init__(name, entry, dims)
        self._centre = centre

    def _piece(self, source: Source) -> Piece:
        points, notes = points_input(
            source, self._channels, limit=self._count.max, centre=self._centre, name=self._name
        )
        return self._filled(_table(source, points[0]), notes)


def _table(source: Source, values: NDArray[np.float32]) -> Table:
    return Table(Path(source.label), values, np.ones(len(values), bool))
