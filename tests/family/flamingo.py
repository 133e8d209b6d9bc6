"""Flamingo's resampler: the classes of OpenFlamingo and of flamingo-pytorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tests.family.harness import Case, Reference, draw, module_of, randomised

_OURS = "openflamingo_resampler"


def _open(module: Any, x: Any) -> Any:
    """One image of one frame."""
    return module(x[:, None, None])[:, 0]


def _of_lucidrains(module: Any, x: Any) -> Any:
    """One image, and no vector of its place among several."""
    with torch.no_grad():
        module.media_pos_emb.zero_()
    return module(x)[:, 0]


def _case(package: str, sizes: dict[str, int], seed: int) -> Case:
    path = {"open_flamingo": "src/helpers.py", "flamingo_pytorch": "flamingo_pytorch.py"}[package]
    kind = module_of(package, path, "PerceiverResampler")
    module = randomised(kind(**sizes), seed)
    tokens = 256 if seed == 0 else 9
    x = np.random.default_rng(seed).standard_normal((2, tokens, sizes["dim"]))
    settings = (f"encode.heads={sizes['heads']}", f"inputs.image.shape.patch={tokens}")
    if package == "open_flamingo":
        return Case(module, {"image": x}, _open, settings)
    return Case(module, {"image": x}, _of_lucidrains, settings, without=("media_pos_emb",))


_PUBLISHED = {"dim": 1024, "depth": 6, "dim_head": 64, "heads": 8, "num_latents": 64}


def _drawn(rng: np.random.Generator, package: str) -> Case:
    width, *rest = draw(rng, 16, 3, 6, 4, 5)
    sizes = dict(zip(_PUBLISHED, (width + 3, *rest), strict=True))
    return _case(package, sizes, int(rng.integers(1, 1000)))


REFERENCES = (
    Reference(
        _OURS,
        "open-flamingo",
        "PerceiverResampler",
        lambda: _case("open_flamingo", _PUBLISHED, 0),
        lambda rng: _drawn(rng, "open_flamingo"),
    ),
    Reference(
        _OURS,
        "flamingo-pytorch",
        "PerceiverResampler",
        lambda: _case("flamingo_pytorch", _PUBLISHED, 0),
        lambda rng: _drawn(rng, "flamingo_pytorch"),
        key="openflamingo_resampler_2",
    ),
)
