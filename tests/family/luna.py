"""Brain waves: what the class of braindecode makes of features of electrodes, those that it has of a signal
left out."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import torch

from tests.family.harness import SITE, Case, Reference, draw, library, randomised

_BESIDE = {
    "braindecode.models.util": "extract_channel_locations_from_chs_info",
    "braindecode.modules.layers": "DropPath",
}
"""What its module imports beside its base, which takes other libraries along."""


class _Base:
    """The base of its models, as far as its own code uses it."""

    def __init_subclass__(cls, **_: Any) -> None:
        super().__init_subclass__()

    def __init__(self, n_outputs: int = 0, **_: Any) -> None:
        super().__init__()
        self.n_outputs = n_outputs


def _luna() -> Any:
    library("einops")
    for name in ("braindecode", "braindecode.models", "braindecode.modules"):
        package = ModuleType(name)
        package.__path__ = [str(SITE.joinpath(*name.split(".")))]
        sys.modules.setdefault(name, package)
    for name, word in _BESIDE.items():
        stub = ModuleType(name)
        setattr(stub, word, torch.nn.Identity)
        sys.modules.setdefault(name, stub)
    base = ModuleType("braindecode.models.base")
    base.EEGModuleMixin = _Base  # type: ignore[attr-defined]
    sys.modules.setdefault(base.__name__, base)
    return library("braindecode.models.luna").LUNA


def _case(
    latents: int,
    width: int,
    depth: int,
    heads: int,
    classes: int,
    shape: tuple[int, int],
    seed: int,
) -> Case:
    module = _luna()(
        n_outputs=classes, num_queries=latents, embed_dim=width, depth=depth, num_heads=heads
    )
    module = randomised(module, seed)
    pairs = width // heads // 2
    frequencies = 10000.0 ** (-np.arange(pairs) / pairs)  # which the class has as parameters
    for block in module.blocks:
        block.attn.rotary_emb.freqs.data = torch.from_numpy(frequencies).float()
    x = np.random.default_rng(seed).standard_normal((2, *shape, width))

    def answer(module: Any, tokens: torch.Tensor) -> Any:
        for block in module.blocks:
            block.attn.rotary_emb.freqs.data = torch.from_numpy(frequencies)
        batch, _, patches, _ = tokens.shape
        found, _ = module.cross_attn(tokens.transpose(1, 2).flatten(0, 1))
        found = found.reshape(batch, patches, -1)
        for block in module.blocks:
            found = block(found)
        return module.final_layer(module.norm(found))

    asked = ("encode", "process.within", "decode")
    settings = tuple(f"{part}.heads={heads}" for part in asked)
    return Case(module, {"signal": x}, answer, settings)


def _drawn(rng: np.random.Generator) -> Case:
    latents, sixteens, depth, doublings, classes, electrodes, patches, seed = draw(
        rng, 4, 2, 3, 3, 4, 6, 5, 1000
    )  # features are made in 4 groups of 4 channels each
    shape = (electrodes, patches)
    return _case(latents, 16 * sixteens, depth, 2**doublings, classes, shape, seed)


REFERENCES = (
    Reference(
        "luna",
        "braindecode",
        "LUNA",
        lambda: _case(4, 64, 8, 2, 2, (22, 12), 0),
        _drawn,
        least=1e-7,  # our sines and cosines are in float32
    ),
)
