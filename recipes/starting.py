"""What it takes to solve for the weights that training starts from: what a module gives, and linear maps."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[np.float64]


def places(*counts: int) -> Array:
    """The points of a grid over [-1, 1] on each axis, the first slowest, in the middle of equal parts."""
    axes = [(np.arange(count) + 0.5) / count * 2 - 1 for count in counts]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(counts))


def solved(given: Array, wanted: Array) -> Array:
    """The linear map [out, in] that comes nearest to making one of the other."""
    square = given.T @ given
    ridge = 1e-6 * np.trace(square) / len(square) * np.eye(len(square))
    return np.linalg.solve(square + ridge, given.T @ wanted).T


def arrays(tensor: Tensor) -> Array:
    """The values of a tensor, its last axis kept."""
    return tensor.detach().double().flatten(0, -2).cpu().numpy()


class Watch:
    """What a module gave when it was called last."""

    def __init__(self, module: nn.Module) -> None:
        self.output = torch.zeros(0)
        self._hook = module.register_forward_hook(self._keep)

    def _keep(self, module: nn.Module, inputs: object, output: Tensor) -> None:
        self.output = output

    def stop(self) -> None:
        """Watch no longer."""
        self._hook.remove()
