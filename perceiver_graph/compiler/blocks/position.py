"""Position encodings: Fourier features and learned tables, for whole grids and for chosen queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.context import Axis, Context, Path
from perceiver_graph.compiler.blocks.coordinates import refuse_settings
from perceiver_graph.compiler.blocks.longest import fills, places, resolution
from perceiver_graph.compiler.blocks.ranges import refuse_few_waves
from perceiver_graph.compiler.blocks.requirements import fixed_size
from perceiver_graph.compiler.ir.dims import Shape, product
from perceiver_graph.compiler.ir.graph import Value
from perceiver_graph.spec.models import (
    FourierParameters,
    FourierPosition,
    LearnedPosition,
    Position,
)


def grid_positions(
    ctx: Context,
    position: Position,
    axes: Sequence[Axis],
    channels: int,
    path: Path,
) -> Value:
    """The encoding of every point of a grid, first axis slowest. Shape: [points, width].

    `channels` are those of the tokens that the positions are for.
    """
    _require_axes(ctx, axes, path)
    refuse_settings(ctx, position, path, "these are the positions of a grid")
    counted, b = places(ctx, position, axes, path), ctx.builder
    sizes = tuple(axis.size for axis in axes)
    if None in counted or not fills(axes, counted):
        grid = _Grid(axes, counted, b(ops.Positions(sizes), name="places"))
        encoding = _chosen(ctx, position, grid, channels, path, endpoint=True)
    else:
        known = [size for size in counted if size is not None]
        if isinstance(position, LearnedPosition):
            encoding = _learned_table(ctx, position, axes, known, channels, path)
        else:
            assert isinstance(position, FourierPosition)
            parts = _fourier_tables(ctx, position, axes, known, path, endpoint=True)
            encoding = _on_grid(ctx, axes, known, parts)
        if axes[0].size != known[0]:
            encoding = b(ops.Trim(product(sizes)), encoding, name="position")
    return _project(ctx, position, encoding)


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


@dataclass(frozen=True)
class _Grid:
    """Chosen places of a grid, flat."""

    axes: Sequence[Axis]
    counted: Sequence[int | None]
    where: Value

    @property
    def sizes(self) -> Shape:
        return tuple(axis.size for axis in self.axes)


def query_positions(
    ctx: Context,
    position: Position,
    axes: Sequence[Axis],
    queries: Value,
    path: Path,
) -> Value:
    """The encoding of chosen points of a grid. Shapes: queries int64 [count] -> [count, width]."""
    _require_axes(ctx, axes, path)
    refuse_settings(ctx, position, path, "the queries of a grid have its positions")
    grid = _Grid(axes, places(ctx, position, axes, path), queries)
    return _project(ctx, position, _chosen(ctx, position, grid, None, path, endpoint=False))


def _chosen(
    ctx: Context,
    position: Position,
    grid: _Grid,
    channels: int | None,
    path: Path,
    *,
    endpoint: bool,
) -> Value:
    """The encoding of chosen places. Shape: [count, width]."""
    b, axes, where = ctx.builder, grid.axes, grid.where
    if isinstance(position, FourierPosition) and None in grid.counted:
        waves = _waves(ctx, position, axes, grid.counted, path, endpoint=endpoint)
        features = ops.FourierAt(
            grid.sizes,
            of=tuple(grid.counted),
            bands=position.fourier.bands,
            max_resolution=waves.resolution,
            endpoint=waves.endpoint,
            include_position=position.fourier.include_position,
            sine_only=position.fourier.sine_only,
            periodic=waves.periodic,
        )
        return b(features, where, name="position")
    sizes = [size for size in grid.counted if size is not None]
    if not fills(axes, sizes):
        where = b(ops.Regrid(grid.sizes, tuple(sizes)), where, name="counted")
    if isinstance(position, LearnedPosition):
        table = _learned_table(ctx, position, axes, sizes, channels, path)
        return b(ops.Gather(0), table, where, name="position")
    assert isinstance(position, FourierPosition)
    parts = []
    stride = 1
    strides = [stride := stride * size for size in (1, *reversed(sizes[1:]))][::-1]
    tables = _fourier_tables(ctx, position, axes, sizes, path, endpoint=endpoint)
    for i, table in enumerate(tables):
        along = where
        if len(sizes) > 1:
            along = b(ops.Coordinate(strides[i], sizes[i]), where, name=axes[i].name)
        parts.append(b(ops.Gather(0), table, along, name=f"position.{axes[i].name}"))
    return _sum(ctx, parts)


def _require_axes(ctx: Context, axes: Sequence[Axis], path: Path) -> None:
    if not axes:
        raise ctx.error(
            "PG202",
            "a position encoding needs axes, and a single token has none",
            path,
            help="leave `position` out",
            at_key=True,
        )


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
    fourier = position.fourier
    waves = _waves(ctx, position, axes, sizes, path, endpoint=endpoint)
    return [
        ctx.builder(
            ops.FourierTable(
                size=size,
                axis=i,
                axes=len(axes),
                bands=fourier.bands,
                max_resolution=waves.resolution[i],
                endpoint=waves.endpoint[i],
                include_position=fourier.include_position,
                sine_only=fourier.sine_only,
                periodic=waves.periodic,
            ),
            name=f"fourier.{axis.name}",
        )
        for i, (axis, size) in enumerate(zip(axes, sizes, strict=True))
    ]


@dataclass(frozen=True)
class _Waves:
    """What Fourier features are made with, along each axis."""

    resolution: tuple[float, ...]
    endpoint: tuple[bool, ...]
    periodic: tuple[int, ...]
    """The axes along which the first point follows the last, by number."""


def _waves(
    ctx: Context,
    position: FourierPosition,
    axes: Sequence[Axis],
    counted: Sequence[int | None],
    path: Path,
    *,
    endpoint: bool,
) -> _Waves:
    fourier, path = position.fourier, (*path, "fourier")
    given = fourier.max_resolution or {}
    if not isinstance(given, Mapping):
        given = {axis.name: given for axis in axes}
    ctx.axis_sizes(given, axes, "`max_resolution`", (*path, "max_resolution"))
    found = {
        axis.name: given[axis.name] if axis.name in given else resolution(ctx, axis, size, path)
        for axis, size in zip(axes, counted, strict=True)
    }
    periodic = _periodic(ctx, fourier, axes, found, path)
    endpoint = fourier.endpoint if fourier.endpoint is not None else endpoint
    endpoint = endpoint and len(periodic) < len(axes)
    ctx.derive(found, *path, "max_resolution")
    ctx.derive(endpoint, *path, "endpoint")
    ends = tuple(endpoint and i not in periodic for i in range(len(axes)))
    return _Waves(tuple(map(float, found.values())), ends, periodic)


def _periodic(
    ctx: Context,
    fourier: FourierParameters,
    axes: Sequence[Axis],
    resolution: Mapping[str, float],
    path: Path,
) -> tuple[int, ...]:
    """The axes along which the first point follows the last, by number."""
    ctx.axis_sizes(fourier.periodic, axes, "`periodic`", (*path, "periodic"))
    for name in fourier.periodic:
        refuse_few_waves(ctx, fourier.bands, resolution[name], (*path, "periodic"))
    periodic = tuple(i for i, axis in enumerate(axes) if axis.name in fourier.periodic)
    if fourier.endpoint and len(periodic) == len(axes):
        raise ctx.error(
            "PG221",
            f"with `endpoint` the last point of `{fourier.periodic[0]}` would be the first again",
            (*path, "endpoint"),
            also=[((*path, "periodic"), "periodic here")],
            help="leave it out",
        )
    return periodic


def _sum(ctx: Context, parts: Sequence[Value]) -> Value:
    total = parts[0]
    for part in parts[1:]:
        total = ctx.builder(ops.Add(), total, part, name="position.sum")
    return total


def _project(ctx: Context, position: Position, encoding: Value) -> Value:
    if position.project is None:
        return encoding
    return ctx.builder.linear(encoding, "position.project", position.project)
