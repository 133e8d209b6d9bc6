"""Two frames, the flow between them, and what its colours mean, as one PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.media.drawing import (
    FAINT,
    GAP,
    INK,
    MARGIN,
    RULE,
    SMALL,
    TEXT,
    Heading,
    blank_sheet,
    font,
    line_height,
    sized,
    wrapped,
)
from perceiver_graph.media.files.packages import require
from perceiver_graph.media.flow.picture import flow_picture
from perceiver_graph.storage import staged_file

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

_LEAST, _MOST = 256, (480, 480)
"""Pixels of a picture on the sheet."""
_NARROW = 256
_WHEEL, _AROUND = 120, 52
"""Across the wheel of colours, and room for words at each side of it."""


def flow_sheet(
    path: Path,
    frames: NDArray[np.uint8],
    flow: NDArray[np.float32],
    title: str = "",
    lines: Sequence[str] = (),
) -> None:
    """Write a PNG of two frames [2, height, width, 3], above the flow [height, width, 2] between them and
    the wheel that says what its colours are. Raises DiagnosticError (PG509, PG511)."""
    require("PIL")
    drawn = _draw(frames, flow, title, lines)
    with staged_file(path) as temporary:
        drawn.save(temporary, format="PNG")


def _draw(
    frames: NDArray[np.uint8], flow: NDArray[np.float32], title: str, lines: Sequence[str]
) -> Image:
    first, second, moved = (
        sized(pixels, _LEAST, _MOST) for pixels in (frames[0], frames[1], flow_picture(flow))
    )
    caption = line_height(TEXT)
    across = max(first.width, moved.width, _NARROW)
    down = max(moved.height, _WHEEL + 2 * line_height(SMALL) + 4 * line_height(SMALL) + GAP)
    width = 2 * across + 2 * GAP + 2 * MARGIN
    heading = Heading.of(title, lines, width - 2 * MARGIN)
    top = MARGIN + heading.height + GAP
    below = top + caption + first.height + 2 * GAP
    paper, pen = blank_sheet(width, below + caption + down + MARGIN)
    heading.draw(pen)
    right = MARGIN + across + 2 * GAP
    places = {"first": (first, MARGIN, top), "second": (second, right, top),
              "where each pixel of the first goes": (moved, MARGIN, below)}  # fmt: skip
    for text, (image, x, y) in places.items():
        pen.text((x, y), text, fill=FAINT, font=font(TEXT))
        paper.paste(image, (x, y + caption))
        frame = (x - 1, y + caption - 1, x + image.width, y + caption + image.height)
        pen.rectangle(frame, outline=RULE)  # what does not move is as white as the paper
    _legend(paper, pen, flow, (right, below + caption), across)
    return paper


def _legend(
    paper: Image, pen: ImageDraw, flow: NDArray[np.float32], place: tuple[int, int], width: int
) -> None:
    """The wheel of colours, with its directions in words, and how far its rim is."""
    from PIL import Image as Images

    x, y = place
    line = line_height(SMALL)
    left, top = x + _AROUND, y + line
    paper.paste(Images.fromarray(wheel(_WHEEL)), (left, top))
    middle = (left + _WHEEL // 2, top + _WHEEL // 2)
    for text, at, anchor in (
        ("up", (middle[0], top - 4), "ms"),
        ("down", (middle[0], top + _WHEEL + 4), "mt"),
        ("left", (left - 6, middle[1]), "rm"),
        ("right", (left + _WHEEL + 6, middle[1]), "lm"),
    ):
        pen.text(at, text, fill=INK, font=font(SMALL), anchor=anchor)
    y = top + _WHEEL + line + GAP
    for told in _said(flow):
        for one in wrapped(told, SMALL, width):
            pen.text((x, y), one, fill=FAINT, font=font(SMALL))
            y += line


def _said(flow: NDArray[np.float32]) -> list[str]:
    """What the rim of the wheel is, its middle, and what has no colour."""
    lengths = np.hypot(*np.moveaxis(flow.astype(np.float64), -1, 0))
    known = np.isfinite(lengths)
    longest = float(lengths[known].max(initial=0))
    told = [f"rim of the wheel: {longest:.3g} pixels, the farthest; white: stays"]
    return told if known.all() else [*told, "black: not finite"]


def wheel(side: int) -> NDArray[np.uint8]:
    """The colours of all directions and lengths, uint8 [side, side, 3], on a disc on white paper."""
    fine = 3 * side  # its rim is smooth where it is drawn larger and made smaller
    y, x = np.mgrid[-1 : 1 : fine * 1j, -1 : 1 : fine * 1j]
    inside = (x**2 + y**2 <= 1)[..., None]
    colours = flow_picture(np.where(inside, np.stack([x, y], -1), 0), longest=1.0)
    return np.asarray(colours.reshape(side, 3, side, 3, 3).mean((1, 3)).round(), np.uint8)
