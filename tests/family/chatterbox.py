"""The voice conditioner of Chatterbox: the class of chatterbox-tts."""

from __future__ import annotations

import numpy as np

from tests.family.harness import Case, Reference, draw, module_of, randomised


def _case(count: int, heads: int, each: int, seed: int) -> Case:
    width = heads * each
    kind = module_of("chatterbox", "models/t3/modules/perceiver.py", "Perceiver")
    module = randomised(kind(count, width, width, heads), seed)
    x = np.random.default_rng(seed).standard_normal((2, 9 if seed else 150, width))
    return Case(module, {"speech": x}, settings=(f"encode.heads={heads}",))


def _drawn(rng: np.random.Generator) -> Case:
    count, heads, each, seed = draw(rng, 5, 4, 8, 1000)
    return _case(count, heads, each + 2, seed)


REFERENCES = (
    Reference(
        "chatterbox_conditioner",
        "chatterbox-tts",
        "Perceiver",
        lambda: _case(32, 4, 256, 0),
        _drawn,
    ),
)
