"""Position encodings: Fourier features and learned tables, for whole grids and for chosen queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.context import Axis, Context, Path
from perceiver_graph.compiler.blocks.coordinates import refuse_few_waves, refuse_settings
from perceiver_graph.compiler.blocks.requirements import fixed_size
from perceiver_graph.compiler.ir import Value
from perceiver_graph.spec.models import (
    FourierParameters,
    FourierPosition,
    LearnedPosition,
    Position,
)


def grid_positions(
    ctx: Context, position: Position, axes: Sequence[Axis], tokens: Value, path: Path
) -> Value:
    """The encoding of every point of a grid, first axis slowest.

    Shapes: tokens [batch, n, channels], which the positions are for -> [n, width].
    """
    _require_axes(ctx, axes, path)
    refuse_settings(ctx, position, path, "these are the positions of a grid")
    if isinstance(position, LearnedPosition):
        encoding = _learned_table(ctx, position, axes, int(tokens.shape[-1]), path)
        if not axes[0].size.is_constant:
            encoding = ctx.builder(ops.TrimLike(1), encoding, tokens, name="position")
    else:
        sizes = _sizes(ctx, axes, path)
        rank = len(sizes)
        parts = _fourier_tables(ctx, position, axes, sizes, path, endpoint=True)
        if rank > 1:  # stretch each table along its own axis of the grid
            parts = [
                ctx.builder(
                    ops.Unflatten(0, (*(1,) * i, sizes[i], *(1,) * (rank - 1 - i))),
                    table,
                    name=f"position.{axes[i].name}",
                )
                for i, table in enumerate(parts)
            ]
        encoding = _sum(ctx, parts)
        if rank > 1:
            encoding = ctx.builder(ops.Flatten(0, rank - 1), encoding, name="position")
    return _project(ctx, position, encoding)


def query_positions(
    ctx: Context, position: Position, axes: Sequence[Axis], queries: Value, path: Path
) -> Value:
    """The encoding of chosen points of a grid. Shapes: queries int64 [count] -> [count, width]."""
    _require_axes(ctx, axes, path)
    refuse_settings(ctx, position, path, "the queries of a grid have its positions")
    if isinstance(position, LearnedPosition):
        table = _learned_table(ctx, position, axes, None, path)
        encoding = ctx.builder(ops.Gather(0), table, queries, name="position")
    else:
        sizes = _sizes(ctx, axes, path)
        parts = []
        stride = 1
        strides = [stride := stride * size for size in (1, *reversed(sizes[1:]))][::-1]
        for i, table in enumerate(
            _fourier_tables(ctx, position, axes, sizes, path, endpoint=False)
        ):
            where = queries
            if len(sizes) > 1:
                where = ctx.builder(
                    ops.Coordinate(strides[i], sizes[i]), queries, name=axes[i].name
                )
            parts.append(ctx.builder(ops.Gather(0), table, where, name=f"position.{axes[i].name}"))
        encoding = _sum(ctx, parts)
    return _project(ctx, position, encoding)


def _require_axes(ctx: Context, axes: Sequence[Axis], path: Path) -> None:
    if not axes:
        raise ctx.error(
            "PG202",
            "a position encoding needs axes, and a single token has none",
            path,
            help="leave `position` out",
            at_key=True,
        )


def _sizes(ctx: Context, axes: Sequence[Axis], path: Path) -> list[int]:
    return [fixed_size(ctx, axis, "a position encoding", path) for axis in axes]


def _largest_sizes(ctx: Context, axes: Sequence[Axis], path: Path) -> list[int]:
    """The sizes of a learned table. One axis may be symbolic: the table has its largest size."""
    if len(axes) == 1 and not axes[0].size.is_constant:
        largest = axes[0].size.bounds()[1]
        if largest is None:
            (symbol, *_) = sorted(s.name for s in axes[0].size.symbols)
            raise ctx.error(
                "PG208",
                f"a learned position table needs a largest size, and `{axes[0].name}` has none",
                path,
                also=[(("dims", symbol), f"`{symbol}` has no `max`")],
                help=f"declare it: `dims: {{{symbol}: {{max: 2048}}}}`",
                at_key=True,
            )
        return [largest]
    return _sizes(ctx, axes, path)


def _learned_table(
    ctx: Context, position: LearnedPosition, axes: Sequence[Axis], channels: int | None, path: Path
) -> Value:
    """A learned vector for each point of a grid. Shape: [points, width]."""
    sizes = _largest_sizes(ctx, axes, path)
    learned = position.learned
    width = learned.width or (channels if position.combine == "add" else None)
    if width is None:
        raise ctx.error(
            "PG205",
            "a learned position table needs a width where it is not added to channels",
            (*path, "learned"),
            help="write `learned: {width: 256}`",
            at_key=True,
        )
    if learned.width is None:
        ctx.derive(width, *path, "learned", "width")
    trained = sizes
    if learned.trained_on is not None:
        trained = _trained_sizes(ctx, learned.trained_on, axes, (*path, "learned", "trained_on"))
    shape = (prod(trained), width)
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
    fourier, path = position.fourier, (*path, "fourier")
    given = fourier.max_resolution or {}
    if not isinstance(given, Mapping):
        given = {axis.name: given for axis in axes}
    ctx.axis_sizes(given, axes, "`max_resolution`", (*path, "max_resolution"))
    resolution = {
        axis.name: given.get(axis.name, float(size)) for axis, size in zip(axes, sizes, strict=True)
    }
    periodic = _periodic(ctx, fourier, axes, resolution, path)
    endpoint = fourier.endpoint if fourier.endpoint is not None else endpoint
    endpoint = endpoint and len(periodic) < len(axes)
    ctx.derive(resolution, *path, "max_resolution")
    ctx.derive(endpoint, *path, "endpoint")
    return [
        ctx.builder(
            ops.FourierTable(
                size=size,
                axis=i,
                axes=len(axes),
                bands=fourier.bands,
                max_resolution=float(resolution[axis.name]),
                endpoint=endpoint and i not in periodic,
                include_position=fourier.include_position,
                sine_only=fourier.sine_only,
                periodic=periodic,
            ),
            name=f"fourier.{axis.name}",
        )
        for i, (axis, size) in enumerate(zip(axes, sizes, strict=True))
    ]


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
