"""Resamplers of vision-language models against the classes that transformers has of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import IdeficsConfig
from transformers.models.idefics.configuration_idefics import IdeficsPerceiverConfig
from transformers.models.idefics.perceiver import IdeficsPerceiverResampler
from transformers.models.idefics2.configuration_idefics2 import Idefics2PerceiverConfig
from transformers.models.idefics2.modeling_idefics2 import Idefics2PerceiverResampler

import perceiver_graph as pg
from perceiver_graph.compiler.driver import Compiled
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.spec import load_spec
from perceiver_graph.spec.loader import parse_spec
from tests.test_differential import onnx_program

TOKENS = 9
CONFIGURATIONS = range(30)

IDEFICS = {
    "attention.latent_norm": "0.latents_layer_norm",
    "attention.input_norm": "0.context_layer_norm",
    "attention.query": "0.q_proj",
    "attention.key": "0.k_proj",
    "attention.value": "0.v_proj",
    "attention.q_norm": "0.q_layer_norm",
    "attention.k_norm": "0.k_layer_norm",
    "attention.output": "0.output_proj",
    "mlp.norm": "1.ln",
    "mlp.dense1": "1.fc",
    "mlp.dense2": "1.c_proj",
}
IDEFICS2 = {
    "attention.latent_norm": "input_latents_norm",
    "attention.input_norm": "input_context_norm",
    "attention.query": "self_attn.q_proj",
    "attention.key": "self_attn.k_proj",
    "attention.value": "self_attn.v_proj",
    "attention.output": "self_attn.o_proj",
    "mlp.norm": "post_attention_layernorm",
    "mlp.dense1": "mlp.up_proj",
    "mlp.gate": "mlp.gate_proj",
    "mlp.dense2": "mlp.down_proj",
}
"""A layer's parameters here, and what they are called there."""


def randomised(module: Any, seed: int) -> Any:
    """With every parameter random, norms and biases too, in double precision."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=generator)
    return module.double().eval()


def renamed(
    module: Any, depth: int, layers: str, norm: str, names: Mapping[str, str]
) -> dict[str, Array]:
    """Their parameters by our names; none is left over."""
    theirs = {name: x.numpy() for name, x in module.state_dict().items()}
    ours = {"latents": theirs.pop("latents")}
    pairs = {"heads.tokens.norm": norm}
    for layer in range(depth):
        at = f"encoder.cross_attends.{layer}" if depth > 1 else "encoder.cross_attend"
        pairs |= {f"{at}.{mine}": f"{layers}.{layer}.{other}" for mine, other in names.items()}
    for mine, other in pairs.items():
        for kind in ("weight", "bias"):
            if f"{other}.{kind}" in theirs:
                ours[f"{mine}.{kind}"] = theirs.pop(f"{other}.{kind}")
    assert not theirs
    return ours


def of_idefics(seed: int) -> tuple[Any, dict[str, Array], str, Array]:
    rng = np.random.default_rng(seed)
    width, depth, heads, each, latents = (int(n) for n in rng.integers(1, 5, 5) * [4, 1, 1, 2, 1])
    normed = bool(rng.integers(2))
    config = IdeficsConfig(
        perceiver_config=IdeficsPerceiverConfig(qk_layer_norms_perceiver=normed),
        vision_config={"embed_dim": width},
    )
    module = IdeficsPerceiverResampler(config, width, depth, heads, each, latents)
    weights = renamed(randomised(module, seed), depth, "blocks", "layer_norm", IDEFICS)
    style = f"bias: false, widening: 4, activation: relu{', qk_norm: layer_norm' * normed}"
    text = spec(
        width, depth, latents, style, f"heads: {heads}, qk_width: {heads * each}", "layer_norm"
    )
    x = rng.standard_normal((2, TOKENS, width))
    return module(torch.from_numpy(x)), weights, text, x


def of_idefics2(seed: int) -> tuple[Any, dict[str, Array], str, Array]:
    rng = np.random.default_rng(seed)
    width, depth, groups, each, latents = (int(n) for n in rng.integers(1, 5, 5) * [4, 1, 1, 2, 1])
    heads = groups * int(rng.integers(1, 4))
    config = Idefics2PerceiverConfig(
        hidden_size=width,
        resampler_depth=depth,
        resampler_n_heads=heads,
        num_key_value_heads=groups,
        resampler_head_dim=each,
        resampler_n_latents=latents,
    )
    config._attn_implementation = "eager"
    module = Idefics2PerceiverResampler(config)
    weights = renamed(randomised(module, seed), depth, "layers", "norm", IDEFICS2)
    style = "norm: rms_norm, norm_epsilon: 1.0e-6, bias: false, gated: true, activation: silu"
    style = f"{style}, hidden: {4 * width}"
    sizes = f"heads: {heads}, key_heads: {groups}, qk_width: {heads * each}"
    text = spec(width, depth, latents, style, sizes, "rms_norm, norm_epsilon: 1.0e-6")
    x = rng.standard_normal((2, TOKENS, width))
    found = module(torch.from_numpy(x), torch.ones(2, TOKENS, dtype=torch.long))
    return getattr(found, "last_hidden_state", found), weights, text, x


def spec(width: int, depth: int, latents: int, style: str, sizes: str, norm: str) -> str:
    return f"""\
perceiver: 1
name: resampler
inputs: {{image: {{shape: {{patch: {TOKENS}, channel: {width}}}}}}}
layers: {{{style}}}
latents: {{count: {latents}, width: {width}}}
encode: {{{sizes}, keys: [inputs, latents], cross_attends: {depth}}}
process: {{layers: 0}}
outputs: {{tokens: {{query: latents, norm: {norm}}}}}
"""


def compiled(text: str) -> Compiled:
    return pg.compile(parse_spec(text, "resampler.yaml"), level=2)


# What transformers computes an RMSNorm in is float32, whatever comes in.
@pytest.mark.parametrize(("system", "least"), [(of_idefics, 1e-12), (of_idefics2, 2e-6)])
@pytest.mark.parametrize("seed", CONFIGURATIONS)
def test_it_is_the_class_of_transformers(system: Any, least: float, seed: int) -> None:
    with torch.no_grad():
        expected, weights, text, x = system(seed)
    model = compiled(text)
    assert {leaf.value.name for leaf in model.graph.parameters} == weights.keys()
    found = evaluate(model.graph, {"image": x}, weights)["tokens"]
    scale = np.abs(expected.numpy()).max()
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=least * scale)


@pytest.mark.parametrize("system", [of_idefics, of_idefics2])
@pytest.mark.parametrize("seed", [3, 7])
def test_both_backends_are(system: Any, seed: int, tmp_path: Path) -> None:
    with torch.no_grad():
        expected, double, text, x = system(seed)
    model = compiled(text)
    weights = {name: array.astype(np.float32) for name, array in double.items()}
    program = onnx_program(model, weights, tmp_path)
    single = x.astype(np.float32)
    with torch.no_grad():
        of_torch = model.to_torch(weights)({"image": torch.from_numpy(single)})["tokens"].numpy()
    scale = np.abs(expected.numpy()).max()
    for found in (program.run({"image": single})["tokens"], of_torch):
        np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=1e-5 * scale)


def test_the_published_sizes_are_the_shipped_ones() -> None:
    with torch.device("meta"):
        config = IdeficsConfig(
            perceiver_config=IdeficsPerceiverConfig(qk_layer_norms_perceiver=True),
            vision_config={"embed_dim": 1280},
        )
        published = {
            "idefics_resampler": IdeficsPerceiverResampler(config, 1280, 6, 16, 96, 64),
            "idefics2_connector": Idefics2PerceiverResampler(Idefics2PerceiverConfig()),
        }
    for name, module in published.items():
        found = pg.compile(load_spec(name)).graph.parameter_count
        assert found == sum(parameter.numel() for parameter in module.parameters())
