"""The projector of Aria: the class of transformers."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.family.harness import Case, Reference, draw, randomised


def _case(
    heads: int, each: int, out: int, smallest: int, latents: int, seed: int, side: int
) -> Case:
    """As many latents as the spec has, at sides of a picture that are `smallest` or twice that."""
    from transformers import AriaConfig
    from transformers.models.aria.modeling_aria import AriaProjector

    sides = (smallest, 2 * smallest)
    config = AriaConfig(
        vision_config={
            "model_type": "idefics3_vision",
            "hidden_size": heads * each,
            "num_attention_heads": heads,
        },
        text_config={"model_type": "aria_text", "hidden_size": 2 * out, "num_attention_heads": 1},
        projector_patch_to_query_dict={n * n: latents * (n // smallest) for n in sides},
    )
    module = randomised(AriaProjector(config), seed)
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2, side, side, heads * each))
    mask = rng.integers(2, size=x.shape[:-1]).astype(bool)
    mask[:, -1, -1] = True
    settings = (
        f"encode.heads={heads}",
        f"dims.side.min={smallest}",
        f"dims.side.max={2 * smallest}",
        f"dims.side.multiple_of={smallest}",
        f"latents.count={latents} * side / {smallest}",
    )
    return Case(module, {"image": x, "image.attention_mask": mask}, _projected, settings)


def _projected(module: Any, x: Any, mask: Any) -> Any:
    return module(x.flatten(1, 2), ~mask.flatten(1))  # there, true is for what is left out


def _drawn(rng: np.random.Generator) -> Case:
    heads, each, out, smallest, latents, seed = draw(rng, 4, 6, 8, 3, 4, 1000)
    side = smallest * int(rng.integers(1, 3))
    return _case(heads, each + 3, out + 3, smallest, latents, seed, side)


REFERENCES = (
    Reference(
        "aria_projector",
        "transformers",
        "AriaProjector",
        lambda: _case(16, 72, 2048, 35, 128, 0, 70),
        _drawn,
    ),
)
