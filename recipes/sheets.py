"""Sheets of the gallery: rows of small pictures, each row with a name at its left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PIL import Image

from perceiver_graph.media.drawing import FAINT, SMALL, blank_sheet, font

Cell = tuple[Image.Image, bool]
"""A picture, and whether it is framed in red."""


def sheet(
    rows: Mapping[str, Sequence[Cell]], columns: int, *, words: int, margin: int = 4, frame: int = 3
) -> Image.Image:
    """Pictures of one size by the name of their row, with room for so many pixels of words."""
    width, height = next(picture.size for row in rows.values() for picture, _ in row)
    across, down = width + 2 * margin, height + 2 * margin
    page, pen = blank_sheet(words + columns * across, len(rows) * down)
    for row, (name, cells) in enumerate(rows.items()):
        middle = row * down + down // 2
        pen.text((words - 8, middle), name, fill=FAINT, font=font(SMALL), anchor="rm")
        for column, (picture, framed) in enumerate(cells):
            x, y = words + column * across + margin, row * down + margin
            if framed:
                page.paste("red", (x - frame, y - frame, x + width + frame, y + height + frame))
            page.paste(picture, (x, y))
    return page
