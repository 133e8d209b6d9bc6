"""What an input looks like: the panels that attention is laid over, made of the array that the model took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.media.base import settings_of
from perceiver_graph.media.clip.sheet import evenly_spaced
from perceiver_graph.runtime.scores import Rows
from perceiver_graph.spec.manifest import InputEntry

Array = NDArray[Any]
SIDE = 112
"""Pixels of the longer side of a panel."""
_STRIP = 36
_MOST_FRAMES = 4
_PICTURES = ("image", "video", "flow")

_HEAT = np.array(
    [
        [0, 0, 4],
        [40, 11, 84],
        [101, 21, 110],
        [159, 42, 99],
        [212, 72, 66],
        [245, 125, 21],
        [250, 193, 39],
        [252, 255, 164],
    ],
    np.float32,
)
"""From nothing to the most: darker is less in grey, too, and for who does not see red and green apart."""


def heat_colours(heat: Array) -> NDArray[np.float32]:
    """Colours [.., 3], 0 to 255, of numbers from 0 to 1."""
    at = np.clip(np.nan_to_num(heat), 0, 1) * (len(_HEAT) - 1)
    low = np.minimum(at.astype(int), len(_HEAT) - 2)
    part = (at - low)[..., None]
    return np.asarray(_HEAT[low] * (1 - part) + _HEAT[low + 1] * part, np.float32)


@dataclass(frozen=True)
class Ground:
    """An input on the grid of its tokens: one panel for each of a few moments, or a single one."""

    rows: Rows
    pictures: tuple[Array, ...]
    """uint8 [height, width, 3] each."""
    moments: tuple[int, ...]
    """Which token along time each is of; none where time is an axis of the panel, or there is none."""
    strip: bool = False
    """Whether time goes across and nothing else is known."""
    pitched: bool = False
    """Whether it is a spectrogram: time goes across, and low sounds are below, whichever axis is first."""

    def panels(self, heat: Array | None) -> list[Array]:
        """The panels, with the weights of the tokens over them, [*shape] from 0 to 1."""
        if heat is None:
            return list(self.pictures)
        maps = [heat[moment] for moment in self.moments] or [heat]
        if self.pitched:
            maps = [upright(one, self.rows.axes) for one in maps]
        if self.strip:
            maps = [one.reshape(1, -1) for one in maps]
        return [_laid_over(p, one) for p, one in zip(self.pictures, maps, strict=True)]

    def labels(self) -> list[str]:
        """What each panel is of."""
        if not self.moments:
            return [self.rows.name] * len(self.pictures)
        count = self.rows.shape[0]
        return [f"{self.rows.name}, {moment + 1} of {count}" for moment in self.moments]


def ground(rows: Rows, entry: InputEntry, array: Array) -> Ground | None:
    """How tokens of an input are shown, of its array [*axes] as the model took it; None: not at all."""
    axes, kind = rows.axes, entry.media.key if entry.media else ""
    if kind == "text" or not axes or len(axes) > 3:
        return None
    if axes[-2:] == ("height", "width"):
        frames = _frames(entry, kind, array)
        if len(axes) == 2:
            chosen: list[int] = []
            frames = frames[:1]
        elif axes[0] == "time":
            chosen = evenly_spaced(rows.shape[0], _MOST_FRAMES)
            frames = frames[[round((i + 0.5) * len(frames) / rows.shape[0] - 0.5) for i in chosen]]
        else:
            return None
        return Ground(rows, tuple(map(_sized, frames)), tuple(chosen))
    if sorted(axes) == ["frequency", "time"]:
        return Ground(rows, (_spectrogram(entry, array, axes),), (), pitched=True)
    if len(axes) == 1:
        return Ground(rows, (_wave(array),), (), strip=True)
    if len(axes) == 2:
        return Ground(rows, (_plain(rows.shape[0], rows.shape[1]),), ())
    return None


def blank(rows: Rows) -> Ground | None:
    """The grid of an output, of which nothing is drawn but where it is read."""
    if rows.axes[-2:] == ("height", "width") and len(rows.axes) in (2, 3):
        moments = evenly_spaced(rows.shape[0], _MOST_FRAMES) if len(rows.axes) == 3 else []
        panel = _plain(*rows.shape[-2:])
        return Ground(rows, (panel,) * max(len(moments), 1), tuple(moments))
    if len(rows.axes) == 1:
        return Ground(rows, (np.full((_STRIP, SIDE, 3), 32, np.uint8),), (), strip=True)
    return None


def _frames(entry: InputEntry, kind: str, array: Array) -> Array:
    """Pictures uint8 [time, height, width, 3]."""
    order = [entry.axes[1:].index(axis) for axis in ("height", "width", "channel")]
    times = [entry.axes[1:].index("time")] if "time" in entry.axes else []
    values: Array = array.transpose([*times, *order]).astype(np.float32)
    values = values if times else values[None]
    if kind == "flow":
        middle = values.shape[-1] // 2  # of the square of neighbours, the pixel itself
        values = (values[..., middle - 1 : middle + 2] + 1) / 2
    if kind == "image" and entry.media is not None:
        form = settings_of(entry.media)
        values = np.asarray(values * np.float32(form.std) + np.float32(form.mean), np.float32)
    if values.shape[-1] != 3:
        values = values.mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    if kind not in _PICTURES:
        values = _stretched(values)
    return np.asarray(np.nan_to_num(values).clip(0, 1) * 255, np.float32).round().astype(np.uint8)


def _stretched(values: Array) -> Array:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return np.asarray((values - low) / max(high - low, 1e-9))


def _sized(pixels: Array) -> Array:
    """Enlarged by whole pixels, or made smaller, to a side that can be looked at."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(pixels))
    factor = SIDE / max(image.size)
    size = (max(round(image.width * factor), 1), max(round(image.height * factor), 1))
    how = Image.Resampling.NEAREST if factor > 1.5 else Image.Resampling.LANCZOS
    return np.asarray(image.resize(size, how))


def _plain(height: int, width: int) -> Array:
    return _sized(np.full((height, width, 3), 32, np.uint8))


def _spectrogram(entry: InputEntry, array: Array, axes: tuple[str, ...]) -> Array:
    """Time across, high sounds at the top: loud is dark, as ink is."""
    order = [entry.axes[1:].index(axis) for axis in axes]
    others = [i for i in range(array.ndim) if i not in order]
    values = _stretched(
        array.transpose([*order, *others]).reshape(*np.array(array.shape)[order], -1)
    )
    grey = (255 - 220 * upright(values.mean(axis=-1), axes)).round().astype(np.uint8)
    return _sized(np.repeat(grey[..., None], 3, axis=-1))


def upright(values: Array, axes: tuple[str, ...]) -> Array:
    """Numbers on the axes of a spectrogram as it is drawn: [frequency, time], the highest first."""
    return values.transpose([axes.index("frequency"), axes.index("time")])[::-1]


def _wave(array: Array) -> Array:
    """The outline of a sound, or of whatever else goes along one axis."""
    samples = np.nan_to_num(array.reshape(len(array), -1).mean(axis=-1).astype(np.float32))
    samples = samples / max(float(np.abs(samples).max(initial=0)), 1e-6)
    panel = np.full((_STRIP, SIDE, 3), 235, np.uint8)
    for column, part in enumerate(np.array_split(samples, SIDE)):
        if part.size:
            top, bottom = ((1 - part.max()) / 2, (1 - part.min()) / 2)
            rows = slice(int(top * (_STRIP - 1)), int(bottom * (_STRIP - 1)) + 1)
            panel[rows, column] = (59, 74, 90)
    return panel


def _laid_over(pixels: Array, heat: Array) -> Array:
    """A picture in grey, coloured where it is read: each token on its part of the picture."""
    from PIL import Image

    height, width = pixels.shape[:2]
    fine = Image.fromarray(np.asarray(heat, np.float32)).resize(
        (width, height), Image.Resampling.NEAREST
    )
    cover = np.asarray(fine)[..., None]
    grey = pixels.astype(np.float32).mean(axis=-1, keepdims=True)
    alpha = 0.35 + 0.5 * np.sqrt(cover.clip(0, 1))
    mixed = grey * (1 - alpha) * 0.9 + heat_colours(cover[..., 0]) * alpha
    return np.asarray(mixed.clip(0, 255), np.uint8)


def grounds(
    read: tuple[Rows, ...], inputs: Mapping[str, InputEntry], arrays: Mapping[str, Array]
) -> dict[str, Ground]:
    """What can be shown of all that is read, by name."""
    found = {}
    for rows in read:
        if rows.name in inputs and rows.name in arrays:
            one = ground(rows, inputs[rows.name], arrays[rows.name])
            if one is not None:
                found[rows.name] = one
    return found
