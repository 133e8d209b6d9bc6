"""Outputs that are the latents themselves, and norms of answers: by hand, in numpy, ONNX and PyTorch."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch
from safetensors.numpy import save_file

import perceiver_graph as pg
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.ir.text import print_graph
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.spec import parse_spec
from tests.torch_support import parameters

SPEC = """
perceiver: 1
name: resampler
inputs:
  image: {shape: {patch: 7, channel: 10}, mask: never}
  text: {shape: {length: 4}, steps: [{embedding: {vocabulary: 9, width: 8}}], mask: never}
join: {padding: {min: 2}}
latents: {count: 3, width: 8}
process: {layers: 1, heads: 2}
decode: {padding: {min: 0}, project: 6, chunks: 2}
"""
X = {
    "image": np.random.default_rng(1).standard_normal((2, 7, 10)).astype(np.float32),
    "text": np.array([[1, 2, 3, 4], [8, 7, 0, 0]]),
}


def norm(x: Array, weights: dict[str, Array], name: str, epsilon: float = 1e-5) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt(np.square(centred).mean(-1, keepdims=True) + epsilon)
    return np.asarray(scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"])


def rms_norm(x: Array, weights: dict[str, Array], name: str, epsilon: float = 1e-5) -> Array:
    scaled = x / np.sqrt(np.square(x).mean(-1, keepdims=True) + epsilon)
    return np.asarray(scaled * weights[f"{name}.weight"])


def linear(x: Array, weights: dict[str, Array], name: str) -> Array:
    return np.asarray(x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"])


def plain(x: Array, w: dict[str, Array]) -> Array:
    return x


def normed(x: Array, w: dict[str, Array]) -> Array:
    return norm(x, w, "heads.y.norm")


def resampled(x: Array, w: dict[str, Array]) -> Array:
    return linear(norm(x, w, "heads.y.norm", 1e-3), w, "heads.y.linear")


def normed_after(x: Array, w: dict[str, Array]) -> Array:
    return np.maximum(norm(linear(x, w, "heads.y.linear"), w, "heads.y.output_norm"), 0)


def perceptron(x: Array, w: dict[str, Array]) -> Array:
    hidden = np.tanh(linear(norm(x, w, "heads.y.norm"), w, "heads.y.hidden"))
    return linear(hidden, w, "heads.y.linear")


def logits(x: Array, w: dict[str, Array]) -> Array:
    return np.asarray(x @ w["inputs.text.embedding.weight"].T + w["heads.y.bias"])


def rms_normed(x: Array, w: dict[str, Array]) -> Array:
    return linear(rms_norm(x, w, "heads.y.norm", 1e-6), w, "heads.y.linear")


def rms_normed_after(x: Array, w: dict[str, Array]) -> Array:
    return rms_norm(x @ w["heads.y.linear.weight"].T, w, "heads.y.output_norm")


def unbiased(x: Array, w: dict[str, Array]) -> Array:
    hidden = np.maximum(x @ w["heads.y.hidden.weight"].T, 0)
    return np.asarray(hidden @ w["heads.y.linear.weight"].T)


def mean(x: Array, w: dict[str, Array]) -> Array:
    return linear(norm(x.mean(1), w, "heads.y.norm"), w, "heads.y.linear")


FORMULAS = {
    "{query: latents}": plain,
    "{query: {latents: all}, norm: none}": plain,
    "{query: latents, norm: layer_norm}": normed,
    "{query: latents, norm: layer_norm, norm_epsilon: 1e-3, head: {linear: 5}}": resampled,
    "{query: latents, head: {linear: 5, norm: layer_norm, activation: relu}}": normed_after,
    "{query: latents, norm: layer_norm, head: {mlp: {hidden: 4, channels: 2}}}": perceptron,
    "{query: latents, head: {tied_embedding: text}}": logits,
    "{query: latents, norm: rms_norm, norm_epsilon: 1e-6, head: {linear: 5}}": rms_normed,
    "{query: latents, head: {linear: 5, bias: false, norm: rms_norm}}": rms_normed_after,
    "{query: latents, head: {mlp: {hidden: 4, channels: 2, activation: relu, bias: false}}}": unbiased,
    "{query: {mean: latents}, norm: layer_norm, head: {linear: 5}}": mean,
}


def everywhere(text: str, folder: Path, level: Any) -> tuple[dict[str, Array], dict[str, Array]]:
    """What an artifact gives, which PyTorch and numpy give as well, and the weights."""
    compiled = pg.compile(parse_spec(text), level=level, verify=True)
    weights = parameters(compiled.graph)
    save_file(weights, folder / "weights.safetensors")
    compiled.save(folder / "art", weights=folder / "weights.safetensors", backends=["onnx"])
    found = pg.load(folder / "art").run(X)
    module = compiled.to_torch(folder / "weights.safetensors").eval()
    other = module({name: torch.from_numpy(x) for name, x in X.items()})
    asked = {
        leaf.value.name: np.arange(compiled.lowered.outputs[leaf.of].queries.evaluate({}))
        for leaf in compiled.graph.inputs
        if leaf.role == "queries"
    }
    expected = evaluate(compiled.graph, X | asked, weights)
    assert set(found) == set(other) == set(expected) - {"latents"}
    for name, array in found.items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(other[name].detach(), expected[name], rtol=1e-4, atol=1e-5)
    return {"latents": expected["latents"], **found}, weights


@pytest.mark.parametrize("level", [0, 2])
@pytest.mark.parametrize("output", FORMULAS)
def test_the_formula(output: str, level: int, tmp_path: Path) -> None:
    found, weights = everywhere(f"{SPEC}outputs: {{y: {output}}}\n", tmp_path, level)
    expected = FORMULAS[output](found["latents"], weights)
    np.testing.assert_allclose(found["y"], expected, rtol=1e-4, atol=1e-5)


BESIDE = f"""{SPEC}
outputs:
  y: {{query: latents, norm: layer_norm, norm_epsilon: 1e-3, head: {{linear: 5}}}}
  same: {{query: latents}}
  asked: {{query: {{learned: {{count: 4}}}}, norm: layer_norm, head: {{linear: 2}}}}
  plain: {{query: {{output: asked}}}}
"""


@pytest.mark.parametrize("level", [0, 2])
def test_beside_what_is_asked(level: int, tmp_path: Path) -> None:
    """A norm stands behind the decoder's projection; what nothing asks for is there after encoding."""
    found, weights = everywhere(BESIDE, tmp_path, level)
    np.testing.assert_allclose(found["same"], found["latents"], rtol=1e-4, atol=1e-5)
    y = resampled(found["latents"], weights)
    np.testing.assert_allclose(found["y"], y, rtol=1e-4, atol=1e-5)
    asked = linear(norm(found["plain"], weights, "heads.asked.norm"), weights, "heads.asked.linear")
    np.testing.assert_allclose(found["asked"], asked, rtol=1e-4, atol=1e-5)
    encode, decode = (
        ort.InferenceSession(tmp_path / "art" / f"{program}.onnx")
        for program in ("encode", "decode")
    )
    assert {"y", "same"} <= {output.name for output in encode.get_outputs()}
    assert {output.name for output in decode.get_outputs()} == {"asked", "plain"}


def test_both_programs_can_be_loaded_where_nothing_is_left_to_decode(tmp_path: Path) -> None:
    compiled = pg.compile(parse_spec(f"{SPEC}outputs: {{y: {{query: latents}}}}\n"))
    compiled.save(tmp_path / "art", backends=["onnx"])
    decode = ort.InferenceSession(tmp_path / "art" / "decode.onnx")
    assert [output.name for output in decode.get_outputs()] == ["y"]
    entry = pg.load(tmp_path / "art").manifest.outputs["y"]
    assert (entry.axes, entry.shape) == (["batch", "latent", "channel"], ["batch", 3, 8])
    assert (entry.queries, entry.selectable) == (0, False)
    with pytest.raises(DiagnosticError, match="`y` has no queries, of which none can be chosen"):
        pg.load(tmp_path / "art").run(X, decode={"y": slice(0, 2)})


def test_there_is_a_decoder_only_if_something_is_asked() -> None:
    def graph(outputs: str) -> Graph:
        return pg.compile(parse_spec(f"{SPEC}outputs: {outputs}\n")).graph

    names = [leaf.value.name for leaf in graph("{y: {query: latents}}").parameters]
    assert not [name for name in names if name.startswith(("decoder", "queries", "heads"))]
    names = [leaf.value.name for leaf in graph("{y: {query: latents, norm: none}}").parameters]
    assert not [name for name in names if name.startswith("heads")]


def test_the_resolved_spec_says_which_epsilon_there_is_and_gives_the_same_graph() -> None:
    compiled = pg.compile(parse_spec(BESIDE))
    text = compiled.resolved_spec()
    assert text.count("norm_epsilon: 0.001") == 1
    document = parse_spec(text)
    assert document.spec.outputs["asked"].norm_epsilon == 1e-5
    assert document.spec.outputs["plain"].norm_epsilon is None
    graphs = pg.compile(document).graph, compiled.graph
    written, given = (re.sub(r"\s+# .*", "", print_graph(graph)) for graph in graphs)
    assert written == given
