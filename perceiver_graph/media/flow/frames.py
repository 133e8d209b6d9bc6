"""Two pictures as the inputs of an optical-flow model, tile by tile, and its flow in pixels.

Follows the procedure of the released model (arXiv 2107.14795): pixels in [-1, 1], of
each the 3 x 3 pixels around it, zeros beyond the border of a tile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.media.files.packages import require
from perceiver_graph.media.files.pictures import read_picture
from perceiver_graph.media.flow.tiles import Tile, tiles
from perceiver_graph.runtime.opening import Named

# In float64 and then rounded: dividing in float32 is off by a unit in the last place for some.
_NORMALISED = (np.arange(256) / 255.0 * 2 - 1).astype(np.float32)

_LARGEST_FACTOR = 16  # beyond it, an enlarged picture is one smooth blot to the model


@dataclass(frozen=True, eq=False)
class Frames:
    """Two frames, no smaller than a tile: `pixels` uint8 [2, height, width, 3].

    `size` is the height and width of the pictures as they were given, which differ from those of
    `pixels` if they were enlarged; `notes` say so.
    """

    pixels: NDArray[np.uint8]
    size: tuple[int, int]
    notes: tuple[str, ...] = ()

    @property
    def height(self) -> int:
        """Of the frames that tiles are cut from."""
        return int(self.pixels.shape[1])

    @property
    def width(self) -> int:
        """Of the frames that tiles are cut from."""
        return int(self.pixels.shape[2])


def read_frames(
    first: Named, second: Named, *, room: int | None = None
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Two consecutive frames [2, height, width, 3], and notes on what is not all there.

    `room` is how many bytes reading may take. Raises DiagnosticError (PG507, PG509, PG510, PG512;
    PG503 if they are of different sizes).
    """
    # Both are held at once, and for a moment together in a third place.
    half = None if room is None else room // 2
    (one, some), (two, more) = (read_picture(name, room=half) for name in (first, second))
    if one.shape != two.shape:
        raise DiagnosticError.of(
            "PG503",
            f"{first} and {second} are of different sizes, and flow is between equal ones",
            notes=[
                f"{name}: {frame.shape[0]} x {frame.shape[1]} pixels (height x width)"
                for name, frame in ((first, one), (second, two))
            ],
            help="give two frames of one video, uncropped",
        )
    return np.stack([one, two]), tuple(dict.fromkeys((*some, *more)))


def fitted(
    frames: NDArray[np.uint8], height: int, width: int, notes: tuple[str, ...] = ()
) -> Frames:
    """Frames [2, H, W, 3] that tiles of `height` x `width` pixels can be cut from.

    Smaller ones are enlarged by one factor for both axes (bicubic): borders of padding would be seen
    as things that move, and unequal factors would distort shapes. `restored` undoes it. Raises
    DiagnosticError (PG503) for frames that would have to grow more than sixteenfold, and PG509.
    """
    size = (int(frames.shape[1]), int(frames.shape[2]))
    if size[0] >= height and size[1] >= width:
        return Frames(frames, size, notes)
    least = (ceil(height / _LARGEST_FACTOR), ceil(width / _LARGEST_FACTOR))
    if size[0] < least[0] or size[1] < least[1]:
        raise DiagnosticError.of(
            "PG503",
            f"frames of {size[0]} x {size[1]} pixels (height x width) are too small",
            notes=[f"the model takes tiles of {height} x {width} pixels"],
            help=f"give frames of {least[0]} x {least[1]} pixels or more",
        )
    require("PIL")
    from PIL import Image

    factor = max(height / size[0], width / size[1])
    large = (max(height, round(size[0] * factor)), max(width, round(size[1] * factor)))
    pixels = [
        np.asarray(Image.fromarray(frame).resize(large[::-1], Image.Resampling.BICUBIC))
        for frame in frames
    ]
    note = (
        f"frames of {size[0]} x {size[1]} pixels are smaller than the model's {height} x {width}: "
        f"they are enlarged {factor:.3g} times, and the flow is scaled back"
    )
    return Frames(np.stack(pixels), size, (*notes, note))


def patches(frames: ArrayLike, kernel: int = 3) -> NDArray[np.float32]:
    """The `kernel` x `kernel` pixels around each pixel of frames, scaled to [-1, 1].

    frames: uint8 [..., height, width, 3]. Result: [..., height, width, kernel * kernel * 3], the
    channels ordered (row, column, colour). Beyond the border are zeros, which is a medium grey.
    Raises ValueError for pixels that are not uint8 and for an even kernel.
    """
    pixels = np.asarray(frames)
    if pixels.dtype != np.uint8 or pixels.ndim < 3 or pixels.shape[-1] != 3:
        found = f"{pixels.dtype} {list(pixels.shape)}"
        raise ValueError(f"frames are uint8 [..., height, width, 3], not {found}")
    if kernel < 1 or kernel % 2 == 0:
        raise ValueError(f"a kernel of {kernel} pixels has no centre")
    height, width = pixels.shape[-3:-1]
    edge = kernel // 2
    around = [(0, 0)] * (pixels.ndim - 3) + [(edge, edge), (edge, edge), (0, 0)]
    padded = np.pad(_NORMALISED[pixels], around)
    result = np.empty((*pixels.shape[:-1], kernel, kernel, 3), np.float32)
    for row in range(kernel):
        for column in range(kernel):
            shifted = padded[..., row : row + height, column : column + width, :]
            result[..., row, column, :] = shifted
    return result.reshape(*pixels.shape[:-1], kernel * kernel * 3)


def flow_inputs(
    frames: Frames, height: int, width: int, *, overlap: int = 20, kernel: int = 3
) -> Iterator[tuple[Tile, NDArray[np.float32]]]:
    """The tiles of frames with the model's input for each, made when it is asked for.

    An input is [batch 1, time 2, height, width, kernel * kernel * 3]. Every tile has its own border
    of zeros, as in training. Raises ValueError as `tiles` does.
    """
    for tile in tiles(frames.height, frames.width, height, width, overlap):
        yield tile, patches(frames.pixels[:, tile.rows, tile.columns], kernel)[None]


def restored(flow: NDArray[np.float32], frames: Frames, scale: float = 20.0) -> NDArray[np.float32]:
    """Flow [height, width, 2] in pixels of the pictures as they were given.

    flow: the model's, blended, on the grid of `frames`. A value of 1 stands for `scale` pixels of
    that grid; the components are to the right and down. Raises ValueError for another shape.
    """
    if flow.shape != (*frames.pixels.shape[1:3], 2):
        raise ValueError(f"flow of shape {list(flow.shape)} is not that of the frames")
    height, width = frames.size
    if (height, width) == (frames.height, frames.width):
        return flow * np.float32(scale)
    from PIL import Image

    shrink = (width / frames.width, height / frames.height)
    small = np.empty((height, width, 2), np.float32)
    for axis, factor in enumerate(shrink):
        plane = Image.fromarray(np.ascontiguousarray(flow[:, :, axis]))
        resized = np.asarray(plane.resize((width, height), Image.Resampling.BILINEAR))
        small[:, :, axis] = resized * np.float32(scale * factor)
    return small
