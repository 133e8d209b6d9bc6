"""Make small real files of every kind that the shipped systems read.

    python examples/make_inputs.py -o build/inputs

A picture of shapes on a gradient, the same moved by a few pixels (a second frame), a tone, a point
cloud of a chair-like thing, a table of units, what vision towers might have seen, frames and tokens
of a voice, ids of a text, the latents of a shape with points to ask at, spikes of neurons, brain waves,
columns of a table, and voxels of a scene. Clips with sound: examples/make_clip.py.
"""

from __future__ import annotations

import argparse
import wave
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Array = NDArray[Any]


def picture(width: int, height: int, shift: tuple[int, int] = (0, 0)) -> Image.Image:
    """Shapes on a textured gradient; `shift` moves the shapes right and down."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:height, :width]
    base = np.stack([x * 120 / width + 40, y * 120 / height + 40, np.full(x.shape, 90.0)], -1)
    image = Image.fromarray((base + rng.normal(0, 6, base.shape)).clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    dx, dy = shift
    left, top = width // 6 + dx, height // 5 + dy
    draw.rectangle((left, top, left + width // 5, top + height // 3), fill=(220, 60, 40))
    centre, radius = (int(width * 0.65) + dx, height // 2 + dy), height // 6
    box = (centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius)
    draw.ellipse(box, fill=(240, 210, 60))
    return image


def sound(path: Path, seconds: float = 1.0, rate: int = 16000) -> None:
    """A tone that rises from 220 to 880 Hz, 16-bit mono."""
    time = np.arange(int(seconds * rate)) / rate
    phase = 2 * np.pi * (220 * time + 330 * time**2 / seconds)
    samples = (0.4 * np.sin(phase) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())


def chair() -> Array:
    """Points on a seat, a back and four legs. Shape: [1000, 3]."""
    rng = np.random.default_rng(5)
    flat = rng.uniform(-1, 1, (400, 2))
    seat = np.column_stack([flat[:200], np.zeros(200)])
    back = np.column_stack([flat[200:, 0], np.full(200, 1.0), 1 + flat[200:, 1]])
    corners = rng.choice([-0.9, 0.9], (600, 2))
    legs = np.column_stack([corners, rng.uniform(-2, 0, 600)])
    return np.concatenate([seat, back, legs])


def write_ply(path: Path, points: Array) -> None:
    """An ASCII .ply of vertices."""
    head = ["ply", "format ascii 1.0", f"element vertex {len(points)}"]
    head += [f"property float {axis}" for axis in "xyz"] + ["end_header"]
    rows = [" ".join(f"{value:.5f}" for value in point) for point in points]
    path.write_text("\n".join([*head, *rows]) + "\n", encoding="ascii")


def towers(folder: Path) -> None:
    """What other vision towers than that of `seen.npz` give for a picture: a vector for each patch."""
    rng = np.random.default_rng(12)
    shapes = {
        "patches": (256, 1024),  # CLIP ViT-L/14
        "wide_patches": (240, 4096),  # as wide as a language model, as many as the picture has
        "square": (1, 35, 35, 1152),  # on their grid
    }
    for name, shape in shapes.items():
        np.savez(folder / f"{name}.npz", image=rng.standard_normal(shape, np.float32))


def main() -> None:
    """Write all files to a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("build/inputs"))
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    picture(640, 480).save(folder / "picture.jpg", quality=92)
    picture(1024, 436).save(folder / "frame1.png")
    picture(1024, 436, (6, 3)).save(folder / "frame2.png")
    sound(folder / "tone.wav")
    write_ply(folder / "chair.ply", chair())
    units = np.random.default_rng(5).standard_normal((37, 256), np.float32)
    np.savez(folder / "units.npz", entities=units)
    seen = np.random.default_rng(6).standard_normal((257, 1280), np.float32)
    np.savez(folder / "seen.npz", image=seen)
    frames = np.random.default_rng(8).standard_normal((215, 1024), np.float32)
    np.savez(folder / "frames.npz", speech=frames)
    tokens = np.random.default_rng(13).standard_normal((150, 1024), np.float32)
    np.savez(folder / "tokens.npz", speech=tokens)
    towers(folder)
    ids = np.random.default_rng(9).integers(0, 50, (1, 12))
    np.savez(folder / "ids.npz", text=ids)
    made = np.random.default_rng(7)
    np.savez(folder / "shape.npz", shape=made.standard_normal((4096, 64), np.float32))
    points: dict[str, Array] = {"inside.points": made.uniform(-1, 1, (1, 1000, 3))}
    np.savez(folder / "points.npz", **points)  # type: ignore[arg-type]
    air = made.standard_normal((1, 6, 12, 13, 512), np.float32)
    np.savez(folder / "air.npz", air=air)
    np.savez(folder / "air_latents.npz", air=made.standard_normal((1, 6, 12, 3, 1024), np.float32))
    rng = np.random.default_rng(10)
    spikes: dict[str, Array] = {
        "spikes": np.stack([rng.integers(0, 1000, 600), np.zeros(600, np.int64)], -1)[None],
        "spikes.position": np.sort(rng.random((1, 600, 1), np.float32), axis=1),
        "session": np.array([7]),
        "velocity.points": np.linspace(0, 1, 50, dtype=np.float32).reshape(1, 50, 1),
    }
    np.savez(folder / "spikes.npz", **spikes)  # type: ignore[arg-type]
    words = made.standard_normal((1, 77, 512), np.float32)
    scene = made.standard_normal((1, 20, 20, 20, 128), np.float32)
    np.savez(folder / "scene.npz", text=words, voxels=scene)
    cells = made.standard_normal((1, 5, 200, 1), np.float32)
    known = np.arange(200) < 150
    table: dict[str, Array] = {"cells.attention_mask": np.tile(known, (1, 5, 1)), "cells": cells}
    np.savez(folder / "cells.npz", **table)  # type: ignore[arg-type]
    waves = np.random.default_rng(11).standard_normal((1, 22, 12, 64), np.float32)
    np.savez(folder / "waves.npz", signal=waves)
    (folder / "sentence.txt").write_text("Angela Merkel lives in Berlin.\n", encoding="utf-8")
    for path in sorted(folder.iterdir()):
        print(path)


if __name__ == "__main__":
    main()
