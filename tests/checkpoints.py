"""Small checkpoints for the tests of weights, in our own layout and in that of transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import save_file

from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.compiler.weights import load
from perceiver_graph.diagnostics import DiagnosticError, render
from perceiver_graph.spec.loader import parse_spec

SPEC = """
perceiver: 1
name: small
inputs:
  sound:
    shape: {time: 12, channel: 1}
    steps: [{patch: {time: 3}}]
    position: {fourier: {bands: 2}}
  kind: {shape: {channel: 9}, mask: always}
join: {padding: {min: 2}}
latents: {count: 4, width: 8, init_scale: 0.5}
encode: {heads: 1}
process: {layers: 3, heads: 2}
decode: {padding: {min: 1}, project: 6}
outputs:
  kind: {query: {learned: {count: 1, width: 5}}, head: {linear: 9}}
"""

Tensors = dict[str, Array]


def small(*overrides: str) -> Graph:
    return lower(parse_spec(SPEC, "small.yaml", overrides)).graph


def theirs(values: Tensors, prefix: str = "perceiver.") -> Tensors:
    """The same values under the names and in the shapes that transformers gives them."""
    layer = {
        "attention.latent_norm": "attention.self.layernorm1",
        "attention.query_norm": "attention.self.layernorm1",
        "attention.norm": "attention.self.layernorm1",
        "attention.input_norm": "attention.self.layernorm2",
        "attention.query": "attention.self.query",
        "attention.key": "attention.self.key",
        "attention.value": "attention.self.value",
        "attention.output": "attention.output.dense",
        "mlp.norm": "layernorm",
        "mlp.dense1": "mlp.dense1",
        "mlp.dense2": "mlp.dense2",
    }
    places = {
        "encoder.cross_attend": "encoder.cross_attention",
        "decoder.cross_attend": "decoder.decoder.decoding_cross_attention",
    } | {f"process.layers.{i}": f"encoder.self_attends.{i}" for i in range(3)}
    names = {
        "latents": "embeddings.latents",
        "inputs.sound.padding": "input_preprocessor.padding.sound",
        "inputs.sound.mask": "input_preprocessor.mask.sound",
        "inputs.kind.padding": "input_preprocessor.padding.kind",
        "inputs.kind.mask": "input_preprocessor.mask.kind",
        "queries.kind.padding": "decoder.padding.kind",
        "queries.kind.table": "decoder.modalities.kind.decoder.output_position_encodings"
        ".position_embeddings",
    }
    for end in ("weight", "bias"):
        names |= {
            f"{ours}.{part}.{end}": f"{place}.{other}.{end}"
            for ours, place in places.items()
            for part, other in layer.items()
        }
        names[f"decoder.project.{end}"] = f"decoder.decoder.final_layer.{end}"
        names[f"heads.kind.linear.{end}"] = f"output_postprocessor.modalities.kind.classifier.{end}"
    return {
        prefix + names[name]: value[None] if name.endswith(("padding", "mask")) else value
        for name, value in values.items()
    }


CONFIG = {
    "model_type": "perceiver",
    "num_self_attention_heads": 2,
    "num_cross_attention_heads": 1,
    "num_blocks": 1,
}


def folder(path: Path, tensors: Tensors, **settings: Any) -> Path:
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(json.dumps(CONFIG | settings))
    save_file(tensors, path / "model.safetensors")
    return path


def file(path: Path, tensors: Tensors) -> Path:
    save_file(tensors, path / "weights.safetensors")
    return path / "weights.safetensors"


def problems(path: str | Path, graph: Graph) -> tuple[list[str], str]:
    """The codes and the whole text of what is wrong."""
    with pytest.raises(DiagnosticError) as caught:
        load(path, graph)
    found = caught.value.diagnostics
    return [d.code for d in found], render(found)
