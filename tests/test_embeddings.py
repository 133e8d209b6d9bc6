"""Tokens that are sums of several embeddings: of a unit and of a kind, say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ops import Array
from perceiver_graph.runtime.random_inputs import random_inputs
from tests.test_coordinates import compiled, refusal
from tests.test_differential import agree, onnx_program

SPIKES = """
perceiver: 1
name: spikes
dims: {spikes: {max: 16}}
inputs:
  spikes:
    shape: {spike: spikes, channel: 3}
    steps: [{embedding: {vocabulary: {unit: 20, kind: 4, area: 2}, width: 6}}]
    position: {given: [second], fourier: {bands: 2, wavelengths: [0.01, 4]}}
    attention_mask: true
latents: {count: 4, width: 8}
encode: {heads: 2}
process: {layers: 1, heads: 2}
decode: {heads: 1, padding: {min: 0}}
outputs:
  rate: {query: {learned: {}}, head: {linear: 2}}
  each: {query: {inputs: spikes}, head: {linear: 3}}
"""


def spikes() -> dict[str, Array]:
    rng = np.random.default_rng(0)
    ids = [rng.integers(0, count, (2, 9)) for count in (20, 4, 2)]
    seconds = rng.uniform(0, 1, (2, 9, 1)).astype(np.float32)
    return {"spikes": np.stack(ids, axis=-1), "spikes.position": seconds}


def test_tokens_are_the_sums_of_a_row_of_each_table() -> None:
    model, weights = compiled(SPIKES, 0)
    tables = {name.split(".")[-2]: x for name, x in weights.items() if ".embedding." in name}
    assert {name: x.shape for name, x in tables.items()} == {
        "unit": (20, 6),
        "kind": (4, 6),
        "area": (2, 6),
    }
    (node,) = [node for node in model.graph.nodes if node.name == "inputs/spikes/embedding"]
    ids = spikes()["spikes"]
    arrays: dict[str, Array] = {
        **spikes(),
        "spikes.attention_mask": np.ones((2, 9), bool),
        "each.queries": np.arange(9),
    }
    graph = replace(model.graph, outputs={"tokens": node.output})
    found = evaluate(graph, arrays, weights)["tokens"]
    wanted = sum(tables[name][ids[..., i]] for i, name in enumerate(("unit", "kind", "area")))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("level", [0, 2])
def test_compiled_programs_agree(level: Any, tmp_path: Path) -> None:
    model, weights = compiled(SPIKES, level)
    arrays = spikes()
    there: dict[str, Array] = {"spikes.attention_mask": np.ones((2, 9), bool)}
    wanted = evaluate(model.graph, {**arrays, **there, "each.queries": np.arange(9)}, weights)
    module: Any = model.to_torch(weights).eval()
    with torch.no_grad():
        from_torch = module({name: torch.from_numpy(x) for name, x in arrays.items()})
    for name, found in onnx_program(model, weights, tmp_path).run(arrays).items():
        agree(found, wanted[name])
        agree(from_torch[name].numpy(), wanted[name])


def test_each_channel_has_ids_of_its_own(tmp_path: Path) -> None:
    model, weights = compiled(SPIKES)
    program = onnx_program(model, weights, tmp_path)
    assert program.manifest.inputs["spikes"].vocabularies == [20, 4, 2]
    drawn = random_inputs(program.manifest, {"spikes": 16}, seed=1).arrays["spikes"]
    assert [int(x) for x in drawn.max(axis=(0, 1))] == [19, 3, 1]
    arrays = spikes()
    arrays["spikes"][1, 2, 1] = 4
    told = refusal(program.run, arrays)
    assert "PG514: 1 of 54 ids of input `spikes` are out of range" in told
    assert "ids are 0 to 19 in channel 0, 0 to 3 in channel 1 and 0 to 1 in channel 2" in told
    module: Any = model.to_torch(weights)
    with pytest.raises(ValueError, match=r"`spikes\[..., 1\]` holds 4, and takes 0 to 3"):
        module({name: torch.from_numpy(x) for name, x in arrays.items()})
