"""Perceiver AR: the class of perceiver-ar-pytorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tests.family.harness import Case, Reference, draw, library, module_of, randomised


def _case(
    vocabulary: int,
    width: int,
    depth: int,
    longest: int,
    before: int,
    each: int,
    heads: int,
    times: int,
    seed: int,
) -> Case:
    library("einops")
    module = module_of("perceiver_ar_pytorch", "perceiver_ar_pytorch.py", "PerceiverAR")(
        num_tokens=vocabulary,
        dim=width,
        depth=depth,
        max_seq_len=longest,
        cross_attn_seq_len=before,
        dim_head=each,
        heads=heads,
        ff_mult=times,
    )
    ids = np.random.default_rng(seed).integers(0, vocabulary, (1, longest))
    latents = longest - before
    settings = (
        f"encode.heads={heads}",
        f"process.heads={heads}",
        f"latents.last={latents}",
        f"dims.length.min={latents + 1}",
        f"layers.rotary.fraction={_turned(each) / each}",
    )
    return Case(randomised(module, seed), {"text": ids}, _answer, settings)


def _turned(each: int) -> int:
    """How many channels of a head are turned there."""
    return max(32, each // 2)


def _answer(module: Any, ids: Any) -> Any:
    turn = module.rotary_pos_emb
    count = 2 * len(turn.inv_freq)
    steps = torch.arange(0, count, 2, dtype=torch.float64) / count
    # Rounded to float32 as they are there, the angles of the last places would be off by 2e-4.
    turn.inv_freq = 10000.0**-steps
    return module(ids)


def _drawn(rng: np.random.Generator) -> Case:
    vocabulary, width, depth, before, latents, heads, times = draw(rng, 40, 24, 3, 20, 12, 3, 3)
    each, (seed,) = int(rng.choice([32, 48, 64])), draw(rng, 1000)
    return _case(
        vocabulary + 1, width + 3, depth, before + latents, before, each, heads, times, seed
    )


REFERENCES = (
    Reference(
        "perceiver_ar",
        "perceiver-ar-pytorch",
        "PerceiverAR",
        lambda: _case(20000, 512, 8, 4096, 3072, 64, 8, 4, 0),
        _drawn,
        least=1e-6,  # our tables of angles are in float32
    ),
)
