"""Perceiver AR against the class of perceiver-ar-pytorch, at published size and in random configurations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import perceiver_graph as pg
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.passes.pipeline import Level
from perceiver_graph.spec import load_spec
from tests.family.harness import (
    CONFIGURATIONS,
    TOLERANCE,
    draw,
    library,
    module_of,
    off,
    randomised,
)
from tests.test_differential import onnx_program

PUBLISHED = {
    "num_tokens": 20000,
    "dim": 512,
    "depth": 8,
    "max_seq_len": 4096,
    "cross_attn_seq_len": 3072,
    "dim_head": 64,
    "heads": 8,
    "ff_mult": 4,
}


def _settings(sizes: Mapping[str, int]) -> list[str]:
    """The shipped spec in other sizes. 32 channels of a head are turned, or half of them."""
    latents = sizes["max_seq_len"] - sizes["cross_attn_seq_len"]
    width = sizes["heads"] * sizes["dim_head"]
    embedding = f"{{vocabulary: {sizes['num_tokens']}, width: {sizes['dim']}}}"
    attention = [
        f"{part}.{key}={value}"
        for part in ("encode", "process")
        for key, value in (("heads", sizes["heads"]), ("qk_width", width))
    ]
    return [
        f"dims.length={{min: {latents + 1}, max: {sizes['max_seq_len']}}}",
        f"inputs.text.steps.0.embedding={embedding}",
        f"latents.last={latents}",
        f"layers.widening={sizes['ff_mult']}",
        f"layers.rotary.fraction={max(32, sizes['dim_head'] // 2) / sizes['dim_head']}",
        f"process.layers={sizes['depth']}",
        f"outputs.next.head.linear={sizes['num_tokens']}",
        *attention,
    ]


def _weights(module: Any) -> dict[str, Array]:
    found = {
        "inputs.text.embedding.weight": module.token_emb.weight,
        "inputs.text.position.table": module.pos_emb.weight,
        "heads.next.linear.weight": module.to_logits.weight,
    }
    reads, mlp = module.perceive_layers[0]
    key, value = reads.to_kv.weight.chunk(2)
    maps = {"query": reads.to_q.weight, "key": key, "value": value, "output": reads.to_out.weight}
    at = "encoder.cross_attend"
    found |= {f"{at}.attention.{name}.weight": weight for name, weight in maps.items()}
    found |= {f"{at}.attention.output.bias": reads.to_out.bias}
    found |= _norm(f"{at}.attention.latent_norm", reads.norm) | _mlp(at, mlp)
    found |= _norm(f"{at}.attention.input_norm", reads.context_norm)
    for number, (attention, mlp) in enumerate(module.layers):
        at = f"process.layers.{number}"
        found |= {
            f"{at}.attention.{name}.weight": weight
            for name, weight in zip(
                ("query", "key", "value"), attention.to_qkv.weight.chunk(3), strict=True
            )
        }
        found |= {f"{at}.attention.output.weight": attention.to_out.weight}
        found |= _norm(f"{at}.attention.norm", attention.norm) | _mlp(at, mlp)
    return {name: tensor.detach().numpy().copy() for name, tensor in found.items()}


def _norm(name: str, norm: Any) -> dict[str, Any]:
    return {f"{name}.weight": norm.weight, f"{name}.bias": norm.bias}


def _mlp(at: str, mlp: Any) -> dict[str, Any]:
    maps = {f"{at}.mlp.dense1.weight": mlp[1].weight, f"{at}.mlp.dense2.weight": mlp[4].weight}
    return maps | _norm(f"{at}.mlp.norm", mlp[0])


def compare(sizes: Mapping[str, int], seed: int, folder: Path, levels: tuple[Level, ...]) -> float:
    """The largest difference, of the largest output, from the module in float64."""
    library("einops")
    kind = module_of("perceiver_ar_pytorch", "perceiver_ar_pytorch.py", "PerceiverAR")
    module = randomised(kind(**sizes), seed)
    weights = _weights(module)
    ids = np.random.default_rng(seed).integers(0, sizes["num_tokens"], (1, sizes["max_seq_len"]))
    turned = max(32, sizes["dim_head"] // 2)
    steps = torch.arange(0, turned, 2, dtype=torch.float64) / turned
    # Rounded to float32 as they are there, the angles of the last places would be off by 2e-4.
    module.double().rotary_pos_emb.inv_freq = 10000.0**-steps
    worst = 0.0
    with torch.no_grad():
        expected = module(torch.from_numpy(ids)).numpy()
        for level in levels:
            model = pg.compile(load_spec("perceiver_ar", overrides=_settings(sizes)), level=level)
            assert {leaf.value.name for leaf in model.graph.parameters} == weights.keys()
            (place := folder / str(level)).mkdir()
            program = onnx_program(model, weights, place)
            worst = max(worst, off(program.run({"text": ids})["next"], expected))
        found = model.to_torch(weights).eval()({"text": torch.from_numpy(ids)})["next"]
    return max(worst, off(found.numpy(), expected))


@pytest.mark.family
def test_perceiver_ar(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    published = compare(PUBLISHED, 0, tmp_path, (0, 2))
    random = 0.0
    for seed in range(CONFIGURATIONS):
        (folder := tmp_path / f"random{seed}").mkdir()
        rng = np.random.default_rng(seed)
        vocabulary, width, depth, before, latents, heads, mlp = draw(rng, 40, 24, 3, 20, 12, 3, 3)
        drawn = {
            "num_tokens": vocabulary + 1,
            "dim": width + 3,
            "depth": depth,
            "max_seq_len": before + latents,
            "cross_attn_seq_len": before,
            "dim_head": int(rng.choice([32, 48, 64])),
            "heads": heads,
            "ff_mult": mlp,
        }
        random = max(random, compare(drawn, seed, folder, (0, 2)))
    record_property(
        "line",
        f"{'perceiver_ar':24} {'perceiver-ar-pytorch PerceiverAR':62} {published:.1e} at published "
        f"size, {random:.1e} in {CONFIGURATIONS} random configurations (ONNX -O0 and -O2, PyTorch)",
    )
    assert max(published, random) <= TOLERANCE
