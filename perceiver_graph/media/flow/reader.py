"""Optical flow: two pictures in, tile by tile; the flow between them out, blended from the tiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.media.entries import rows_of, sizes_of
from perceiver_graph.media.files.pictures import picture_source
from perceiver_graph.media.fit import VIDEO_AXES
from perceiver_graph.media.flow.frames import (
    Frames,
    fitted,
    flow_inputs,
    read_frames,
)
from perceiver_graph.media.flow.model import neighbourhood
from perceiver_graph.media.flow.tiles import Tile, tiles
from perceiver_graph.media.io import Piece, Reader, Reading, reading
from perceiver_graph.runtime.opening import Source
from perceiver_graph.spec.manifest import Dimension, InputEntry


@dataclass(frozen=True, eq=False)
class FlowTile:
    """A tile of two frames."""

    frames: Frames
    tile: Tile


class FlowReader(Reader):
    """Reads two pictures of the same size, the earlier one first."""

    noun = "two pictures"
    media_types = ("image/",)
    streams = True

    def __init__(self, name: str, entry: InputEntry, dims: Mapping[str, Dimension]) -> None:
        super().__init__(name, entry, dims)
        sizes = sizes_of(entry)
        self.size = sizes["height"], sizes["width"]
        self._order = rows_of(entry, VIDEO_AXES)
        self._kernel = neighbourhood(sizes["channel"]) or 1

    def split(self, values: Sequence[str]) -> list[list[str]]:
        """Two pictures are a pair. Raises DiagnosticError (PG501)."""
        if len(values) % 2:
            raise DiagnosticError.of(
                "PG501",
                f"flow is between two pictures, and {values[-1]} has no second one",
                help=f"give the frame after it: {values[-1]} SECOND",
            )
        return [list(values[index : index + 2]) for index in range(0, len(values), 2)]

    def open(self, values: Sequence[str]) -> Reading:
        """Read both pictures. Raises DiagnosticError (PG503, PG507, PG509, PG512)."""
        first, second = map(picture_source, values)
        frames = self._frames(first, second)
        count = len(tiles(frames.height, frames.width, *self.size, self._form.overlap))
        return reading(
            first,
            second,
            pieces=lambda: self._pieces(self._frames(first, second)),
            expected=count,
        )

    def _frames(self, first: Source, second: Source) -> Frames:
        frames, notes = read_frames(first, second, room=self.room)
        return fitted(frames, *self.size, notes)

    def _pieces(self, frames: Frames) -> Iterator[Piece]:
        cut = flow_inputs(frames, *self.size, overlap=self._form.overlap, kernel=self._kernel)
        order = [0, *(axis + 1 for axis in self._order)]
        for tile, values in cut:
            array = np.ascontiguousarray(values.transpose(order))
            yield Piece({self._name: array}, (FlowTile(frames, tile),), notes=frames.notes)
