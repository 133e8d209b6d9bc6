"""Optical flow out, blended from its tiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.media.base import settings_of
from perceiver_graph.media.fit import IMAGE_AXES
from perceiver_graph.media.flow.frames import Frames, restored
from perceiver_graph.media.flow.model import FlowOutputParameters
from perceiver_graph.media.flow.picture import write_flo
from perceiver_graph.media.flow.reader import FlowTile
from perceiver_graph.media.flow.sheet import flow_sheet
from perceiver_graph.media.flow.tiles import Blend
from perceiver_graph.media.io import Answer, Piece, Setting, Writer
from perceiver_graph.spec.manifest import OutputEntry


class FlowWriter(Writer):
    """Blends the flow of the tiles; writes it as .flo, and as a picture beside the frames."""

    def __init__(
        self, name: str, form: FlowOutputParameters, order: Sequence[int], mark: str
    ) -> None:
        super().__init__(name, form)
        self._order = order
        self.suffixes = (f"{mark}.flo", f"{mark}.png")
        self._blend: Blend | None = None
        self._frames: Frames | None = None

    @classmethod
    def of(cls, outputs: Mapping[str, OutputEntry], setting: Setting) -> list[Writer]:
        """A writer for each output; the first has the plain names."""
        found: list[Writer] = []
        for name, entry in outputs.items():
            assert entry.media is not None
            order = [entry.axes[1:].index(axis) for axis in IMAGE_AXES]
            found.append(cls(name, settings_of(entry.media), order, f"-{name}" * bool(found)))
        return found

    def add(self, piece: Piece, results: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """Take the flow of a tile [1, height, width, 2]."""
        place = piece.origin(FlowTile)
        assert place is not None  # the factory asks for a reader of frames
        if self._blend is None:
            self._frames = place.frames
            self._blend = Blend(place.frames.height, place.frames.width, channels=2)
        self._blend.add(place.tile, results[self._name][0].transpose(self._order))
        return {}

    def finish(self, said: Mapping[str, Answer]) -> dict[str, Answer]:
        """Write the files; what is said of the flow is how far things moved."""
        assert self._blend is not None
        assert self._frames is not None
        flow = restored(self._blend.result(), self._frames, self._form.scale)
        numbers, picture = map(self.path, self.suffixes)
        write_flo(numbers, flow)
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
        flow_sheet(picture, self._frames.pixels, flow, self.title, [line])
        return {self._name: Answer(data, line)}
