"""What torch has not, or has with the channels in front."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def one_hot(ids: Tensor, classes: int, like: Tensor) -> Tensor:
    """A one at each id among zeros, in the dtype of `like`: [...] -> [..., classes]."""
    return (ids[..., None] == torch.arange(classes, device=ids.device)).to(like.dtype)


def gaussian_sample(moments: Tensor, training: bool) -> Tensor:
    """A sample of each normal distribution in training, else its mean: [..., 2 n] -> [..., n]."""
    mean, log_variance = moments.chunk(2, dim=-1)
    if not training:
        return mean
    return mean + (log_variance.clamp(-30, 20) / 2).exp() * torch.randn_like(mean)


class BatchNorm(nn.Module):
    """Batch normalisation with the channels last: [batch, ..., channels] -> the same shape."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.eps, self.momentum = eps, momentum

    def forward(self, x: Tensor) -> Tensor:
        """Statistics of the batch, which the running ones follow, in training; else the latter."""
        statistics = self.running_mean, self.running_var, self.weight, self.bias
        options = self.training, self.momentum, self.eps
        return F.batch_norm(x.movedim(-1, 1), *statistics, *options).movedim(1, -1)
