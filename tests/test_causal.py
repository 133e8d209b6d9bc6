"""Latents that are the last tokens of an input, and attention to what came before (Perceiver AR)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import perceiver_graph as pg
from perceiver_graph.compiler.driver import Compiled
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.passes.pipeline import Level
from perceiver_graph.spec.loader import parse_spec
from tests.test_differential import onnx_program, randomised

SPEC = """\
perceiver: 1
name: writer
dims: {length: {min: 4, max: 12}}
inputs:
  text:
    shape: {place: length}
    steps: [{embedding: {vocabulary: 11, width: 8}}]
    position: {learned: {}, combine: add}
    attention_mask: true
latents: {of: text, last: 4}
encode: {heads: 2, causal: true}
process: {layers: 2, heads: 2, causal: true}
outputs:
  next: {query: latents, head: {tied_embedding: text}}
  asked: {query: {learned: {count: 2}}, head: {linear: 3}}
"""


def compiled(level: Level = 0, text: str = SPEC) -> Compiled:
    return pg.compile(parse_spec(text, "writer.yaml"), level=level, verify=True)


def texts() -> tuple[Array, Array]:
    """The second has six places in front that are no text: two of them are latents' places."""
    ids = np.random.default_rng(1).integers(0, 11, (2, 9))
    mask = np.ones((2, 9), bool)
    mask[1, :7] = False
    return ids, mask


def reference(w: Mapping[str, torch.Tensor], ids: Array, mask: Array) -> torch.Tensor:
    """What comes of the latents, written out: every row reads what lies before it and is there."""
    table = w["inputs.text.embedding.weight"]
    x = table[torch.from_numpy(ids)] + w["inputs.text.position.table"][: ids.shape[1]]
    there = torch.from_numpy(mask)
    before = torch.arange(9) <= torch.arange(5, 9)[:, None]
    latents = x[:, -4:]

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"])

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

    def split(x: torch.Tensor) -> torch.Tensor:
        return torch.unflatten(x, -1, (2, -1)).transpose(1, 2)

    def layer(
        latents: torch.Tensor,
        at: str,
        norms: tuple[str, str],
        read: torch.Tensor,
        may: torch.Tensor,
    ) -> torch.Tensor:
        asking = norm(latents, f"{at}.attention.{norms[0]}")
        read = norm(read, f"{at}.attention.{norms[1]}")
        q = split(linear(asking, f"{at}.attention.query"))
        k, v = (split(linear(read, f"{at}.attention.{n}")) for n in ("key", "value"))
        found = F.scaled_dot_product_attention(q, k, v, attn_mask=may[:, None])
        latents = latents + linear(found.transpose(1, 2).flatten(2), f"{at}.attention.output")
        hidden = F.gelu(linear(norm(latents, f"{at}.mlp.norm"), f"{at}.mlp.dense1"))
        return latents + linear(hidden, f"{at}.mlp.dense2")

    at = "encoder.cross_attend"
    latents = layer(latents, at, ("latent_norm", "input_norm"), x, before & there[:, None])
    for number in range(2):
        may = before[:, -4:] & there[:, None, -4:]
        at = f"process.layers.{number}"
        latents = layer(latents, at, ("norm", "norm"), latents, may)
    return latents @ table.T + w["heads.next.bias"]


@pytest.mark.parametrize("level", [0, 1, 2])
def test_it_is_what_is_written_out(level: Level, tmp_path: Path) -> None:
    model = compiled(level)
    weights = randomised(model, 5)
    ids, mask = texts()
    arrays = {"text": ids, "text.attention_mask": mask}
    expected = reference({n: torch.from_numpy(x) for n, x in weights.items()}, ids, mask).numpy()
    there = mask[:, -4:]  # of the others nobody reads anything
    program = onnx_program(model, weights, tmp_path)
    module: Any = model.to_torch(weights).eval()
    with torch.no_grad():
        of_torch = module({name: torch.from_numpy(x) for name, x in arrays.items()})["next"].numpy()
    for found in (program.run(arrays)["next"], of_torch):
        np.testing.assert_allclose(found[there], expected[there], rtol=1e-4, atol=1e-5)


def test_what_comes_later_changes_nothing(tmp_path: Path) -> None:
    model = compiled(2)
    program = onnx_program(model, randomised(model, 5), tmp_path)
    ids, _ = texts()
    before = program.run({"text": ids})["next"]
    for place in range(5, 9):
        other = ids.copy()
        other[:, place] = (ids[:, place] + 1) % 11
        changed = np.abs(program.run({"text": other})["next"] - before).max(axis=(0, 2)) > 1e-4
        assert changed.tolist() == [place - 5 <= row for row in range(4)]


def test_tokens_that_are_not_there_are_as_if_they_were_not(tmp_path: Path) -> None:
    """In front of a text, and behind another input's end nothing is cut away."""
    model = compiled(2, SPEC.replace("position: {learned: {}, combine: add}", ""))
    program = onnx_program(model, randomised(model, 5), tmp_path)
    ids, _ = texts()
    mask = np.ones((2, 9), bool)
    mask[:, :4] = False
    found = program.run({"text": ids, "text.attention_mask": mask})["next"]
    np.testing.assert_allclose(
        found, program.run({"text": ids[:, 4:]})["next"], rtol=1e-4, atol=1e-5
    )
    mask = np.ones((2, 9), bool)
    mask[:, 6:] = False  # the last latent that is there is the second: its place stays
    found = program.run({"text": ids, "text.attention_mask": mask})["next"][:, :1]
    arrays = {"text": ids, "text.attention_mask": mask, "asked.queries": np.arange(2)}
    expected = evaluate(model.graph, arrays, randomised(model, 5))["next"][:, :1]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
