"""What primitives on grids compute, by other means."""

from __future__ import annotations

import numpy as np
import torch

from perceiver_graph.compiler import ops


def regrid_to_4_5_9(positions: torch.Tensor) -> torch.Tensor:
    """From a grid of 2, 3, 4."""
    places = np.unravel_index(positions.numpy(), (2, 3, 4))
    return torch.from_numpy(np.ravel_multi_index(places, (4, 5, 9)))


def fourier_at(positions: torch.Tensor) -> torch.Tensor:
    """In a grid of 3, 4: over the size of the first axis, and over 5 places of the second, without
    its end."""
    row, column = (torch.from_numpy(x) for x in np.unravel_index(positions.numpy(), (3, 4)))
    rows = torch.linspace(-1, 1, 3)[row]
    points = torch.stack([rows, -1 + 2 * (column / 5)], dim=-1)
    features = ops.FourierFeatures(3, (8.0, 6.0), 2).evaluate(points.numpy())
    return torch.from_numpy(features)
