"""Fourier features: of the points of a grid, one axis at a time, and of coordinates that are data.

The features of a grid point are [x_1 .. x_d, sin(pi f_k x_1) .., sin(pi f_k x_2) .., cos ..]: each
column depends on one axis only. A table per axis, in the width of the whole and zero in the columns
of the other axes, makes the features of any point a plain sum of one row per axis.
"""

from __future__ import annotations

from dataclasses import dataclass

from perceiver_graph.compiler.dims import Dim
from perceiver_graph.compiler.ops.base import Array, Op, TensorType, require
from perceiver_graph.compiler.ops.lazy import np


@dataclass(frozen=True)
class FourierTable(Op):
    """One axis' share of the Fourier features of a grid. Shapes: -> float32 [size, width].

    Coordinates are linspace(-1, 1, size), or -1 + 2 i / size without `endpoint`; frequencies are
    linspace(1, max_resolution / 2, bands). Perceiver, appendix D; `generate_fourier_features` in
    transformers. Everything is rounded to float32 in the reference's order of operations: with
    frequencies in the thousands the float64 result differs in the third decimal.
    """

    name = "fourier_table"
    size: int
    axis: int
    axes: int
    bands: int
    max_resolution: float
    endpoint: bool = True
    include_position: bool = True
    sine_only: bool = False

    @property
    def width(self) -> int:
        return self.axes * (self.include_position + self.bands * (1 if self.sine_only else 2))

    def infer(self, *inputs: TensorType) -> TensorType:
        require(not inputs, "fourier_table takes no inputs")
        return TensorType((Dim.of(self.size), Dim.of(self.width)), "float32")

    def coordinates(self) -> Array:
        """Positions along the axis. Shape: float32 [size]."""
        if self.endpoint:
            return linspace(-1.0, 1.0, self.size)
        index = np.arange(self.size, dtype=np.int64)
        quotient = (index.astype(np.float32) / np.float32(self.size)).astype(np.float32)
        return np.float32(-1) + np.float32(2) * quotient

    def evaluate(self, *inputs: Array) -> Array:
        position = self.coordinates()
        frequencies = linspace(1.0, self.max_resolution / 2, self.bands)
        phases = (position[:, None] * frequencies[None, :]) * np.float32(np.pi)
        table = np.zeros((self.size, self.width), dtype=np.float32)
        start = 0
        if self.include_position:
            table[:, self.axis] = position
            start = self.axes
        waves = (np.sin,) if self.sine_only else (np.sin, np.cos)
        for block, wave in enumerate(waves):
            first = start + (block * self.axes + self.axis) * self.bands
            table[:, first : first + self.bands] = wave(phases)
        return table


@dataclass(frozen=True)
class FourierFeatures(Op):
    """Fourier features of coordinates that are data, such as the points of a cloud.

    Shapes: [..., c] -> [..., channels * (2 * bands + 1) + c - channels]: the first `channels` are
    coordinates p_i, which become [p_1 .., sin(pi f_k p_1) .., sin(pi f_k p_2) .., cos ..], the rest
    follows unchanged. Frequencies and rounding as in `fourier_table`.
    """

    name = "fourier_features"
    bands: int
    max_resolution: float
    channels: int

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require(x.rank >= 1, f"fourier_features needs channels, got {x}")
        require(
            self.bands >= 1 and self.channels >= 1 and x.shape[-1] >= self.channels,
            f"fourier_features needs {self.channels} coordinates or more in {self.bands} bands, "
            f"got {x}",
        )
        return x.with_shape(*x.shape[:-1], x.shape[-1] + 2 * self.bands * self.channels)

    def evaluate(self, *inputs: Array) -> Array:
        (x,) = inputs
        position, rest = x[..., : self.channels], x[..., self.channels :]
        frequencies = linspace(1.0, self.max_resolution / 2, self.bands).astype(x.dtype)
        phases = (position[..., None] * frequencies) * x.dtype.type(np.pi)
        waves = phases.reshape(*x.shape[:-1], self.channels * self.bands)
        return np.concatenate([position, np.sin(waves), np.cos(waves), rest], axis=-1)


def linspace(start: float, stop: float, count: int) -> Array:
    """`torch.linspace` in float32, bit for bit. Shape: float32 [count].

    torch walks from both ends with one rounding per element (a fused multiply-add). The product of
    two float32 numbers is exact in float64, so rounding the float64 sum once gives the same.
    """
    if count == 1:
        return np.array([start], dtype=np.float32)
    first, last = np.float32(start), np.float32(stop)
    step = np.float32((last - first) / np.float32(count - 1))
    index = np.arange(count, dtype=np.float64)
    ascending = np.float64(first) + np.float64(step) * index
    descending = np.float64(last) - np.float64(step) * (count - 1 - index)
    return np.where(index < count // 2, ascending, descending).astype(np.float32)
