"""A contact sheet of attention: a row of panels for each input, a column for each that reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.looking.choice import Column
from perceiver_graph.looking.grounds import SIDE, Ground, heat_colours

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

Array = NDArray[Any]
_PAPER, _INK, _FAINT, _BAR = "#ffffff", "#1a1a1a", "#767676", "#c2552d"
_MARGIN, _GAP, _LEFT = 24, 8, 116
_TITLE, _HEADING, _TEXT, _SMALL = 20, 16, 13, 11
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
            return _LEFT + 4 * (SIDE + _GAP)
        return _LEFT + (len(self.columns) + self.inputs) * (SIDE + _GAP)

    @property
    def height(self) -> int:
        top = round(_HEADING * _LINE) + _GAP
        if self.bars is not None:
            return top + _BARS + round(_TEXT * _LINE) + _GAP
        panels = sum(len(p) + 4 for one in self.grounds for p in one.pictures)
        return top + 2 * round(_TEXT * _LINE) + panels + _GAP


def drawn(title: str, lines: Sequence[str], sections: Sequence[Section]) -> Image:
    """The sheet: what it is of, the sections one below the other, and what the colours mean."""
    from PIL import Image, ImageDraw

    said = [(title, _TITLE, _INK), *((line, _TEXT, _FAINT) for line in lines)]
    widths = [round(_font(size).getlength(text)) for text, size, _ in said]
    width = 2 * _MARGIN + max([*(s.width for s in sections), *widths])
    head = sum(round(size * _LINE) for _, size, _ in said) + _GAP
    height = 2 * _MARGIN + head + sum(s.height + 2 * _GAP for s in sections) + 24
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw, y = ImageDraw.Draw(sheet), _MARGIN
    for text, size, colour in said:
        draw.text((_MARGIN, y), text, fill=colour, font=_font(size))
        y += round(size * _LINE)
    y += _GAP
    for section in sections:
        _draw_section(sheet, draw, section, y)
        y += section.height + 2 * _GAP
    _legend(sheet, draw, y)
    return sheet


def _draw_section(sheet: Image, draw: ImageDraw, section: Section, y: int) -> None:
    draw.text((_MARGIN, y), section.title, fill=_INK, font=_font(_HEADING))
    y += round(_HEADING * _LINE) + _GAP
    if section.bars is not None:
        _draw_bars(draw, section.bars, section.caption, y)
        return
    from PIL import Image

    columns = [*([Column("what it is", np.zeros(0))] if section.inputs else []), *section.columns]
    for number, column in enumerate(columns):
        centre = _MARGIN + _LEFT + number * (SIDE + _GAP) + SIDE // 2
        draw.text((centre, y), column.heading, fill=_INK, font=_font(_TEXT), anchor="ma")
        below = y + round(_TEXT * _LINE)
        draw.text((centre, below), column.said, fill=_FAINT, font=_font(_SMALL), anchor="ma")
    y += 2 * round(_TEXT * _LINE)
    for index, ground in enumerate(section.grounds):
        shown = [ground.panels(None)] if section.inputs else []
        shown += [ground.panels(_scaled(maps[index], column)) for maps, column in _pairs(section)]
        for row, label in enumerate(ground.labels()):
            high = shown[0][row].shape[0]
            draw.text(
                (_MARGIN + _LEFT - 10, y + high // 2), label, _FAINT, _font(_SMALL), anchor="rm"
            )
            for number, panels in enumerate(shown):
                x = _MARGIN + _LEFT + number * (SIDE + _GAP) + (SIDE - panels[row].shape[1]) // 2
                sheet.paste(Image.fromarray(panels[row]), (x, y))
            y += high + 4


def _pairs(section: Section) -> Sequence[tuple[tuple[Array, ...], Column]]:
    return list(zip(section.maps, section.columns, strict=True))


def _scaled(weights: Array, column: Column) -> Array:
    """From 0 to 1: the token that is read most, of all inputs, has the brightest colour."""
    return np.asarray(weights / max(float(np.nanmax(column.weights, initial=0)), 1e-12))


def _draw_bars(draw: ImageDraw, bars: Array, caption: str, y: int) -> None:
    left, width = _MARGIN + _LEFT, 4 * (SIDE + _GAP) - _GAP
    draw.text((left - 10, y + _BARS // 2), "latents", _FAINT, _font(_SMALL), anchor="rm")
    step = width / len(bars)
    for number, value in enumerate(bars / max(float(bars.max()), 1e-12)):
        x, top = left + number * step, y + _BARS - 1 - float(value) * (_BARS - 2)
        draw.rectangle((x, top, max(x + step - 1, x), y + _BARS - 1), fill=_BAR)
    draw.line((left, y + _BARS, left + width, y + _BARS), fill=_FAINT)
    draw.text((left, y + _BARS + 4), caption, fill=_FAINT, font=_font(_TEXT))


def _legend(sheet: Image, draw: ImageDraw, y: int) -> None:
    from PIL import Image

    ramp = heat_colours(np.linspace(0, 1, SIDE))[None].repeat(12, axis=0).astype(np.uint8)
    x = _MARGIN + _LEFT
    sheet.paste(Image.fromarray(ramp), (x, y))
    draw.text((x - 10, y + 6), "not read", _FAINT, _font(_SMALL), anchor="rm")
    text = "most of a column. Colours compare within a column, numbers between them."
    draw.text((x + SIDE + 10, y + 6), text, _FAINT, _font(_SMALL), anchor="lm")


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)
