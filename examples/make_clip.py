"""Make a short mp4 to try a model on: moving shapes, and a tone that follows the ball.

    python examples/make_clip.py -o clip.mp4 --seconds 2 --size 320x240

The same options give the same bytes. Needs `pip install "perceiver-graph[media]"`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.media.clip.encode import ClipWriter
from perceiver_graph.storage import unwritable

RATE = 25  # frames per second
SAMPLE_RATE = 48_000  # samples per second


def ball_height(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """How high the ball is, in [0, 1]: it bounces once a second."""
    phase = seconds % 1.0
    return 4.0 * phase * (1.0 - phase)


def draw_frame(seconds: float, width: int, height: int) -> NDArray[np.uint8]:
    """The picture at a moment: a bouncing ball, a turning square, a sliding bar on a gradient."""
    from PIL import Image, ImageDraw

    down = np.linspace(0.0, 1.0, height)[:, None, None]
    sky = (1.0 - down) * np.array([36, 64, 112]) + down * np.array([150, 190, 214])
    background = np.broadcast_to(sky, (height, width, 3)).astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(background))
    draw = ImageDraw.Draw(image)
    side = min(width, height)

    left = (0.5 + 0.4 * np.sin(np.pi * seconds)) * width
    draw.rectangle((left - 0.25 * side, 0.9 * height, left + 0.25 * side, height), fill="#35523b")

    corners = seconds * np.pi / 2 + np.arange(4) * np.pi / 2
    centre = np.array([width / 2 - 0.22 * side, height / 2])
    square = centre + 0.18 * side * np.stack([np.cos(corners), np.sin(corners)], axis=1)
    draw.polygon([(float(x), float(y)) for x, y in square], fill="#e8b33c")

    radius = 0.11 * side
    x = width / 2 + 0.25 * side
    y = 0.85 * height - radius - 0.6 * height * float(ball_height(np.array(seconds)))
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill="#d1432f")
    return np.asarray(image)


def sound(start: int, stop: int) -> NDArray[np.float32]:
    """Samples [start, stop) in stereo: 330 Hz on both sides, and a tone as high as the ball, right.

    The phase of the second tone is the integral of its frequency, in closed form, so that blocks of
    any length join without a click.
    """
    seconds = np.arange(start, stop) / SAMPLE_RATE
    whole, phase = np.divmod(seconds, 1.0)
    cycles = 440.0 * seconds + 440.0 * (whole * 2 / 3 + 2 * phase**2 - 4 * phase**3 / 3)
    steady = 0.25 * np.sin(2 * np.pi * 330.0 * seconds)
    ball = 0.25 * np.sin(2 * np.pi * cycles)
    return np.stack([steady, steady + ball], axis=1).astype(np.float32)


def pieces(
    seconds: float, width: int, height: int
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float32]]]:
    """One frame and the sound that goes with it, after the other."""
    for index in range(max(1, round(seconds * RATE))):
        frame = draw_frame(index / RATE, width, height)
        each = SAMPLE_RATE // RATE
        yield frame[None], sound(index * each, (index + 1) * each)


def size(text: str) -> tuple[int, int]:
    """Parse WIDTHxHEIGHT."""
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) > 15 and int(height) > 15):
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, such as 320x240")
    return int(width), int(height)


def duration(text: str) -> float:
    """Parse a number of seconds."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds < 36_000.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds, such as 2.5")
    return seconds


def make_folder_for(path: Path) -> None:
    """Make the folder that a file goes to. Raises DiagnosticError (PG511)."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Make a short mp4 with moving shapes and a tone.")
    parser.add_argument("-o", "--output", type=Path, default=Path("clip.mp4"), metavar="FILE")
    parser.add_argument("--seconds", type=duration, default=2.0, help="length (default: 2)")
    parser.add_argument("--size", type=size, default=(320, 240), metavar="WIDTHxHEIGHT")
    options = parser.parse_args(arguments)
    try:
        make_folder_for(options.output)
        with ClipWriter(options.output, rate=RATE, sample_rate=SAMPLE_RATE, channels=2) as clip:
            for frames, samples in pieces(options.seconds, *options.size):
                clip.add(frames, samples)
    except DiagnosticError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted, nothing was written", file=sys.stderr)
        return 130
    print(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
