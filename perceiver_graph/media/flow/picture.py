"""Optical flow as files: .flo, which flow benchmarks exchange, and a picture for people.

Both formats are those of the Middlebury benchmark (Baker et al., A Database and Evaluation
Methodology for Optical Flow, IJCV 2011).
"""

from __future__ import annotations

import struct
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perceiver_graph.media.files.packages import require
from perceiver_graph.storage import staged_file

_MAGIC = b"PIEH"  # the float32 202021.25: a machine with another byte order sees another number
_HEADER = struct.Struct("<4sii")
UNKNOWN = 1e9
"""A component larger than this stands for a flow that is not known."""

# Colours at unequal distances on a circle of 55 steps: we tell reds apart better than greens.
_STOPS = np.array([0, 15, 21, 25, 36, 49, 55])
_COLOURS = np.array(
    [
        [255, 0, 0],  # red: to the right
        [255, 255, 0],  # yellow: down
        [0, 255, 0],
        [0, 255, 255],  # cyan, and on to blue: to the left
        [0, 0, 255],
        [255, 0, 255],  # magenta: up
        [255, 0, 0],
    ]
)
_TOO_LONG = 0.75  # how bright vectors longer than the longest are


def write_flo(path: str | PathLike[str], flow: ArrayLike) -> None:
    """Write flow [height, width, 2] in pixels (right, down) as a .flo file, whole or not at all.

    Raises DiagnosticError (PG511), and ValueError for another shape.
    """
    values = _checked(flow)
    path = Path(path)
    with staged_file(path) as temporary, temporary.open("wb") as stream:
        stream.write(_HEADER.pack(_MAGIC, values.shape[1], values.shape[0]))
        stream.write(np.ascontiguousarray(values, "<f4").data)


def flow_picture(flow: ArrayLike, longest: float | None = None) -> NDArray[np.uint8]:
    """Flow [height, width, 2] as colours, uint8 [height, width, 3].

    The hue is the direction (right red, down yellow, left blue, up violet), the saturation the
    length: white does not move, full colour is a vector of `longest` pixels (by default the longest
    there is), and longer ones are darker. What is not known (not finite, or above 1e9) is black.
    """
    values = _checked(flow).astype(np.float64)
    known = (np.isfinite(values) & (np.abs(values) <= UNKNOWN)).all(axis=2)
    values[~known] = 0.0
    right, down = values[:, :, 0], values[:, :, 1]
    length = np.hypot(right, down)
    reach = float(length.max()) if longest is None else longest
    length = length / reach if reach > 0 else np.zeros_like(length)

    position = (np.arctan2(down, right) / (2 * np.pi) % 1.0) * _STOPS[-1]
    hues = [np.interp(position, _STOPS, _COLOURS[:, i] / 255.0) for i in range(3)]
    hue = np.stack(hues, axis=2)
    share = length[:, :, None]
    colour = np.where(share <= 1, 1 - share * (1 - hue), hue * _TOO_LONG)
    colour[~known] = 0.0
    pixels: NDArray[np.uint8] = np.rint(colour * 255).astype(np.uint8)
    return pixels


def write_flow_picture(
    path: str | PathLike[str], flow: ArrayLike, longest: float | None = None
) -> None:
    """Write `flow_picture` as a PNG, whole or not at all. Raises DiagnosticError (PG509, PG511)."""
    require("PIL")
    from PIL import Image

    path = Path(path)
    with staged_file(path) as temporary:
        Image.fromarray(flow_picture(flow, longest)).save(temporary, format="PNG")


def _checked(flow: ArrayLike) -> NDArray[np.float32]:
    values = np.asarray(flow, dtype=np.float32)
    if values.ndim != 3 or values.shape[2] != 2 or values.size == 0:
        raise ValueError(f"flow is [height, width, 2], and not of shape {list(values.shape)}")
    return values
