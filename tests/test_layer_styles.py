"""Styles of layers against modules written the way the systems that have them are built."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import perceiver_graph as pg
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.passes.pipeline import Level
from perceiver_graph.spec.loader import parse_spec
from tests.test_differential import randomised

Weights = Mapping[str, torch.Tensor]

HEAD = """\
perceiver: 1
name: styled
inputs: {image: {shape: {place: 7, channel: 12}, attention_mask: true}}
"""
TAIL = "outputs: {mean: {query: {mean: latents}}}\n"
"""The latents are what is compared; a mean of them is the least that a spec may ask."""


def ours(text: str, level: Level = 0) -> tuple[Array, Array, Weights, torch.Tensor]:
    """The inputs, what the latents become, the parameters, and the mask."""
    compiled = pg.compile(parse_spec(HEAD + text + TAIL, "styled.yaml"), level=level)
    weights = {name: x.astype(np.float64) for name, x in randomised(compiled, 3).items()}
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 7, 12))
    mask = rng.random((2, 7)) < 0.7
    arrays = {"image": x, "image.attention_mask": mask}
    latents = evaluate(compiled.graph, arrays, weights)["latents"]
    return (
        x,
        latents,
        {name: torch.from_numpy(w) for name, w in weights.items()},
        torch.tensor(mask),
    )


def heads(x: torch.Tensor, count: int) -> torch.Tensor:
    return torch.unflatten(x, -1, (count, -1)).transpose(1, 2)


def merged(x: torch.Tensor) -> torch.Tensor:
    return x.transpose(1, 2).flatten(2)


def layer_norm(x: torch.Tensor, w: Weights, name: str) -> torch.Tensor:
    return F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"])


def rms_norm(x: torch.Tensor, w: Weights, name: str, epsilon: float) -> torch.Tensor:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + epsilon) * w[f"{name}.weight"]


def test_a_resampler_of_images() -> None:
    """Keys of inputs and latents, no biases but of norms, one cross-attend after the other."""
    x, found, w, mask = ours("""\
latents: {count: 3, width: 12}
layers: {bias: false, widening: 4, qk_norm: layer_norm}
encode: {heads: 2, qk_width: 16, keys: [inputs, latents], cross_attends: 2}
process: {layers: 0}
""")
    latents = w["latents"].expand(2, -1, -1)
    there = torch.cat([mask, torch.ones(2, 3, dtype=torch.bool)], dim=1)[:, None, None]
    for layer in range(2):
        at = f"encoder.cross_attends.{layer}.attention"
        asking = layer_norm(latents, w, f"{at}.latent_norm")
        read = torch.cat([layer_norm(torch.from_numpy(x), w, f"{at}.input_norm"), asking], dim=1)
        q = layer_norm(heads(asking @ w[f"{at}.query.weight"].T, 2), w, f"{at}.q_norm")
        k = layer_norm(heads(read @ w[f"{at}.key.weight"].T, 2), w, f"{at}.k_norm")
        v = heads(read @ w[f"{at}.value.weight"].T, 2)
        attended = merged(F.scaled_dot_product_attention(q, k, v, attn_mask=there))
        latents = latents + attended @ w[f"{at}.output.weight"].T
        at = f"encoder.cross_attends.{layer}.mlp"
        hidden = F.gelu(layer_norm(latents, w, f"{at}.norm") @ w[f"{at}.dense1.weight"].T)
        latents = latents + hidden @ w[f"{at}.dense2.weight"].T
    np.testing.assert_allclose(found, latents.numpy(), rtol=1e-9, atol=1e-12)


def test_a_connector_with_fewer_heads_of_keys() -> None:
    """RMSNorm, queries in groups, a gated MLP with SiLU."""
    x, found, w, mask = ours("""\
latents: {count: 3, width: 8}
layers: {norm: rms_norm, norm_epsilon: 1.0e-6, bias: false, gated: true, activation: silu, hidden: 10}
encode: {heads: 4, key_heads: 2, qk_width: 16, scale: 0.3}
process: {layers: 0}
""")
    latents = w["latents"].expand(2, -1, -1)
    at = "encoder.cross_attend.attention"
    asking = rms_norm(latents, w, f"{at}.latent_norm", 1e-6)
    read = rms_norm(torch.from_numpy(x), w, f"{at}.input_norm", 1e-6)
    q = heads(asking @ w[f"{at}.query.weight"].T, 4)
    k, v = (
        heads(read @ w[f"{at}.{name}.weight"].T, 2).repeat_interleave(2, dim=1)
        for name in ("key", "value")
    )
    scores = (q @ k.mT * 0.3).masked_fill(~mask[:, None, None], -torch.inf)
    latents = latents + merged(scores.softmax(-1) @ v) @ w[f"{at}.output.weight"].T
    at = "encoder.cross_attend.mlp"
    y = rms_norm(latents, w, f"{at}.norm", 1e-6)
    hidden = F.silu(y @ w[f"{at}.gate.weight"].T) * (y @ w[f"{at}.dense1.weight"].T)
    latents = latents + hidden @ w[f"{at}.dense2.weight"].T
    np.testing.assert_allclose(found, latents.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("level", [0, 2])
def test_norms_after_the_branches(level: Level) -> None:
    x, found, w, mask = ours(
        """\
latents: {count: 3, width: 8}
layers: {norm_at: after, dropout: 0.5}
encode: {heads: 2, qk_width: 6, bias: {qkv: false}}
process: {layers: 2, heads: 2, mlp: false, norm: none}
""",
        level,
    )
    latents = w["latents"].expand(2, -1, -1)
    at = "encoder.cross_attend.attention"
    q = heads(latents @ w[f"{at}.query.weight"].T, 2)
    k, v = (heads(torch.from_numpy(x) @ w[f"{at}.{name}.weight"].T, 2) for name in ("key", "value"))
    attended = merged(F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None]))
    attended = F.linear(attended, w[f"{at}.output.weight"], w[f"{at}.output.bias"])
    latents = latents + layer_norm(attended, w, f"{at}.output_norm")
    at = "encoder.cross_attend.mlp"
    hidden = F.gelu(F.linear(latents, w[f"{at}.dense1.weight"], w[f"{at}.dense1.bias"]))
    hidden = F.linear(hidden, w[f"{at}.dense2.weight"], w[f"{at}.dense2.bias"])
    latents = latents + layer_norm(hidden, w, f"{at}.output_norm")
    for layer in range(2):
        at = f"process.layers.{layer}.attention"
        q, k, v = (
            heads(F.linear(latents, w[f"{at}.{n}.weight"], w[f"{at}.{n}.bias"]), 2)
            for n in ("query", "key", "value")
        )
        attended = merged(F.scaled_dot_product_attention(q, k, v))
        latents = latents + F.linear(attended, w[f"{at}.output.weight"], w[f"{at}.output.bias"])
    np.testing.assert_allclose(found, latents.numpy(), rtol=1e-9, atol=1e-12)


def test_dropout_is_for_training_alone() -> None:
    text = (
        HEAD
        + "latents: {count: 3, width: 8}\nlayers: {dropout: 0.5}\nprocess: {layers: 1}\n"
        + TAIL
    )
    module = pg.compile(parse_spec(text, "styled.yaml")).to_torch()
    inputs = {"image": torch.ones(1, 7, 12)}
    once, again = (module(inputs)["mean"] for _ in range(2))
    assert torch.equal(once, again)
    module.train()
    once, again = (module(inputs)["mean"] for _ in range(2))
    assert not torch.equal(once, again)


@pytest.mark.parametrize("level", [0, 2])
def test_norms_of_single_places(level: Level) -> None:
    """None of what reads, one for values alone, none before the MLP, one within it."""
    x, found, w, mask = ours(
        """\
latents: {count: 3, width: 8}
layers: {mlp_norm: none, hidden_norm: layer_norm}
encode: {heads: 2, qk_width: 6, query_norm: none, value_norm: rms_norm}
process: {layers: 0}
""",
        level,
    )
    latents, read = w["latents"].expand(2, -1, -1), torch.from_numpy(x)
    at = "encoder.cross_attend.attention"
    made = {
        "query": latents,
        "key": layer_norm(read, w, f"{at}.input_norm"),
        "value": rms_norm(read, w, f"{at}.value_norm", 1e-5),
    }
    q, k, v = (
        heads(F.linear(rows, w[f"{at}.{name}.weight"], w[f"{at}.{name}.bias"]), 2)
        for name, rows in made.items()
    )
    attended = merged(F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None]))
    latents = latents + F.linear(attended, w[f"{at}.output.weight"], w[f"{at}.output.bias"])
    at = "encoder.cross_attend.mlp"
    hidden = F.gelu(F.linear(latents, w[f"{at}.dense1.weight"], w[f"{at}.dense1.bias"]))
    hidden = layer_norm(hidden, w, f"{at}.hidden_norm")
    latents = latents + F.linear(hidden, w[f"{at}.dense2.weight"], w[f"{at}.dense2.bias"])
    np.testing.assert_allclose(found, latents.numpy(), rtol=1e-9, atol=1e-12)


def test_layers_within_a_place_are_those_of_a_place_alone() -> None:
    """What `process` does of the latents of each place, where it is over no axis, those within do."""
    text = """\
perceiver: 1
name: styled
inputs: {image: {shape: {place: 7, time: 3, channel: 12}}}
latents: {count: 2, width: 8}
encode: {over: place, heads: 2}
"""
    within = (
        "process: {within: {layers: 2, heads: 2}, over: time, layers: 1, heads: 4, mlp: false}\n"
    )
    whole = pg.compile(parse_spec(f"{text}{within}{TAIL}", "styled.yaml"))
    part = pg.compile(parse_spec(f"{text}process: {{layers: 2, heads: 2}}\n{TAIL}", "styled.yaml"))
    weights = {name: x.astype(np.float64) for name, x in randomised(whole, 3).items()}
    nothing = "process.layers.0.attention.output."  # the layer over all places adds nothing
    weights = {n: x * (not n.startswith(nothing)) for n, x in weights.items()}
    renamed = {
        re.sub("^within", "process", name): x
        for name, x in weights.items()
        if not name.startswith("process.")
    }
    arrays = {"image": np.random.default_rng(0).standard_normal((2, 7, 3, 12))}
    found = evaluate(whole.graph, arrays, weights)["latents"]
    expected = evaluate(part.graph, arrays, renamed)["latents"]
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-9, atol=1e-12)
