"""The decoder of shapes of Hunyuan3D: the classes of hy3dgen, as its `ShapeVAE` puts them together."""

from __future__ import annotations

import logging
import sys
from types import ModuleType
from typing import Any

import numpy as np
import torch

from tests.family.harness import Case, Reference, draw, library, randomised

_PLACE = "hy3dgen.shapegen.models.autoencoders"


def _blocks() -> Any:
    """The module of the classes. What it imports for its messages takes other libraries along."""
    utils = ModuleType("hy3dgen.shapegen.utils")
    setattr(utils, "logger", logging.getLogger("hy3dgen"))  # noqa: B010 - mypy knows no such name
    sys.modules.setdefault(utils.__name__, utils)
    return library(f"{_PLACE}.attention_blocks", (_PLACE,))


class _ShapeDecoder(torch.nn.Module):
    """What `ShapeVAE` has of decoding, under the names that it has there."""

    def __init__(
        self,
        latents: int,
        channels: int,
        width: int,
        heads: int,
        layers: int,
        bands: int,
        times: int = 4,
        qk_norm: bool = True,
        qkv_bias: bool = False,
        pi: bool = False,
    ) -> None:
        super().__init__()
        blocks = _blocks()
        common = {"width": width, "heads": heads, "qk_norm": qk_norm, "qkv_bias": qkv_bias}
        self.post_kl = torch.nn.Linear(channels, width)
        self.transformer = blocks.Transformer(n_ctx=latents, layers=layers, **common)
        self.geo_decoder = blocks.CrossAttentionDecoder(
            fourier_embedder=blocks.FourierEmbedder(num_freqs=bands, include_pi=pi),
            out_channels=1,
            num_latents=latents,
            mlp_expand_ratio=times,
            **common,
        )

    def forward(self, x: Any, points: Any) -> Any:
        return self.geo_decoder(queries=points, latents=self.transformer(self.post_kl(x)))


def _case(module: _ShapeDecoder, latents: int, heads: int, pi: bool, asked: int, seed: int) -> Case:
    rng = np.random.default_rng(seed)
    batch = 2 if seed else 1
    given = {
        "shape": rng.standard_normal((batch, latents, module.post_kl.in_features)),
        "inside.points": rng.uniform(-1, 1, (batch, asked, 3)),
    }
    settings = (
        f"process.heads={heads}",
        f"decode.heads={heads}",
        f"inputs.shape.shape.latent={latents}",
        f"latents.last={latents}",
        f"outputs.inside.query.position.fourier.pi={str(pi).lower()}",
    )
    return Case(randomised(module, seed), given, settings=settings)


def _published() -> Case:
    return _case(_ShapeDecoder(4096, 64, 1024, 16, 16, 8), 4096, 16, False, 500, 0)


def _drawn(rng: np.random.Generator) -> Case:
    latents, channels, heads, each, layers, bands, asked = draw(rng, 40, 8, 4, 4, 3, 8, 30)
    norm, bias, pi = (bool(flag) for flag in rng.integers(2, size=3))
    times, seed = draw(rng, 4, 1000)
    module = _ShapeDecoder(
        latents, channels, heads * 4 * each, heads, layers, bands, times, norm, bias, pi
    )
    return _case(module, latents, heads, pi, asked, seed)


REFERENCES = (
    Reference(
        "hunyuan3d_decoder",
        "hy3dgen",
        "ShapeVAE.decode",
        _published,
        _drawn,
        least=1e-5,  # our sines and cosines are in float32
    ),
)
