"""How the frames of a video are shown: cameras store them as the sensor lies, with a matrix beside.

The 2 x 2 part of the matrix says where a pixel goes: x' = a x + c y, y' = b x + d y, with y downwards.
All eight ways to put a picture on its sides and its back occur; front cameras mirror.
"""

from __future__ import annotations

import struct
from math import hypot
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics.escape import shell_path
from perceiver_graph.runtime.opening import Source
from perceiver_graph.runtime.processors.containers import undecodable

if TYPE_CHECKING:
    from av import VideoFrame

_STRAIGHT = 0.02
"""How far sides may lie from the axes, as a sine: a degree, as for FFmpeg."""


def upright(source: Source, frame: VideoFrame) -> tuple[NDArray[np.uint8], bool]:
    """A frame as it is to be shown, uint8 [height, width, 3], and whether rows and columns changed.

    Raises DiagnosticError (PG507) where it is to be shown at an angle.
    """
    pixels = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    matrix = _matrix(frame)
    if matrix is None:
        return pixels, False
    a, b, c, d = matrix
    if max(abs(b), abs(c)) <= _STRAIGHT:
        sideways, mirrored, upside_down = False, a < 0, d < 0
    elif max(abs(a), abs(d)) <= _STRAIGHT:
        sideways, mirrored, upside_down = True, c < 0, b < 0
    else:
        raise undecodable(
            source,
            "its frames are to be shown at an angle, which is no multiple of 90 degrees",
            help=f"turn them for good: ffmpeg -i {shell_path(source.path)} turned.mp4",
        )
    if sideways:
        pixels = pixels.transpose(1, 0, 2)
    return pixels[:: -1 if upside_down else 1, :: -1 if mirrored else 1], sideways


def _matrix(frame: VideoFrame) -> tuple[float, float, float, float] | None:
    """a, b, c, d without the scale; None where the frame has no matrix, or one that shows nothing."""
    found: Any = frame.side_data.get("DISPLAYMATRIX")
    if found is None:
        return None
    a, b, _, c, d = struct.unpack("=5i", bytes(found)[:20])
    wide, high = hypot(a, c), hypot(b, d)
    return (a / wide, b / high, c / wide, d / high) if wide and high else None
