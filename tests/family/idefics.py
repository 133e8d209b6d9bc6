"""The resampler of IDEFICS and the connector of Idefics2: the classes of transformers."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.family.harness import Case, Reference, draw, randomised


def _idefics(
    width: int, depth: int, heads: int, each: int, latents: int, seed: int, normed: bool
) -> Case:
    from transformers import IdeficsConfig
    from transformers.models.idefics.configuration_idefics import IdeficsPerceiverConfig
    from transformers.models.idefics.perceiver import IdeficsPerceiverResampler

    config = IdeficsConfig(
        perceiver_config=IdeficsPerceiverConfig(qk_layer_norms_perceiver=normed),
        vision_config={"embed_dim": width},
    )
    module = IdeficsPerceiverResampler(config, width, depth, heads, each, latents)
    tokens = 9 if seed else 257
    x = np.random.default_rng(seed).standard_normal((2, tokens, width))
    settings = (f"encode.heads={heads}", f"inputs.image.shape.patch={tokens}")
    return Case(randomised(module, seed), {"image": x}, settings=settings)


def _connector(
    width: int, depth: int, heads: int, groups: int, each: int, latents: int, seed: int
) -> Case:
    from transformers.models.idefics2.configuration_idefics2 import Idefics2PerceiverConfig
    from transformers.models.idefics2.modeling_idefics2 import Idefics2PerceiverResampler

    config = Idefics2PerceiverConfig(
        hidden_size=width,
        resampler_depth=depth,
        resampler_n_heads=heads,
        num_key_value_heads=groups,
        resampler_head_dim=each,
        resampler_n_latents=latents,
    )
    config._attn_implementation = "eager"
    module = randomised(Idefics2PerceiverResampler(config), seed)
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2, 9 if seed else 300, width))
    mask = rng.integers(2, size=x.shape[:2]).astype(bool)
    mask[:, -1] = True
    settings = (f"encode.heads={heads}", f"encode.key_heads={groups}")
    return Case(module, {"image": x, "image.attention_mask": mask}, _connected, settings)


def _connected(module: Any, x: Any, mask: Any) -> Any:
    found = module(x, mask.long())
    return getattr(found, "last_hidden_state", found)


def _drawn_idefics(rng: np.random.Generator) -> Case:
    width, depth, heads, each, latents = draw(rng, 16, 3, 4, 6, 5)
    seed = int(rng.integers(1, 1000))
    return _idefics(width + 3, depth, heads, each + 1, latents, seed, bool(rng.integers(2)))


def _drawn_connector(rng: np.random.Generator) -> Case:
    width, depth, groups, each, latents, per = draw(rng, 16, 3, 3, 6, 5, 3)
    seed = int(rng.integers(1, 1000))
    return _connector(width + 3, depth, groups * per, groups, each, latents, seed)


REFERENCES = (
    Reference(
        "idefics_resampler",
        "transformers",
        "IdeficsPerceiverResampler",
        lambda: _idefics(1280, 6, 16, 96, 64, 0, normed=True),
        _drawn_idefics,
    ),
    Reference(
        "idefics2_connector",
        "transformers",
        "Idefics2PerceiverResampler",
        lambda: _connector(4096, 3, 16, 4, 96, 64, 0),
        _drawn_connector,
        least=2e-6,  # it computes an RMSNorm in float32, whatever comes in
        large=True,
    ),
)
