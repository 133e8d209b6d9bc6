"""Resizing a table of positions to another grid."""

from __future__ import annotations

from dataclasses import dataclass

from perceiver_graph.compiler.ir.dims import Dim, product
from perceiver_graph.compiler.ir.op import Array, Op, TensorType, require
from perceiver_graph.compiler.ops.lazy import np

_A = -0.75
"""The free parameter of the cubic kernel: its slope at 1."""


@dataclass(frozen=True)
class Interpolate(Op):
    """Cubic resampling of a table for the points of a grid, along each axis. Keys, 1981.

    Shapes: [product of sizes, width] -> [product of to, width], points in row-major order, of one to
    three axes. The numbers of `torch.nn.functional.interpolate(mode="bicubic")`: pixel centres are
    aligned, borders repeated, nothing is smoothed where a grid shrinks.
    """

    name = "interpolate"
    operands = ("table",)
    sizes: tuple[int, ...]
    to: tuple[int, ...]

    def infer(self, *inputs: TensorType) -> TensorType:
        (table,) = inputs
        require(
            1 <= len(self.sizes) == len(self.to) <= 3 and min(*self.sizes, *self.to) >= 1,
            f"interpolate needs two grids of one to three axes, got {self.sizes} and {self.to}",
        )
        points = product(tuple(map(Dim.of, self.sizes)))
        require(
            table.rank == 2 and table.shape[0] == points,
            f"interpolate needs [{points}, width] for a grid of {self.sizes}, got {table}",
        )
        return table.with_shape(product(tuple(map(Dim.of, self.to))), table.shape[1])

    def evaluate(self, *inputs: Array) -> Array:
        (table,) = inputs
        grid = table.reshape(*self.sizes, table.shape[1])
        for axis, matrix in enumerate(self.matrices(table.dtype.type)):
            resized = np.tensordot(matrix, grid, axes=(1, axis))
            grid = np.moveaxis(resized, 0, axis)
        return np.ascontiguousarray(grid.reshape(-1, table.shape[1]))

    def matrices(self, dtype: type = float) -> list[Array]:
        """For each axis, what every old point gives to every new one. Shapes: [to, size].

        Computed in `dtype`, as torch does: the float32 distances of a large grid are off by 1e-5.
        """
        return [_weights(*axis, dtype) for axis in zip(self.sizes, self.to, strict=True)]


def _weights(size: int, to: int, dtype: type) -> Array:
    """Four neighbours give to each new point, by the cubic kernel of their distance."""
    new = np.arange(to)
    scale = float(np.divide(size, to, dtype=dtype))
    place: Array = ((new + 0.5) * scale - 0.5).astype(dtype)  # rounded once: a fused multiply-add
    below = np.floor(place)
    matrix: Array = np.zeros((to, size), dtype)
    for offset in (-1, 0, 1, 2):
        weight = _kernel(np.abs(place - below - dtype(offset)))
        neighbour = np.clip(below + dtype(offset), 0, size - 1).astype(np.int64)
        np.add.at(matrix, (new, neighbour), weight)
    return matrix


def _kernel(x: Array) -> Array:
    """The cubic convolution kernel at distances of up to 2."""
    near = ((_A + 2) * x - (_A + 3)) * x * x + 1
    far = ((_A * x - 5 * _A) * x + 8 * _A) * x - 4 * _A
    return np.where(x <= 1, near, far)
