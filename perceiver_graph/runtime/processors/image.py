"""Pictures as arrays: a centred part is cut out, resized and normalised.

The values are exactly those of the image processor (PIL) that transformers has for Perceivers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.runtime.processors.packages import require
from perceiver_graph.runtime.reading import quiet

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Region:
    """A part of a picture, in its pixels."""

    left: int
    top: int
    width: int
    height: int


def read_image(path: Path) -> Pixels:
    """A picture as uint8 [height, width, 3], upright, in RGB.

    Of 16 bits the upper 8 are kept; what is transparent is shown as its colours say. Raises
    DiagnosticError (PG507, PG509, PG512).
    """
    require("PIL")
    from PIL import Image, ImageOps

    image = open_image(path)
    try:
        if image.mode == "F":
            raise ValueError("real numbers, of which it is not known what is black and white")
        with quiet():
            upright: Image.Image = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I"):  # Pillow would cut off all above 255
                grey = (np.asarray(upright).astype(np.int64).clip(0, 0xFFFF) >> 8).astype(np.uint8)
                return np.repeat(grey[:, :, None], 3, axis=2)
            return np.array(upright.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _damaged(path, str(error)) from error
    finally:
        image.close()


def open_image(path: Path) -> Image:
    """Open a picture and read its header, no more; the caller closes it.

    Raises DiagnosticError (PG507, PG509, PG512).
    """
    require("PIL")
    from PIL import Image, UnidentifiedImageError

    if path.is_dir():
        raise DiagnosticError.of("PG512", f"{path} is a folder", help="name a picture in it")
    if not path.exists():
        raise DiagnosticError.of("PG512", f"{path} does not exist", help="check the path")
    try:
        with quiet():
            return Image.open(path)
    except UnidentifiedImageError as error:
        raise DiagnosticError.of(
            "PG507",
            f"{path}: not a picture of a known format",
            help="give a PNG, JPEG, WebP, GIF, BMP or TIFF file",
        ) from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, reason: str) -> DiagnosticError:
    return DiagnosticError.of(
        "PG507",
        f"{path}: the picture cannot be decoded",
        notes=[reason],
        help="copy the file again, completely, or save it as PNG or JPEG",
    )


def centred(height: int, width: int, size: tuple[int, int], share: float) -> Region:
    """The part of a picture that is cut out for a model that takes `size` (height, width).

    The largest centred part of the model's aspect ratio, of which `share` of each side is taken;
    fractions of pixels are dropped, the odd one is left out at the lower right.
    """
    unit = min(Fraction(height, size[0]), Fraction(width, size[1])) * Fraction(str(share))
    high, wide = max(1, int(unit * size[0])), max(1, int(unit * size[1]))
    return Region((width - wide) // 2, (height - high) // 2, wide, high)


def resized(pixels: Pixels, region: Region, size: tuple[int, int]) -> Pixels:
    """A region cut out first and then resized to `size` (height, width): bicubic, 8 bits."""
    from PIL import Image

    rows = slice(region.top, region.top + region.height)
    part = pixels[rows, region.left : region.left + region.width]
    image = Image.fromarray(np.ascontiguousarray(part))
    height, width = size
    return np.array(image.resize((width, height), Image.Resampling.BICUBIC))


def normalised(pixels: Pixels, mean: Sequence[float], std: Sequence[float]) -> NDArray[np.float32]:
    """(pixels / 255 - mean) / std by channel, float32 [height, width, 3]."""
    scaled = (pixels * (1 / 255)).astype(np.float32)  # in float64, and rounded once
    middle, spread = np.asarray(mean, np.float32), np.asarray(std, np.float32)
    return np.asarray((scaled - middle) / spread, np.float32)
