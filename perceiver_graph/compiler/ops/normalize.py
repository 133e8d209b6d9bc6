"""Normalisation and pooling primitives."""

from __future__ import annotations

from dataclasses import dataclass

from perceiver_graph.compiler.ops.base import Array, Op, TensorType, normalize_axis, require
from perceiver_graph.compiler.ops.lazy import np
from perceiver_graph.compiler.ops.linear import windows


@dataclass(frozen=True)
class LayerNorm(Op):
    """(x - mean) / sqrt(variance + epsilon) * weight + bias over the channels. Ba et al., 2016.

    Shapes: [..., c], weight [c], bias [c] -> [..., c].
    """

    name = "layer_norm"
    epsilon: float = 1e-5

    def infer(self, *inputs: TensorType) -> TensorType:
        x, weight, bias = inputs
        require(
            weight.shape == bias.shape == x.shape[-1:],
            f"layer_norm needs a weight and a bias of the channels, got {x}, {weight} and {bias}",
        )
        return x

    def evaluate(self, *inputs: Array) -> Array:
        x, weight, bias = inputs
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = np.square(centred).mean(axis=-1, keepdims=True)
        scaled: Array = centred / np.sqrt(variance + x.dtype.type(self.epsilon)) * weight + bias
        return scaled.astype(x.dtype)


@dataclass(frozen=True)
class BatchNorm(Op):
    """Batch normalisation with running statistics, channels last. Ioffe and Szegedy, 2015.

    Shapes: [..., c], weight, bias, running_mean, running_var [c] -> [..., c].
    """

    name = "batch_norm"
    epsilon: float = 1e-5

    def infer(self, *inputs: TensorType) -> TensorType:
        x, *statistics = inputs
        require(
            len(statistics) == 4 and all(s.shape == x.shape[-1:] for s in statistics),
            f"batch_norm needs weight, bias, mean and variance of the channels, got {x}",
        )
        return x

    def evaluate(self, *inputs: Array) -> Array:
        x, weight, bias, mean, variance = inputs
        scale = weight / np.sqrt(variance + self.epsilon)
        return np.add((x - mean) * scale, bias).astype(x.dtype)


@dataclass(frozen=True)
class MaxPool(Op):
    """The maximum over windows, channels last; padding never wins.

    Shapes: [batch, *spatial, c] -> [batch, *out_spatial, c], sizes as for `conv`.
    """

    name = "max_pool"
    window: tuple[int, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require(
            x.rank == len(self.window) + 2,
            f"max_pool over {len(self.window)} axes needs [batch, spatial..., channel], got {x}",
        )
        require(
            all(max(pad) < size for pad, size in zip(self.padding, self.window, strict=True)),
            f"max_pool needs less padding than its window {self.window}, got {self.padding}",
        )
        sizes = [
            windows(self.name, *axis)
            for axis in zip(x.shape[1:-1], self.window, self.strides, self.padding, strict=True)
        ]
        return x.with_shape(x.shape[0], *sizes, x.shape[-1])

    def evaluate(self, *inputs: Array) -> Array:
        (x,) = inputs
        axes = tuple(range(1, x.ndim - 1))
        padded = np.pad(x, [(0, 0), *self.padding, (0, 0)], constant_values=-np.inf)
        view = np.lib.stride_tricks.sliding_window_view(padded, self.window, axis=axes)
        view = view[(slice(None), *(slice(None, None, s) for s in self.strides))]
        highest: Array = view.max(axis=tuple(range(x.ndim, view.ndim)))
        return highest


@dataclass(frozen=True)
class Mean(Op):
    """The mean over an axis, which disappears. Shapes: [..., n, ...] -> [..., ...]."""

    name = "mean"
    axis: int

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        axis = normalize_axis(self.name, self.axis, x.rank)
        return x.with_shape(*x.shape[:axis], *x.shape[axis + 1 :])

    def evaluate(self, *inputs: Array) -> Array:
        mean: Array = inputs[0].mean(axis=self.axis, dtype=inputs[0].dtype)
        return mean
