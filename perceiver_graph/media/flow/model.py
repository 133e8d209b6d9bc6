"""Two frames, and the optical flow between them, as the spec describes them, and what they fit."""

from __future__ import annotations

from math import isqrt
from typing import Any

from perceiver_graph.media.base import CHANNEL, InputMedia, Mismatch, OutputMedia, Part, Signature
from perceiver_graph.media.fit import IMAGE_AXES, VIDEO_AXES, axes, channels, counted
from perceiver_graph.spec.models.base import Model, NonNegative, PositiveNumber


class FlowInputParameters(Model):
    """Two frames of a video, cut into overlapping tiles of the model's size."""

    overlap: NonNegative = 20
    """By how many pixels neighbouring tiles overlap at the least."""


def neighbourhood(count: int) -> int | None:
    """The side of the square of RGB pixels that a pixel's channels are made of: 3 of 27 channels.

    None for a number of channels that is not 3 k^2 with an odd k.
    """
    side = isqrt(max(count, 0) // 3)
    return side if side % 2 and 3 * side * side == count else None


def _two_frames(part: Part, signature: Signature) -> Mismatch | None:
    have = part.sizes["time"]
    if have == 2:
        return None
    fault = f"`{part.name}` has {counted(have, 'frame')}, and flow is between 2"
    return Mismatch(fault, "write `time: 2`", part.place("time"))


def _neighbours(part: Part, signature: Signature) -> Mismatch | None:
    have = part.sizes[CHANNEL]
    if isinstance(have, int) and neighbourhood(have) is not None:
        return None
    fault = (
        f"`{part.name}` has {counted(have, 'channel')}, which are not those of a pixel and its "
        "neighbours"
    )
    remedy = "give it 3 channels (the pixel itself), 27 (3 x 3 pixels) or 75 (5 x 5)"
    return Mismatch(fault, remedy, part.place(CHANNEL))


def _overlap(part: Part, signature: Signature) -> Mismatch | None:
    height, width = part.sizes["height"], part.sizes["width"]
    assert isinstance(height, int)  # by the check of axes
    assert isinstance(width, int)
    overlap = part.settings.overlap
    if overlap < min(height, width):  # a step is left from tile to tile
        return None
    fault = f"`{part.name}`: tiles of {height} x {width} pixels cannot overlap by {overlap}"
    return Mismatch(
        fault, f"write an overlap below {min(height, width)}", ("media", "flow", "overlap")
    )


class FlowInputMedia(InputMedia):
    """Two pictures, one after the other in time, as 3 x 3 patches around each pixel."""

    flow: FlowInputParameters
    """How the frames are cut into tiles; `{}` takes the default."""

    input_checks = (axes(*VIDEO_AXES), _two_frames, _neighbours, _overlap)
    reader = "perceiver_graph.media.flow.reader:FlowReader"
    example, is_decoded = "FIRST.png SECOND.png", True

    def scale(self) -> str:
        """How pixels are scaled."""
        return "-1 to 1"

    def bounds(self) -> tuple[float, float]:
        """Black and white."""
        return -1.0, 1.0

    def scaled(self, name: str, dtype: Any) -> str:
        """Pixels have 8 bits."""
        return f"{name} / 127.5 - 1"


class FlowOutputParameters(Model):
    """Where each pixel of the first frame has gone in the second."""

    scale: PositiveNumber = 20.0
    """Pixels that a value of 1 stands for."""


def _of_frames(part: Part, signature: Signature) -> Mismatch | None:
    have = part.sizes["height"], part.sizes["width"]
    frames = [(one.sizes["height"], one.sizes["width"]) for one in signature.read_as("flow")]
    if have in frames:
        return None
    sizes = " or ".join(f"{height} x {width}" for height, width in frames)
    return Mismatch(
        f"`{part.name}` is a flow of {have[0]} x {have[1]} pixels, and the model's frames have "
        f"{sizes or 'none: no input is read as `flow`'}",
        "ask one query for each pixel: `query: {inputs: ...}`"
        if frames
        else "add an input with `media: {flow: {}}`",
        part.place(),
    )


class FlowOutputMedia(OutputMedia):
    """Optical flow, written as a .flo file and as a picture whose colours are the directions."""

    flow: FlowOutputParameters
    """The scale; `{}` takes the default."""

    output_checks = (axes(*IMAGE_AXES), channels(2, "flow has 2: right and down"), _of_frames)
    writer = "perceiver_graph.media.flow.writer:FlowWriter"
