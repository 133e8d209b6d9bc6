"""A picture of any size as overlapping tiles of one size, and their results as one map again.

Results are blended as they come, so that no more than one tile of them is in memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Tile:
    """A rectangle of a picture, in pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def rows(self) -> slice:
        """Its rows of the picture."""
        return slice(self.top, self.top + self.height)

    @property
    def columns(self) -> slice:
        """Its columns of the picture."""
        return slice(self.left, self.left + self.width)


def offsets(size: int, tile: int, overlap: int) -> list[int]:
    """Where tiles begin along one axis: every `tile - overlap` pixels, the last flush with the end.

    Neighbours overlap by at least `overlap` pixels. Raises ValueError unless tile <= size and
    0 <= overlap < tile.
    """
    if not 0 <= overlap < tile <= size:
        raise ValueError(f"tiles of {tile} overlapping by {overlap} do not cover {size} pixels")
    # The released flow demo steps on to the end of the axis and then moves the last tile back. Where
    # that puts it on the one before (size = k * step + overlap), the demo computes both, and counts
    # that tile twice in the mean: an accident of its loop, visible in the seam alone. Here each tile
    # is computed and counted once. Where the demo's last tile but one reaches past the end (sizes in
    # between k * step and that), it fails; stopping before the last tile leaves it out. All other
    # sizes give the demo's tiles.
    last = size - tile
    return [*range(0, last, tile - overlap), last]


def tiles(
    height: int, width: int, tile_height: int, tile_width: int, overlap: int = 20
) -> list[Tile]:
    """The tiles that cover a picture, row by row; no two are the same.

    436 x 1024 pixels in tiles of 368 x 496 are 2 x 3 tiles. Raises ValueError for a picture smaller
    than a tile, and for an overlap that leaves no step from tile to tile.
    """
    return [
        Tile(top, left, tile_height, tile_width)
        for top in offsets(height, tile_height, overlap)
        for left in offsets(width, tile_width, overlap)
    ]


def tile_weights(height: int, width: int) -> NDArray[np.float64]:
    """How much a pixel of a tile counts [height, width]: its distance to the border, 1 at it."""
    rows, columns = np.arange(height), np.arange(width)
    to_row_end = np.minimum(rows + 1, height - rows)
    to_column_end = np.minimum(columns + 1, width - columns)
    return np.minimum(to_row_end[:, None], to_column_end[None, :]).astype(np.float64)


class Blend:
    """The mean of overlapping tiles, in which a pixel counts by its distance to the tile's border.

    >>> blend = Blend(1, 3, channels=1)
    >>> blend.add(Tile(0, 0, 1, 2), [[[1.0], [1.0]]])
    >>> blend.add(Tile(0, 1, 1, 2), [[[3.0], [3.0]]])
    >>> blend.result()[0, :, 0].tolist()
    [1.0, 2.0, 3.0]
    """

    def __init__(self, height: int, width: int, channels: int) -> None:
        # In float64, a pixel that one tile covers comes back exactly as it was.
        self._sum = np.zeros((height, width, channels))
        self._weight = np.zeros((height, width, 1))

    def add(self, tile: Tile, values: ArrayLike) -> None:
        """Add the results [tile height, tile width, channels] of a tile.

        Raises ValueError for values of another shape and for a tile outside the picture.
        """
        found = np.asarray(values)
        target = self._sum[tile.rows, tile.columns]
        shape = (tile.height, tile.width, self._sum.shape[2])
        if min(tile.top, tile.left) < 0 or found.shape != shape or target.shape != shape:
            raise ValueError(
                f"values of shape {list(found.shape)} are not those of {tile} in a map of shape "
                f"{list(self._sum.shape)}"
            )
        weight = tile_weights(tile.height, tile.width)[:, :, None]
        target += found * weight
        self._weight[tile.rows, tile.columns] += weight

    def result(self) -> NDArray[np.float32]:
        """The blended map [height, width, channels]. Raises ValueError if a pixel has no tile."""
        if not self._weight.all():
            raise ValueError(f"{np.count_nonzero(self._weight == 0)} pixels lie in no tile")
        return (self._sum / self._weight).astype(np.float32)
