"""Positions: Fourier features, and tables brought to other sizes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def fourier_frequencies(
    bands: int, max_resolution: float, periodic: bool = False, device: torch.device | None = None
) -> Tensor:
    """From 1 to half the resolution, evenly spaced: [bands]. Of periodic coordinates, whole numbers."""
    top = max_resolution // 2 if periodic else max_resolution / 2
    steps = torch.linspace(1, top, bands, dtype=torch.float32, device=device)
    return (steps + 0.5).floor() if periodic else steps


def fourier_features(
    x: Tensor,
    channels: int,
    bands: int,
    max_resolution: float | tuple[float, ...],
    *,
    include_position: bool = True,
    sine_only: bool = False,
    periodic: tuple[int, ...] = (),
    ranges: tuple[tuple[float, float], ...] = (),
) -> Tensor:
    """Fourier features of the first channels, which are coordinates; the others stay as they are.

    [..., c] -> [..., channels * (2 * bands + 1) + c - channels]: coordinates, sines of all, cosines
    of all, the rest. Periodic ones (by number) are left out of the first part. The least and the
    greatest of `ranges` become -1 and 1. In float32, whole periods off first, frequency before pi: at
    high frequencies any other rounding shows.
    """
    position, rest = x[..., :channels].float(), x[..., channels:]
    if ranges or periodic:
        bounds = ranges or ((-1.0, 1.0),) * channels
        middle = position.new_tensor([(low + high) / 2 for low, high in bounds])
        scale = position.new_tensor([2 / (high - low) for low, high in bounds])
        if periodic:
            lengths = [b[1] - b[0] if i in periodic else 2.0**127 for i, b in enumerate(bounds)]
            period = position.new_tensor(lengths)
            position = position.fmod(period) - middle.fmod(period)
            position = (position - period * (position / period).round()) * scale
        else:
            position = (position - middle) * scale
    steps = []
    for i in range(channels):
        resolution = max_resolution[i] if isinstance(max_resolution, tuple) else max_resolution
        steps.append(fourier_frequencies(bands, resolution, i in periodic, x.device))
    phases = (position[..., None] * torch.stack(steps) * torch.pi).flatten(-2)
    waves = [phases.sin().to(x)] if sine_only else [phases.sin().to(x), phases.cos().to(x)]
    kept = [i for i in range(channels) if include_position and i not in periodic]
    position = position.to(x)
    front = [position] if len(kept) == channels else [position[..., i : i + 1] for i in kept]
    return torch.cat([*front, *waves, rest], dim=-1)


def fourier_table(
    size: int,
    axis: int = 0,
    axes: int = 1,
    *,
    bands: int,
    max_resolution: float,
    endpoint: bool = True,
    include_position: bool = True,
    sine_only: bool = False,
    periodic: tuple[int, ...] = (),
) -> Tensor:
    """Fourier features of the points along one axis of a grid: [size, width].

    The columns are those of the whole grid (coordinates of all axes but the periodic ones, sines of
    all axes, cosines of all axes), zero where they belong to another axis: the features of a point
    are the sum of one row per axis. In float32, in this order: at high frequencies any other
    rounding shows.
    """
    if endpoint:
        position = torch.linspace(-1, 1, size, dtype=torch.float32)
    else:
        position = -1 + 2 * (torch.arange(size, dtype=torch.float32) / size)
    steps = fourier_frequencies(bands, max_resolution, axis in periodic)
    phases = position[:, None] * steps * torch.pi
    waves = [phases.sin()] if sine_only else [phases.sin(), phases.cos()]
    plain = [i for i in range(axes) if include_position and i not in periodic]
    first = len(plain)
    table = torch.zeros(size, first + axes * bands * len(waves), dtype=torch.float32)
    if axis in plain:
        table[:, plain.index(axis)] = position
    for block, wave in enumerate(waves):
        start = first + (block * axes + axis) * bands
        table[:, start : start + bands] = wave
    return table


def resize(table: Tensor, sizes: tuple[int, ...], to: tuple[int, ...]) -> Tensor:
    """Bicubic resampling of a table for the points of a grid, one axis after the other.

    [product of sizes, width] -> [product of to, width], points in row-major order.
    """
    grid = torch.unflatten(table, 0, sizes)
    for axis, size in enumerate(to):
        lines = grid.movedim(axis, -1)
        flat = lines.flatten(0, -2)[None, :, None]
        resized = F.interpolate(flat, (1, size), mode="bicubic")[0, :, 0]
        grid = torch.unflatten(resized, 0, lines.shape[:-1]).movedim(-1, axis)
    return grid.flatten(0, -2)
