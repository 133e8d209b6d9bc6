"""What primitives on grids compute, by other means."""

from __future__ import annotations

import numpy as np
import torch

from perceiver_graph.compiler import ops


def _along(positions: torch.Tensor, sizes: torch.Tensor) -> list[torch.Tensor]:
    inside = positions.numpy() % int(np.prod(sizes.numpy()))
    return [torch.from_numpy(x) for x in np.unravel_index(inside, sizes.tolist())]


def regrid_to_4_5_9(positions: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
    places = tuple(x.numpy() for x in _along(positions, sizes))
    return torch.from_numpy(np.ravel_multi_index(places, (4, 5, 9)))


def fourier_at(positions: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
    """Over the size of the first axis, and over 5 places of the second, without its end."""
    row, column = _along(positions, sizes)
    rows = torch.linspace(-1, 1, int(sizes[0]))[row]
    points = torch.stack([rows, -1 + 2 * (column / 5)], dim=-1)
    features = ops.FourierFeatures(3, (8.0, 6.0), 2).evaluate(points.numpy())
    return torch.from_numpy(features)
