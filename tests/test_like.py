"""Inputs that are like others: their steps, position and weights, and arrays of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from perceiver_graph.compiler.ir.interpreter import evaluate
from tests.test_coordinates import compiled, numbers
from tests.test_differential import agree, onnx_program

LIKE = """
perceiver: 1
name: rig
inputs:
  rear: {like: front}
  front:
    shape: {height: 6, width: 6, channel: 3}
    steps: [{patch: {height: 2, width: 2}}, {linear: 5}]
    position: {given: [x, y], fourier: {bands: 2, max_resolution: 8}, combine: add, project: 5}
    media: {image: {}}
  roof: {like: front, shape: {height: 2, width: 4, channel: 3}, mask: never}
join: {padding: {min: 2}}
latents: {count: 4, width: 8}
process: {layers: 1, heads: 2}
outputs:
  answer: {query: {learned: {}}, head: {linear: 2}}
"""


def test_an_input_like_another_has_its_weights_and_arrays_of_its_own(tmp_path: Path) -> None:
    model, weights = compiled(LIKE)
    of_steps = {name for name in weights if "linear" in name or "project" in name}
    assert {name.rpartition(".")[0] for name in of_steps if name.startswith("inputs")} == {
        "inputs.front.linear",
        "inputs.front.position.project",
    }
    assert {"inputs.rear.padding", "inputs.rear.mask", "inputs.roof.padding"} < weights.keys()
    program = onnx_program(model, weights, tmp_path)
    inputs = program.manifest.inputs
    assert list(inputs) == [
        *("rear", "rear.position", "front", "front.position", "roof", "roof.position")
    ]
    assert {name: entry.mask for name, entry in inputs.items() if "." not in name} == {
        "rear": "optional",
        "front": "optional",
        "roof": "never",
    }
    assert inputs["rear"].media == inputs["front"].media is not None
    arrays = {
        name: numbers(2, *(int(size) for size in entry.shape[1:]), seed=number)
        for number, (name, entry) in enumerate(inputs.items())
    }
    there = {f"{name}.present": np.ones(2, bool) for name in ("rear", "front")}
    expected = evaluate(model.graph, {**arrays, **there}, weights)["answer"]
    agree(program.run(arrays)["answer"], expected)
    module: Any = model.to_torch(weights).eval()
    assert module.state_dict().keys() == weights.keys()
    with torch.no_grad():
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        agree(module(tensors)["answer"].numpy(), expected)
    padded = {**weights, "inputs.rear.padding": weights["inputs.front.padding"]}
    swapped = {**arrays}
    for name in ("", ".position"):
        swapped[f"rear{name}"], swapped[f"front{name}"] = (
            arrays[f"front{name}"],
            arrays[f"rear{name}"],
        )
    first, second = (
        evaluate(model.graph, {**a, **there}, padded)["answer"] for a in (arrays, swapped)
    )
    np.testing.assert_allclose(first, second, atol=1e-4)


def test_the_resolved_spec_shares_the_same_weights() -> None:
    first, _ = compiled(LIKE)
    again, _ = compiled(first.resolved_spec())
    assert first.spec_digest == again.spec_digest
    assert "  rear: {like: front, mask: optional}" in first.resolved_spec()
    names = [leaf.value.name for leaf in first.graph.parameters]
    assert names == [leaf.value.name for leaf in again.graph.parameters]
