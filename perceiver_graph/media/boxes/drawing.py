"""Boxes with captions, drawn on a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.media.files.packages import require
from perceiver_graph.storage import staged_file

# Colours that can be told apart, also by most people who do not see red and green as different.
_COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")
_INK = "#000000"


def draw_boxes(
    path: Path,
    pixels: NDArray[np.uint8],
    boxes: Sequence[Sequence[float]],
    captions: Sequence[str],
) -> None:
    """Write a PNG of `pixels` [height, width, 3] with boxes (left, top, right, bottom) on it.

    The first boxes are drawn last, on top. Raises DiagnosticError (PG509, PG511).
    """
    require("PIL")
    from PIL import Image, ImageDraw, ImageFont

    image = Image.fromarray(np.ascontiguousarray(pixels))
    draw = ImageDraw.Draw(image)
    line = max(1, round(min(image.size) / 200))
    font = ImageFont.load_default(max(10, round(min(image.size) / 32)))
    for index in reversed(range(len(boxes))):
        left, top, right, bottom = boxes[index]
        colour = _COLOURS[index % len(_COLOURS)]
        draw.rectangle((left, top, right, bottom), outline=colour, width=line)
        text = draw.textbbox((left, top), captions[index], font=font)
        draw.rectangle(text, fill=colour)
        draw.text((left, top), captions[index], fill=_INK, font=font)
    with staged_file(path) as temporary:
        image.save(temporary, format="PNG")
