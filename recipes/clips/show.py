"""Films clips that the model never saw, and shows what it makes of them.

    python -m recipes.clips.show film -o build/run
    python -m recipes.clips.show sheet build/run/program build/run/*.mp4 -o build/run/clips.png

Needs `pip install "perceiver-graph[media]"`, and no torch.
"""

from __future__ import annotations

import argparse
import wave
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import perceiver_graph as pg
from perceiver_graph.media.clip.encode import ClipWriter
from perceiver_graph.media.clip.formats import media_formats
from perceiver_graph.media.clip.reader import ClipReader
from perceiver_graph.media.drawing import GIVEN, INK, MADE, PAPER, font
from perceiver_graph.media.scores.probabilities import probabilities
from perceiver_graph.runtime.program import Program
from recipes.clips.scenes import NAMES, RATE, SAMPLES, Array, clip

FILMED = 3
"""The seed of the clips that are shown: neither that of the training nor that of the tests."""
ENLARGED = 8
"""Pixels of a film for one of a clip: video codecs blur colours over two."""
ALONE = {"without sound": "image", "without pictures": "audio"}
"""What the model is given, of pictures and sound, where it has to fill in the other."""

Run = Callable[[Mapping[str, Array]], Mapping[str, Array]]

_SHOWN, _CELL, _STRIP, _GAP, _LEFT = 6, 64, 32, 6, 96
_FAINT = "#767676"


@dataclass(frozen=True)
class Seen:
    """A clip [time, height, width, 3] with samples [time], and what a model makes of all or a part of it."""

    name: str
    frames: Array
    samples: Array
    answers: dict[str, Answer]
    """By what is missing; of the whole clip by the empty text."""


@dataclass(frozen=True)
class Answer:
    """Pictures, sound, and the probability of each scene."""

    frames: Array
    samples: Array
    scenes: Array

    def __str__(self) -> str:
        best = int(self.scenes.argmax())
        return f"{NAMES[best]} {self.scenes[best]:.0%}"


def film(folder: Path) -> list[Path]:
    """An mp4 of a clip of each scene, one more without sound, and one sound alone."""
    paths = []
    for scene, name in enumerate(NAMES):
        made = clip(FILMED, scene, testing=True, scene=scene)
        frames = made.frames.repeat(ENLARGED, 1).repeat(ENLARGED, 2)
        path = folder / f"{name}.mp4"
        with ClipWriter(path, rate=RATE, sample_rate=SAMPLES) as file:
            file.add(frames, made.samples)
        paths.append(path)
        if name == "siren":
            paths.append(folder / "silent" / "siren.mp4")
            paths[-1].parent.mkdir(exist_ok=True)
            with ClipWriter(paths[-1], rate=RATE) as file:
                file.add(frames)
        if name == "xylophone":
            paths.append(folder / "dark" / "xylophone.wav")
            paths[-1].parent.mkdir(exist_ok=True)
            sound(paths[-1], made.samples[:, 0])
    return paths


def sound(path: Path, samples: Array) -> None:
    """A wav file, at a rate that every player knows."""
    times = np.arange(len(samples) * 4) / 4
    fine = np.interp(times, np.arange(len(samples)), samples)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(4 * SAMPLES)
        file.writeframes((fine.clip(-1, 1) * 32767).astype("<i2").tobytes())


def look(program: Program, path: Path) -> Seen:
    """What a program makes of the first second of a film."""
    formats = media_formats(program.manifest.inputs)
    piece = next(ClipReader(formats).open([str(path)]).pieces())
    return shown(program.run, path.stem, piece.arrays["image"][0], piece.arrays["audio"][0])


def shown(run: Run, name: str, frames: Array, samples: Array) -> Seen:
    """What a model makes of a clip, of its pictures alone and of its sound alone."""
    given = {"image": frames[None], "audio": samples[None]}
    answers = {}
    for missing, alone in {"": None, **ALONE}.items():
        found = run({part: given[part] for part in given if alone in (None, part)})
        answers[missing] = Answer(
            found["image"].reshape(frames.shape).clip(0, 1),
            found["audio"].reshape(-1),
            probabilities(found["label"][0]),
        )
    return Seen(name, frames, samples[:, 0], answers)


def decibels(wanted: Array, found: Array, power: float) -> float:
    """How far the mean squared error is below a power."""
    return float(10 * np.log10(power / np.square(wanted - found).mean()))


def described(seen: Sequence[Seen]) -> str:
    """A line a clip: what the model says that it is, and how near it comes to pictures and sound."""
    heading = f"{'clip':10} {'told':15} {'without sound':15} {'without pictures':17}"
    lines = [f"{heading} {'pictures':>9} {'sound':>8}"]
    for one in seen:
        whole = one.answers[""]
        psnr = decibels(one.frames, whole.frames, 1)
        snr = decibels(one.samples, whole.samples, float(np.square(one.samples).mean()))
        alone = [str(one.answers[missing]) for missing in ALONE]
        lines.append(
            f"{one.name:10} {whole!s:15} {alone[0]:15} {alone[1]:17} {psnr:6.1f} dB {snr:5.1f} dB"
        )
    return "\n".join(lines)


def sheet(seen: Sequence[Seen]) -> Image.Image:
    """Two clips a row: each above what came out of it, with their sounds, and what was filled in."""
    blocks = [block(one) for one in seen]
    width, height = blocks[0].size
    rows = -(-len(blocks) // 2)
    picture = Image.new("RGB", (2 * width + 3 * _GAP, rows * (height + 2 * _GAP) + _GAP), PAPER)
    for index, one in enumerate(blocks):
        down, across = divmod(index, 2)
        at = (_GAP + across * (width + _GAP), _GAP + down * (height + 2 * _GAP))
        picture.paste(one, at)
    return picture


def block(one: Seen) -> Image.Image:
    """A clip: what went in, what came out, and what was filled in where sound or pictures were missing."""
    silent, dark = (one.answers[missing] for missing in ALONE)
    rows = {
        "input": one.frames,
        "output": one.answers[""].frames,
        "from its sound": dark.frames,
    }
    strips = {
        "input": one.samples,
        "output": one.answers[""].samples,
        "from pictures": silent.samples,
    }
    across = _SHOWN * (_CELL + 2)
    height = 24 + len(rows) * (_CELL + 2) + _GAP + len(strips) * (_STRIP + 2)
    picture = Image.new("RGB", (_LEFT + across, height), PAPER)
    draw = ImageDraw.Draw(picture)
    draw.text((_LEFT, 2), f"{one.name}: told {one.answers['']}", fill=INK, font=font(15))
    y = 24
    chosen = np.linspace(0, len(one.frames) - 1, _SHOWN).round().astype(int)
    for label, frames in rows.items():
        said(draw, label, y + _CELL // 2)
        for column, index in enumerate(chosen):
            pixels = Image.fromarray((frames[index] * 255).round().astype(np.uint8))
            big = pixels.resize((_CELL, _CELL), Image.Resampling.NEAREST)
            picture.paste(big, (_LEFT + column * (_CELL + 2), y))
        y += _CELL + 2
    y += _GAP
    for label, samples in strips.items():
        said(draw, label, y + _STRIP // 2)
        trace(draw, samples, (_LEFT, y, across), GIVEN if label == "input" else MADE)
        y += _STRIP + 2
    return picture


def said(draw: ImageDraw.ImageDraw, label: str, y: int) -> None:
    """What a row is, at its left."""
    draw.text((_LEFT - 8, y), label, fill=_FAINT, font=font(12), anchor="rm")


def trace(
    draw: ImageDraw.ImageDraw,
    samples: Array,
    place: tuple[int, int, int],
    colour: str,
) -> None:
    """The outline of a sound, in (left, top, width)."""
    left, top, width = place
    middle = top + _STRIP / 2
    for column, part in enumerate(np.array_split(samples.clip(-0.8, 0.8), width)):
        low, high = part.min() / 0.8, part.max() / 0.8
        ends = (middle - high * _STRIP / 2, middle - low * _STRIP / 2)
        draw.line((left + column, ends[0], left + column, ends[1]), fill=colour)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m recipes.clips.show", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    filming = commands.add_parser("film", help="film clips that were never seen")
    filming.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    showing = commands.add_parser("sheet", help="show what a program makes of films")
    showing.add_argument("program", type=Path)
    showing.add_argument("films", type=Path, nargs="+")
    showing.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.png")
    options = parser.parse_args()
    if options.command == "film":
        options.output.mkdir(parents=True, exist_ok=True)
        print("\n".join(map(str, film(options.output))))
        return 0
    program = pg.load(options.program, device="cpu")
    seen = [look(program, path) for path in options.films]
    print(described(seen))
    sheet(seen).quantize(256).save(options.output, optimize=True)
    for one in seen:
        for missing, answer in one.answers.items():
            path = options.output.with_name(f"{one.name}{missing and ' ' + missing}.wav")
            sound(path.with_name(path.name.replace(" ", "-")), answer.samples)
    print(f"{options.output}: each clip above what came out of it")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
