"""The examples do what they say, on a small spec."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

import perceiver_graph as pg

EXAMPLES = Path(__file__).parent.parent / "examples"

SPEC = """
perceiver: 1
name: small
inputs:
  image:
    shape: {time: 8, height: 16, width: 16, channel: 3}
    steps: [{patch: {height: 4, width: 4}}]
    position: {fourier: {bands: 4}}
    media: {video: {rate: 25}}
join: {padding: {min: 2}}
latents: {count: 64, width: 32}
process: {layers: 1, heads: 2}
decode: {padding: {min: 2}, project: 64}
outputs:
  image:
    query:
      grid: {time: 8, height: 16, width: 16}
      position: {fourier: {bands: 4, max_resolution: {time: 8, height: 8, width: 8}}}
    head: {linear: 3}
    media: {video: {rate: 25}}
"""


def run(script: str, *arguments: str | Path) -> str:
    command = [sys.executable, str(EXAMPLES / script), *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout


def test_fitted_heads_reconstruct_the_clip_and_random_ones_do_not(tmp_path: Path) -> None:
    spec, clip, weights = tmp_path / "small.yaml", tmp_path / "clip.mp4", tmp_path / "w.safetensors"
    spec.write_text(SPEC, encoding="utf-8")
    run("make_clip.py", "--seconds", "0.32", "-o", clip)
    assert "only the last linear maps" in run("fit_heads.py", clip, "-o", weights, "--spec", spec)

    from perceiver_graph.media.clip.formats import media_formats, to_arrays
    from perceiver_graph.media.clip.windows import read_clip

    compiled = pg.compile(spec)
    fitted = compiled.save(tmp_path / "fitted", weights=weights)
    compiled.save(tmp_path / "random")
    formats = media_formats(fitted.inputs)
    (window, *_) = read_clip(clip, video=formats["image"], audio=None)  # type: ignore[arg-type]
    data = to_arrays(window, formats)
    errors = {}
    for which in ("fitted", "random"):
        result = pg.load(tmp_path / which, device="cpu").run(data)["image"]
        errors[which] = float(np.square(result - data["image"]).mean())
    assert errors["fitted"] < errors["random"] / 4


def test_trainer_learns_and_the_onnx_program_agrees(tmp_path: Path) -> None:
    lines = run("train_text_classifier.py", "--steps", "60", "-o", tmp_path).splitlines()
    before, after = next(line for line in lines if line.startswith("loss")).split()[1::2]
    assert float(after) < 0.7 * float(before)
    assert lines[-2:] == [
        "The soup was lovely and sweet. glad",
        "The day was gloomy and bitter. sad",
    ]


def test_lightning_trains_and_the_onnx_program_agrees(tmp_path: Path) -> None:
    out = run("train_images_lightning.py", "--steps", "12", "-o", tmp_path)
    assert "of 90 new pictures" in out
