"""Fourier features: of the points of a grid, one axis at a time, and of coordinates that are data.

The features of a grid point are [x_1 .. x_d, sin(pi f_k x_1) .., sin(pi f_k x_2) .., cos ..]: each
column depends on one axis only. A table per axis, in the width of the whole and zero in the columns
of the other axes, makes the features of any point a plain sum of one row per axis.

Which waves there are is `spacing`: `linear`, f_k evenly spaced from 1 to max_resolution / 2 (Perceiver),
or `octaves`, f_k = 2^k, with no max_resolution; those without `pi` are sin(f_k x). Or the waves have
`wavelengths` w_k from the shortest to the longest of an axis, in equal ratios: sin(2 pi x / w_k), where
x of a grid is the number of the place, 0, 1, ... `order` says how columns stand (`waves.columns`).
"""

from __future__ import annotations

from dataclasses import dataclass

from perceiver_graph.compiler.ir.dims import Dim
from perceiver_graph.compiler.ir.op import Array, Op, TensorType, require
from perceiver_graph.compiler.ops.lazy import np
from perceiver_graph.compiler.ops.waves import (
    Ends,
    Order,
    Spacing,
    columns,
    frequencies,
    lengths,
    linspace,
    phases,
)

QUIET = ("spacing", "pi", "wavelengths", "order")
"""What of the waves is told where it is not as usual."""


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
    quiet = QUIET
    size: int
    axis: int
    axes: int
    bands: int
    max_resolution: float | None
    endpoint: bool = True
    include_position: bool = True
    sine_only: bool = False
    periodic: tuple[int, ...] = ()
    spacing: Spacing = "linear"
    pi: bool = True
    wavelengths: Ends | tuple[()] = ()
    order: Order = "waves"

    @property
    def width(self) -> int:
        waves = self.axes * self.bands * (1 if self.sine_only else 2)
        return waves + self.include_position * (self.axes - len(self.periodic))

    def infer(self, *inputs: TensorType) -> TensorType:
        require(not inputs, "fourier_table takes no inputs")
        self._alone.require_waves()
        require(self.endpoint or not self.wavelengths, f"places have no other end, got {self}")
        return TensorType((Dim.of(self.size), Dim.of(self.width)), "float32")

    def coordinates(self) -> Array:
        """Positions along the axis. Shape: float32 [size]."""
        index = np.arange(self.size, dtype=np.int64)
        if self.wavelengths:
            return index.astype(np.float32)
        if self.endpoint:
            return linspace(-1.0, 1.0, self.size)
        quotient = (index.astype(np.float32) / np.float32(self.size)).astype(np.float32)
        return np.float32(-1) + np.float32(2) * quotient

    @property
    def _alone(self) -> FourierFeatures:
        """What is made of the coordinates along this axis."""
        return FourierFeatures(
            self.bands,
            self.max_resolution,
            1,
            periodic=(0,) if self.axis in self.periodic else (),
            spacing=self.spacing,
            pi=self.pi,
            wavelengths=(self.wavelengths,) if self.wavelengths else (),
        )

    def evaluate(self, *inputs: Array) -> Array:
        position = self.coordinates()
        found = self._alone.phases(position[:, None])[:, 0]
        table = np.zeros((self.size, self.width), dtype=np.float32)
        plain = [axis for axis in range(self.axes) if axis not in self.periodic]
        kept = plain if self.include_position else []
        if self.axis in kept:
            table[:, kept.index(self.axis)] = position
        waves = (np.sin,) if self.sine_only else (np.sin, np.cos)
        for block, wave in enumerate(waves):
            first = len(kept) + (block * self.axes + self.axis) * self.bands
            table[:, first : first + self.bands] = wave(found)
        return table[:, columns(self.order, self.axes, self.bands, kept, len(waves))]


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
    `wavelengths` are the ends of each coordinate; these are taken as they are, and neither have ranges
    nor are periodic.
    """

    name = "fourier_features"
    operands = ("x",)
    quiet = QUIET
    mixes = "channels"
    bands: int
    max_resolution: float | tuple[float, ...] | None
    channels: int
    include_position: bool = True
    sine_only: bool = False
    periodic: tuple[int, ...] = ()
    ranges: tuple[tuple[float, float], ...] = ()
    spacing: Spacing = "linear"
    pi: bool = True
    wavelengths: tuple[Ends, ...] = ()
    order: Order = "waves"

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
    def resolutions(self) -> tuple[float | None, ...]:
        """One for each coordinate."""
        if isinstance(self.max_resolution, tuple):
            return self.max_resolution
        return (self.max_resolution,) * self.channels

    def frequencies(self) -> Array:
        """Of each coordinate. Shape: float32 [channels, bands]."""
        return np.stack(
            [
                frequencies(
                    self.bands, resolution, spacing=self.spacing, periodic=i in self.periodic
                )
                for i, resolution in enumerate(self.resolutions)
            ]
        )

    def lengths(self) -> Array:
        """Of the waves of each coordinate. Shape: float64 [channels, bands]."""
        return np.stack([lengths(self.bands, ends) for ends in self.wavelengths])

    def phases(self, position: Array) -> Array:
        """Shapes: [..., channels], in [-1, 1] but for wavelengths -> [..., channels, bands]."""
        if self.wavelengths:
            return phases(position, self.lengths())
        turned: Array = position[..., None] * self.frequencies().astype(position.dtype)
        return turned * position.dtype.type(np.pi) if self.pi else turned

    def columns(self) -> list[int]:
        """Where the columns are taken from, of what is ordered by `waves`."""
        kinds = 1 if self.sine_only else 2
        return columns(self.order, self.channels, self.bands, self.kept, kinds)

    def require_waves(self) -> None:
        """Raise ShapeError for waves that are said in two ways."""
        linear = self.spacing == "linear" and not self.wavelengths
        require(
            (self.max_resolution is not None) is linear,
            f"linear frequencies alone have a resolution, got {self}",
        )
        require(self.pi or self.spacing == "octaves", f"octaves alone leave pi out, got {self}")
        alone = self.spacing == "linear" and not (self.ranges or self.periodic)
        require(
            not self.wavelengths or alone,
            f"wavelengths go with no other spacing, ranges or periods, got {self}",
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
        require(
            len(self.wavelengths) in (0, self.channels),
            f"fourier_features needs wavelengths of {self.channels} coordinates or none, "
            f"got {len(self.wavelengths)}",
        )
        self.require_waves()
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
        angles = self.phases(position).reshape(*x.shape[:-1], self.channels * self.bands)
        waves = [np.sin(angles)] if self.sine_only else [np.sin(angles), np.cos(angles)]
        found = np.concatenate([position[..., list(self.kept)], *waves], axis=-1)
        return np.concatenate([found[..., self.columns()], rest], axis=-1)
