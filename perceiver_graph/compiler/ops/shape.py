"""Primitives that move elements without computing: reshape, permute, concatenate, slice, broadcast."""

from __future__ import annotations

from dataclasses import dataclass

from perceiver_graph.compiler.dims import Dim, NotDivisible, Undecidable, product
from perceiver_graph.compiler.ops.base import (
    Array,
    Op,
    ShapeError,
    TensorType,
    normalize_axis,
    require,
)
from perceiver_graph.compiler.ops.lazy import np


@dataclass(frozen=True)
class Flatten(Op):
    """Merge the axes start..stop (both included). Shapes: [..., a, b, ...] -> [..., a * b, ...]."""

    name = "flatten"
    start: int
    stop: int

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require(0 <= self.start <= self.stop < x.rank, f"flatten {self.start}..{self.stop} of {x}")
        merged = product(x.shape[self.start : self.stop + 1])
        return x.with_shape(*x.shape[: self.start], merged, *x.shape[self.stop + 1 :])

    def evaluate(self, *inputs: Array) -> Array:
        (x,) = inputs
        merged = int(np.prod(x.shape[self.start : self.stop + 1]))
        return x.reshape(*x.shape[: self.start], merged, *x.shape[self.stop + 1 :])


@dataclass(frozen=True)
class Unflatten(Op):
    """Split an axis; one size may be left to division. Shapes: [..., a * b, ...] -> [..., a, b, ...]."""

    name = "unflatten"
    axis: int
    sizes: tuple[int | None, ...]

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        axis = normalize_axis(self.name, self.axis, x.rank)
        require(self.sizes.count(None) <= 1, "unflatten can leave one size to division")
        known = product(tuple(Dim.of(s) for s in self.sizes if s is not None))
        try:
            rest = x.shape[axis].exact_div(known)
        except NotDivisible as error:
            raise ShapeError(
                f"unflatten needs sizes that divide {x.shape[axis]}, got {self.sizes}"
            ) from error
        require(None in self.sizes or rest == 1, f"unflatten of {x.shape[axis]} to {self.sizes}")
        sizes = tuple(rest if s is None else Dim.of(s) for s in self.sizes)
        return x.with_shape(*x.shape[:axis], *sizes, *x.shape[axis + 1 :])

    def evaluate(self, *inputs: Array) -> Array:
        (x,) = inputs
        axis = self.axis % x.ndim
        sizes = (-1 if s is None else s for s in self.sizes)
        return x.reshape(*x.shape[:axis], *sizes, *x.shape[axis + 1 :])


@dataclass(frozen=True)
class Permute(Op):
    """Reorder the axes. Shapes: [d0, d1, ...] -> [d_order[0], d_order[1], ...]."""

    name = "permute"
    order: tuple[int, ...]

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require(
            sorted(self.order) == list(range(x.rank)),
            f"permute needs every axis of {x} once, got {self.order}",
        )
        return x.with_shape(*(x.shape[axis] for axis in self.order))

    def evaluate(self, *inputs: Array) -> Array:
        return inputs[0].transpose(self.order)


@dataclass(frozen=True)
class Concat(Op):
    """Join values along an axis. Shapes: [..., a, ...], [..., b, ...] -> [..., a + b, ...]."""

    name = "concat"
    axis: int

    def infer(self, *inputs: TensorType) -> TensorType:
        first, *rest = inputs
        axis = normalize_axis(self.name, self.axis, first.rank)
        total = first.shape[axis]
        for other in rest:
            same = other.rank == first.rank and all(
                a == b
                for i, (a, b) in enumerate(zip(first.shape, other.shape, strict=True))
                if i != axis
            )
            require(
                same, f"concat along {axis} needs all other axes equal, got {first} and {other}"
            )
            total = total + other.shape[axis]
        return first.with_shape(*first.shape[:axis], total, *first.shape[axis + 1 :])

    def evaluate(self, *inputs: Array) -> Array:
        return np.concatenate(inputs, axis=self.axis)


@dataclass(frozen=True)
class Slice(Op):
    """A stretch of an axis. Shapes: [..., a, ...] -> [..., stop - start, ...].

    `stop=None` means up to the end; both are counted from the end where negative.
    """

    name = "slice"
    axis: int
    start: int
    stop: int | None

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        axis = normalize_axis(self.name, self.axis, x.rank)
        size = x.shape[axis]
        start = size + self.start if self.start < 0 else Dim.of(self.start)
        stop = (
            size if self.stop is None else size + self.stop if self.stop < 0 else Dim.of(self.stop)
        )
        try:
            fits = start >= 0 and start <= stop and stop <= size
        except Undecidable as error:
            raise ShapeError(f"slice {self.start}:{self.stop} may not lie in {size}") from error
        require(fits, f"slice needs a stretch of {size}, got {self.start}:{self.stop}")
        return x.with_shape(*x.shape[:axis], stop - start, *x.shape[axis + 1 :])

    def evaluate(self, *inputs: Array) -> Array:
        (x,) = inputs
        index: list[slice] = [slice(None)] * x.ndim
        index[self.axis] = slice(self.start, self.stop)
        return x[tuple(index)]


@dataclass(frozen=True)
class BroadcastLike(Op):
    """Repeat a value over the first `axes` axes of another one.

    Shapes: x [...], like [a, b, ...] -> [a, ...] for axes=1, [a, b, ...] for axes=2. Only the shape
    of `like` is read: this is how constants take on a batch size that is known only at run time.
    """

    name = "broadcast_like"
    axes: int = 1

    def infer(self, *inputs: TensorType) -> TensorType:
        x, like = inputs
        require(1 <= self.axes <= like.rank, f"broadcast_like over {self.axes} axes of {like}")
        return x.with_shape(*like.shape[: self.axes], *x.shape)

    def evaluate(self, *inputs: Array) -> Array:
        x, like = inputs
        return np.broadcast_to(x, (*like.shape[: self.axes], *x.shape))


@dataclass(frozen=True)
class SplitLike(Op):
    """Split the first axis into the first `axes` axes of another value.

    Shapes: x [a * b, ...], like [a, b, ...] -> [a, b, ...] for axes=2. Only the shape of `like` is
    read: `unflatten` for sizes of which several are known only at run time.
    """

    name = "split_like"
    axes: int

    def infer(self, *inputs: TensorType) -> TensorType:
        x, like = inputs
        require(
            x.rank >= 1 and 1 <= self.axes <= like.rank,
            f"split_like needs an axis to split and {self.axes} axes, got {x} and {like}",
        )
        front = like.shape[: self.axes]
        require(x.shape[0] == product(front), f"split_like of {x} into the first axes of {like}")
        return x.with_shape(*front, *x.shape[1:])

    def evaluate(self, *inputs: Array) -> Array:
        x, like = inputs
        return x.reshape(*like.shape[: self.axes], *x.shape[1:])


@dataclass(frozen=True)
class TrimLike(Op):
    """The first rows of a table, as many as another value has along an axis.

    Shapes: table [max, ...], like [..., n, ...] -> [n, ...]. Only the shape of `like` is read: this
    is how a table takes on a length that is known only at run time.
    """

    name = "trim_like"
    axis: int

    def infer(self, *inputs: TensorType) -> TensorType:
        table, like = inputs
        size = like.shape[normalize_axis(self.name, self.axis, like.rank)]
        require(table.rank >= 1, f"trim_like needs a table with rows, got {table}")
        rows = table.shape[0]
        try:
            fits = size <= rows
        except Undecidable as error:
            raise ShapeError(
                f"trim_like needs a table of as many rows as `{size}` may be, got {table}"
            ) from error
        require(fits, f"trim_like needs a table of {size} rows or more, got {table}")
        return table.with_shape(size, *table.shape[1:])

    def evaluate(self, *inputs: Array) -> Array:
        table, like = inputs
        return table[: like.shape[self.axis]]


@dataclass(frozen=True)
class Repeat(Op):
    """Repeat a value along a new first axis. Shapes: [...] -> [count, ...]."""

    name = "repeat"
    count: int

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require(self.count >= 1, f"repeat needs a count of 1 or more, got {self.count}")
        return x.with_shape(Dim.of(self.count), *x.shape)

    def evaluate(self, *inputs: Array) -> Array:
        return np.broadcast_to(inputs[0], (self.count, *inputs[0].shape))
