"""How the frames of a video are shown: cameras store them as the sensor lies, with a matrix beside.

The 2 x 2 part of the matrix says where a pixel goes: x' = a x + c y, y' = b x + d y, with y downwards.
All eight ways to put a picture on its sides and its back occur; front cameras mirror.
"""

from __future__ import annotations

import struct
from enum import Enum
from math import hypot
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics.escape import shell_path
from perceiver_graph.media.files.containers import undecodable
from perceiver_graph.runtime.opening import Source

if TYPE_CHECKING:
    from av import VideoFrame

_STRAIGHT = 0.02
"""How far sides may lie from the axes, as a sine: a degree, as for FFmpeg."""


class Display:
    """Shows the frames of a video upright."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._rotation: float | None = None
        self._way = (False, False, False)

    def upright(self, frame: VideoFrame) -> tuple[NDArray[np.uint8], bool]:
        """A frame as it is to be shown, uint8 [height, width, 3], and whether it lies on its side.

        Raises DiagnosticError (PG507) where it is to be shown at an angle.
        """
        # What is beside a frame keeps it alive until Python looks for cycles, so it is only looked
        # at where something changes.
        if frame.rotation != self._rotation:
            self._rotation, self._way = frame.rotation, self._read(frame)
        sideways, upside_down, mirrored = self._way
        pixels = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
        if sideways:
            pixels = pixels.transpose(1, 0, 2)
        return pixels[:: -1 if upside_down else 1, :: -1 if mirrored else 1], sideways

    def _read(self, frame: VideoFrame) -> tuple[bool, bool, bool]:
        """Whether rows and columns change places, and which of them then run backwards."""
        a, b, c, d = _matrix(frame)
        if max(abs(b), abs(c)) <= _STRAIGHT:
            return False, d < 0, a < 0
        if max(abs(a), abs(d)) <= _STRAIGHT:
            return True, b < 0, c < 0
        raise undecodable(
            self._source,
            "its frames are to be shown at an angle, which is no multiple of 90 degrees",
            help=f"turn them for good: ffmpeg -i {shell_path(self._source.path)} turned.mp4",
        )


def _matrix(frame: VideoFrame) -> tuple[float, float, float, float]:
    """a, b, c, d without the scale; those of a frame without a matrix, or with an empty one, turn it
    nowhere."""
    from av.sidedata.sidedata import Type

    # PyAV names what is beside a frame, and cannot list it where FFmpeg knows more kinds (EXIF).
    Type._missing_ = classmethod(_unnamed)  # type: ignore[assignment]
    found: Any = frame.side_data.get("DISPLAYMATRIX")
    if found is not None:
        a, b, _, c, d = struct.unpack("=5i", bytes(found)[:20])
        wide, high = hypot(a, c), hypot(b, d)
        if wide and high:
            return a / wide, b / high, c / wide, d / high
    return 1.0, 0.0, 0.0, 1.0


def _unnamed(kinds: type[Enum], value: object) -> Enum:
    """A member of an enumeration for a value that it lacks."""
    member = object.__new__(kinds)
    member._name_, member._value_ = f"UNNAMED_{value}", value
    return member
