"""The equations of the Perceiver papers in plain numpy, as DeepMind's code computes them.

Nothing of the compiler is used. `Weights` is a bag of arrays by name; what the arrays do not tell,
such as heads, is an argument. Sources: Perceiver (arXiv 2103.03206), appendix; Perceiver IO (arXiv
2107.14795), appendix E; google-deepmind/deepmind-research, perceiver/. Haiku's LayerNorm and
BatchNorm add 1e-5 to the variance; `jax.nn.gelu` is the tanh approximation by default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = Any
"""Of numpy: its results are typed Any in part, and casts would hide the formulas."""
EPSILON = 1e-5


@dataclass(frozen=True)
class Weights:
    """Arrays by dotted names, seen from a prefix. Linear weights are [out, in]."""

    arrays: Mapping[str, Array]
    prefix: str = ""

    def __truediv__(self, name: str) -> Weights:
        return Weights(self.arrays, f"{self.prefix}{name}.")

    def __getitem__(self, name: str) -> Array:
        return np.asarray(self.arrays[self.prefix + name], np.float64)

    def __contains__(self, name: str) -> bool:
        return any(key.startswith(self.prefix + name) for key in self.arrays)


def gelu(x: Array) -> Array:
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def linear(w: Weights, x: Array) -> Array:
    return x @ w["weight"].T + w["bias"]


def layer_norm(w: Weights, x: Array) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    variance = (centred**2).mean(-1, keepdims=True)
    return centred / np.sqrt(variance + EPSILON) * w["weight"] + w["bias"]


def attend(q: Array, k: Array, v: Array, heads: int, mask: Array | None = None) -> Array:
    """q [b, n, d], k [b, m, d], v [b, m, e], mask bool [b, n, m] -> [b, n, e].

    Masked scores become -1e30; a query to which all is masked finds zeros.
    """
    found = []
    for qh, kh, vh in zip(
        np.split(q, heads, -1), np.split(k, heads, -1), np.split(v, heads, -1), strict=True
    ):
        scores = np.einsum("bnd,bmd->bnm", qh, kh) / np.sqrt(qh.shape[-1])
        if mask is not None:
            scores = np.where(mask, scores, -1e30)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        found.append(np.einsum("bnm,bme->bne", weights, vh))
    result = np.concatenate(found, -1)
    if mask is not None:
        result = np.where(mask.any(-1, keepdims=True), result, 0)
    return result


def mlp(w: Weights, x: Array) -> Array:
    return linear(w / "dense2", gelu(linear(w / "dense1", layer_norm(w / "norm", x))))


def cross_attend(
    w: Weights,
    query: Array,
    inputs: Array,
    heads: int,
    *,
    query_norm: str,
    residual: bool,
    input_mask: Array | None = None,
    query_mask: Array | None = None,
) -> Array:
    """query [b, n, d], inputs [b, m, c] -> [b, n, d]."""
    a = w / "attention"
    q = linear(a / "query", layer_norm(a / query_norm, query))
    x = layer_norm(a / "input_norm", inputs)
    mask = None
    if input_mask is not None or query_mask is not None:
        rows = np.ones(query.shape[:2], bool) if query_mask is None else query_mask
        columns = np.ones(inputs.shape[:2], bool) if input_mask is None else input_mask
        mask = rows[:, :, None] & columns[:, None, :]
    found = attend(q, linear(a / "key", x), linear(a / "value", x), heads, mask)
    y = linear(a / "output", found)
    if residual:
        y = y + query
    return y + mlp(w / "mlp", y)


def self_attend(w: Weights, x: Array, heads: int) -> Array:
    a = w / "attention"
    n = layer_norm(a / "norm", x)
    found = attend(linear(a / "query", n), linear(a / "key", n), linear(a / "value", n), heads)
    y = linear(a / "output", found) + x
    return y + mlp(w / "mlp", y)


def fourier_features(positions: Array, bands: int, resolution: Sequence[float]) -> Array:
    """positions float32 [.., d] -> [.., d * (2 * bands + 1)]: positions, sines, cosines.

    Computed in float32 as JAX does: frequency times position first, then times pi.
    """
    phases = [
        positions[..., i, None] * np.linspace(1.0, r / 2, bands, dtype=np.float32)
        for i, r in enumerate(resolution)
    ]
    angles = np.concatenate(phases, -1) * np.float32(np.pi)
    return np.concatenate([positions, np.sin(angles), np.cos(angles)], -1).astype(np.float64)


def grid(sizes: Sequence[int], *, inclusive: bool = True) -> Array:
    """Positions in [-1, 1], first axis slowest: float32 [tokens, d]. Chosen queries of a decoder
    stand at -1 + 2 i / n, a dense grid ends with +1."""
    axes = [np.linspace(-1, 1, n) if inclusive else -1 + 2 * np.arange(n) / n for n in sizes]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(sizes))
    return points.astype(np.float32)


def with_positions(tokens: Array, positions: Array) -> Array:
    """tokens [b, n, c], positions [n, e] -> [b, n, c + e]."""
    return np.concatenate([tokens, np.broadcast_to(positions, (len(tokens), *positions.shape))], -1)


def patches(x: Array, sizes: Sequence[int]) -> Array:
    """Space to depth: x [b, *grid, c] -> [b, *smaller, prod(sizes) * c], channels slowest by axis."""
    batch, *spatial, channels = x.shape
    split = [n for size, s in zip(spatial, sizes, strict=True) for n in (size // s, s)]
    x = x.reshape(batch, *split, channels)
    rank = len(sizes)
    outer = [1 + 2 * i for i in range(rank)]
    inner = [2 + 2 * i for i in range(rank)]
    x = x.transpose(0, *outer, *inner, 2 * rank + 1)
    return x.reshape(*x.shape[: rank + 1], -1)


def same_padding(size: int, window: int, stride: int) -> tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


def windows(x: Array, sizes: Sequence[int], strides: Sequence[int], fill: float) -> Array:
    """x [b, *grid, c] -> [b, *places, c, *window], padded as JAX's SAME."""
    rank = len(sizes)
    pads = [
        same_padding(n, k, s) for n, k, s in zip(x.shape[1 : 1 + rank], sizes, strides, strict=True)
    ]
    x = np.pad(x, [(0, 0), *pads, (0, 0)], constant_values=fill)
    found = np.lib.stride_tricks.sliding_window_view(x, tuple(sizes), tuple(range(1, 1 + rank)))
    steps = tuple(slice(None, None, s) for s in strides)
    return found[(slice(None), *steps)]


def convolve(w: Weights, x: Array, strides: Sequence[int]) -> Array:
    """weight [out, in, *window]."""
    kernel = w["weight"]
    found = windows(x, kernel.shape[2:], strides, 0.0)
    axes = list(range(found.ndim - kernel.ndim + 1, found.ndim))
    y = np.tensordot(found, kernel, (axes, list(range(1, kernel.ndim))))
    return y + w["bias"] if "bias" in w else y


def max_pool(x: Array, size: int, stride: int) -> Array:
    return windows(x, (size, size), (stride, stride), -np.inf).max((-1, -2))


def batch_norm(w: Weights, x: Array) -> Array:
    scaled = (x - w["running_mean"]) / np.sqrt(w["running_var"] + EPSILON)
    return scaled * w["weight"] + w["bias"]


@dataclass(frozen=True)
class Modality:
    """Prepared tokens [b, n, c]; `mask` bool [b, n] says which there are."""

    name: str
    tokens: Array
    mask: Array | None = None
    masked: bool = False
    """The mask token stands for all of them."""


def join(w: Weights, modalities: Sequence[Modality], min_padding: int, *, learned: bool) -> Array:
    """Tokens of every modality at one width: a vector of its own is appended to each token."""
    width = max(m.tokens.shape[-1] for m in modalities) + min_padding
    parts = []
    for number, m in enumerate(modalities):
        batch, count, channels = m.tokens.shape
        code = np.zeros(width - channels)
        if learned:
            code = (w / m.name)["padding"]
        else:
            code[-1 - number] = 1
        tokens = with_positions(m.tokens, np.broadcast_to(code, (count, width - channels)))
        if m.masked:
            tokens = np.broadcast_to((w / m.name)["mask"], (batch, count, width))
        parts.append(tokens)
    return np.concatenate(parts, 1)
