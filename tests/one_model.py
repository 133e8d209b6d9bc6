"""One trained model on every engine: how far each is from numpy, and what the page on engines says of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

import perceiver_graph as pg
from perceiver_graph.choices import Precision, TargetName
from perceiver_graph.compiler.driver import Compiled
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ir.op import Array
from recipes.clips import scenes
from tests.support import random_inputs

ROOT = Path(__file__).resolve().parent.parent
CLIPS = ROOT / "recipes" / "clips"
WEIGHTS = CLIPS / "weights.safetensors"
OUTPUTS = ("audio", "image", "label")
SCENES = 8
_HEADING = "## One model on all of them"


def compiled(target: TargetName = "onnx-standard", precision: Precision = "fp32") -> Compiled:
    """The model of the recipe `clips`."""
    return pg.compile(CLIPS / "spec.yaml", target=target, precision=precision)


def save(folder: Path, target: TargetName = "onnx-standard", precision: Precision = "fp32") -> None:
    """Its artifact, with what it has learnt."""
    compiled(target, precision).save(folder, weights=WEIGHTS)


@cache
def inputs() -> Mapping[str, Array]:
    """A clip of each scene, none of which it has seen; their names are left out."""
    clips = [scenes.clip(0, number, testing=True, scene=number) for number in range(SCENES)]
    frames = np.stack([clip.frames for clip in clips]).astype(np.float32) / 255
    return {"audio": np.stack([clip.samples for clip in clips]), "image": frames}


@cache
def expected() -> Mapping[str, Array]:
    """What numpy computes of the graph as the spec says it, before any pass."""
    model = compiled()
    given = random_inputs(model.lowered, batch=SCENES) | dict(inputs())
    for name in OUTPUTS:
        given[f"{name}.present"] = np.full(SCENES, name in inputs())
    found = evaluate(model.graph, given, load_file(WEIGHTS))
    return {name: found[name] for name in OUTPUTS}


def agrees(engine: str, precision: str, found: Mapping[str, Array]) -> None:
    """Hold what an engine gave to its row of the page, and the row to that: other processors round in
    another order, so each to three times the other, and to no less than float32 resolves."""
    for name, array in expected().items():
        off = np.abs(found[name].reshape(array.shape) - array).max() / np.abs(array).max()
        told = said(engine, precision)[name]
        print(f"{engine}, {precision}, {name}: {off:.1e}")
        assert off < max(3 * told, 1e-6), f"{name}: {off:.1e}"
        assert told < max(3 * off, 1e-6), f"{name}: {off:.1e}"


def said(engine: str, precision: str) -> dict[str, float]:
    """What the page on engines has in a row, by output."""
    return dict(zip(OUTPUTS, map(_figure, rows()[engine, precision]), strict=True))


def rows() -> dict[tuple[str, str], list[str]]:
    """The rows of its table that have figures."""
    page = (ROOT / "docs" / "engines.md").read_text(encoding="utf-8").partition(_HEADING)[2]
    cells = [
        [cell.strip() for cell in row.split("|")] for row in re.findall(r"^\| (.*) \|$", page, re.M)
    ]
    return {
        (row[0], row[1]): row[-len(OUTPUTS) :]
        for row in cells
        if re.fullmatch(r"\S*\d\S*( %)?", row[-1])
    }


def _figure(text: str) -> float:
    return float(text.removesuffix(" %")) / (100 if text.endswith(" %") else 1)
