"""Optical flow: two pictures in, tile by tile; the flow between them out, blended from the tiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.runtime.kinds.axes import rows_of, sizes_of
from perceiver_graph.runtime.kinds.base import (
    Answer,
    Piece,
    Reader,
    Reading,
    Setting,
    Writer,
    reading,
)
from perceiver_graph.runtime.opening import Source
from perceiver_graph.runtime.processors.flow import (
    Frames,
    fitted,
    flow_inputs,
    kernel_of,
    read_frames,
    restored,
)
from perceiver_graph.runtime.processors.flow_picture import write_flo, write_flow_picture
from perceiver_graph.runtime.processors.picture_files import picture_source
from perceiver_graph.runtime.processors.tiles import Blend, Tile, tiles
from perceiver_graph.spec.manifest import InputEntry, Manifest, OutputEntry
from perceiver_graph.spec.media_fit import IMAGE_AXES, VIDEO_AXES
from perceiver_graph.spec.models.media import FlowInputMedia, FlowOutputMedia


@dataclass(frozen=True, eq=False)
class FlowTile:
    """A tile of two frames."""

    frames: Frames
    tile: Tile


def readers(inputs: Mapping[str, InputEntry], manifest: Manifest) -> list[Reader]:
    """A reader for each input that is a pair of frames."""
    return [
        FlowReader(name, entry, entry.media.flow.overlap)
        for name, entry in inputs.items()
        if isinstance(entry.media, FlowInputMedia)
    ]


class FlowReader(Reader):
    """Reads two pictures of the same size, the earlier one first."""

    noun = "two pictures"
    media_types = ("image/",)
    streams = True

    def __init__(self, name: str, entry: InputEntry, overlap: int) -> None:
        super().__init__(name)
        self._name = name
        sizes = sizes_of(entry)
        self.size = sizes["height"], sizes["width"]
        self._order = rows_of(entry, VIDEO_AXES)
        self._kernel = kernel_of(sizes["channel"])
        self._overlap = overlap

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
        count = len(tiles(frames.height, frames.width, *self.size, self._overlap))
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
        cut = flow_inputs(frames, *self.size, overlap=self._overlap, kernel=self._kernel)
        order = [0, *(axis + 1 for axis in self._order)]
        for tile, values in cut:
            array = np.ascontiguousarray(values.transpose(order))
            yield Piece({self._name: array}, (FlowTile(frames, tile),), notes=frames.notes)


def writers(outputs: Mapping[str, OutputEntry], setting: Setting) -> list[Writer]:
    """A writer for each output of flow; the first has the plain names."""
    found: list[Writer] = []
    for name, entry in outputs.items():
        if isinstance(entry.media, FlowOutputMedia):
            order = [entry.axes[1:].index(axis) for axis in IMAGE_AXES]
            found.append(FlowWriter(name, order, entry.media.flow.scale, f"-{name}" * bool(found)))
    return found


class FlowWriter(Writer):
    """Blends the flow of the tiles; writes it as .flo and as a picture."""

    def __init__(self, output: str, order: Sequence[int], scale: float, mark: str) -> None:
        super().__init__(output)
        self._name = output
        self._order = order
        self._scale = scale
        self.suffixes = (f"{mark}.flo", f"{mark}.png")
        self._blend: Blend | None = None
        self._frames: Frames | None = None

    def add(self, piece: Piece, results: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """Take the flow of a tile [1, height, width, 2]."""
        place = piece.origin(FlowTile)
        assert place is not None  # the factory asks for a reader of frames
        if self._blend is None:
            self._frames = place.frames
            self._blend = Blend(place.frames.height, place.frames.width, channels=2)
        self._blend.add(place.tile, results[self._name][0].transpose(self._order))
        return {}

    def finish(self, lines: Sequence[str]) -> dict[str, Answer]:
        """Write the files; what is said of the flow is how far things moved."""
        assert self._blend is not None
        assert self._frames is not None
        flow = restored(self._blend.result(), self._frames, self._scale)
        for suffix, write in zip(self.suffixes, (write_flo, write_flow_picture), strict=True):
            write(self.path(suffix), flow)
        length = np.hypot(flow[..., 0], flow[..., 1])
        height, width = length.shape
        data = {
            "height": height,
            "width": width,
            "mean_pixels": float(length.mean()),
            "longest_pixels": float(length.max()),
            "files": [self.path(suffix).name for suffix in self.suffixes],
        }
        line = f"{width} x {height}, moved {length.mean():.3g} pixels, at most {length.max():.3g}"
        if not np.isfinite(length).all():
            line = f"{width} x {height}, and not finite everywhere"
        return {self._name: Answer(data, line)}
