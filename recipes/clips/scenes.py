"""Rendered clips: eight scenes of things that move, and the sounds that they make.

What is heard follows from what is seen: small things sound high, what strikes is heard when it
strikes, what is far is faint. Notes have whole cycles in a patch of sound, so that a patch is one
waveform with a loudness, and a small model can say it.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

FRAMES, SIDE, RATE = 8, 32, 8
"""Frames of a clip, pixels of a side, frames per second: a clip lasts a second."""
SAMPLES, PATCH = 2048, 32
"""Samples of a clip, and of a patch of it. Note k has k cycles in a patch, 64 k hertz."""
HUES = 8
Array = NDArray[np.floating[Any]]

TIMES = np.arange(FRAMES, dtype=np.float32) / RATE
INSTANTS = np.arange(SAMPLES, dtype=np.float32) / SAMPLES
_Y, _X = np.mgrid[:SIDE, :SIDE].astype(np.float32)


@dataclass(frozen=True)
class Clip:
    """Frames [time, height, width, 3], samples [time, 1] in [-1, 1], the number of the scene, and the hues
    of the thing and of what is behind it."""

    frames: NDArray[np.uint8]
    samples: NDArray[np.float32]
    scene: int
    hues: tuple[int, int]


class Stage:
    """A background with ground, on which a scene paints, and its colours."""

    def __init__(self, rng: Generator, thing: int, background: int) -> None:
        self.rng = rng
        bright = bool(rng.random() < 0.5)

        def colour(hue: float, low: float, high: float, saturation: float) -> Array:
            value = rng.uniform(low, high)
            found = colorsys.hsv_to_rgb(hue % 1, saturation, value)
            return np.array(found, np.float32)

        behind = (background + rng.uniform(-0.3, 0.3)) / HUES
        hue = (thing + rng.uniform(-0.3, 0.3)) / HUES
        low, high = (0.7, 1.0) if bright else (0.1, 0.45)
        top = colour(behind, low, high, rng.uniform(0.3, 0.6))
        bottom = colour(behind, low, high, rng.uniform(0.3, 0.6))
        self.ground = SIDE - float(rng.uniform(3, 6))
        """The height at which the ground begins."""
        self.thing = colour(hue, *((0.1, 0.4) if bright else (0.8, 1.0)), rng.uniform(0.7, 1))
        self.light = colour(hue, *((0.0, 0.1) if bright else (0.95, 1.0)), 0.2)
        """Set off from the thing as the thing is from the background."""
        down = (_Y / (SIDE - 1))[..., None]
        picture = top + (bottom - top) * down
        self.frames = np.repeat(picture[None], FRAMES, 0)
        earth = colour(behind, 0.4, 0.6, 0.3)
        self.paint(np.clip(_Y - self.ground + 0.5, 0, 1)[None], earth)

    def paint(self, cover: Array, colour: Array) -> None:
        """Lay a colour over what is there, as opaque as `cover` [time or 1, height, width]."""
        self.frames += cover[..., None] * (colour - self.frames)

    def between(self, low: float, high: float) -> float:
        """A number by chance."""
        return float(self.rng.uniform(low, high))


def over_time(value: Array | float) -> Array:
    """One number a frame, or one for all, to compute pictures with."""
    return np.asarray(value, np.float32).reshape(-1, 1, 1)


def disc(x: Array | float, y: Array | float, radius: Array | float) -> Array:
    """The cover of a disc, smooth at its edge."""
    far = np.hypot(_X - over_time(x), _Y - over_time(y))
    cover: Array = np.clip(over_time(radius) + 0.5 - far, 0, 1)
    return cover


def box(
    left: Array | float, right: Array | float, top: Array | float, bottom: Array | float
) -> Array:
    """The cover of a rectangle, smooth at its edge."""
    across = np.minimum(_X - over_time(left), over_time(right) - _X)
    down = np.minimum(_Y - over_time(top), over_time(bottom) - _Y)
    cover: Array = np.clip(np.minimum(across, down) + 0.5, 0, 1)
    return cover


def note(number: int, loudness: Array | float, overtone: float = 0.0) -> Array:
    """A tone, with some of its octave."""
    phase = 2 * np.pi * number / PATCH * np.arange(SAMPLES)
    tone = np.sin(phase) + overtone * np.sin(2 * phase)
    found: Array = (loudness * tone).astype(np.float32)
    return found


def pitch(size: float, smallest: float, largest: float, low: int, high: int) -> int:
    """The note of a thing: the smaller, the higher."""
    return round(high + (low - high) * (size - smallest) / (largest - smallest))


def since(first: float, period: float, times: Array) -> Array:
    """The time since something was struck that is struck every `period`."""
    passed: Array = np.mod(times - first, period)
    return passed


def ball(stage: Stage) -> Array:
    """A ball bounces, and is heard when it strikes the ground."""
    radius = stage.between(4.5, 7.5)
    period, first = stage.between(0.7, 1.2), stage.between(0, 1)
    rise = since(first, period, TIMES) / period
    height = stage.between(11, 16)
    y = stage.ground - radius - height * 4 * rise * (1 - rise)
    x = stage.between(8, 23) + stage.between(-8, 8) * (TIMES - 0.5)
    stage.paint(disc(x, y, radius), stage.thing)
    loud = 0.5 * np.exp(-7 * since(first, period, INSTANTS))
    return note(pitch(radius, 4.5, 7.5, 5, 11), loud)


def siren(stage: Stage) -> Array:
    """A car with a siren drives by: two notes in turn, loud where it is near the middle."""
    length, way = stage.between(13, 17), float(stage.rng.choice([-1, 1]))
    speed, middle = stage.between(18, 32), stage.between(0.3, 0.7)
    turn, first = stage.between(0.22, 0.35), stage.between(0, 1)
    x = 16 + way * speed * (TIMES - middle)
    floor = stage.ground + 1
    stage.paint(box(x - length / 2, x + length / 2, floor - 10, floor - 2), stage.thing)
    stage.paint(box(x - length / 4, x + length / 4, floor - 15, floor - 9), stage.thing)
    for wheel in (-0.3, 0.3):
        stage.paint(disc(x + wheel * length, floor - 2, 2.5), stage.light)
    high = np.mod(TIMES - first, 2 * turn) < turn
    stage.paint(disc(x, floor - 16.5, np.where(high, 3.0, 1.0)), stage.light)
    near = 0.55 / (1 + (speed * (INSTANTS - middle) / 9) ** 2)
    lower, rising = pitch(length, 13, 17, 5, 7), np.mod(INSTANTS - first, 2 * turn) < turn
    return note(lower, near * ~rising, 0.5) + note(lower + 2, near * rising, 0.5)


def pendulum(stage: Stage) -> Array:
    """A pendulum swings: the faster, the louder; the longer, the lower."""
    length, radius = stage.between(14, 20), stage.between(5, 6.5)
    period, phase = 1.2 * np.sqrt(length / 17), stage.between(0, 2 * np.pi)
    wide, x = stage.between(0.4, 0.7), stage.between(13, 18)
    angle = wide * np.sin(2 * np.pi * TIMES / period + phase)
    away, down = np.sin(angle), np.cos(angle)
    along = (_X - x) * over_time(away) + (_Y - 1) * over_time(down)
    beside = np.abs((_X - x) * over_time(down) - (_Y - 1) * over_time(away))
    rod = np.clip(1.6 - beside, 0, 1) * ((along > 0) & (along < length))
    stage.paint(rod.astype(np.float32), stage.light)
    stage.paint(disc(x + length * away, 1 + length * down, radius), stage.thing)
    loud = 0.5 * np.abs(np.cos(2 * np.pi * INSTANTS / period + phase))
    return note(pitch(length, 14, 20, 3, 7), loud * wide, 0.25)


def rain(stage: Stage) -> Array:
    """Drops fall, and each is heard when it lands: the further right, the higher."""
    sound = np.zeros(SAMPLES, np.float32)
    period = stage.between(0.9, 1.3)
    begins = stage.rng.permutation(4)
    for column, begin in enumerate(begins):
        first = (float(begin) + stage.between(-0.2, 0.2)) / 4 * period
        radius = stage.between(2.7, 3.7)
        x = 4 + 8 * column + stage.between(-1, 1)
        y = stage.ground * since(first, period, TIMES) / period
        stage.paint(disc(x, y, radius), stage.thing)
        stage.paint(disc(x, y - radius, radius / 2), stage.thing)
        sound += note(6 + 2 * column, 0.4 * np.exp(-15 * since(first, period, INSTANTS)))
    return sound


def fan(stage: Stage) -> Array:
    """A fan turns and hums, loudest whenever a blade is at the top."""
    radius, blades = stage.between(10, 14), int(stage.rng.integers(2, 4))
    turns = stage.between(0.15, 0.4) * float(stage.rng.choice([-1, 1]))
    phase = stage.between(0, 2 * np.pi)
    x, y = stage.between(14, 17), stage.between(13, 15)
    far, angle = np.hypot(_X - x, _Y - y), np.arctan2(_X - x, y - _Y)
    turned = blades * (angle - 2 * np.pi * turns * over_time(TIMES)) + phase
    blade = np.clip(0.5 + far * (np.cos(turned) - 0.1) / blades, 0, 1)
    stage.paint((blade * np.clip(radius + 0.5 - far, 0, 1)).astype(np.float32), stage.thing)
    stage.paint(disc(x, y, 2.5), stage.light)
    beat = np.cos(phase - blades * 2 * np.pi * turns * INSTANTS)
    return note(pitch(radius, 10, 14, 2, 4), 0.35 + 0.2 * beat, 0.6)


def drum(stage: Stage) -> Array:
    """A drum swells with every beat: a large one is low."""
    radius = stage.between(4, 7)
    period, first = stage.between(0.6, 1.0), stage.between(0, 1)
    x, y = stage.between(13, 18), stage.between(12, 16)
    swell = np.exp(-4 * since(first, period, TIMES))
    stage.paint(disc(x, y, radius + 7 * swell), stage.thing)
    stage.paint(disc(x, y, 0.45 * radius + 5 * swell), stage.light)
    loud = 0.6 * np.exp(-9 * since(first, period, INSTANTS))
    return note(pitch(radius, 4, 7, 1, 3), loud, 0.3)


def xylophone(stage: Stage) -> Array:
    """Bars light up in turn, the shortest with the highest note."""
    sound = np.zeros(SAMPLES, np.float32)
    top = stage.between(3, 7)
    bars = stage.rng.choice(5, 4)
    turn = np.minimum(TIMES * 4, 3).astype(int)
    begun = np.minimum(INSTANTS * 4, 3).astype(int)
    loud = 0.5 * np.exp(-6 * since(0, 0.25, INSTANTS))
    for bar in range(5):
        shape = box(2 + 6 * bar, 6 + 6 * bar, top + 1.5 * bar, 27 - 1.5 * bar)
        struck = over_time(bars[turn] == bar)
        stage.paint(shape * (0.3 + 0.7 * struck), stage.thing)
        sound += note(5 + 2 * bar, loud * (bars[begun] == bar), 0.0)
    return sound


def tank(stage: Stage) -> Array:
    """A tank fills or empties, and sounds the higher the fuller it is."""
    left, right = stage.between(4, 8), stage.between(23, 27)
    start, stop = stage.rng.permutation([stage.between(0, 0.3), stage.between(0.7, 1)])
    top, bottom = stage.between(3, 6), SIDE - 3.0
    glass = box(left - 2, right + 2, top, bottom + 2) - box(left, right, top - 2, bottom)
    stage.paint(np.maximum(glass, 0), stage.light)
    level = start + (stop - start) * TIMES
    stage.paint(box(left, right, bottom - (bottom - top) * level, bottom), stage.thing)
    sounding = np.round(3 + 7 * (start + (stop - start) * INSTANTS))
    sound = np.zeros(SAMPLES, np.float32)
    for number in range(3, 11):
        sound += note(number, 0.35 * (sounding == number), 0.4)
    return sound


Scene = Callable[[Stage], Array]
SCENES: tuple[Scene, ...] = (ball, siren, pendulum, rain, fan, drum, xylophone, tank)
NAMES = tuple(scene.__name__ for scene in SCENES)


def held_out(thing: int, background: int) -> bool:
    """Whether things of this hue before backgrounds of that one are kept for testing: one pair in five."""
    return (thing + 2 * background) % 5 == 0


def clip(seed: int, number: int, *, testing: bool, scene: int | None = None) -> Clip:
    """A clip by its number: of colours that are held out for testing, or of the others."""
    rng = np.random.default_rng([seed, testing, number])
    pairs = [(a, b) for a in range(HUES) for b in range(HUES) if held_out(a, b) == testing]
    thing, background = pairs[rng.integers(len(pairs))]
    which = int(rng.integers(len(SCENES))) if scene is None else scene
    stage = Stage(rng, thing, background)
    samples = np.clip(SCENES[which](stage), -1, 1).astype(np.float32)
    frames = np.round(np.clip(stage.frames, 0, 1) * 255).astype(np.uint8)
    return Clip(frames, samples[:, None], which, (thing, background))
