"""Grids whose sizes are known only when the module is called."""

from __future__ import annotations

import torch
from torch import Tensor

from perceiver_graph.compiler.backends.torch.library.positions import fourier_features


def places(positions: Tensor, sizes: tuple[int, ...]) -> list[Tensor]:
    """Where flat positions, first axis slowest, lie along each axis of a grid of these sizes."""
    found = []
    for axis in reversed(range(len(sizes))):
        found.append(positions % sizes[axis])
        positions = positions // sizes[axis]
    return found[::-1]


def regrid(positions: Tensor, sizes: tuple[int, ...], to: tuple[int, ...]) -> Tensor:
    """Flat positions in a grid as positions in a larger one that has the same first corner."""
    total = torch.zeros_like(positions)
    for place, size in zip(places(positions, sizes), to, strict=True):
        total = total * size + place
    return total


def grid_coordinates(
    positions: Tensor,
    sizes: tuple[int, ...],
    of: tuple[int | None, ...],
    endpoint: tuple[bool, ...],
) -> Tensor:
    """Where flat positions lie along each axis of a grid, from -1 to 1: [..., axes].

    Over the size of the axis or over as many places as `of` says; without `endpoint`, at -1 + 2 i /
    size. Each is rounded once, as by torch.linspace.
    """
    columns = []
    for axis, place in enumerate(places(positions, sizes)):
        size = torch.tensor(of[axis] or sizes[axis], device=positions.device)
        if endpoint[axis]:
            step = (2 / (size - 1).clamp(min=1).float()).double()
            up, down = step * place - 1, 1 - step * (size - 1 - place)
            column = torch.where(place < (size // 2).clamp(min=1), up, down)
        else:
            column = -1 + 2 * (place.float() / size.float())
        columns.append(column.float())
    return torch.stack(columns, dim=-1)


def fourier_at(
    positions: Tensor,
    sizes: tuple[int, ...],
    like: Tensor,
    *,
    of: tuple[int | None, ...],
    bands: int,
    max_resolution: tuple[float, ...],
    endpoint: tuple[bool, ...],
    include_position: bool = True,
    sine_only: bool = False,
    periodic: tuple[int, ...] = (),
) -> Tensor:
    """Fourier features of flat positions in a grid, in the dtype of `like`: [..., width].

    Coordinates run from -1 to 1 along each axis, over its size or over as many places as `of` says;
    without `endpoint`, they are -1 + 2 i / size.
    """
    found = fourier_features(
        grid_coordinates(positions, sizes, of, endpoint),
        len(sizes),
        bands,
        max_resolution,
        include_position=include_position,
        sine_only=sine_only,
        periodic=periodic,
    )
    return found.to(like)
