"""Models in 8 bits that write texts: which products are, and how far the scores are off."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import perceiver_graph as pg
from perceiver_graph.compiler.backends.onnx.trial import Sample
from perceiver_graph.compiler.ops import Array
from perceiver_graph.runtime.sampling import Sampling
from perceiver_graph.spec.loader import parse_spec
from tests.test_differential import randomised

SPEC = """\
perceiver: 1
name: writer
dims: {length: {min: 8, max: 24}}
inputs:
  text:
    shape: {place: length}
    steps: [{embedding: {vocabulary: 40, width: 64}}]
    position: {learned: {}, combine: add}
    attention_mask: true
latents: {of: text, last: 8}
encode: {heads: 4, causal: true}
process: {layers: 2, heads: 4, causal: true}
outputs:
  next: {query: latents, head: {tied_embedding: text}}
"""
BESIDE = SPEC.replace("inputs:\n", "inputs:\n  picture: {shape: {row: 3, channel: 64}}\n")
SPECS = {"text": SPEC, "picture": BESIDE}


def saved(name: str, precision: Any, folder: Path, sample: Sample | None = None) -> Any:
    compiled = pg.compile(parse_spec(SPECS[name]), precision=precision)
    save_file(randomised(compiled, 1), folder / "weights.safetensors")
    compiled.save(folder / precision, weights=folder / "weights.safetensors", sample=sample)
    return pg.load(folder / precision, device="cpu")


def scores(program: Any, monkeypatch: pytest.MonkeyPatch, name: str) -> Array:
    """What is given to the token behind each of a text that is written, whatever is probable."""
    rng, found = np.random.default_rng(2), list[Array]()
    forced = iter(rng.integers(0, 40, (12, 2)))

    def draw(_: Any, given: Array, __: Any) -> Array:
        found.append(given.copy())
        return np.asarray(next(forced))

    beside = {"picture": rng.standard_normal((2, 3, 64))} if name == "picture" else {}
    begin = rng.integers(0, 40, (2, 10))
    with monkeypatch.context() as patch:
        patch.setattr(Sampling, "draw", draw)
        assert len(list(program.generate(begin, 12, inputs=beside))) == 12
    return np.stack(found)


@pytest.mark.parametrize("name", SPECS)
def test_scores_of_each_token_are_those_of_float32(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twelve tokens: texts are read, gone on with, and read anew when there are as many as can be."""
    exact = scores(saved(name, "fp32", tmp_path), monkeypatch, name)
    program = saved(name, "int8", tmp_path)
    found = scores(program, monkeypatch, name)
    off = np.sqrt(np.square(found - exact).mean((1, 2)) / np.square(exact).mean((1, 2)))
    assert off.max() < 0.25  # of what is computed wrongly it is above 1
    assert off.min() > 1e-4  # something was rounded in each
    told = program.manifest.quantization
    assert set(told.error) == {"next", "next of prefill", "next of step"}
    for error in told.error.values():
        assert 1e-4 < error.rms < 0.25


def test_products_of_a_step_are_in_8_bits_where_those_of_a_text_are(tmp_path: Path) -> None:
    """A step has a row, and is quicker where its weights are a quarter as large."""
    import onnx

    program = saved("text", "int8", tmp_path)
    products = {
        name: sorted(
            node.output[0]
            for node in onnx.load(
                tmp_path / f"int8/{name}.onnx", load_external_data=False
            ).graph.node
            if node.op_type == "MatMulIntegerToFloat"
        )
        for name in ("prefill", "step")
    }
    # Of a row the last map is one with the scores behind it, which stay in float.
    assert {*products["prefill"]} - {*products["step"]} == {
        "process/layers.1/mlp/dense2/by_columns"
    }
    assert len(products["step"]) == 17
    kept = program.manifest.quantization.kept
    assert {name.partition("~")[0]: why for name, why in kept.items()} == {
        "heads/next/logits": "output head"
    }


@pytest.mark.parametrize("length", [8, 24])
def test_a_sample_of_any_length_is_measured_on(length: int, tmp_path: Path) -> None:
    ids = np.random.default_rng(0).integers(0, 40, (1, length))
    arrays = {"text": ids, "text.attention_mask": np.ones((1, length), bool)}
    told = saved("text", "int8", tmp_path, Sample(arrays, "in.npz")).manifest.quantization
    assert all(0 < error.rms < 0.25 for error in told.error.values())
    assert (
        json.loads((tmp_path / "int8/manifest.json").read_text())["generation"].get("refused")
        is None
    )
