"""Primitives that move elements without computing: reshape, permute, concatenate, slice, broadcast."""

from __future__ import annotations

from dataclasses import dataclass

from perceiver_graph.compiler.ir.dims import Dim, NotDivisible, Shape, Undecidable, product
from perceiver_graph.compiler.ir.op import (
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
    operands = ("x",)
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
    operands = ("x",)
    sized = ("sizes",)
    axis: int
    sizes: tuple[int | Dim | None, ...]

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
        sizes = (-1 if s is None else int(s) for s in self.sizes)
        return x.reshape(*x.shape[:axis], *sizes, *x.shape[axis + 1 :])


@dataclass(frozen=True)
class Permute(Op):
    """Reorder the axes. Shapes: [d0, d1, ...] -> [d_order[0], d_order[1], ...]."""

    name = "permute"
    operands = ("x",)
    order: tuple[int, ...]

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require(
            sorted(self.order) == list(range(x.rank)),
            f"permute needs every axis of {x} once, got {self.order}",
        )
        return x.with_shape(*(x.shape[axis] for axis in self.order))

    def evaluate(self, *inputs: Array) -> Array:
        (x,) = inputs
        return x.transpose(self.order)


@dataclass(frozen=True)
class Concat(Op):
    """Join values along an axis. Shapes: [..., a, ...], [..., b, ...] -> [..., a + b, ...]."""

    name = "concat"
    operands = ("parts*",)
    axis: int

    def infer(self, *inputs: TensorType) -> TensorType:
        first, *rest = self.each("parts", inputs)
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
    operands = ("x",)
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
class Broadcast(Op):
    """Repeat a value along new first axes. Shapes: [...] -> [*sizes, ...].

    This is how constants take on a batch size that is known only at run time.
    """

    name = "broadcast"
    operands = ("x",)
    sized = ("sizes",)
    mixes = "nothing"
    sizes: Shape

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        positive = all(size.value is None or size.value >= 1 for size in self.sizes)
        require(bool(self.sizes) and positive, f"broadcast needs sizes of 1 or more, got {self}")
        return x.with_shape(*self.sizes, *x.shape)

    def evaluate(self, *inputs: Array) -> Array:
        (x,) = inputs
        return np.broadcast_to(x, (*map(int, self.sizes), *x.shape))


@dataclass(frozen=True)
class Trim(Op):
    """The first rows of a table. Shapes: [max, ...] -> [size, ...].

    This is how a table takes on a length that is known only at run time.
    """

    name = "trim"
    operands = ("table",)
    sized = ("size",)
    size: Dim

    def infer(self, *inputs: TensorType) -> TensorType:
        (table,) = inputs
        require(table.rank >= 1, f"trim needs a table with rows, got {table}")
        try:
            fits = self.size <= table.shape[0]
        except Undecidable as error:
            raise ShapeError(
                f"trim needs a table of as many rows as `{self.size}` may be, got {table}"
            ) from error
        require(fits, f"trim needs a table of {self.size} rows or more, got {table}")
        return table.with_shape(self.size, *table.shape[1:])

    def evaluate(self, *inputs: Array) -> Array:
        (table,) = inputs
        return table[: int(self.size)]
