"""Fourier features: of the points of a grid, one axis at a time, and of coordinates that are data.

The features of a grid point are [x_1 .. x_d, sin(pi f_k x_1) .., sin(pi f_k x_2) .., cos ..]: each
column depends on one axis only. A table per axis, in the width of the whole and zero in the columns
of the other axes, makes the features of any point a plain sum of one row per axis.
"""

from __future__ import annotations

from dataclasses import dataclass

from perceiver_graph.compiler.ir.dims import Dim
from perceiver_graph.compiler.ir.op import Array, Op, TensorType, require
from perceiver_graph.compiler.ops.lazy import np


@dataclass(frozen=True)
class FourierTable(Op):
    """One axis' share of the Fourier features of a grid. Shapes: -> float32 [size, width].

    Coordinates are linspace(-1, 1, size), or -1 + 2 i / size without `endpoint`; frequencies are
    linspace(1, max_resolution / 2, bands). Perceiver, appendix D; `generate_fourier_features` in
    transformers. Everything is rounded to float32 in the reference's order of operations: with
    frequencies in the thousands the float64 result differs in the third decimal.

    Along the axes in `periodic` the first point follows the last: `frequencies` are whole, and there
    is no column for the coordinate itself, which jumps there.
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
    periodic: tuple[int, ...] = ()

    @property
    def width(self) -> int:
        waves = self.axes * self.bands * (1 if self.sine_only else 2)
        return waves + self.include_position * (self.axes - len(self.periodic))

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
        wraps = self.axis in self.periodic
        steps = frequencies(self.bands, self.max_resolution, periodic=wraps)
        phases = (position[:, None] * steps[None, :]) * np.float32(np.pi)
        table = np.zeros((self.size, self.width), dtype=np.float32)
        start = 0
        if self.include_position:
            plain = [axis for axis in range(self.axes) if axis not in self.periodic]
            start = len(plain)
            if not wraps:
                table[:, plain.index(self.axis)] = position
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
    follows unchanged. `max_resolution` is one number, or one for each coordinate. `ranges` are the
    least and the greatest value of each, which become -1 and 1 (none: they lie there). The frequencies,
    the rounding, what `periodic` coordinates (by number) lack and the order of the columns are as in
    `fourier_table`: at the points of a grid, these are the features of that grid. Whole periods are
    taken off first, without rounding: what is many of them away keeps the digits it is given with.
    """

    name = "fourier_features"
    operands = ("x",)
    bands: int
    max_resolution: float | tuple[float, ...]
    channels: int
    include_position: bool = True
    sine_only: bool = False
    periodic: tuple[int, ...] = ()
    ranges: tuple[tuple[float, float], ...] = ()

    @property
    def width(self) -> int:
        """Columns that the coordinates become."""
        waves = self.channels * self.bands * (1 if self.sine_only else 2)
        return waves + len(self.kept)

    @property
    def kept(self) -> tuple[int, ...]:
        """The coordinates that stand in front of the sines themselves."""
        every = range(self.channels) if self.include_position else ()
        return tuple(i for i in every if i not in self.periodic)

    @property
    def resolutions(self) -> tuple[float, ...]:
        """One for each coordinate."""
        if isinstance(self.max_resolution, tuple):
            return self.max_resolution
        return (self.max_resolution,) * self.channels

    def frequencies(self) -> Array:
        """Of each coordinate. Shape: float32 [channels, bands]."""
        return np.stack(
            [
                frequencies(self.bands, resolution, periodic=i in self.periodic)
                for i, resolution in enumerate(self.resolutions)
            ]
        )

    @property
    def bounds(self) -> tuple[tuple[float, float], ...]:
        """What becomes -1 and 1, of each coordinate."""
        return self.ranges or ((-1.0, 1.0),) * self.channels

    def periods(self) -> Array:
        """Of each coordinate; of one that does not return, what none reaches. Shape: float32 [channels]."""
        lengths = [
            high - low if i in self.periodic else 2.0**127
            for i, (low, high) in enumerate(self.bounds)
        ]
        return np.array(lengths, np.float32)

    def mapping(self) -> tuple[Array, Array]:
        """The middle of each range and 2 / its length. Shapes: float32 [channels]."""
        low, high = np.array(self.bounds, np.float64).T
        middle = ((low + high) / 2).astype(np.float32)
        return np.fmod(middle, self.periods()), (2 / (high - low)).astype(np.float32)

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require(x.rank >= 1, f"fourier_features needs channels, got {x}")
        require(
            self.bands >= 1 and self.channels >= 1 and x.shape[-1] >= self.channels,
            f"fourier_features needs {self.channels} coordinates or more in {self.bands} bands, "
            f"got {x}",
        )
        require(
            len(self.resolutions) == self.channels,
            f"fourier_features needs {self.channels} resolutions, got {len(self.resolutions)}",
        )
        require(
            len(self.ranges) in (0, self.channels),
            f"fourier_features needs {self.channels} ranges or none, got {len(self.ranges)}",
        )
        return x.with_shape(*x.shape[:-1], x.shape[-1] - self.channels + self.width)

    def evaluate(self, *inputs: Array) -> Array:
        (x,) = inputs
        position, rest = x[..., : self.channels], x[..., self.channels :]
        middle, scale = (part.astype(x.dtype) for part in self.mapping())
        if self.periodic:
            period = self.periods().astype(x.dtype)
            position = np.fmod(position, period) - middle
            position = (position - period * np.rint(position / period)) * scale
        elif self.ranges:
            position = (position - middle) * scale
        phases = (position[..., None] * self.frequencies().astype(x.dtype)) * x.dtype.type(np.pi)
        angles = phases.reshape(*x.shape[:-1], self.channels * self.bands)
        waves = [np.sin(angles)] if self.sine_only else [np.sin(angles), np.cos(angles)]
        return np.concatenate([position[..., list(self.kept)], *waves, rest], axis=-1)


def frequencies(bands: int, max_resolution: float, *, periodic: bool = False) -> Array:
    """From 1 to half the resolution, evenly spaced. Shape: float32 [bands].

    Where coordinates are periodic, whole numbers, so that a wave closes: the nearest ones, which
    differ from each other where there are no more bands than whole numbers.
    """
    if not periodic:
        return linspace(1.0, max_resolution / 2, bands)
    spaced = linspace(1.0, float(max_resolution // 2), bands)
    return np.floor(spaced + np.float32(0.5))


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
