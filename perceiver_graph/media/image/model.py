"""A picture, as the spec describes it, and what it fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from perceiver_graph.media.base import InputMedia
from perceiver_graph.media.fit import IMAGE_AXES, axes, channels
from perceiver_graph.spec.models.base import Model, Number, PositiveNumber, counted

_COLOURS = counted(3, "a number for red, green and blue each, say `[0.5, 0.5, 0.5]`")
Channels = Annotated[list[Number], Field(min_length=3, max_length=3), _COLOURS]
Spread = Annotated[list[PositiveNumber], Field(min_length=3, max_length=3), _COLOURS]
Share = Annotated[float, Field(gt=0, le=1)]

IMAGENET_MEAN = [0.485, 0.456, 0.406]
IMAGENET_STD = [0.229, 0.224, 0.225]

Resampling = Literal["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"]
RESAMPLING: dict[Resampling, int] = {name: n for n, name in enumerate(get_args(Resampling))}
"""The filters by the numbers that Pillow, and configurations, have for them."""


class ImageParameters(Model):
    """A picture: a centred part of it is cut out, resized and normalised."""

    crop: Share = 0.875
    """Which share of the largest centred part with the model's aspect ratio is cut out."""
    stretch: bool = False
    """Whether the whole picture is stretched to the model's size instead of being cut."""
    resample: Resampling = "bicubic"
    """The filter for resizing."""
    mean: Channels = IMAGENET_MEAN
    """Subtracted from red, green and blue, which are in [0, 1]."""
    std: Spread = IMAGENET_STD
    """What they are then divided by."""


class ImageMedia(InputMedia):
    """A picture from a file, in the axes height, width, channel."""

    image: ImageParameters
    """How it is cut out and normalised; `{}` does as the published Perceivers do."""

    input_checks = (axes(*IMAGE_AXES), channels(3, "pictures have 3 (RGB)"))
    reader = "perceiver_graph.media.image.reader:ImageReader"
    example, is_decoded = "PICTURE.jpg", True

    def scale(self) -> str:
        """How pixels are scaled."""
        return f"(pixels / 255 - {self.image.mean}) / {self.image.std}"

    def bounds(self) -> tuple[float, float]:
        """Those of the colour that goes farthest."""
        colours = [*zip(self.image.mean, self.image.std, strict=True)]
        return min(-m / s for m, s in colours), max((1 - m) / s for m, s in colours)

    def scaled(self, name: str, dtype: Any) -> str:
        """Each colour by its own numbers: they lie on the last axis."""
        mean, std = (_shown(values) for values in (self.image.mean, self.image.std))
        return f"({name} / 255 - {mean}) / {std}"


def _shown(values: Sequence[float]) -> str:
    """Numbers of the colours; one where they are equal."""
    return str([*values] if len(set(values)) > 1 else values[0])
