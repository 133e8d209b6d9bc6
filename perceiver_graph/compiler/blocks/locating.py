"""Where tokens, latents and queries are: what rotary positions turn attention by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from perceiver_graph.compiler.blocks.context import Axis, Context, Path
from perceiver_graph.compiler.blocks.coordinates import GIVEN, POINTS, is_given, named, source_of
from perceiver_graph.compiler.blocks.located import Located, Stretch
from perceiver_graph.compiler.blocks.places import along
from perceiver_graph.compiler.blocks.ranges import each
from perceiver_graph.compiler.ir.dims import Dim, product
from perceiver_graph.compiler.ir.graph import Value
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.ops.lazy import np
from perceiver_graph.spec.models import Input, Latents, PointsQuery, RotaryPosition

LATENT = "latent"
"""The axis that counts latents."""


def tokens_at(ctx: Context, name: str, spec: Input, index: tuple[Axis, ...], count: Dim) -> Stretch:
    """Where the tokens of an input are, which `index` counts at all places together.

    Raises (reports) PG220 for rotary positions of nothing.
    """
    path: Path = ("inputs", name)
    places = Stretch(f"the tokens of `{name}`", path, count, along(ctx, index))
    position = spec.position
    if isinstance(position, RotaryPosition):
        array, names = _rotary(ctx, name, position, index, (*path, "position"))
    elif is_given(position):
        array = position.inputs or name + GIVEN
        given = position.coordinates if position.inputs else position.given
        names, _ = named(given or [])
    else:
        return places
    found = ctx.coordinates[array]
    ctx.coordinates[array] = replace(found, names=found.names or names)
    rotary = isinstance(position, RotaryPosition)
    return replace(places, coordinates=found.data, names=names, array=array, rotary=rotary)


def _rotary(
    ctx: Context, name: str, position: RotaryPosition, index: tuple[Axis, ...], path: Path
) -> tuple[str, tuple[str, ...]]:
    """The array of the coordinates that attention turns by, and what these are called."""
    # What is said as it is where it is left out, as a resolved spec does, asks for nothing.
    for key in ("combine", "project"):
        if getattr(position, key) != type(position).model_fields[key].default:
            raise ctx.error(
                "PG220",
                f"`{key}` is for positions that are attached to tokens, and attention turns by these",
                (*path, key),
                help="leave it out",
                at_key=True,
            )
    source, path = position.rotary, (*path, "rotary")
    if source.given is None and source.inputs is None:
        names = [axis.name for axis in index]
        several = f", `rotary: {{of: [{', '.join(names)}]}}`" if len(names) > 1 else ""
        raise ctx.error(
            "PG220",
            "nothing says where the coordinates come from",
            path,
            help="leave `position` out: attention then turns by the number of each token, or by its places"
            f"{several}; where the caller gives coordinates, write `given: [time]`",
            at_key=True,
        )
    return source_of(ctx, name, source, index, path)


def latents_at(ctx: Context, made: Latents) -> Located:
    """Where learned latents are: by number, or evenly spread over a range, as their places are if they
    stand at some: along each axis in its own range. Raises (reports) PG220 for a range that says nothing,
    PG202 and PG221 for one that names other axes."""
    total = product(tuple(axis.size for axis in ctx.latent_axes))
    places = Stretch("the latents", ("latents",), total, ctx.latent_axes)
    if made.range is None:
        return Located("latent", (places,), own=True)
    assert isinstance(made.count, int)
    sizes = made.per or {LATENT: made.count}
    path: Path = ("latents", "range")
    named_apart = isinstance(made.range, Mapping)
    if named_apart and made.per is None:
        raise ctx.error(
            "PG220",
            "latents that stand at no places lie on one line, and this names axes",
            path,
            help="write `range: [LEAST, GREATEST]`, or the axes and how many places there are along each "
            "of them: `per: {height: 16, width: 16}`",
            at_key=True,
        )
    ranges = each(ctx, made.range, tuple(sizes), len(sizes), path, "axis")
    lines = [
        _spread(ctx, one, count, path) for one, count in zip(ranges, sizes.values(), strict=True)
    ]
    grid = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1).reshape(-1, len(lines))
    rows = np.repeat(grid, made.total // len(grid), axis=0).astype(np.float32)
    with ctx.builder.inside("rotary"):
        value = ctx.builder.constant("latents", rows)
    names = tuple(sizes) if named_apart or len(sizes) > 1 else ()
    return Located("latent", (replace(places, coordinates=value, names=names, rotary=True),))


def _spread(ctx: Context, bounds: Sequence[float], count: int, path: Path) -> Array:
    """Points of a range, each in the middle of its share."""
    low, high = bounds
    if not low < high:
        raise ctx.error(
            "PG220",
            f"nothing lies between {low:g} and {high:g}",
            path,
            help=f"write the least value first: `[{high:g}, {low:g}]`"
            if low > high
            else "write the least and the greatest value",
        )
    return low + (high - low) * (np.arange(count, dtype=np.float64) + 0.5) / count


def latents_over(ctx: Context, over: str, *, joined: bool) -> Located:
    """Where latents of all places along an axis are: by number, or by their places along it."""
    (axis,) = (axis for axis in ctx.places if axis.name == over)
    axes = (axis,) if joined else (axis, *ctx.latent_axes)
    count = product(tuple(one.size for one in axes))
    return Located("latent", (Stretch("the latents", ("latents",), count, axes),), own=True)


def queries_at(name: str, axes: tuple[Axis, ...], count: Dim, indices: Value | None) -> Located:
    """Where queries are that are counted by themselves, on a grid or not."""
    what, path = f"the queries of `{name}`", ("outputs", name, "query")
    return Located("query", (Stretch(what, path, count, axes, chosen=indices),), own=True)


def points_at(ctx: Context, name: str, query: PointsQuery, count: Dim) -> Located:
    """Where the points are that the caller gives."""
    found = ctx.coordinates[name + POINTS]
    names, _ = named(query.points)
    what, path = f"the points of `{name}`", ("outputs", name, "query")
    places = Stretch(
        what, path, count, coordinates=found.data, names=names, array=name + POINTS, rotary=True
    )
    return Located("query", (places,))
