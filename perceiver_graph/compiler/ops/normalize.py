"""Normalisation and pooling primitives."""

from __future__ import annotations

from dataclasses import dataclass

from perceiver_graph.compiler.ir.dims import Dim
from perceiver_graph.compiler.ir.op import (
    Array,
    Op,
    TensorType,
    broadcast,
    normalize_axis,
    require,
)
from perceiver_graph.compiler.ops.lazy import np
from perceiver_graph.compiler.ops.linear import windows


@dataclass(frozen=True)
class LayerNorm(Op):
    """(x - mean) / sqrt(variance + epsilon) * weight + bias over the channels. Ba et al., 2016.

    Shapes: [..., c], weight [c], bias [c] -> [..., c].
    """

    name = "layer_norm"
    operands = ("x", "weight", "bias")
    mixes = "channels"
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
class RMSNorm(Op):
    """x / sqrt(mean(x^2) + epsilon) * weight over the channels. Zhang and Sennrich, 2019.

    Shapes: [..., c], weight [c] -> [..., c].
    """

    name = "rms_norm"
    operands = ("x", "weight")
    mixes = "channels"
    epsilon: float = 1e-5

    def infer(self, *inputs: TensorType) -> TensorType:
        x, weight = inputs
        require(
            weight.shape == x.shape[-1:],
            f"rms_norm needs a weight of the channels, got {x} and {weight}",
        )
        return x

    def evaluate(self, *inputs: Array) -> Array:
        x, weight = inputs
        mean = np.square(x).mean(axis=-1, keepdims=True)
        scaled: Array = x / np.sqrt(mean + x.dtype.type(self.epsilon)) * weight
        return scaled.astype(x.dtype)


@dataclass(frozen=True)
class Moments(Op):
    """The mean of the channels and their variance. Shapes: [..., c] -> [..., 2]."""

    name = "moments"
    operands = ("x",)
    rewritten_only = True

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require(x.rank >= 1, f"moments needs channels, got {x}")
        return x.with_shape(*x.shape[:-1], Dim.of(2))

    def evaluate(self, *inputs: Array) -> Array:
        (x,) = inputs
        rows = x.reshape(-1, x.shape[-1])
        found = np.empty((len(rows), 2), x.dtype)
        for start in range(0, len(rows), 4096):  # positions may be very many
            some = rows[start : start + 4096]
            mean = some.mean(axis=-1, keepdims=True)
            found[start : start + 4096, :1] = mean
            found[start : start + 4096, 1:] = np.square(some - mean).mean(axis=-1, keepdims=True)
        return found.reshape(*x.shape[:-1], 2)


@dataclass(frozen=True)
class MergeMoments(Op):
    """Mean and 1 / sqrt(variance + epsilon) of parts side by side, from the moments of each.

    Shapes: [..., 2] for each part -> their common shape. `widths` are the channels of the parts.
    The variance is the mean over all channels of variance_i + (mean_i - mean)^2, which cancels
    nothing, unlike the mean square less the squared mean. Chan, Golub and LeVeque, 1979.
    Not `centred`, it is the mean square: that of variance_i + mean_i^2.
    """

    name = "merge_moments"
    operands = ("parts*",)
    rewritten_only = True
    quiet = ("centred",)
    widths: tuple[int, ...]
    epsilon: float = 1e-5
    centred: bool = True

    def infer(self, *inputs: TensorType) -> TensorType:
        require(
            len(inputs) == len(self.widths) >= 1 and min(self.widths) >= 1,
            f"merge_moments needs a width of 1 or more for each part, got {self.widths} for "
            f"{len(inputs)} parts",
        )
        first = self.operand("parts", inputs)
        shape = first.shape
        for part in inputs:
            require(
                part.rank >= 1 and part.shape[-1] == 2,
                f"merge_moments needs a mean and a variance of each part, got {part}",
            )
            shape = broadcast(self.name, shape, part.shape)
        return TensorType(shape, first.dtype)

    def evaluate(self, *inputs: Array) -> Array:
        shares = [width / sum(self.widths) for width in self.widths]
        parts = list(zip(inputs, shares, strict=True))
        mean = sum(part[..., :1] * part.dtype.type(share) for part, share in parts)
        centre = mean if self.centred else 0
        variance = sum(
            (part[..., 1:] + np.square(part[..., :1] - centre)) * part.dtype.type(share)
            for part, share in parts
        )
        inverse = 1 / np.sqrt(variance + variance.dtype.type(self.epsilon))
        return np.concatenate([mean, inverse], axis=-1)


@dataclass(frozen=True)
class InverseNorm(Op):
    """1 / sqrt(the sum of the squared channels + epsilon). Shapes: [..., c] -> [..., 1]."""

    name = "inverse_norm"
    operands = ("x",)
    rewritten_only = True
    epsilon: float = 1e-5

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require(x.rank >= 1, f"inverse_norm needs channels, got {x}")
        return x.with_shape(*x.shape[:-1], Dim.of(1))

    def evaluate(self, *inputs: Array) -> Array:
        (x,) = inputs
        total = np.square(x).sum(axis=-1, keepdims=True) + x.dtype.type(self.epsilon)
        return np.asarray(1 / np.sqrt(total), dtype=x.dtype)


@dataclass(frozen=True)
class BatchNorm(Op):
    """Batch normalisation with running statistics, channels last. Ioffe and Szegedy, 2015.

    Shapes: [..., c], weight, bias, running_mean, running_var [c] -> [..., c].
    """

    name = "batch_norm"
    operands = ("x", "weight", "bias", "mean", "variance")
    epsilon: float = 1e-5

    def infer(self, *inputs: TensorType) -> TensorType:
        x, weight, bias, mean, variance = inputs
        require(
            all(s.shape == x.shape[-1:] for s in (weight, bias, mean, variance)),
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
    operands = ("x",)
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
    operands = ("x",)
    axis: int

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        axis = normalize_axis(self.name, self.axis, x.rank)
        return x.with_shape(*x.shape[:axis], *x.shape[axis + 1 :])

    def evaluate(self, *inputs: Array) -> Array:
        (x,) = inputs
        mean: Array = x.mean(axis=self.axis, dtype=x.dtype)
        return mean
