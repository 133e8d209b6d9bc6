"""A contact sheet of attention: a row of panels for each input, a column for each that reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.looking.choice import Column
from perceiver_graph.looking.grounds import SIDE, Ground, heat_colours
from perceiver_graph.media.drawing import (
    FAINT,
    GAP,
    INK,
    MADE,
    MARGIN,
    Heading,
    blank_sheet,
    font,
    wrapped,
)

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

Array = NDArray[Any]
_LEFT = 116
_HEADING, _TEXT, _SMALL = 16, 13, 11
_NARROW, _MOST_LINES = 600, 2
"""The least width of what is said at the top, and lines below the name of a column."""
_BARS = 64
_LINE = 1.45


@dataclass(frozen=True)
class Section:
    """Columns of maps over the same panels, or the bars of a single row."""

    title: str
    grounds: tuple[Ground, ...] = ()
    columns: tuple[Column, ...] = ()
    maps: tuple[tuple[Array, ...], ...] = ()
    """For each column and ground, weights on its grid."""
    inputs: bool = True
    """Whether the first column shows the panels as they are."""
    bars: Array | None = None
    """[latents]."""
    caption: str = ""

    @property
    def width(self) -> int:
        if self.bars is not None:
            return _LEFT + 4 * (SIDE + GAP)
        return _LEFT + (len(self.columns) + self.inputs) * (SIDE + GAP)

    @property
    def height(self) -> int:
        top = round(_HEADING * _LINE) + GAP
        if self.bars is not None:
            return top + _BARS + round(_TEXT * _LINE) + GAP
        panels = sum(len(p) + 4 for one in self.grounds for p in one.pictures)
        return top + self.head + panels + GAP

    @property
    def head(self) -> int:
        """Of the names of the columns, and of what is said of each."""
        lines = max(map(len, self.said), default=1)
        return 2 * round(_TEXT * _LINE) + (lines - 1) * round(_SMALL * _LINE)

    @cached_property
    def said(self) -> list[list[str]]:
        """Of each column in lines, which are no wider than its panels."""
        texts = [*([""] if self.inputs else []), *(column.said for column in self.columns)]
        return [wrapped(text, _SMALL, SIDE + GAP - 4)[:_MOST_LINES] for text in texts]


def drawn(title: str, lines: Sequence[str], sections: Sequence[Section]) -> Image:
    """The sheet: what it is of, the sections one below the other, and what the colours mean."""
    width = max([_NARROW, *(section.width for section in sections)])
    heading = Heading.of(title, lines, width)
    body = sum(section.height + 2 * GAP for section in sections)
    paper, draw = blank_sheet(width + 2 * MARGIN, 2 * MARGIN + heading.height + GAP + body + 24)
    heading.draw(draw)
    y = MARGIN + heading.height + GAP
    for section in sections:
        _draw_section(paper, draw, section, y)
        y += section.height + 2 * GAP
    _legend(paper, draw, y)
    return paper


def _draw_section(paper: Image, draw: ImageDraw, section: Section, y: int) -> None:
    draw.text((MARGIN, y), section.title, fill=INK, font=font(_HEADING))
    y += round(_HEADING * _LINE) + GAP
    if section.bars is not None:
        _draw_bars(draw, section.bars, section.caption, y)
        return
    from PIL import Image

    columns = [*([Column("what it is", np.zeros(0))] if section.inputs else []), *section.columns]
    for number, column in enumerate(columns):
        centre = MARGIN + _LEFT + number * (SIDE + GAP) + SIDE // 2
        draw.text((centre, y), column.heading, fill=INK, font=font(_TEXT), anchor="ma")
        below = y + round(_TEXT * _LINE)
        for line in section.said[number]:
            draw.text((centre, below), line, fill=FAINT, font=font(_SMALL), anchor="ma")
            below += round(_SMALL * _LINE)
    y += section.head
    for index, ground in enumerate(section.grounds):
        shown = [ground.panels(None)] if section.inputs else []
        shown += [ground.panels(_scaled(maps[index], column)) for maps, column in _pairs(section)]
        for row, label in enumerate(ground.labels()):
            high = shown[0][row].shape[0]
            draw.text((MARGIN + _LEFT - 10, y + high // 2), label, FAINT, font(_SMALL), anchor="rm")
            for number, panels in enumerate(shown):
                x = MARGIN + _LEFT + number * (SIDE + GAP) + (SIDE - panels[row].shape[1]) // 2
                paper.paste(Image.fromarray(panels[row]), (x, y))
            y += high + 4


def _pairs(section: Section) -> Sequence[tuple[tuple[Array, ...], Column]]:
    return list(zip(section.maps, section.columns, strict=True))


def _scaled(weights: Array, column: Column) -> Array:
    """From 0 to 1: the token that is read most, of all inputs, has the brightest colour."""
    return np.asarray(weights / max(float(np.nanmax(column.weights, initial=0)), 1e-12))


def _draw_bars(draw: ImageDraw, bars: Array, caption: str, y: int) -> None:
    left, width = MARGIN + _LEFT, 4 * (SIDE + GAP) - GAP
    draw.text((left - 10, y + _BARS // 2), "latents", FAINT, font(_SMALL), anchor="rm")
    step = width / len(bars)
    for number, value in enumerate(bars / max(float(bars.max()), 1e-12)):
        x, top = left + number * step, y + _BARS - 1 - float(value) * (_BARS - 2)
        draw.rectangle((x, top, max(x + step - 1, x), y + _BARS - 1), fill=MADE)
    draw.line((left, y + _BARS, left + width, y + _BARS), fill=FAINT)
    draw.text((left, y + _BARS + 4), caption, fill=FAINT, font=font(_TEXT))


def _legend(paper: Image, draw: ImageDraw, y: int) -> None:
    from PIL import Image

    ramp = heat_colours(np.linspace(0, 1, SIDE))[None].repeat(12, axis=0).astype(np.uint8)
    x = MARGIN + _LEFT
    paper.paste(Image.fromarray(ramp), (x, y))
    draw.text((x - 10, y + 6), "not read", FAINT, font(_SMALL), anchor="rm")
    text = "most of a column. Colours compare within a column, numbers between them."
    draw.text((x + SIDE + 10, y + 6), text, FAINT, font(_SMALL), anchor="lm")
