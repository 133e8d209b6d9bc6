"""Two frames, and the optical flow between them, as the spec describes them."""

from __future__ import annotations

from perceiver_graph.spec.models.base import (
    Model,
    NonNegative,
    PositiveNumber,
)


class FlowInputParameters(Model):
    """Two frames of a video, cut into overlapping tiles of the model's size."""

    overlap: NonNegative = 20
    """By how many pixels neighbouring tiles overlap at the least."""


class FlowInputMedia(Model):
    """Two pictures, one after the other in time, as 3 x 3 patches around each pixel."""

    flow: FlowInputParameters
    """How the frames are cut into tiles; `{}` takes the default."""


class FlowOutputParameters(Model):
    """Where each pixel of the first frame has gone in the second."""

    scale: PositiveNumber = 20.0
    """Pixels that a value of 1 stands for."""


class FlowOutputMedia(Model):
    """Optical flow, written as a .flo file and as a picture whose colour is the direction."""

    flow: FlowOutputParameters
    """The scale; `{}` takes the default."""
