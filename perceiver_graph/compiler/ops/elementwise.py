"""Element-wise primitives: sums, products, selection and non-linearities."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from perceiver_graph.compiler.ir.dims import Dim
from perceiver_graph.compiler.ir.op import Array, Op, T, TensorType, broadcast, require
from perceiver_graph.compiler.ops.lazy import np


def _same(op: Op, *inputs: TensorType) -> TensorType:
    (x,) = inputs
    return x


def _common(op: Op, *inputs: TensorType) -> TensorType:
    left, right = inputs
    return TensorType(broadcast(op.name, left.shape, right.shape), left.dtype)


@dataclass(frozen=True)
class Add(Op):
    """a + b. Shapes: [...], [...] -> their common shape."""

    name = "add"
    operands = ("a", "b")
    mixes = "nothing"

    infer = _common

    def evaluate(self, *inputs: Array) -> Array:
        a, b = inputs
        return np.add(a, b)


@dataclass(frozen=True)
class Mul(Op):
    """a * b. Shapes: [...], [...] -> their common shape."""

    name = "mul"
    operands = ("a", "b")
    mixes = "nothing"

    infer = _common

    def evaluate(self, *inputs: Array) -> Array:
        a, b = inputs
        return np.multiply(a, b)


@dataclass(frozen=True)
class Scale(Op):
    """factor * x. Shapes: [...] -> [...]."""

    name = "scale"
    operands = ("x",)
    mixes = "nothing"
    factor: float

    infer = _same

    def evaluate(self, *inputs: Array) -> Array:
        (x,) = inputs
        scaled: Array = x * x.dtype.type(self.factor)
        return scaled


@dataclass(frozen=True)
class Dropout(Op):
    """x; in training, in the PyTorch module, this share of its values at random is zero and the others
    are 1 / (1 - rate) times as large. Shapes: [...] -> [...]. Srivastava et al., 2014.
    """

    name = "dropout"
    operands = ("x",)
    mixes = "nothing"
    rate: float

    infer = _same

    def evaluate(self, *inputs: Array) -> Array:
        (x,) = inputs
        return x


@dataclass(frozen=True)
class GaussianSample(Op):
    """The mean; in training, in the PyTorch module, a sample of the normal distribution that has this
    mean and variance: mean + exp(log_variance / 2) noise, where the logarithm lies within [-30, 20].

    Shapes: moments [..., 2 * n], the means and then the log-variances -> [..., n]. Kingma and Welling,
    2014; the bounds are those of latent diffusion (Rombach et al., 2022) and 3DShape2VecSet.
    """

    name = "gaussian_sample"
    operands = ("moments",)
    mixes = "channels"

    def infer(self, *inputs: TensorType) -> TensorType:
        (moments,) = inputs
        width = int(moments.shape[-1]) if moments.rank else 0
        require(
            width > 0 and width % 2 == 0,
            f"gaussian_sample needs as many log-variances as means, got {moments}",
        )
        return moments.with_shape(*moments.shape[:-1], Dim.of(width // 2))

    def evaluate(self, *inputs: Array) -> Array:
        (moments,) = inputs
        return moments[..., : moments.shape[-1] // 2]


@dataclass(frozen=True)
class Where(Op):
    """a where the condition holds, else b. Shapes: bool [...], [...], [...] -> their common shape."""

    name = "where"
    operands = ("condition", "a", "b")
    mixes = "nothing"

    def infer(self, *inputs: TensorType) -> TensorType:
        condition, then, other = inputs
        require(condition.dtype == "bool", f"where needs a bool condition, got {condition}")
        shape = broadcast(self.name, then.shape, other.shape)
        return TensorType(broadcast(self.name, condition.shape, shape), then.dtype)

    def evaluate(self, *inputs: Array) -> Array:
        return np.where(*inputs)


@dataclass(frozen=True)
class Gelu(Op):
    """x * Phi(x), exact (erf) or through tanh. Shapes: [...] -> [...]. Hendrycks and Gimpel, 2016.

    transformers computes the exact form, `jax.nn.gelu` the tanh form by default.
    """

    name = "gelu"
    operands = ("x",)
    mixes = "nothing"
    approximate: Literal["none", "tanh"] = "none"

    infer = _same

    def evaluate(self, *inputs: Array) -> Array:
        (x,) = inputs
        if self.approximate == "tanh":
            inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
            distribution = (1 + np.tanh(inner)) / 2
        else:
            distribution = (1 + _erf(x / math.sqrt(2))) / 2
        return np.multiply(x, distribution).astype(x.dtype)


@dataclass(frozen=True)
class Relu(Op):
    """max(x, 0). Shapes: [...] -> [...]."""

    name = "relu"
    operands = ("x",)
    mixes = "nothing"

    infer = _same

    def evaluate(self, *inputs: Array) -> Array:
        (x,) = inputs
        return np.maximum(x, 0)


@dataclass(frozen=True)
class Tanh(Op):
    """tanh(x). Shapes: [...] -> [...]."""

    name = "tanh"
    operands = ("x",)
    mixes = "nothing"

    infer = _same

    def evaluate(self, *inputs: Array) -> Array:
        (x,) = inputs
        return np.tanh(x)


@dataclass(frozen=True)
class Sigmoid(Op):
    """1 / (1 + exp(-x)). Shapes: [...] -> [...]."""

    name = "sigmoid"
    operands = ("x",)
    mixes = "nothing"

    infer = _same

    def evaluate(self, *inputs: Array) -> Array:
        (x,) = inputs
        return _sigmoid(x)


@dataclass(frozen=True)
class Silu(Op):
    """x / (1 + exp(-x)). Shapes: [...] -> [...]. Also known as swish."""

    name = "silu"
    operands = ("x",)
    mixes = "nothing"

    infer = _same

    def evaluate(self, *inputs: Array) -> Array:
        (x,) = inputs
        return np.multiply(x, _sigmoid(x))

    def decompose(self, make: Callable[..., T], *operands: T) -> T:
        (x,) = operands
        return make(Mul(), x, make(Sigmoid(), x))


def _sigmoid(x: Array) -> Array:
    """Through tanh, which does not overflow."""
    half = x.dtype.type(0.5)
    sigmoid: Array = half * np.tanh(half * x) + half
    return sigmoid


def _erf(x: Array) -> Array:
    """The error function, which numpy lacks, to double precision.

    Below 2.5 the series  erf x = 2/sqrt(pi) exp(-x^2) sum_n 2^n x^(2n+1) / (2n+1)!!  (all terms
    positive, nothing cancels); above, the continued fraction of erfc.
    """
    magnitude = np.minimum(np.abs(x.astype(np.float64)), 6.0)  # erf(6) is 1 in double precision
    squared = magnitude * magnitude
    small = np.minimum(magnitude, 2.5)
    term, total = small.copy(), small.copy()
    for n in range(1, 60):
        term *= 2 * small * small / (2 * n + 1)
        total += term
    series = 2 / math.sqrt(math.pi) * np.exp(-small * small) * total
    large = np.maximum(magnitude, 2.5)
    fraction = large.copy()
    for n in range(60, 0, -1):
        fraction = large + (n / 2) / fraction
    tail = 1 - np.exp(-squared) / (math.sqrt(math.pi) * fraction)
    signed: Array = np.copysign(np.where(magnitude < 2.5, series, tail), x)
    return signed
