"""Fourier features in octaves and of waves that have lengths, and columns in another order."""

from __future__ import annotations

import torch
from torch import Tensor

from perceiver_graph.compiler.backends.torch.library.grids import grid_coordinates, places


def in_unit(
    position: Tensor,
    ranges: tuple[tuple[float, float], ...] = (),
    periodic: tuple[int, ...] = (),
) -> Tensor:
    """Coordinates as numbers from -1 to 1, [..., channels]: the least and the greatest of `ranges`
    become these. Of periodic ones (by number) whole periods are taken off first."""
    bounds = ranges or ((-1.0, 1.0),) * position.shape[-1]
    middle = position.new_tensor([(low + high) / 2 for low, high in bounds])
    scale = position.new_tensor([2 / (high - low) for low, high in bounds])
    lengths = [b[1] - b[0] if i in periodic else 2.0**127 for i, b in enumerate(bounds)]
    period = position.new_tensor(lengths)
    position = position.fmod(period) - middle.fmod(period)
    return (position - period * (position / period).round()) * scale


def beside_waves(
    x: Tensor, channels: int, position: Tensor, phases: Tensor, kept: list[int], sine_only: bool
) -> Tensor:
    """The coordinates that are kept, sines of all, cosines of all, and x behind its coordinates.

    position [..., channels], phases [..., channels, bands], in the dtype of x.
    """
    phases = phases.flatten(-2)
    waves = [phases.sin()] if sine_only else [phases.sin(), phases.cos()]
    parts = [part.to(x) for part in (position[..., kept], *waves)]
    return torch.cat([*parts, x[..., channels:]], dim=-1)


def octave_features(
    x: Tensor,
    channels: int,
    bands: int,
    *,
    pi: bool = True,
    include_position: bool = True,
    sine_only: bool = False,
    periodic: tuple[int, ...] = (),
    ranges: tuple[tuple[float, float], ...] = (),
) -> Tensor:
    """sin and cos of pi 2^k p, or of 2^k p, for k = 0 .. bands - 1, of the first channels p of x.

    [..., c] -> [..., channels * (2 * bands + 1) + c - channels]: coordinates, sines of all, cosines
    of all, the rest. Periodic ones (by number) are left out of the first part. The least and the
    greatest of `ranges` become -1 and 1. In float32.
    """
    position = x[..., :channels].float()
    if ranges or periodic:
        position = in_unit(position, ranges, periodic)
    phases = position[..., None] * position.new_tensor([2.0**k for k in range(bands)])
    if pi:
        phases = phases * torch.pi
    kept = [i for i in range(channels) if include_position and i not in periodic]
    return beside_waves(x, channels, position, phases, kept, sine_only)


def wavelength_features(
    x: Tensor,
    channels: int,
    bands: int,
    *,
    wavelengths: tuple[tuple[float, float], ...],
    include_position: bool = True,
    sine_only: bool = False,
) -> Tensor:
    """sin and cos of 2 pi p / w of the first channels p of x, for wavelengths w from the shortest to
    the longest of each, in equal ratios.

    [..., c] -> [..., channels * (2 * bands + 1) + c - channels]: coordinates, sines of all, cosines
    of all, the rest. Turns are counted in float64, of which whole ones are taken off.
    """
    position = x[..., :channels].double()
    steps = [k / max(bands - 1, 1) for k in range(bands)]
    w = position.new_tensor([[a * (b / a) ** step for step in steps] for a, b in wavelengths])
    turns = position[..., None] / w
    phases = 2 * torch.pi * (turns - turns.round())
    kept = list(range(channels)) if include_position else []
    return beside_waves(x, channels, position, phases, kept, sine_only)


def by_axis(
    x: Tensor, axes: int, bands: int, *, kept: tuple[int, ...] = (), sine_only: bool = False
) -> Tensor:
    """From the coordinates of `kept` axes, sines of all axes, cosines of all axes and the rest, to the
    sines, cosines and coordinate of one axis after the other and the rest: [..., c] -> [..., c]."""
    kinds = 1 if sine_only else 2
    first, stop = len(kept), len(kept) + kinds * axes * bands
    waves = torch.unflatten(x[..., first:stop], -1, (kinds, axes, bands))
    waves = waves.transpose(-3, -2).flatten(-2)
    parts = []
    for axis in range(axes):
        parts.append(waves[..., axis, :])
        if axis in kept:
            place = kept.index(axis)
            parts.append(x[..., place : place + 1])
    return torch.cat([*parts, x[..., stop:]], dim=-1)


def in_columns(
    x: Tensor, axis: int, axes: int, bands: int, kept: list[int], sine_only: bool
) -> Tensor:
    """Features of one axis in their columns of those of all axes, zero elsewhere: [n, c] -> [n, width].

    The columns are the coordinates of `kept` axes, sines of all axes, cosines of all axes.
    """
    kinds = 1 if sine_only else 2
    position, waves = x[:, : x.shape[-1] - kinds * bands], x[:, x.shape[-1] - kinds * bands :]
    front = x.new_zeros(len(x), len(kept))
    if axis in kept:
        front[:, kept.index(axis)] = position[:, 0]
    table = x.new_zeros(len(x), kinds, axes, bands)
    table[:, :, axis] = torch.unflatten(waves, -1, (kinds, bands))
    return torch.cat([front, table.flatten(1)], dim=-1)


def octave_table(
    size: int,
    axis: int = 0,
    axes: int = 1,
    *,
    bands: int,
    pi: bool = True,
    endpoint: bool = True,
    include_position: bool = True,
    sine_only: bool = False,
    periodic: tuple[int, ...] = (),
) -> Tensor:
    """Features in octaves of the points along one axis of a grid, from -1 to 1: [size, width].

    The columns are those of the whole grid, zero where they belong to another axis: the features of a
    point are the sum of one row per axis.
    """
    if endpoint:
        position = torch.linspace(-1, 1, size, dtype=torch.float32)
    else:
        position = -1 + 2 * (torch.arange(size, dtype=torch.float32) / size)
    kept = [i for i in range(axes) if include_position and i not in periodic]
    features = octave_features(
        position[:, None],
        channels=1,
        bands=bands,
        pi=pi,
        include_position=axis in kept,
        sine_only=sine_only,
    )
    return in_columns(features, axis, axes, bands, kept, sine_only)


def wavelength_table(
    size: int,
    axis: int = 0,
    axes: int = 1,
    *,
    bands: int,
    wavelengths: tuple[float, float],
    include_position: bool = True,
    sine_only: bool = False,
) -> Tensor:
    """Features of the places 0, 1, .. along one axis of a grid, of waves of these lengths: [size, width].

    The columns are those of the whole grid, zero where they belong to another axis: the features of a
    point are the sum of one row per axis.
    """
    features = wavelength_features(
        torch.arange(size, dtype=torch.float32)[:, None],
        channels=1,
        bands=bands,
        wavelengths=(wavelengths,),
        include_position=include_position,
        sine_only=sine_only,
    )
    kept = list(range(axes)) if include_position else []
    return in_columns(features, axis, axes, bands, kept, sine_only)


def octaves_at(
    positions: Tensor,
    sizes: tuple[int, ...],
    like: Tensor,
    *,
    of: tuple[int | None, ...],
    bands: int,
    endpoint: tuple[bool, ...],
    pi: bool = True,
    include_position: bool = True,
    sine_only: bool = False,
    periodic: tuple[int, ...] = (),
) -> Tensor:
    """Features in octaves of flat positions in a grid, in the dtype of `like`: [..., width].

    Coordinates run from -1 to 1 along each axis, over its size or over as many places as `of` says;
    without `endpoint`, they are -1 + 2 i / size.
    """
    found = octave_features(
        grid_coordinates(positions, sizes, of, endpoint),
        len(sizes),
        bands,
        pi=pi,
        include_position=include_position,
        sine_only=sine_only,
        periodic=periodic,
    )
    return found.to(like)


def wavelengths_at(
    positions: Tensor,
    sizes: tuple[int, ...],
    like: Tensor,
    *,
    bands: int,
    wavelengths: tuple[tuple[float, float], ...],
    include_position: bool = True,
    sine_only: bool = False,
) -> Tensor:
    """Features of flat positions in a grid, of waves of these lengths, in the dtype of `like`:
    [..., width]. Coordinates are the numbers of the places along each axis: 0, 1, .."""
    found = wavelength_features(
        torch.stack(places(positions, sizes), dim=-1).float(),
        len(sizes),
        bands,
        wavelengths=wavelengths,
        include_position=include_position,
        sine_only=sine_only,
    )
    return found.to(like)
