"""How good the trained models are: PyTorch, ONNX and int8, on data that they never saw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import perceiver_graph as pg
from recipes.base import Arrays, Figure, Recipe, Run


def module(recipe: Recipe) -> Run:
    """The emitted PyTorch module."""
    model = pg.compile(recipe.spec).to_torch(recipe.weights)

    def run(inputs: Arrays) -> Mapping[str, NDArray[np.float32]]:
        with torch.inference_mode():
            outputs = model({name: torch.from_numpy(value) for name, value in inputs.items()})
        return {name: value.numpy() for name, value in outputs.items()}

    return run


def program(recipe: Recipe, folder: Path, **options: Any) -> Run:
    """The ONNX program, in a precision."""
    compiled = pg.compile(recipe.spec, **options)
    compiled.save(folder, weights=recipe.weights)
    return pg.load(folder, device="cpu").run


def evaluate(recipes: Iterable[Recipe], build: Path) -> bool:
    """Print a line a figure; returns whether all are as good as wanted."""
    print(f"{'model':10} {'figure':28} {'wanted':>8} {'PyTorch':>9} {'ONNX':>9} {'int8':>9}")
    fine = True
    for recipe in recipes:
        if not recipe.weights.exists():
            print(f"{recipe.name:10} not trained yet: make train-{recipe.name}")
            continue
        for figures in measured(recipe, build):
            print(line(recipe.name, figures))
            fine &= figures[0].holds and figures[1].holds
    return fine


def measured(recipe: Recipe, build: Path) -> list[tuple[Figure, ...]]:
    """Each figure of a trained model as PyTorch, ONNX and int8 have it."""
    recipe.prepare()
    ways = (
        module(recipe),
        program(recipe, build / recipe.name / "fp32"),
        program(recipe, build / recipe.name / "int8", precision="int8"),
    )
    return list(zip(*(recipe.measure(way) for way in ways), strict=True))


def line(name: str, figures: tuple[Figure, ...]) -> str:
    """A figure as PyTorch, ONNX and int8 have it."""
    first = figures[0]
    values = " ".join(f"{figure.value:9.2f}" for figure in figures)
    short = "" if first.holds else "  short of it"
    return f"{name:10} {first.name + ', ' + first.unit:28} {first.wanted:8.1f} {values}{short}"
