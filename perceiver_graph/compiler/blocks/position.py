"""Position encodings: Fourier features and learned tables, for whole grids and for chosen queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import singledispatch
from math import prod

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.context import Axis, Context, Path
from perceiver_graph.compiler.blocks.coordinates import refuse_settings
from perceiver_graph.compiler.blocks.longest import fills, places_counted
from perceiver_graph.compiler.blocks.requirements import fixed_size
from perceiver_graph.compiler.blocks.waves import waves_on_grid
from perceiver_graph.compiler.ir.dims import Shape, product
from perceiver_graph.compiler.ir.graph import Value
from perceiver_graph.spec.models import (
    FourierPosition,
    LearnedPosition,
    NoPosition,
    Position,
    RotaryPosition,
)


@dataclass(frozen=True)
class Grid:
    """The places whose positions are wanted: all of a grid, first axis slowest, or chosen ones."""

    axes: Sequence[Axis]
    chosen: Value | None = None
    """Flat places: int64 [count]. None where all are wanted."""
    channels: int | None = None
    """Those of the tokens that the positions are for. Queries have none."""

    @property
    def sizes(self) -> Shape:
        return tuple(axis.size for axis in self.axes)

    def places(self, ctx: Context) -> Value:
        """The flat places: int64 [count]."""
        return self.chosen or ctx.builder(ops.Positions(self.sizes), name="places")

    def is_whole(self, counted: Sequence[int]) -> bool:
        """Whether all are wanted of a grid of these sizes, or the first of them."""
        return self.chosen is None and fills(self.axes, counted)

    def counted_places(self, ctx: Context, counted: Sequence[int]) -> Value:
        """The flat places in a grid of these sizes, the longest: int64 [count]."""
        where = self.places(ctx)
        if fills(self.axes, counted):
            return where
        return ctx.builder(ops.Regrid(self.sizes, tuple(counted)), where, name="counted")

    def first(self, ctx: Context, counted: Sequence[int], encoding: Value) -> Value:
        """As many rows as there are places, of an encoding of the whole grid of these sizes."""
        if self.axes[0].size == counted[0]:
            return encoding
        return ctx.builder(ops.Trim(product(self.sizes)), encoding, name="position")


def grid_positions(ctx: Context, position: Position, grid: Grid, path: Path) -> Value:
    """The encoding of places of a grid. Shape: [count, width]."""
    if not grid.axes:
        raise ctx.error(
            "PG202",
            "a position encoding needs axes, and a single token has none",
            path,
            help="leave `position` out",
            at_key=True,
        )
    encoding = encode(position, ctx, grid, path)
    if position.project is None:
        return encoding
    return ctx.builder.linear(encoding, "position.project", position.project)


@singledispatch
def encode(position: object, ctx: Context, grid: Grid, path: Path) -> Value:
    """What a kind of position gives for places, before `project`. Shape: [count, width]."""
    raise TypeError(f"no lowering for the position {type(position).__name__}")


@encode.register
def _fourier(position: FourierPosition, ctx: Context, grid: Grid, path: Path) -> Value:
    whole = grid.chosen is None
    what = (
        "these are the positions of a grid" if whole else "the queries of a grid have its positions"
    )
    refuse_settings(ctx, position, path, what)
    axes, fourier, b = grid.axes, position.fourier, ctx.builder
    counted = places_counted(ctx, fourier.of, axes, (*path, "fourier"), stretched=True)
    sizes = [size for size in counted if size is not None]
    if len(sizes) < len(counted):
        where = grid.places(ctx)
        waves, ends = waves_on_grid(ctx, position, axes, counted, path, endpoint=whole)
        features = ops.FourierAt(
            grid.sizes,
            tuple(counted),
            waves.bands,
            waves.resolution,
            ends,
            wavelengths=waves.lengths,
            **waves.switches,
        )
        return b(features, where, name="position")
    if grid.is_whole(sizes):
        parts = _fourier_tables(ctx, position, axes, sizes, path, endpoint=True)
        return grid.first(ctx, sizes, _on_grid(ctx, axes, sizes, parts))
    where = grid.counted_places(ctx, sizes)
    parts = []
    stride = 1
    strides = [stride := stride * size for size in (1, *reversed(sizes[1:]))][::-1]
    tables = _fourier_tables(ctx, position, axes, sizes, path, endpoint=whole)
    for i, table in enumerate(tables):
        along = where
        if len(sizes) > 1:
            along = b(ops.Coordinate(strides[i], sizes[i]), where, name=axes[i].name)
        parts.append(b(ops.Gather(0), table, along, name=f"position.{axes[i].name}"))
    return _sum(ctx, parts)


@encode.register
def _rotary(position: RotaryPosition, ctx: Context, grid: Grid, path: Path) -> Value:
    raise ctx.error(
        "PG220",
        "attention turns by rotary positions, and a query of them alone would be empty",
        (*path, "rotary"),
        help="write `fourier` or `learned`: layers with `rotary` turn by the grid as well",
        at_key=True,
    )


@encode.register
def _none(position: NoPosition, ctx: Context, grid: Grid, path: Path) -> Value:
    raise ctx.error(
        "PG220",
        "queries of a grid are made of their positions alone, and this says that there are none",
        path,
        help="write `fourier` or `learned`, or ask with learned vectors: `query: {learned: {}}`",
        at_key=True,
    )


def _on_grid(
    ctx: Context, axes: Sequence[Axis], sizes: Sequence[int], parts: Sequence[Value]
) -> Value:
    """The sum of a row of each table at every point. Shapes: [size, width] -> [product, width]."""
    rank = len(sizes)
    if rank == 1:
        return parts[0]
    parts = [  # stretch each table along its own axis of the grid
        ctx.builder(
            ops.Unflatten(0, (*(1,) * i, sizes[i], *(1,) * (rank - 1 - i))),
            table,
            name=f"position.{axes[i].name}",
        )
        for i, table in enumerate(parts)
    ]
    return ctx.builder(ops.Flatten(0, rank - 1), _sum(ctx, parts), name="position")


def _fourier_tables(
    ctx: Context,
    position: FourierPosition,
    axes: Sequence[Axis],
    sizes: Sequence[int],
    path: Path,
    *,
    endpoint: bool,
) -> list[Value]:
    """A table per axis, each as wide as the whole; the features of a point are the sum of its rows."""
    waves, ends = waves_on_grid(ctx, position, axes, sizes, path, endpoint=endpoint)
    return [
        ctx.builder(
            ops.FourierTable(
                size,
                i,
                len(axes),
                waves.bands,
                waves.resolution[i] if waves.resolution else None,
                ends[i],
                wavelengths=waves.lengths[i] if waves.lengths else (),
                **waves.switches,
            ),
            name=f"fourier.{axis.name}",
        )
        for i, (axis, size) in enumerate(zip(axes, sizes, strict=True))
    ]


def _sum(ctx: Context, parts: Sequence[Value]) -> Value:
    total = parts[0]
    for part in parts[1:]:
        total = ctx.builder(ops.Add(), total, part, name="position.sum")
    return total


@encode.register
def _learned(position: LearnedPosition, ctx: Context, grid: Grid, path: Path) -> Value:
    counted = places_counted(ctx, position.learned.of, grid.axes, (*path, "learned"))
    sizes = [size for size in counted if size is not None]
    if grid.is_whole(sizes):
        table = _learned_table(ctx, position, grid.axes, sizes, grid.channels, path)
        return grid.first(ctx, sizes, table)
    where = grid.counted_places(ctx, sizes)
    table = _learned_table(ctx, position, grid.axes, sizes, grid.channels, path)
    return ctx.builder(ops.Gather(0), table, where, name="position")


def _learned_table(
    ctx: Context,
    position: LearnedPosition,
    axes: Sequence[Axis],
    sizes: list[int],
    channels: int | None,
    path: Path,
) -> Value:
    """A learned vector for each point of a grid of these sizes. Shape: [points, width]."""
    learned = position.learned
    width = learned.width or (channels if position.combine == "add" else None)
    if width is None:
        raise ctx.error(
            "PG205",
            "a learned position table needs a width where it is not added to channels",
            (*path, "learned"),
            help="write `learned: {width: 256}`"
            + (", or `combine: add` beside `learned`" if channels else ""),
            at_key=True,
        )
    if learned.width is None:
        ctx.derive(width, *path, "learned", "width")
    trained = sizes
    if learned.trained_on is not None:
        trained = _trained_sizes(ctx, learned.trained_on, axes, (*path, "learned", "trained_on"))
    shape = (prod(trained), width)
    ctx.builder.declare(count=prod(trained))
    table = ctx.builder.parameter("position.table", shape, scale=learned.init_scale)
    if trained == sizes:
        return table
    resize = ops.Interpolate(tuple(trained), tuple(sizes))
    return ctx.builder(resize, table, name="position.resized")


def _trained_sizes(
    ctx: Context, trained_on: Mapping[str, int], axes: Sequence[Axis], path: Path
) -> list[int]:
    """The grid a table was trained on: the same axes, perhaps of other sizes."""
    ctx.axis_sizes(trained_on, axes, "`trained_on`", path)
    for axis in axes:
        if axis.name not in trained_on:
            raise ctx.error(
                "PG202",
                f"`trained_on` leaves out the axis `{axis.name}`",
                path,
                help=f"give every axis a size: {', '.join(a.name for a in axes)}",
                at_key=True,
            )
        fixed_size(ctx, axis, "resizing a position table", path)
    return [trained_on[axis.name] for axis in axes]
