"""Pictures as arrays: a centred part is cut out, resized and normalised.

The values are exactly those of the image processor (PIL) that transformers has for Perceivers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.media.files.pictures import Pixels
from perceiver_graph.media.image.model import RESAMPLING, Resampling


@dataclass(frozen=True)
class Region:
    """A part of a picture, in its pixels."""

    left: int
    top: int
    width: int
    height: int


def centred(height: int, width: int, size: tuple[int, int], share: float) -> Region:
    """The part of a picture that is cut out for a model that takes `size` (height, width).

    The largest centred part of the model's aspect ratio, of which `share` of each side is taken;
    fractions of pixels are dropped, the odd one is left out at the lower right.
    """
    unit = min(Fraction(height, size[0]), Fraction(width, size[1]))
    # In float64, as the processor of transformers does: 0.29 of 100 pixels are 28.
    high, wide = (max(1, int(share * float(unit * side))) for side in size)
    return Region((width - wide) // 2, (height - high) // 2, wide, high)


def resized(
    pixels: Pixels, region: Region, size: tuple[int, int], resample: Resampling = "bicubic"
) -> Pixels:
    """A region cut out first and then resized to `size` (height, width), in 8 bits."""
    from PIL import Image

    rows = slice(region.top, region.top + region.height)
    part = pixels[rows, region.left : region.left + region.width]
    image = Image.fromarray(np.ascontiguousarray(part))
    height, width = size
    return np.array(image.resize((width, height), Image.Resampling(RESAMPLING[resample])))


def normalised(pixels: Pixels, mean: Sequence[float], std: Sequence[float]) -> NDArray[np.float32]:
    """(pixels / 255 - mean) / std by channel, float32 [height, width, 3]."""
    scaled = (pixels * (1 / 255)).astype(np.float32)  # in float64, and rounded once
    middle, spread = np.asarray(mean, np.float32), np.asarray(std, np.float32)
    return np.asarray((scaled - middle) / spread, np.float32)
