"""Grids whose sizes are known only at run time: their points, and positions of these.

Positions are flat: int64, the first axis slowest. The sizes of a grid are a value, int64 [axes].
"""

from __future__ import annotations

from dataclasses import dataclass

from perceiver_graph.compiler.dims import Dim, product
from perceiver_graph.compiler.ops.base import Array, Op, TensorType, require
from perceiver_graph.compiler.ops.lazy import np
from perceiver_graph.compiler.ops.position import FourierFeatures


@dataclass(frozen=True)
class SizesLike(Op):
    """The sizes of `axes` axes from `start` on. Shapes: [..] -> int64 [axes].

    Only the shape of the input is read.
    """

    name = "sizes_like"
    start: int
    axes: int

    def infer(self, *inputs: TensorType) -> TensorType:
        (like,) = inputs
        _require_axes(self.name, like, self.start, self.axes)
        return TensorType((Dim.of(self.axes),), "int64")

    def evaluate(self, *inputs: Array) -> Array:
        return np.array(inputs[0].shape[self.start : self.start + self.axes], np.int64)


@dataclass(frozen=True)
class PositionsLike(Op):
    """All positions of a grid: 0, 1, .. Shapes: [.., *sizes, ..] -> int64 [product of sizes].

    The grid is `axes` axes of the input from `start` on. Only its shape is read.
    """

    name = "positions_like"
    start: int
    axes: int

    def infer(self, *inputs: TensorType) -> TensorType:
        (like,) = inputs
        _require_axes(self.name, like, self.start, self.axes)
        sizes = like.shape[self.start : self.start + self.axes]
        return TensorType((product(sizes),), "int64")

    def evaluate(self, *inputs: Array) -> Array:
        sizes = inputs[0].shape[self.start : self.start + self.axes]
        return np.arange(np.prod(sizes, dtype=np.int64), dtype=np.int64)


@dataclass(frozen=True)
class Regrid(Op):
    """Positions in a grid as positions in a larger one, `to`, that has the same first corner.

    Shapes: positions int64 [...], sizes int64 [axes] -> int64 [...].
    """

    name = "regrid"
    to: tuple[int, ...]

    def infer(self, *inputs: TensorType) -> TensorType:
        return _require_grid(self.name, len(self.to), *inputs)

    def evaluate(self, *inputs: Array) -> Array:
        found = np.zeros_like(inputs[0])
        for axis, place in enumerate(_along(*inputs)):
            found += place * int(np.prod(self.to[axis + 1 :], dtype=np.int64))
        return found


@dataclass(frozen=True)
class FourierAt(Op):
    """Fourier features of positions in a grid.

    Shapes: positions int64 [...], sizes int64 [axes] -> float32 [..., width]. Coordinates run from
    -1 to 1 along each axis, over its size or, where it has an entry in `of`, over that many places;
    without `endpoint`, they are -1 + 2 i / size. The rest is as in `fourier_features`; rounding is
    that of `fourier_table`.
    """

    name = "fourier_at"
    of: tuple[int | None, ...]
    bands: int
    max_resolution: tuple[float, ...]
    endpoint: tuple[bool, ...]
    include_position: bool = True
    sine_only: bool = False
    periodic: tuple[int, ...] = ()

    @property
    def features(self) -> FourierFeatures:
        """What becomes of the coordinates."""
        return FourierFeatures(
            self.bands,
            self.max_resolution,
            len(self.of),
            self.include_position,
            self.sine_only,
            self.periodic,
        )

    def infer(self, *inputs: TensorType) -> TensorType:
        positions = _require_grid(self.name, len(self.of), *inputs)
        require(
            len(self.of) == len(self.max_resolution) == len(self.endpoint),
            f"fourier_at needs {len(self.of)} resolutions and ends, got {self}",
        )
        points = TensorType((*positions.shape, Dim.of(len(self.of))), "float32")
        return self.features.infer(points)

    def evaluate(self, *inputs: Array) -> Array:
        found = []
        for axis, place in enumerate(_along(*inputs)):
            size = self.of[axis] or int(inputs[1][axis])
            found.append(_coordinate(place, size, endpoint=self.endpoint[axis]))
        return self.features.evaluate(np.stack(found, axis=-1))


def _coordinate(place: Array, size: int, *, endpoint: bool) -> Array:
    """From -1 on, rounded as `linspace` does: once, from the nearer end."""
    if not endpoint:
        quotient = (place.astype(np.float32) / np.float32(size)).astype(np.float32)
        return np.float32(-1) + np.float32(2) * quotient
    step = np.float64(np.float32(2) / np.float32(max(size - 1, 1)))
    ascending, descending = step * place - 1, 1 - step * (size - 1 - place)
    return np.where(place < max(size // 2, 1), ascending, descending).astype(np.float32)


def _along(positions: Array, sizes: Array) -> list[Array]:
    """Where positions lie along each axis."""
    found = []
    for axis, size in enumerate(sizes.tolist()):
        stride = int(np.prod(sizes[axis + 1 :], dtype=np.int64))
        found.append(positions // stride % size)
    return found


def _require_axes(name: str, like: TensorType, start: int, axes: int) -> None:
    fits = start >= 0 and axes >= 1 and start + axes <= like.rank
    require(fits, f"{name} needs {axes} axes from axis {start} on, got {like}")


def _require_grid(name: str, axes: int, positions: TensorType, sizes: TensorType) -> TensorType:
    require(
        positions.dtype == sizes.dtype == "int64" and sizes.shape == (Dim.of(axes),),
        f"{name} needs int64 positions and the sizes of {axes} axes, got {positions} and {sizes}",
    )
    return positions
