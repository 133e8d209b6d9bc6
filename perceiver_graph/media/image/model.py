"""A picture, as the spec describes it, and what it fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from perceiver_graph.diagnostics.words import joined
from perceiver_graph.media.base import InputMedia, Mismatch, Part, Signature
from perceiver_graph.media.fit import IMAGE_AXES, axes, channels
from perceiver_graph.spec.models.base import Model, Number, PositiveNumber, counted

_COLOURS = counted(3, "a number for red, green and blue each, say `[0.5, 0.5, 0.5]`")
Channels = Annotated[list[Number], Field(min_length=3, max_length=3), _COLOURS]
Spread = Annotated[list[PositiveNumber], Field(min_length=3, max_length=3), _COLOURS]
Share = Annotated[float, Field(gt=0, le=1)]

_MOST_SPREAD = 10
"""Deviations of pixels from 0 to 1 are below 0.5, those of pixels from 0 to 255 some tens."""
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


def _of_bytes(part: Part, signature: Signature) -> Mismatch | None:
    """Numbers for pixels from 0 to 255, as other libraries have them, where those here are from 0 to 1."""
    form: ImageParameters = part.settings
    beyond = "mean" if max(form.mean) > 1 else "std" if max(form.std) >= _MOST_SPREAD else None
    if beyond is None:
        return None
    said = {"mean": max(form.mean) > 1, "std": max(form.std) >= 1}
    lines = [
        f"`{key}: {[float(f'{one / 255:.6g}') for one in getattr(form, key)]}`"
        for key, whole in said.items()
        if whole
    ]
    return Mismatch(
        f"the pixels of `{part.name}` are scaled to 0 to 1 before `mean` is subtracted, and {beyond} "
        f"{max(getattr(form, beyond)):g} is one of pixels from 0 to 255",
        f"divide by 255: write {joined(lines, 'and')}",
        ("media", "image", beyond),
    )


def _cut_and_stretched(part: Part, signature: Signature) -> Mismatch | None:
    """A picture that is stretched is not cut."""
    form: ImageParameters = part.settings
    usual = ImageParameters.model_fields["crop"].default
    if not form.stretch or form.crop == usual:
        return None
    return Mismatch(
        f"`crop` has no effect on `{part.name}`: the whole picture is stretched",
        "leave `crop` out, or `stretch`",
        ("media", "image", "crop"),
    )


class ImageMedia(InputMedia):
    """A picture from a file, in the axes height, width, channel."""

    image: ImageParameters
    """How it is cut out and normalised; `{}` does as the published Perceivers do."""

    input_checks = (axes(*IMAGE_AXES), channels(3, "pictures have 3 (RGB)"))
    input_warnings = (_of_bytes, _cut_and_stretched)
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
