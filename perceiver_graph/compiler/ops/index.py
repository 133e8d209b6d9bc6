"""Primitives on integer values: looking rows up, one-hot vectors, coordinates of grid positions."""

from __future__ import annotations

from dataclasses import dataclass

from perceiver_graph.compiler.ir.dims import Dim
from perceiver_graph.compiler.ir.op import Array, Op, TensorType, require
from perceiver_graph.compiler.ops.lazy import np


@dataclass(frozen=True)
class Gather(Op):
    """Look up entries of an axis.

    Shapes: table [*before, rows, *after], indices int64 [*chosen] -> [*before, *chosen, *after]
    with `axis` axes before; the row of index i is the i-th.
    """

    name = "gather"
    operands = ("table", "indices")
    axis: int = 0

    def infer(self, *inputs: TensorType) -> TensorType:
        table, indices = inputs
        require(indices.dtype == "int64", f"gather needs int64 indices, got {indices}")
        require(0 <= self.axis < table.rank, f"gather along {self.axis} of {table}")
        return table.with_shape(
            *table.shape[: self.axis], *indices.shape, *table.shape[self.axis + 1 :]
        )

    def evaluate(self, *inputs: Array) -> Array:
        table, indices = inputs
        rows: Array = np.take(table, indices, axis=self.axis)
        return rows


@dataclass(frozen=True)
class Choose(Op):
    """Look up entries of the first axis behind the batch, others for each sample.

    Shapes: x [batch, rows, *after], chosen int64 [batch, count] -> [batch, count, *after].
    """

    name = "choose"
    operands = ("x", "chosen")

    def infer(self, *inputs: TensorType) -> TensorType:
        x, chosen = inputs
        fits = chosen.dtype == "int64" and chosen.rank == 2
        require(fits, f"choose needs int64 numbers of rows, [batch, count], got {chosen}")
        require(x.rank >= 2, f"choose needs rows behind the batch, got {x}")
        require(
            x.shape[0] == chosen.shape[0],
            f"choose needs one batch, got {x.shape[0]} of {x} and {chosen.shape[0]} of {chosen}",
        )
        return x.with_shape(*chosen.shape, *x.shape[2:])

    def evaluate(self, *inputs: Array) -> Array:
        x, chosen = inputs
        rows: Array = x[np.arange(len(x))[:, None], chosen]
        return rows


@dataclass(frozen=True)
class OneHot(Op):
    """A vector of zeros with a one at each id. Shapes: int64 [...] -> float32 [..., classes]."""

    name = "one_hot"
    operands = ("ids",)
    mixes = "nothing"
    classes: int

    def infer(self, *inputs: TensorType) -> TensorType:
        (ids,) = inputs
        require(ids.dtype == "int64", f"one_hot needs int64 ids, got {ids}")
        return TensorType((*ids.shape, Dim.of(self.classes)), "float32")

    def evaluate(self, *inputs: Array) -> Array:
        (ids,) = inputs
        hot: Array = ids[..., None] == np.arange(self.classes)
        return hot.astype(np.float32)


@dataclass(frozen=True)
class Coordinate(Op):
    """Where flat grid positions lie along one axis: (position // stride) % size.

    Shapes: int64 [...] -> int64 [...]. `stride` is the product of the sizes of the faster axes.
    """

    name = "coordinate"
    operands = ("positions",)
    mixes = "nothing"
    stride: int
    size: int

    def infer(self, *inputs: TensorType) -> TensorType:
        (positions,) = inputs
        require(positions.dtype == "int64", f"coordinate needs int64 positions, got {positions}")
        return positions

    def evaluate(self, *inputs: Array) -> Array:
        (positions,) = inputs
        along: Array = positions // self.stride % self.size
        return along
