"""Draws the pictures of the documentation: `python examples/make_pictures.py`.

The one of clips is what `make run` leaves, and the one of Kinetics what `make run-kinetics` leaves.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from make_inputs import picture
from PIL import Image

from perceiver_graph.media.flow.picture import flow_picture

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"


def optical_flow() -> Image.Image:
    """The colour of every direction, beside the flow of the frames of examples/make_inputs.py."""
    height, width, moved = 218, 512, (6.0, 3.0)
    first = np.asarray(picture(2 * width, 2 * height).resize((width, height)), np.int16)
    shapes = np.abs(first - np.median(first, axis=(0, 1))).max(-1) > 90
    flow = np.where(shapes[..., None], np.array(moved), 0.0)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : height * 1j]
    wheel = np.where((x**2 + y**2 <= 1)[..., None], np.stack([x, y], -1) * 7, 0.0)
    both = np.concatenate([flow_picture(wheel), flow_picture(flow, longest=7.0)], axis=1)
    return Image.fromarray(both)


def kinetics() -> Image.Image:
    """The contact sheet that `make run-kinetics` leaves, smaller."""
    sheet = Image.open(ROOT / "build" / "clip" / "clip.png").convert("RGB")
    return sheet.resize((sheet.width * 2 // 3, sheet.height * 2 // 3))


def main() -> None:
    """Write what can be drawn."""
    PICTURES.mkdir(exist_ok=True)
    optical_flow().quantize(256).save(PICTURES / "optical_flow.png", optimize=True)
    if (ROOT / "build" / "run" / "clips.png").exists():
        shutil.copy(ROOT / "build" / "run" / "clips.png", PICTURES / "clips.png")
    if (ROOT / "build" / "clip" / "clip.png").exists():
        kinetics().quantize(128).save(PICTURES / "kinetics.png", optimize=True)


if __name__ == "__main__":
    main()
