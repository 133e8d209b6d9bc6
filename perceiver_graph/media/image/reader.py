"""Pictures in: a file as an array of the model's size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.media.entries import rows_of, sizes_of
from perceiver_graph.media.files.pictures import open_picture, picture_source, read_picture
from perceiver_graph.media.fit import IMAGE_AXES
from perceiver_graph.media.image.resizing import Region, centred, normalised, resized
from perceiver_graph.media.io import Piece, Reader, Reading, reading
from perceiver_graph.runtime.opening import Source
from perceiver_graph.spec.manifest import Dimension, InputEntry


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture, uint8 [height, width, 3], and the part of it that the model sees."""

    pixels: NDArray[np.uint8]
    region: Region


class ImageReader(Reader):
    """Reads a picture in any format that Pillow knows."""

    noun = "a picture"
    media_types = ("image/",)

    def __init__(self, name: str, entry: InputEntry, dims: Mapping[str, Dimension]) -> None:
        super().__init__(name, entry, dims)
        sizes = sizes_of(entry)
        self._size = sizes["height"], sizes["width"]
        self._order = rows_of(entry, IMAGE_AXES)

    def open(self, values: Sequence[str]) -> Reading:
        """Look at the header of the file. Raises DiagnosticError (PG507, PG509, PG512)."""
        source = picture_source(values[0])
        with open_picture(source):
            return reading(source, pieces=lambda: self._pieces(source))

    def _pieces(self, source: Source) -> Iterator[Piece]:
        pixels, notes = read_picture(source, room=self.room, least=max(self._size))
        height, width = pixels.shape[:2]
        region = Region(0, 0, width, height)
        if not self._form.stretch:
            region = centred(height, width, self._size, self._form.crop)
        small = resized(pixels, region, self._size, self._form.resample)
        values = normalised(small, self._form.mean, self._form.std)
        array = np.ascontiguousarray(values.transpose(self._order)[None])
        yield Piece({self._name: array}, (Picture(pixels, region),), notes=notes)
