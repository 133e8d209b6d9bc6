"""Matrix products: linear maps, products of two values, convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perceiver_graph.compiler.ir.dims import (
    Dim,
    NotDivisible,
    Undecidable,
    format_shape,
    product,
)
from perceiver_graph.compiler.ir.op import (
    Array,
    Op,
    ShapeError,
    TensorType,
    broadcast,
    require,
)
from perceiver_graph.compiler.ops.lazy import np


@dataclass(frozen=True)
class Linear(Op):
    """x W^T + b. Shapes: [..., in], weight [out, in] (, bias [out]) -> [..., out].

    The weight lies as in `torch.nn.Linear`, so that state dicts carry over as they are.
    """

    name = "linear"
    operands = ("x", "weight", "bias?")
    mixes = "channels"

    def infer(self, *inputs: TensorType) -> TensorType:
        x, weight = self.operand("x", inputs), self.operand("weight", inputs)
        bias = self.each("bias", inputs)
        require(weight.rank == 2 and x.rank >= 1, f"linear needs a matrix weight, got {weight}")
        require(
            x.shape[-1] == weight.shape[1],
            f"linear needs as many channels as the weight takes, got {format_shape(x.shape)} "
            f"and weight {format_shape(weight.shape)}",
        )
        require(
            all(b.shape == (weight.shape[0],) for b in bias),
            f"linear needs a bias of the weight's outputs, got {[str(b) for b in bias]}",
        )
        return x.with_shape(*x.shape[:-1], weight.shape[0])

    def evaluate(self, *inputs: Array) -> Array:
        bias = self.optional("bias", inputs)
        result: Array = self.operand("x", inputs) @ self.operand("weight", inputs).T
        return result if bias is None else result + bias

    def flops(self, inputs: Sequence[TensorType], output: TensorType) -> Dim:
        x, weight = self.operand("x", inputs), self.operand("weight", inputs)
        return 2 * product(x.shape) * weight.shape[0]


@dataclass(frozen=True)
class MatMul(Op):
    """a b, over the last two axes; the others broadcast. Shapes: [..., n, k], [..., k, m] -> [..., n, m]."""

    name = "matmul"
    operands = ("a", "b")
    transpose_b: bool = False

    def infer(self, *inputs: TensorType) -> TensorType:
        a, b = inputs
        require(a.rank >= 2 and b.rank >= 2, f"matmul needs matrices, got {a} and {b}")
        inner, outer = (
            (b.shape[-1], b.shape[-2]) if self.transpose_b else (b.shape[-2], b.shape[-1])
        )
        require(a.shape[-1] == inner, f"matmul needs equal inner sizes, got {a} and {b}")
        batch = broadcast(self.name, a.shape[:-2], b.shape[:-2])
        return a.with_shape(*batch, a.shape[-2], outer)

    def evaluate(self, *inputs: Array) -> Array:
        a, b = inputs
        result: Array = a @ (np.swapaxes(b, -1, -2) if self.transpose_b else b)
        return result

    def flops(self, inputs: Sequence[TensorType], output: TensorType) -> Dim:
        a, _ = inputs
        return 2 * product(output.shape) * a.shape[-1]


@dataclass(frozen=True)
class TriangularFactor(Op):
    """R of the decomposition x = Q R with orthonormal columns Q: |x a| = |R a| for every a.

    Its diagonal is not negative, which makes it the only one where x has full rank.
    Shapes: [m, n] -> [min(m, n), n].
    """

    name = "triangular_factor"
    operands = ("x",)
    known_only = True

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require(x.rank == 2, f"triangular_factor needs a matrix, got {x}")
        rows, columns = map(int, x.shape)
        return x.with_shape(Dim.of(min(rows, columns)), x.shape[1])

    def evaluate(self, *inputs: Array) -> Array:
        (x,) = inputs
        factor: Array = np.asarray(np.linalg.qr(x.astype(np.float64), mode="r"))
        signs = np.where(np.diagonal(factor) < 0, -1, 1)
        return (factor * signs[:, None]).astype(x.dtype)

    def flops(self, inputs: Sequence[TensorType], output: TensorType) -> Dim:
        (x,) = inputs
        return 2 * product(x.shape) * output.shape[0]


@dataclass(frozen=True)
class Conv(Op):
    """Cross-correlation with zero padding, channels last.

    Shapes: x [batch, *spatial, in], weight [out, in, *kernel] (, bias [out]) -> [batch, *out_spatial, out]
    with out_spatial = floor((spatial + before + after - kernel) / stride) + 1. The weight lies as
    in `torch.nn.Conv2d`. One to three spatial axes.
    """

    name = "conv"
    operands = ("x", "weight", "bias?")
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]

    def infer(self, *inputs: TensorType) -> TensorType:
        x, weight = self.operand("x", inputs), self.operand("weight", inputs)
        bias = self.each("bias", inputs)
        spatial = len(self.strides)
        require(
            x.rank == spatial + 2 and weight.rank == spatial + 2 and len(self.padding) == spatial,
            f"conv over {spatial} axes needs [batch, spatial..., channel], got {x} and weight {weight}",
        )
        require(
            x.shape[-1] == weight.shape[1],
            f"conv needs equal channels, got {x} and weight {weight}",
        )
        require(
            all(b.shape == (weight.shape[0],) for b in bias), "conv needs a bias of its outputs"
        )
        sizes = [
            windows(self.name, size, int(kernel), stride, pad)
            for size, kernel, stride, pad in zip(
                x.shape[1:-1], weight.shape[2:], self.strides, self.padding, strict=True
            )
        ]
        return x.with_shape(x.shape[0], *sizes, weight.shape[0])

    def evaluate(self, *inputs: Array) -> Array:
        x, weight = self.operand("x", inputs), self.operand("weight", inputs)
        bias = self.optional("bias", inputs)
        axes = tuple(range(1, x.ndim - 1))
        padded = np.pad(x, [(0, 0), *self.padding, (0, 0)])
        view = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2:], axis=axes)
        view = view[(slice(None), *(slice(None, None, s) for s in self.strides))]
        # view: [batch, *out, in, *kernel]; contract `in` and the kernel with the weight's own
        contracted = tuple(range(x.ndim - 1, view.ndim))
        result = np.tensordot(view, weight, axes=(contracted, tuple(range(1, weight.ndim))))
        return result if bias is None else result + bias

    def flops(self, inputs: Sequence[TensorType], output: TensorType) -> Dim:
        return 2 * product(output.shape) * product(self.operand("weight", inputs).shape[1:])


def windows(op: str, size: Dim, window: int, stride: int, padding: tuple[int, int]) -> Dim:
    """How many windows fit: floor((size + padding - window) / stride) + 1.

    The remainder of a symbolic size must be the same whatever the symbols are.
    """
    total = size + sum(padding)
    try:
        count = (total - window).divide(stride)[0] + 1
    except NotDivisible as error:
        message = f"{op} with a stride of {stride} needs a size that divides evenly, got {size}"
        raise ShapeError(f"{message}: {error.hint}") from error
    try:
        fits = count >= 1
    except Undecidable:
        fits = False
    require(fits, f"{op} needs at least {window} positions along an axis, got {total}")
    return count
