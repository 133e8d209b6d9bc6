"""Perceivers of perceiver-pytorch: one that classifies pictures, and its language model."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.family.harness import Case, Reference, draw, library, randomised


def _sizes(
    latents: tuple[int, int], cross: tuple[int, int], own: tuple[int, int]
) -> dict[str, int]:
    """What both classes take: latents and their width; heads, and the channels of each."""
    names = "num_latents latent_dim cross_heads cross_dim_head latent_heads latent_dim_head"
    return dict(zip(names.split(), (*latents, *cross, *own), strict=True))


def _picture(
    bands: int,
    resolution: int,
    depth: int,
    latents: tuple[int, int],
    cross: tuple[int, int],
    own: tuple[int, int],
    layers: int,
    classes: int,
    size: tuple[int, int],
    seed: int,
) -> Case:
    module = library("perceiver_pytorch.perceiver_pytorch").Perceiver(
        num_freq_bands=bands,
        max_freq=resolution,
        depth=depth,
        **_sizes(latents, cross, own),
        self_per_cross_attn=layers,
        num_classes=classes,
    )
    x = np.random.default_rng(seed).standard_normal((2, *size, 3))
    settings = (
        f"encode.heads={cross[0]}",
        f"process.heads={own[0]}",
        f"inputs.image.shape={{height: {size[0]}, width: {size[1]}, channel: 3}}",
        f"inputs.image.position.fourier.max_resolution={resolution}",
    )
    return Case(randomised(module, seed), {"image": x}, settings=settings)


def _drawn_picture(rng: np.random.Generator) -> Case:
    bands, resolution, depth, count, width, heads, each = draw(rng, 4, 12, 3, 5, 12, 3, 5)
    own_heads, own_each, layers, classes = draw(rng, 3, 5, 2, 5)
    height, wide, seed = draw(rng, 6, 6, 1000)
    return _picture(
        bands,
        resolution,
        depth,
        (count, width + 3),
        (heads, each),
        (own_heads, own_each),
        layers,
        classes,
        (height + 1, wide + 1),
        seed,
    )


def _text(
    vocabulary: int,
    longest: int,
    width: int,
    depth: int,
    latents: tuple[int, int],
    cross: tuple[int, int],
    own: tuple[int, int],
    seed: int,
) -> Case:
    module = library("perceiver_pytorch.perceiver_io").PerceiverLM(
        num_tokens=vocabulary,
        max_seq_len=longest,
        dim=width,
        depth=depth,
        **_sizes(latents, cross, own),
    )
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, vocabulary, (2, min(longest, 200)))
    mask = rng.integers(2, size=ids.shape).astype(bool)
    mask[:, -1] = True
    settings = (f"encode.heads={cross[0]}", f"process.heads={own[0]}", f"decode.heads={cross[0]}")
    given = {"text": ids, "text.attention_mask": mask}
    return Case(randomised(module, seed), given, _masked, settings)


def _masked(module: Any, ids: Any, mask: Any) -> Any:
    return module(ids, mask=mask)


def _drawn_text(rng: np.random.Generator) -> Case:
    vocabulary, longest, width, depth, count, channels = draw(rng, 20, 12, 12, 3, 5, 12)
    heads, each, own_heads, own_each, seed = draw(rng, 3, 5, 3, 5, 1000)
    return _text(
        vocabulary + 1,
        longest,
        width + 3,
        depth,
        (count, channels + 3),
        (heads, each),
        (own_heads, own_each),
        seed,
    )


REFERENCES = (
    Reference(
        "lucidrains_perceiver",
        "perceiver-pytorch",
        "Perceiver",
        lambda: _picture(6, 10, 6, (256, 512), (1, 64), (8, 64), 1, 1000, (224, 224), 0),
        _drawn_picture,
        least=5e-6,  # our sines and cosines are in float32
        imported=True,
    ),
    Reference(
        "lucidrains_perceiver_io",
        "perceiver-pytorch",
        "PerceiverLM",
        lambda: _text(20000, 2048, 32, 6, (256, 512), (1, 64), (8, 64), 0),
        _drawn_text,
    ),
)
