"""Clouds of points in."""

from __future__ import annotations

import numpy as np

from perceiver_graph.media.io import Piece
from perceiver_graph.media.points.cloud import points_input
from perceiver_graph.media.rows import RowsReader
from perceiver_graph.runtime.opening import Source


class PointsReader(RowsReader):
    """Reads a cloud of points; of more than the model takes, evenly spaced ones are taken."""

    noun = "a file of points"

    def _piece(self, source: Source) -> Piece:
        points, notes = points_input(
            source, self._channels, limit=self._count.max, centre=self._form.centre, name=self._name
        )
        return self._filled(source, points[0], np.ones(points.shape[1], np.bool_), notes)
