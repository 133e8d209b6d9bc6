"""IP-Adapter Plus: the class of diffusers."""

from __future__ import annotations

import numpy as np

from tests.family.harness import Case, Reference, draw, library, randomised


def _case(
    read: int, out: int, width: int, depth: int, heads: int, each: int, latents: int, seed: int
) -> Case:
    module = library("diffusers.models.embeddings").IPAdapterPlusImageProjection(
        embed_dims=read,
        output_dims=out,
        hidden_dims=width,
        depth=depth,
        dim_head=each,
        heads=heads,
        num_queries=latents,
    )
    x = np.random.default_rng(seed).standard_normal((2, 257 if seed == 0 else 9, read))
    tokens = () if seed == 0 else ("inputs.image.shape.patch=9",)
    settings = (f"encode.heads={heads}", *tokens)
    return Case(randomised(module, seed), {"image": x}, settings=settings)


def _drawn(rng: np.random.Generator) -> Case:
    read, out, width, depth, heads, each, latents = draw(rng, 12, 12, 16, 3, 4, 6, 5)
    seed = int(rng.integers(1, 1000))
    return _case(read, out + 3, width + 3, depth, heads, each, latents, seed)


REFERENCES = (
    Reference(
        "ip_adapter_plus",
        "diffusers",
        "IPAdapterPlusImageProjection",
        lambda: _case(1280, 768, 768, 4, 12, 64, 16, 0),
        _drawn,
    ),
    Reference(
        "ip_adapter_plus_sdxl",
        "diffusers",
        "IPAdapterPlusImageProjection",
        lambda: _case(1280, 2048, 1280, 4, 20, 64, 16, 0),
        _drawn,
    ),
)
