"""A contact sheet: input frames above their reconstructions, and the sound of both, as one PNG.

It is what a person looks at first to see whether a model reconstructs at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perceiver_graph.media.clip.formats import to_pixels
from perceiver_graph.media.files.packages import require
from perceiver_graph.storage import staged_file

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

Pair = tuple[ArrayLike, ArrayLike]

_PAPER, _INK, _FAINT, _RULE = "#ffffff", "#1a1a1a", "#767676", "#dcdcdc"
_SOUND_INPUT, _SOUND_OUTPUT = "#3b4a5a", "#c2552d"
_MARGIN, _GAP, _GUTTER = 24, 8, 108
_STRIP, _STRIP_WIDTH = 56, 480  # of a sound, where the pictures are not wider
_TITLE, _TEXT, _SMALL = 20, 14, 12
_CELL = (96, 224)  # smallest and largest width of a picture on the sheet


def evenly_spaced(count: int, limit: int = 8) -> list[int]:
    """Up to `limit` indices of `count` items, from the first to the last at even distances."""
    if count <= limit:
        return list(range(count))
    return [round(i * (count - 1) / (limit - 1)) for i in range(limit)] if limit > 1 else [0]


def contact_sheet(
    path: str | PathLike[str],
    pairs: Sequence[Pair],
    *,
    title: str = "",
    lines: Sequence[str] = (),
    times: Sequence[float] | None = None,
    sounds: Pair | None = None,
    limit: int = 8,
) -> None:
    """Write a PNG with each pair's input above its reconstruction, in up to `limit` columns.

    pairs: (input frame, reconstruction) [height, width, 3], uint8 or floats in [0, 1]; of more than
    `limit`, evenly spaced ones are shown. times: seconds, one per pair, printed above the columns.
    sounds: (input, reconstruction) [time] or [time, channels], drawn as two strips on one scale.
    title, lines: printed at the top. Raises DiagnosticError (PG509, PG511); writes all or nothing.
    """
    if not pairs and sounds is None:
        raise ValueError("a contact sheet needs frames or sound")
    require("PIL")
    path = Path(path)
    chosen = evenly_spaced(len(pairs), limit)
    columns = [(to_pixels(pairs[i][0]), to_pixels(pairs[i][1])) for i in chosen]
    labels = [f"{times[i]:.2f} s" for i in chosen] if times is not None else [""] * len(chosen)
    image = _draw(columns, labels, _Heading.of(title, lines), sounds)
    with staged_file(path) as temporary:
        image.save(temporary, format="PNG")


@dataclass(frozen=True)
class _Heading:
    """Lines of text at the top: (text, size, colour) each."""

    lines: tuple[tuple[str, int, str], ...]

    @classmethod
    def of(cls, title: str, lines: Sequence[str]) -> _Heading:
        heading = ((title, _TITLE, _INK),) if title else ()
        return cls((*heading, *((line, _TEXT, _FAINT) for line in lines)))

    @property
    def width(self) -> int:
        return max((round(_font(size).getlength(t)) for t, size, _ in self.lines), default=0)

    @property
    def height(self) -> int:
        return sum(round(size * 1.5) for _, size, _ in self.lines) + (_GAP if self.lines else 0)

    def draw(self, draw: ImageDraw) -> None:
        y = _MARGIN
        for text, size, colour in self.lines:
            draw.text((_MARGIN, y), text, fill=colour, font=_font(size))
            y += round(size * 1.5)


def _draw(
    columns: Sequence[tuple[NDArray[np.uint8], NDArray[np.uint8]]],
    labels: Sequence[str],
    heading: _Heading,
    sounds: Pair | None,
) -> Image:
    from PIL import Image, ImageDraw

    cells = [(_cell(above), _cell(below)) for above, below in columns]
    cell_w = max((picture.width for pair in cells for picture in pair), default=0)
    cell_h = max((picture.height for pair in cells for picture in pair), default=0)
    left, top = _MARGIN + _GUTTER, _MARGIN + heading.height
    label_h = round(_SMALL * 1.6) if any(labels) else 0
    content_w = len(cells) * (cell_w + _GAP) - _GAP
    content_w = max(content_w, _STRIP_WIDTH if sounds is not None else 0)
    frames_h = label_h + 2 * cell_h + _GAP if cells else 0
    between = 2 * _GAP if cells and sounds is not None else 0
    sound_h = 2 * _STRIP + _GAP if sounds is not None else 0

    width = max(left + content_w, _MARGIN + heading.width) + _MARGIN
    sheet = Image.new("RGB", (width, top + frames_h + between + sound_h + _MARGIN), _PAPER)
    draw = ImageDraw.Draw(sheet)
    heading.draw(draw)
    rows = (top + label_h, top + label_h + cell_h + _GAP)
    for column, pair in enumerate(cells):
        x = left + column * (cell_w + _GAP)
        centre = (x + cell_w // 2, top)
        draw.text(centre, labels[column], fill=_FAINT, font=_font(_SMALL), anchor="ma")
        for y, picture in zip(rows, pair, strict=True):
            sheet.paste(picture, (x, y))
    if cells:
        _row_label(draw, "input", rows[0] + cell_h // 2)
        _row_label(draw, "reconstruction", rows[1] + cell_h // 2)
    if sounds is not None:
        _draw_sounds(draw, sounds, left, top + frames_h + between, content_w)
    return sheet


def _cell(pixels: NDArray[np.uint8]) -> Image:
    """A picture of readable size; small ones grow by whole pixels, so that nothing is made up."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(pixels))
    smallest, largest = _CELL
    if image.width < smallest:
        factor = -(-smallest // image.width)
        return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    if image.width > largest:
        height = max(1, round(image.height * largest / image.width))
        return image.resize((largest, height), Image.Resampling.LANCZOS)
    return image


def _draw_sounds(draw: ImageDraw, sounds: Pair, x: int, y: int, width: int) -> None:
    tracks = [_mono(sound) for sound in sounds]
    peak = max((float(np.abs(track).max(initial=0.0)) for track in tracks), default=0.0)
    names = ("input sound", "reconstruction")
    for track, colour, name in zip(tracks, (_SOUND_INPUT, _SOUND_OUTPUT), names, strict=True):
        middle = y + _STRIP // 2
        draw.rectangle((x, y, x + width - 1, y + _STRIP - 1), outline=_RULE)
        draw.line((x, middle, x + width - 1, middle), fill=_RULE)
        _row_label(draw, name, middle)
        scale = (_STRIP / 2 - 3) / max(peak, 1e-3)
        for column, (low, high) in enumerate(_envelope(track, width - 4)):
            line = (x + 2 + column, middle - high * scale, x + 2 + column, middle - low * scale)
            draw.line(line, fill=colour)
        y += _STRIP + _GAP


def _mono(sound: ArrayLike) -> NDArray[np.float32]:
    samples = np.nan_to_num(np.asarray(sound, dtype=np.float32))
    return samples if samples.ndim == 1 else samples.mean(axis=-1).reshape(-1)


def _envelope(samples: NDArray[np.float32], width: int) -> list[tuple[float, float]]:
    """The lowest and highest sample under each pixel column."""
    if not samples.size:
        return []
    starts = (np.arange(width) * samples.size) // width
    stops = np.maximum(starts + 1, (np.arange(1, width + 1) * samples.size) // width)
    spans = zip(starts.tolist(), stops.tolist(), strict=True)
    return [(float(samples[a:b].min()), float(samples[a:b].max())) for a, b in spans]


def _row_label(draw: ImageDraw, text: str, y: int) -> None:
    """Right-aligned in the gutter, centred on the row."""
    draw.text((_MARGIN + _GUTTER - 12, y), text, fill=_INK, font=_font(_SMALL), anchor="rm")


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)
