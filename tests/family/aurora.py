"""Levels of the air: the class that microsoft-aurora's encoder and decoder read and write them with,
held as they hold it, at published size on a few places."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch

from tests.family.harness import Case, Reference, draw, library, module_of, randomised

LEVELS = (50, 100, 150, 200, 250, 300, 400, 500, 600, 700, 850, 925, 1000)
"""Pressures for which the decoder is published."""


def _stub(name: str, **members: Any) -> None:
    """A module of what another imports and does not need here."""
    module = ModuleType(name)
    for key, value in members.items():
        setattr(module, key, value)
    sys.modules.setdefault(name, module)


def _resampler(width: int, heads: int, times: int, depth: int) -> Any:
    library("einops")
    _stub("aurora")
    _stub("aurora.model")
    _stub("aurora.model.util", fp16_safe_scaled_dot_product_attention=None)
    return module_of("aurora", "model/perceiver.py", "PerceiverResampler")(
        latent_dim=width,
        context_dim=width,
        depth=depth,
        head_dim=width // heads,
        num_heads=heads,
        mlp_ratio=float(times),
    )


class _Encoder(torch.nn.Module):
    """Learned latents read the levels of each place."""

    def __init__(self, resampler: Any, count: int, width: int) -> None:
        super().__init__()
        self.atmos_latents = torch.nn.Parameter(torch.empty(count, width))
        self.level_agg = resampler

    def forward(self, x: Any) -> Any:
        read = x.flatten(0, 2)
        found = self.level_agg(self.atmos_latents.expand(len(read), -1, -1), read)
        return found.unflatten(0, x.shape[:3])


class _Decoder(torch.nn.Module):
    """The levels, embedded by their pressures, read what is known of each place."""

    def __init__(self, resampler: Any, width: int) -> None:
        super().__init__()
        self.atmos_levels_embed = torch.nn.Linear(width, width)
        self.level_decoder = resampler

    def forward(self, x: Any) -> Any:
        _stub("aurora.area", area=lambda corners: torch.tensor(1.0), radius_earth=1.0)
        expand = module_of("aurora", "model/fourier.py", "levels_expansion")
        waves = expand(torch.tensor(LEVELS, dtype=torch.float64), self.width).to(x.dtype)
        read = x.flatten(0, 2)
        levels = self.atmos_levels_embed(waves).expand(len(read), -1, -1)
        return self.level_decoder(levels, read).unflatten(0, x.shape[:3])

    @property
    def width(self) -> int:
        return self.atmos_levels_embed.in_features


def _air(seed: int, places: Sequence[int], levels: int, width: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {"air": rng.standard_normal((2, *places, levels, width))}


def _encoder(
    width: int, heads: int, times: int, depth: int, count: int, levels: int, seed: int
) -> Case:
    module = _Encoder(_resampler(width, heads, times, depth), count, width)
    settings = (f"encode.heads={heads}", f"inputs.air.shape.level={levels}")
    places = (2, 3) if not seed else (seed % 3 + 1, seed % 4 + 1)
    return Case(randomised(module, seed), _air(seed, places, levels, width), settings=settings)


def _drawn_encoder(rng: np.random.Generator) -> Case:
    each, heads, times, depth, count, levels, seed = draw(rng, 8, 4, 4, 3, 5, 13, 1000)
    return _encoder((each + 1) * heads, heads, times, depth, count + 1, levels, seed)


def _decoder(width: int, heads: int, times: int, read: int, seed: int) -> Case:
    module = _Decoder(_resampler(width, heads, times, 1), width)
    settings = (
        f"decode.heads={heads}",
        f"inputs.air.shape.latent={read}",
        f"latents.last={read}",
    )
    places = (2, 3) if not seed else (seed % 3 + 1, seed % 4 + 1)
    return Case(randomised(module, seed), _air(seed, places, read, width), settings=settings)


def _drawn_decoder(rng: np.random.Generator) -> Case:
    each, heads, times, read, seed = draw(rng, 4, 4, 4, 6, 1000)
    return _decoder(2 * each * heads, heads, times, read, seed)


REFERENCES = (
    Reference(
        "aurora_level_encoder",
        "microsoft-aurora",
        "PerceiverResampler",
        lambda: _encoder(512, 16, 4, 1, 3, 13, 0),
        _drawn_encoder,
    ),
    Reference(
        "aurora_level_decoder",
        "microsoft-aurora",
        "PerceiverResampler",
        lambda: _decoder(1024, 16, 2, 3, 0),
        _drawn_decoder,
        least=1e-6,  # the queries are imported in float32
    ),
)
