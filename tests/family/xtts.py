"""The voice conditioner of XTTS: the class of coqui-tts."""

from __future__ import annotations

import numpy as np

from tests.family.harness import Case, Reference, draw, library, randomised

_MODULE = "TTS.tts.layers.xtts.perceiver_encoder"
_BESIDE = ("TTS.tts.layers.tortoise", "TTS.utils")


def _case(
    width: int, read: int, depth: int, heads: int, each: int, latents: int, times: int, seed: int
) -> Case:
    module = library(_MODULE, _BESIDE).PerceiverResampler(
        dim=width,
        dim_context=read,
        depth=depth,
        heads=heads,
        dim_head=each,
        num_latents=latents,
        ff_mult=times,
    )
    x = np.random.default_rng(seed).standard_normal((2, 9 if seed else 215, read))
    return Case(randomised(module, seed), {"speech": x}, settings=(f"encode.heads={heads}",))


def _drawn(rng: np.random.Generator) -> Case:
    width, read, depth, heads, each, latents, times = draw(rng, 16, 12, 3, 4, 6, 5, 4)
    same = bool(rng.integers(2))  # else a linear map stands before
    seed = int(rng.integers(1, 1000))
    width += 3
    return _case(width, width if same else read, depth, heads, each, latents, times, seed)


REFERENCES = (
    Reference(
        "xtts_conditioner",
        "coqui-tts",
        "PerceiverResampler",
        lambda: _case(1024, 1024, 2, 8, 64, 32, 4, 0),
        _drawn,
    ),
)
