"""PerAct's Perceiver: `PerceiverIO` of perceiver-pytorch, from which PerAct took it, with the tokens and the
names that it has there."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from perceiver_graph.compiler.weights.tables.peract import TOKENS
from tests.family.harness import Case, Reference, draw, library, randomised


class _Actor(nn.Module):
    def __init__(self, perceiver: Any, words: int, width: int, voxels: int) -> None:
        super().__init__()
        cross = perceiver.cross_attend_block
        self.pos_encoding = nn.Parameter(torch.zeros(1, TOKENS + voxels, width))
        self.lang_preprocess = nn.Linear(words, width)
        self.latents = perceiver.latents
        self.cross_attend_blocks = nn.ModuleList([cross.cross_attn, cross.cross_ff])
        self.layers = nn.ModuleList(nn.ModuleList(b.self_attns[0]) for b in perceiver.layers)
        self.decoder_cross_attn = perceiver.decoder_cross_attn
        self.whole = [perceiver]  # no module of this one: its parts have other names

    def forward(self, text: Any, voxels: Any) -> Any:
        tokens = torch.cat([self.lang_preprocess(text), voxels.flatten(1, 3)], 1)
        tokens = tokens + self.pos_encoding
        return self.whole[0](tokens, queries=tokens)[:, TOKENS:]


def _case(
    words: int, width: int, latents: int, wide: int, layers: int, heads: tuple[int, int], each: int,
    side: int, seed: int,
) -> Case:  # fmt: skip
    perceiver = library("perceiver_pytorch.perceiver_io").PerceiverIO(
        depth=layers,
        dim=width,
        queries_dim=width,
        num_latents=latents,
        latent_dim=wide,
        cross_heads=heads[0],
        latent_heads=heads[1],
        cross_dim_head=each,
        latent_dim_head=each,
    )
    module = randomised(_Actor(perceiver, words, width, side**3), seed)
    rng = np.random.default_rng(seed)
    text = rng.standard_normal((1, TOKENS, words))
    voxels = rng.standard_normal((1, side, side, side, width))
    sizes = (f"inputs.voxels.shape.{axis}={side}" for axis in "xyz")
    told = (f"encode.heads={heads[0]}", f"process.heads={heads[1]}", f"decode.heads={heads[0]}")
    return Case(module, {"text": text, "voxels": voxels}, settings=(*sizes, *told))


def _drawn(rng: np.random.Generator) -> Case:
    words, width, latents, wide, layers, cross, heads, each = draw(rng, 9, 9, 6, 12, 3, 3, 3, 5)
    side, seed = draw(rng, 3, 1000)
    return _case(words, width + 3, latents, wide + 3, layers, (cross, heads), each + 1, side, seed)


REFERENCES = (
    Reference(
        "perceiver_actor",
        "perceiver-pytorch",
        "PerceiverIO",
        lambda: _case(512, 128, 2048, 512, 6, (1, 8), 64, 20, 0),
        _drawn,
    ),
)
