"""Where training starts: with filters that see motion, and with pixels that read what is near them.

From initial values that are random throughout nothing was learnt in thousands of batches: motion is told from
the product of two frames, and which tokens a pixel has to ask attention has to find out first. So the first
convolution starts as the filters of motion energy (Adelson and Bergen, 1985), waves that move, and the first
maps of queries and keys are solved for such that a pixel begins with the tokens around it. All of it is
trained on.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recipes.flow.scenes import SIZE
from recipes.starting import Array, Watch, arrays, places, solved

PATCH, KERNEL = 2, 7
"""Pixels of a patch and patches of the first kernel, in height and width."""
LENGTHS = (7.0, 14.0)
"""Of the waves, in pixels."""
DIRECTIONS, PHASES = 4, 4
STEPS = (-1 / 3, 0.0, 1 / 3)
"""By how much of its length a wave moves between the frames."""

TOKENS = 16
"""Along each axis."""
TURNS = np.arange(0.5, 8.5, 0.5)
"""Half cycles over an axis, of the waves by which places are told."""
SHARPNESS = 4.0
"""How much the score of a token at a pixel's place is above that of its neighbours."""


def start(model: nn.Module, frames: NDArray[np.float32]) -> nn.Module:
    """Begin so with the module of this recipe, given some frames [batch, 2, SIZE, SIZE, 3]."""
    parameters = dict(model.named_parameters())
    first = parameters["inputs.frames.conv.weight"]
    with torch.no_grad():
        filters = in_patches(moving_waves())
        first.copy_(filters * first.std() / filters.std())
    model.eval()
    near(model, frames)
    return model


def moving_waves() -> Tensor:
    """Windowed waves in two frames [filters, 2, side, side], of every length, direction, step and phase:
    without a mean, and of length one."""
    side = PATCH * KERNEL
    axis = torch.arange(side) - (side - 1) / 2
    down, right = torch.meshgrid(axis, axis, indexing="ij")
    waves = []
    for length in LENGTHS:
        width = min(0.275 * side, 0.45 * length)
        window = torch.exp(-(down**2 + right**2) / (2 * width**2))
        for direction in range(DIRECTIONS):
            angle = math.pi * direction / DIRECTIONS
            along = (right * math.cos(angle) + down * math.sin(angle)) / length
            for step in STEPS:
                for phase in range(PHASES):
                    frames = torch.stack([along + step / 2, along - step / 2]) + phase / PHASES
                    wave = window * torch.cos(2 * math.pi * frames)
                    mean = wave.sum((1, 2), keepdim=True) / window.sum()
                    waves.append(wave - window * mean)
    found = torch.stack(waves)
    return found / found.square().sum((1, 2, 3), keepdim=True).sqrt()


def in_patches(filters: Tensor) -> Tensor:
    """Filters of pixels [filters, 2, side, side], the same ones of each colour, as those of patches
    [filters, channels, KERNEL, KERNEL], whose channels are time, height, width and colour."""
    parts = filters.reshape(-1, 2, KERNEL, PATCH, KERNEL, PATCH, 1).expand(*[-1] * 6, 3)
    return parts.permute(0, 1, 3, 5, 6, 2, 4).flatten(1, 4)


def near(model: nn.Module, frames: NDArray[np.float32]) -> None:
    """Let pixels begin with the tokens around them."""
    part = "decoder.cross_attend.attention"
    watches = [
        Watch(model.get_submodule(f"{part}.{norm}")) for norm in ("input_norm", "query_norm")
    ]
    with torch.no_grad():
        model({"frames": torch.from_numpy(frames)}, {"flow": torch.arange(SIZE * SIZE)})
    for watch in watches:
        watch.stop()
    tokens, pixels = (arrays(watch.output) for watch in watches)
    keys = solved(tokens, np.tile(waves(TOKENS), (len(frames), 1)))
    queries = solved(pixels, waves(SIZE))
    parameters = dict(model.named_parameters())
    scale = math.sqrt(SHARPNESS / len(TURNS)) * pixels.shape[1] ** 0.25
    with torch.no_grad():
        for name, values in (("key", keys), ("query", queries)):
            weight = parameters[f"{part}.{name}.weight"]
            weight.zero_()
            weight[: len(values)] = torch.from_numpy(scale * values).float()


def waves(count: int) -> Array:
    """Sines and cosines of the places of a grid [count * count, 4 * len(TURNS)]: products of two such
    vectors are largest where the places are one."""
    angles = np.pi * places(count, count)[..., None] * TURNS
    return np.concatenate([np.sin(angles), np.cos(angles)], -1).reshape(count * count, -1)
