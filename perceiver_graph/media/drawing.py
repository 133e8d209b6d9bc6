"""What all pictures for people share: paper and ink, the font, headings that wrap, panels, bars of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics import escape

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

Bar = tuple[str, float]
"""What it is called, and its part of the whole."""

PAPER, INK, FAINT, RULE, TRACK = "#ffffff", "#1a1a1a", "#6b6b6b", "#dcdcdc", "#f1f1f1"
GIVEN, MADE, LESS = "#3b4a5a", "#c2552d", "#dd9f88"
"""What went in, what the model made of it, and what it made less of."""
MARGIN, GAP = 24, 8
TITLE, TEXT, SMALL = 20, 14, 12
LINE = 1.5
"""Of the size of a font: from one line to the next."""
_ROW, _BAR, _VALUE, _LONGEST_NAME = 28, 16, 60, 0.45


@cache
def font(size: int) -> Any:
    """The font that comes with Pillow: the same everywhere."""
    from PIL import ImageFont

    return ImageFont.load_default(size)


def length(text: str, size: int) -> int:
    """How many pixels wide a line of text is."""
    return int(np.ceil(font(size).getlength(text)))


def line_height(size: int) -> int:
    """From one line of text to the next."""
    return round(size * LINE)


def fitting(text: str, size: int, width: int) -> str:
    """The text on one line, or as much of it as is no wider."""
    text = escape.line(text)
    if length(text, size) <= width:
        return text
    low, high = 0, len(text)  # the most characters that fit, dots included
    while low < high:
        middle = (low + high + 1) // 2
        if length(f"{text[:middle].rstrip()}...", size) <= width:
            low = middle
        else:
            high = middle - 1
    return f"{text[:low].rstrip()}..."


def wrapped(text: str, size: int, width: int) -> list[str]:
    """The text in lines that are no wider; a word that is wider by itself is cut."""
    lines: list[str] = []
    for word in escape.line(text).split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and length(longer, size) <= width:
            lines[-1] = longer
        else:
            lines.append(fitting(word, size, width))
    return lines


def sized(pixels: NDArray[np.uint8], least: int, most: tuple[int, int]) -> Image:
    """A picture of readable size: no larger than `most` (width, height), and where there is room, with
    a longer side of `least`. Small ones grow by whole pixels, so that nothing is made up."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(pixels))
    room = min(most[0] / image.width, most[1] / image.height)
    if room < 1:
        size = (max(1, round(image.width * room)), max(1, round(image.height * room)))
        return image.resize(size, Image.Resampling.LANCZOS)
    factor = min(-(-least // max(image.size)), int(room))
    if factor > 1:
        size = (image.width * factor, image.height * factor)
        return image.resize(size, Image.Resampling.NEAREST)
    return image


@dataclass(frozen=True)
class Heading:
    """A title and lines below it, none wider than `width`."""

    lines: tuple[tuple[str, int, str], ...]
    """(text, size, colour) each."""

    @classmethod
    def of(cls, title: str, lines: Sequence[str], width: int) -> Heading:
        """The lines of a title and of texts, as many as it takes."""
        told = [(one, TITLE, INK) for one in wrapped(title, TITLE, width)] if title else []
        told += [(one, TEXT, FAINT) for line in lines for one in wrapped(line, TEXT, width)]
        return cls(tuple(told))

    @property
    def height(self) -> int:
        """Of all lines, and of the gap below them."""
        return sum(line_height(size) for _, size, _ in self.lines) + (GAP if self.lines else 0)

    def draw(self, draw: ImageDraw, x: int = MARGIN, y: int = MARGIN) -> None:
        """Write the lines from a place at their upper left on."""
        for text, size, colour in self.lines:
            draw.text((x, y), text, fill=colour, font=font(size))
            y += line_height(size)


@dataclass(frozen=True)
class Bars:
    """The best labels of each output, as bars from 0 to 100 %."""

    of: Mapping[str, Sequence[Bar]]
    width: int

    @property
    def height(self) -> int:
        """Of all charts, one below the other."""
        each = [line_height(TEXT) + _ROW * len(bars) for bars in self.of.values()]
        return sum(each) + 2 * GAP * max(len(each) - 1, 0)

    @cached_property
    def names(self) -> Mapping[str, Sequence[str]]:
        """What the labels of each output are called, as far as there is room for it."""
        most = round(self.width * _LONGEST_NAME)
        return {of: [fitting(name, TEXT, most) for name, _ in bars] for of, bars in self.of.items()}

    def draw(self, draw: ImageDraw, x: int, y: int) -> None:
        """Draw them from a place at their upper left on; all bars begin below each other."""
        wide = max((length(one, TEXT) for names in self.names.values() for one in names), default=0)
        for name, bars in self.of.items():
            draw.text((x, y), fitting(name, TEXT, self.width), fill=FAINT, font=font(TEXT))
            y += line_height(TEXT)
            self._chart(draw, name, y, (x + wide + GAP, x + self.width))
            y += _ROW * len(bars) + 2 * GAP

    def _chart(self, draw: ImageDraw, of: str, y: int, ends: tuple[int, int]) -> None:
        """Names, right-aligned; their bars; their percents."""
        left, right = ends
        wide = right - _VALUE - left
        for number, (name, (_, part)) in enumerate(zip(self.names[of], self.of[of], strict=True)):
            middle = y + number * _ROW + _ROW // 2
            top, bottom = middle - _BAR // 2, middle + _BAR // 2
            draw.text((left - GAP, middle), name, fill=INK, font=font(TEXT), anchor="rm")
            draw.rectangle((left, top, left + wide, bottom), fill=TRACK)
            colour = MADE if number == 0 else LESS
            draw.rectangle((left, top, left + round(wide * min(max(part, 0), 1)), bottom), colour)
            draw.text((right, middle), f"{part:.1%}", fill=INK, font=font(TEXT), anchor="rm")


def blank_sheet(width: int, height: int) -> tuple[Image, ImageDraw]:
    """White paper, and a pen."""
    from PIL import Image, ImageDraw

    paper = Image.new("RGB", (width, height), PAPER)
    return paper, ImageDraw.Draw(paper)
