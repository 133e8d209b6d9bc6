"""Grids whose sizes are known only at run time: their points, and positions of these.

Positions are flat: int64, the first axis slowest.
"""

from __future__ import annotations

from dataclasses import dataclass

from perceiver_graph.compiler.ir.dims import Dim, Shape, product
from perceiver_graph.compiler.ir.op import Array, Op, TensorType, require
from perceiver_graph.compiler.ops.lazy import np
from perceiver_graph.compiler.ops.position import QUIET, FourierFeatures
from perceiver_graph.compiler.ops.waves import Ends, Order, Spacing


@dataclass(frozen=True)
class Positions(Op):
    """All positions of a grid: 0, 1, .. Shapes: -> int64 [product of sizes]."""

    name = "positions"
    sized = ("sizes",)
    sizes: Shape

    def infer(self, *inputs: TensorType) -> TensorType:
        require(not inputs and bool(self.sizes), f"positions takes sizes and no inputs, got {self}")
        return TensorType((product(self.sizes),), "int64")

    def evaluate(self, *inputs: Array) -> Array:
        return np.arange(int(product(self.sizes)), dtype=np.int64)


@dataclass(frozen=True)
class Regrid(Op):
    """Positions in a grid of some sizes as positions in a larger one, `to`, that has the same first
    corner. Shapes: int64 [...] -> int64 [...]."""

    name = "regrid"
    operands = ("positions",)
    sized = ("sizes",)
    sizes: Shape
    to: tuple[int, ...]

    def infer(self, *inputs: TensorType) -> TensorType:
        require(len(self.sizes) == len(self.to), f"regrid needs grids of as many axes, got {self}")
        return _require_positions(self.name, *inputs)

    def evaluate(self, *inputs: Array) -> Array:
        (positions,) = inputs
        found = np.zeros_like(positions)
        for axis, place in enumerate(_along(positions, self.sizes)):
            found += place * int(np.prod(self.to[axis + 1 :], dtype=np.int64))
        return found


@dataclass(frozen=True)
class FourierAt(Op):
    """Fourier features of positions in a grid of some sizes.

    Shapes: int64 [...] -> float32 [..., width]. Coordinates run from -1 to 1 along each axis, over
    its size or, where it has an entry in `of`, over that many places; without `endpoint`, they are
    -1 + 2 i / size. With `wavelengths` they are the numbers of the places, 0, 1, .. The rest is as in
    `fourier_features`; rounding is that of `fourier_table`.
    """

    name = "fourier_at"
    quiet = QUIET
    operands = ("positions",)
    sized = ("sizes",)
    sizes: Shape
    of: tuple[int | None, ...]
    bands: int
    max_resolution: tuple[float, ...] | None
    endpoint: tuple[bool, ...]
    include_position: bool = True
    sine_only: bool = False
    periodic: tuple[int, ...] = ()
    spacing: Spacing = "linear"
    pi: bool = True
    wavelengths: tuple[Ends, ...] = ()
    order: Order = "waves"

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
            spacing=self.spacing,
            pi=self.pi,
            wavelengths=self.wavelengths,
            order=self.order,
        )

    def infer(self, *inputs: TensorType) -> TensorType:
        positions = _require_positions(self.name, *inputs)
        counts = {len(self.sizes), len(self.of), len(self.endpoint)}
        counts |= {len(self.max_resolution)} if self.max_resolution else set()
        require(
            len(counts) == 1,
            f"fourier_at needs {len(self.sizes)} longest sizes, resolutions and ends, got {self}",
        )
        points = TensorType((*positions.shape, Dim.of(len(self.of))), "float32")
        return self.features.infer(points)

    def evaluate(self, *inputs: Array) -> Array:
        (positions,) = inputs
        found = []
        for axis, place in enumerate(_along(positions, self.sizes)):
            size = self.of[axis] or int(self.sizes[axis])
            found.append(
                place.astype(np.float32)
                if self.wavelengths
                else _coordinate(place, size, endpoint=self.endpoint[axis])
            )
        return self.features.evaluate(np.stack(found, axis=-1))


def _coordinate(place: Array, size: int, *, endpoint: bool) -> Array:
    """From -1 on, rounded as `linspace` does: once, from the nearer end."""
    if not endpoint:
        quotient = (place.astype(np.float32) / np.float32(size)).astype(np.float32)
        return np.float32(-1) + np.float32(2) * quotient
    step = np.float64(np.float32(2) / np.float32(max(size - 1, 1)))
    ascending, descending = step * place - 1, 1 - step * (size - 1 - place)
    return np.where(place < max(size // 2, 1), ascending, descending).astype(np.float32)


def _along(positions: Array, sizes: Shape) -> list[Array]:
    """Where positions lie along each axis."""
    found = []
    for axis, size in enumerate(sizes):
        stride = int(product(sizes[axis + 1 :]))
        found.append(positions // stride % int(size))
    return found


def _require_positions(name: str, *inputs: TensorType) -> TensorType:
    (positions,) = inputs
    require(positions.dtype == "int64", f"{name} needs int64 positions, got {positions}")
    return positions
