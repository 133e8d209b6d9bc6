"""What a model that classifies was given, as a panel: the picture, frames of the film, the sound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.media.clip.formats import MelFormat
from perceiver_graph.media.clip.model import MEL_AXES
from perceiver_graph.media.clip.reader import Moment
from perceiver_graph.media.clip.sheet import draw_sound, evenly_spaced, outline
from perceiver_graph.media.drawing import (
    FAINT,
    GAP,
    RULE,
    SMALL,
    blank_sheet,
    font,
    line_height,
    sized,
)
from perceiver_graph.media.image.reader import Picture
from perceiver_graph.media.io import Piece

if TYPE_CHECKING:
    from PIL.Image import Image

ACROSS = 320
"""Pixels of a panel, at the most."""
_DOWN = 360
_STRIP, _TALL = 72, 128
_MOST, _SHOWN = 64, 4
_LEFT_OUT = 0.3
"""How much is left of the colours of what the model does not see."""


class Subject:
    """Keeps of piece after piece what is shown of it."""

    is_empty = True

    def add(self, piece: Piece) -> None:
        """Take a piece."""
        raise NotImplementedError

    def panel(self) -> Image:
        """What it looks like."""
        raise NotImplementedError


class Pictured(Subject):
    """A picture, of which that is pale what the model does not see."""

    def add(self, piece: Piece) -> None:
        """Keep the first picture."""
        found = piece.origin(Picture)
        if found is not None and self.is_empty:
            self._picture, self.is_empty = found, False

    def panel(self) -> Image:
        """The picture, and what is read of it."""
        pixels, region = self._picture.pixels, self._picture.region
        height, width = pixels.shape[:2]
        shown = (255 - (255 - pixels) * np.float32(_LEFT_OUT)).round().astype(np.uint8)
        rows = slice(region.top, region.top + region.height)
        columns = slice(region.left, region.left + region.width)
        shown[rows, columns] = pixels[rows, columns]
        image = sized(shown, ACROSS // 2, (ACROSS, _DOWN))
        part = "" if region.width == width and region.height == height else "; the middle is read"
        return captioned(image, f"{width} x {height} pixels{part}")


class Seen(Subject):
    """A film: frames at even distances."""

    def __init__(self) -> None:
        self._frames: list[NDArray[np.uint8]] = []
        self._every, self._count = 1, 0

    def add(self, piece: Piece) -> None:
        """Keep frames of a window, fewer as they become many."""
        moment = piece.origin(Moment)
        if moment is None or moment.window.frames is None:
            return
        self.is_empty = False
        for frame in moment.window.frames[: moment.window.frame_count]:
            if self._count % self._every == 0:
                self._frames.append(np.array(frame))
            self._count += 1
        while len(self._frames) > _MOST:
            self._frames, self._every = self._frames[::2], self._every * 2

    def panel(self) -> Image:
        """Four frames, two in a row."""
        side = (ACROSS - GAP) // 2
        chosen = evenly_spaced(len(self._frames), _SHOWN)
        images = [sized(self._frames[index], side, (side, side)) for index in chosen]
        width, height = images[0].size
        across = min(len(images), 2)
        down = -(-len(images) // 2)
        paper, _ = blank_sheet(across * (width + GAP) - GAP, down * (height + GAP) - GAP)
        for number, image in enumerate(images):
            paper.paste(image, (number % 2 * (width + GAP), number // 2 * (height + GAP)))
        return paper


class Heard(Subject):
    """A sound: its outline, and where the model sees a spectrogram, that."""

    def __init__(self) -> None:
        self._outlines: list[NDArray[np.float32]] = []
        self._spectra: list[NDArray[Any]] = []
        self._seconds = 0.0

    def add(self, piece: Piece) -> None:
        """Keep the outline of a window, without what pads its end."""
        moment = piece.origin(Moment)
        if moment is None or moment.window.samples is None or moment.audio is None:
            return
        self.is_empty = False
        window, form = moment.window, moment.audio
        self._outlines.append(outline(moment.window.samples[: window.sample_count], form.rate))
        self._seconds += window.sample_count / form.rate
        if isinstance(form, MelFormat) and len(self._spectra) < _MOST:
            seen = (a[0] for a in piece.arrays.values() if a.shape == (1, *form.shape))
            self._spectra += [_spectrum(array, form, float(moment.part)) for array in seen]

    def panel(self) -> Image:
        """The outline above the spectrogram, and how long it is."""
        caption = f"{self._seconds:.3g} s"
        tall = _STRIP + (GAP + _TALL if self._spectra else 0)
        paper, pen = blank_sheet(ACROSS, tall)
        draw_sound(pen, np.concatenate(self._outlines), (0, 0, ACROSS, _STRIP))
        if self._spectra:
            from PIL import Image

            pitch = Image.fromarray(_grey(np.concatenate(self._spectra, axis=1)))
            paper.paste(pitch.resize((ACROSS, _TALL)), (0, _STRIP + GAP))
            pen.rectangle((0, _STRIP + GAP, ACROSS - 1, tall - 1), outline=RULE)
            caption += ", its outline and its pitches, low to high"
        return captioned(paper, caption)


def _spectrum(array: NDArray[Any], form: MelFormat, part: float) -> NDArray[Any]:
    """[frequency, time] of what the model sees of a window."""
    values = array.transpose([form.axes.index(axis) for axis in MEL_AXES])[..., 0].T
    return np.asarray(values[:, : max(1, round(values.shape[1] * part))])


def _grey(values: NDArray[Any]) -> NDArray[np.uint8]:
    """White for what is silent, black for what is loudest, high pitches above."""
    low, high = float(values.min()), float(values.max())
    dark = (values[::-1] - low) / max(high - low, 1e-9)
    return np.asarray((255 - 230 * dark).round(), np.uint8)


def captioned(image: Image, text: str) -> Image:
    """A picture with a line of text below it."""
    width = max(image.width, round(font(SMALL).getlength(text)) + 1)
    paper, pen = blank_sheet(width, image.height + GAP // 2 + line_height(SMALL))
    paper.paste(image, (0, 0))
    pen.text((0, image.height + GAP // 2), text, fill=FAINT, font=font(SMALL))
    return paper
