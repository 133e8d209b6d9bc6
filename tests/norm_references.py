"""What the primitives of norms compute, in PyTorch and another way."""

from __future__ import annotations

import torch


def moments(x: torch.Tensor) -> torch.Tensor:
    return torch.stack([x.mean(-1), x.var(-1, correction=0)], dim=-1)


def merge_moments(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Of one channel and three: three that have the mean and the variance that are given."""
    a, b = a.broadcast_to(2, 4, 2), b.broadcast_to(2, 4, 2)
    mean = (a[..., 0] + 3 * b[..., 0]) / 4
    square = (a.square()[..., 0] + a[..., 1] + 3 * (b.square()[..., 0] + b[..., 1])) / 4
    return torch.stack([mean, (square - mean.square() + 0.1).rsqrt()], dim=-1)


def merge_mean_squares(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The same about zero: the mean square of one channel and three."""
    a, b = a.broadcast_to(2, 4, 2), b.broadcast_to(2, 4, 2)
    mean = (a[..., 0] + 3 * b[..., 0]) / 4
    square = (a.square()[..., 0] + a[..., 1] + 3 * (b.square()[..., 0] + b[..., 1])) / 4
    return torch.stack([mean, (square + 0.1).rsqrt()], dim=-1)
