"""A contact sheet: input frames above their reconstructions, the sound of both, and what else was said,
as one PNG.

It is what a person looks at first to see whether a model reconstructs at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perceiver_graph.media.clip.formats import to_pixels
from perceiver_graph.media.drawing import (
    FAINT,
    GAP,
    GIVEN,
    INK,
    MADE,
    MARGIN,
    RULE,
    SMALL,
    Bar,
    Bars,
    Heading,
    blank_sheet,
    font,
    sized,
)
from perceiver_graph.media.files.packages import require
from perceiver_graph.storage import staged_file

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

Pair = tuple[ArrayLike, ArrayLike]
Columns = Sequence[tuple[NDArray[np.uint8], NDArray[np.uint8]]]

_GUTTER = 108
_STRIP, _NARROW, _BARS = 56, 480, 620
"""Of a sound: its height. Of all that is above or below pictures: the least width, and of bars the most."""
_LEAST, _MOST = 96, (224, 224)
"""Pixels of a picture on the sheet."""
_PER_SECOND = 1000
"""Low and high values of a sound that is drawn."""


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
    bars: Mapping[str, Sequence[Bar]] | None = None,
    times: Sequence[float] | None = None,
    sounds: Pair | None = None,
    limit: int = 8,
) -> None:
    """Write a PNG with each pair's input above its reconstruction, in up to `limit` columns.

    pairs: (input frame, reconstruction) [height, width, 3], uint8 or floats in [0, 1]; of more than
    `limit`, evenly spaced ones are shown. times: seconds, one per pair, printed above the columns.
    sounds: (input, reconstruction) [time] or [time, channels], drawn as two strips on one scale.
    title, lines: printed at the top. bars: labels with their parts, by output, drawn at the bottom.
    Raises DiagnosticError (PG509, PG511); writes all or nothing.
    """
    if not pairs and sounds is None:
        raise ValueError("a contact sheet needs frames or sound")
    require("PIL")
    path = Path(path)
    chosen = evenly_spaced(len(pairs), limit)
    columns = [(to_pixels(pairs[i][0]), to_pixels(pairs[i][1])) for i in chosen]
    labels = [f"{times[i]:.2f} s" for i in chosen] if times is not None else [""] * len(chosen)
    image = _draw(columns, labels, (title, lines), sounds, bars or {})
    with staged_file(path) as temporary:
        image.save(temporary, format="PNG")


def _draw(
    columns: Columns,
    labels: Sequence[str],
    said: tuple[str, Sequence[str]],
    sounds: Pair | None,
    bars: Mapping[str, Sequence[Bar]],
) -> Image:
    cells = [(sized(above, _LEAST, _MOST), sized(below, _LEAST, _MOST)) for above, below in columns]
    cell_w = max((picture.width for pair in cells for picture in pair), default=0)
    cell_h = max((picture.height for pair in cells for picture in pair), default=0)
    wide = max(len(cells) * (cell_w + GAP) - GAP, _NARROW)
    heading = Heading.of(*said, _GUTTER + wide)
    charts = Bars(bars, min(wide, _BARS))
    left, top = MARGIN + _GUTTER, MARGIN + heading.height
    label_h = round(SMALL * 1.6) if any(labels) else 0
    frames_h = label_h + 2 * cell_h + GAP if cells else 0
    sound_h = 2 * _STRIP + GAP if sounds is not None else 0
    parts = [height for height in (frames_h, sound_h, charts.height) if height]
    between = 2 * GAP
    paper, draw = blank_sheet(
        left + wide + MARGIN, top + sum(parts) + between * (len(parts) - 1) + MARGIN
    )
    heading.draw(draw)
    _draw_frames(paper, draw, cells, labels, top + label_h)
    y = top + (frames_h + between if cells else 0)
    if sounds is not None:
        _draw_sounds(draw, sounds, left, y, wide)
        y += sound_h + between
    charts.draw(draw, left, y)
    return paper


def _draw_frames(
    paper: Image,
    draw: ImageDraw,
    cells: Sequence[tuple[Image, Image]],
    labels: Sequence[str],
    y: int,
) -> None:
    """Each input above its reconstruction, with its moment above both."""
    if not cells:
        return
    width, height = (max(getattr(p, side) for pair in cells for p in pair) for side in
                     ("width", "height"))  # fmt: skip
    rows = (y, y + height + GAP)
    for column, pair in enumerate(cells):
        x = MARGIN + _GUTTER + column * (width + GAP)
        above = (x + width // 2, y - round(SMALL * 1.6))
        draw.text(above, labels[column], fill=FAINT, font=font(SMALL), anchor="ma")
        for top, picture in zip(rows, pair, strict=True):
            paper.paste(picture, (x, top))
    _row_label(draw, "input", rows[0] + height // 2)
    _row_label(draw, "reconstruction", rows[1] + height // 2)


def _draw_sounds(draw: ImageDraw, sounds: Pair, x: int, y: int, width: int) -> None:
    """Both on one scale."""
    tracks = [_mono(sound) for sound in sounds]
    peak = max((float(np.abs(track).max(initial=0.0)) for track in tracks), default=0.0)
    names = ("input sound", "reconstruction")
    for track, colour, name in zip(tracks, (GIVEN, MADE), names, strict=True):
        _row_label(draw, name, y + _STRIP // 2)
        draw_sound(draw, track, (x, y, width, _STRIP), colour, peak)
        y += _STRIP + GAP


def draw_sound(
    draw: ImageDraw,
    samples: NDArray[np.float32],
    place: tuple[int, int, int, int],
    colour: str = GIVEN,
    peak: float | None = None,
) -> None:
    """The outline of a sound in a frame, (left, top, width, height); `peak` reaches the frame."""
    x, y, width, height = place
    middle = y + height // 2
    draw.rectangle((x, y, x + width - 1, y + height - 1), outline=RULE)
    draw.line((x, middle, x + width - 1, middle), fill=RULE)
    track = _mono(samples)
    most = float(np.abs(track).max(initial=0.0)) if peak is None else peak
    scale = (height / 2 - 3) / max(most, 1e-3)
    for column, (low, high) in enumerate(_envelope(track, width - 4)):
        line = (x + 2 + column, middle - high * scale, x + 2 + column, middle - low * scale)
        draw.line(line, fill=colour)


def outline(samples: NDArray[Any], rate: int) -> NDArray[np.float32]:
    """The lowest and highest value of each millisecond: as much of a long sound as is drawn."""
    mono: NDArray[np.float32] = samples.mean(axis=-1, dtype=np.float32)
    if not mono.size:
        return mono
    starts = np.arange(0, mono.size, max(1, rate // _PER_SECOND))
    lows, highs = np.minimum.reduceat(mono, starts), np.maximum.reduceat(mono, starts)
    return np.stack([lows, highs], axis=1).reshape(-1)


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
    place = (MARGIN + _GUTTER - 12, y)
    draw.text(place, text, fill=INK, font=font(SMALL), anchor="rm")
