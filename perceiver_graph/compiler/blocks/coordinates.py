"""Positions given as data: coordinates of tokens, or of the points that an output is asked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeGuard

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.context import (
    CHANNEL,
    Axis,
    Context,
    Coordinates,
    Field,
    PartError,
    Path,
    shape_note,
)
from perceiver_graph.compiler.blocks.places import fold
from perceiver_graph.compiler.blocks.ranges import ranges_of
from perceiver_graph.compiler.blocks.requirements import channel_help
from perceiver_graph.compiler.blocks.symbols import add_count
from perceiver_graph.compiler.blocks.waves import Waves, waves_of_coordinates
from perceiver_graph.compiler.ir.dims import Dim, Symbol, shape_of
from perceiver_graph.compiler.ir.graph import Value
from perceiver_graph.diagnostics.words import did_you_mean
from perceiver_graph.spec.models import (
    FourierPosition,
    Input,
    PointsQuery,
    Position,
    RotaryCoordinates,
    RotaryPosition,
)

GIVEN = ".position"
"""Ends the name of the array in which an input's own coordinates are given."""
Given = FourierPosition | RotaryCoordinates
"""What says where coordinates come from."""
POINTS = ".points"
"""Ends the name of the array in which the points of an output are given."""


def is_given(position: Position | None) -> TypeGuard[FourierPosition]:
    """Whether a position is made of coordinates that the caller gives, not of a grid."""
    return isinstance(position, FourierPosition) and (
        position.given is not None or position.inputs is not None
    )


def refuse_settings(ctx: Context, position: FourierPosition, path: Path, what: str) -> None:
    """Refuse what is said of given coordinates where there are none (PG220)."""
    for key in ("given", "inputs", "coordinates", "range"):
        if getattr(position, key) is not None:
            raise ctx.error(
                "PG220",
                f"`{key}` is for coordinates that the caller gives, and {what}",
                (*path, key),
                help="leave it out",
                at_key=True,
            )


def readers(inputs: Mapping[str, Input]) -> dict[str, list[str]]:
    """The inputs that are coordinates, each with those whose positions they are."""
    found: dict[str, list[str]] = {}
    for name, spec in inputs.items():
        source = _input_of(spec.position)
        if source in inputs:
            found.setdefault(str(source), []).append(name)
    return found


def _input_of(position: Position | None) -> str | None:
    """The input that holds the coordinates of a position, if one does."""
    if isinstance(position, RotaryPosition):
        return position.rotary.inputs
    return position.inputs if isinstance(position, FourierPosition) else None


def coordinate_input(ctx: Context, name: str, of: Sequence[str]) -> None:
    """An input that holds the coordinates of the tokens of others."""
    spec, path = ctx.inputs[name], ("inputs", name)
    axes = tuple(Axis(a, ctx.size(s, *path, "shape", a)) for a, s in spec.shape.items())
    user: Path = ("inputs", of[0], "position", "inputs")
    if isinstance(ctx.inputs[of[0]].position, RotaryPosition):
        user = (*user[:-1], "rotary", "inputs")
    for key in ("steps", "position", "mask", "attention_mask"):
        if getattr(spec, key):
            raise ctx.error(
                "PG220",
                f"`{name}` holds coordinates, which are read as they are: it takes no `{key}`",
                (*path, key),
                also=[(user, f"the positions of `{of[0]}`")],
                help=f"leave `{key}` out, or give `{of[0]}` coordinates of its own: `given`",
                at_key=True,
            )
    if not axes or axes[-1].name != CHANNEL or axes[-1].size.value is None:
        raise ctx.error(
            "PG206",
            f"the coordinates in `{name}` need a `channel` axis of a fixed size, last",
            (*path, "shape"),
            also=[(user, f"the positions of `{of[0]}`")],
            notes=[shape_note(axes)],
            help="write a number for `channel`, the last axis"
            if CHANNEL in spec.shape
            else channel_help([*spec.shape], "a channel for each coordinate"),
            at_key=True,
        )
    with ctx.builder.at(ctx.document.key_span(*path, "shape")):
        _declare(ctx, name, axes, tuple(of))


def _declare(ctx: Context, name: str, axes: tuple[Axis, ...], beside: tuple[str, ...]) -> None:
    sizes = shape_of(ctx.symbols["batch"], *(axis.size for axis in axes))
    named = ("batch", *(axis.name for axis in axes))
    data = ctx.builder.input(name, "data", name, named, sizes, "float32", beside)
    ctx.coordinates[name] = Coordinates(data, axes, beside)


def given_positions(
    ctx: Context, name: str, position: FourierPosition, index: tuple[Axis, ...], path: Path
) -> Value:
    """Features of the coordinates of each token of an input.

    Shapes: coordinates [batch, *index, coordinates] -> [batch, tokens, width], with the places in the batch.
    """
    _refuse_longest(ctx, position, path)
    array, names = source_of(ctx, name, position, index, path)
    found = ctx.coordinates[array]
    return for_tokens(ctx, found, _features(ctx, array, position, names, path))


def for_tokens(ctx: Context, found: Coordinates, value: Value) -> Value:
    """What is made of coordinates, a row for each token, with the places in the batch.

    Shapes: [batch, ..., width] -> [batch, n, width].
    """
    field, _ = fold(ctx, Field(value, found.axes), "position.folded")
    value, rank = field.value, len(field.index)
    if rank == 0:
        return ctx.builder(ops.Unflatten(1, (1, None)), value, name="position.tokens")
    if rank > 1:
        return ctx.builder(ops.Flatten(1, rank), value, name="position.tokens")
    return value


def _refuse_longest(ctx: Context, position: FourierPosition, path: Path) -> None:
    if position.fourier.of is not None:
        raise ctx.error(
            "PG220",
            "`of` counts the places of a grid, and these coordinates are given",
            (*path, "fourier", "of"),
            help="leave it out",
            at_key=True,
        )


def source_of(
    ctx: Context, name: str, position: Given, index: tuple[Axis, ...], path: Path
) -> tuple[str, tuple[str, ...]]:
    """The array that holds the coordinates, and what these are called, if they have names."""
    if position.inputs is None:
        if position.coordinates is not None:
            raise ctx.error(
                "PG220",
                "coordinates that are given have their names in `given`",
                (*path, "coordinates"),
                also=[((*path, "given"), "here")],
                help=f"write `given: [{', '.join(position.coordinates)}]`",
                at_key=True,
            )
        assert position.given is not None
        names, count = named(position.given)
        _declare(ctx, name + GIVEN, (*index, Axis(CHANNEL, Dim.of(count))), (name,))
        return name + GIVEN, names
    if position.given is not None:
        raise ctx.error(
            "PG220",
            "coordinates are `given`, or those of an input, and not both",
            (*path, "given"),
            also=[((*path, "inputs"), "the other ones")],
            help="leave one of the two out",
            at_key=True,
        )
    return _of_input(ctx, name, position, index, path)


def _of_input(
    ctx: Context, name: str, position: Given, index: tuple[Axis, ...], path: Path
) -> tuple[str, tuple[str, ...]]:
    source = str(position.inputs)
    if source not in ctx.inputs or source == name:
        others = [other for other in ctx.inputs if other != name]
        raise ctx.error(
            "PG201",
            "an input cannot be its own position"
            if source == name
            else f"there is no input `{source}` with coordinates",
            (*path, "inputs"),
            f"the other inputs are {', '.join(others) or 'none'}",
            help=did_you_mean(source, others)
            or f"have them given as `{name}{GIVEN}`: write `given: [x]` in place of `inputs`",
        )
    if source not in ctx.coordinates:
        raise PartError()  # it has an error of its own, already reported
    axes = ctx.coordinates[source].axes
    if axes[:-1] != index:
        raise ctx.error(
            "PG220",
            f"the coordinates in `{source}` are not one position for each token of `{name}`",
            (*path, "inputs"),
            also=[(("inputs", source, "shape"), f"positions of {_sizes(axes[:-1])}")],
            notes=[f"after its steps `{name}` has tokens of {_sizes(index)}"],
            help=f"write `shape: {{{', '.join([*map(_item, index), f'channel: {axes[-1].size}'])}}}`"
            f" for `{source}`",
        )
    names = tuple(position.coordinates or ())
    if names and axes[-1].size != len(names):
        raise ctx.error(
            "PG220",
            f"`{source}` has {axes[-1].size} coordinates, and not {len(names)}",
            (*path, "coordinates"),
            also=[(("inputs", source, "shape", CHANNEL), f"{axes[-1].size} coordinates")],
            help="name every channel, in their order",
        )
    return source, names


def _sizes(axes: tuple[Axis, ...]) -> str:
    return ", ".join(map(str, axes)) or "no axes"


def _item(axis: Axis) -> str:
    return f"{axis.name}: {axis.size}"


def named(given: int | list[str]) -> tuple[tuple[str, ...], int]:
    """What coordinates are called, if they have names, and how many there are."""
    return ((), given) if isinstance(given, int) else (tuple(given), len(given))


def declare_points(ctx: Context, name: str, query: PointsQuery) -> tuple[str, Axis]:
    """The array of the points that the caller gives, and the axis that counts them."""
    _, count = named(query.points)
    symbol = Symbol(f"{name}_points")
    add_count(ctx, symbol, name, f"points `{name}` is asked at")
    axes = (Axis("point", Dim.of(symbol)), Axis(CHANNEL, Dim.of(count)))
    array = name + POINTS
    sizes = shape_of(ctx.symbols["batch"], *(axis.size for axis in axes))
    points = ctx.builder.input(array, "points", name, ("batch", "point", CHANNEL), sizes, "float32")
    ctx.coordinates[array] = Coordinates(points, axes, (), name)
    return array, axes[0]


def point_features(
    ctx: Context, array: str, query: PointsQuery, position: FourierPosition, path: Path
) -> Value:
    """What queries are made of, from points that the caller gives.

    Shapes: points [batch, points, coordinates] -> [batch, points, width].
    """
    for key in ("given", "inputs", "coordinates"):
        if getattr(position, key) is not None:
            raise ctx.error(
                "PG220",
                f"the points are the coordinates, so there is no `{key}` of them",
                (*path, "position", key),
                also=[((*path, "points"), "here")],
                help="leave it out",
                at_key=True,
            )
    names, _ = named(query.points)
    return _features(ctx, array, position, names, (*path, "position"))


def _features(
    ctx: Context, array: str, position: FourierPosition, names: tuple[str, ...], path: Path
) -> Value:
    """Shapes: coordinates [batch, ..., coordinates] -> [batch, ..., width]."""
    found = ctx.coordinates[array]
    count = int(found.axes[-1].size)
    fourier = position.fourier
    inner = (*path, "fourier")
    if fourier.endpoint is not None:
        raise ctx.error(
            "PG220",
            "`endpoint` is for the points of a grid, and these coordinates are given",
            (*inner, "endpoint"),
            help="leave it out: -1 is -1, and 1 is 1",
            at_key=True,
        )
    ranges = ranges_of(ctx, position, names, count, path)
    waves = waves_of_coordinates(ctx, position, names, ranges, count, path)
    _note(ctx, array, names, ranges, waves)
    features = ops.FourierFeatures(
        waves.bands,
        waves.alike,
        count,
        ranges=() if waves.lengths else ranges,
        wavelengths=waves.lengths,
        **waves.switches,
    )
    value = ctx.builder(features, found.data, name="position")
    if position.project is not None:
        value = ctx.builder.linear(value, "position.project", position.project)
    return value


def _note(
    ctx: Context,
    array: str,
    names: tuple[str, ...],
    ranges: tuple[tuple[float, float], ...],
    waves: Waves,
) -> None:
    """The ranges and periods that the runtime checks: those that suit all inputs with these positions."""
    periodic, shortest = waves.periodic, waves.shortest
    found = ctx.coordinates[array]
    count = int(found.axes[-1].size)
    wraps = [(ranges or ((-1.0, 1.0),) * count)[i] if i in periodic else None for i in range(count)]
    if found.periods:
        pairs = zip(found.periods, wraps, strict=True)
        wraps = [before if before == now else None for before, now in pairs]
        shortest = min(shortest, found.shortest) if shortest and found.shortest else None
    found = replace(found, names=found.names or names, periods=tuple(wraps), shortest=shortest)
    ctx.coordinates[array] = found
    if not ranges:
        return
    here: list[tuple[float, float] | None] = [
        None if i in periodic else bounds for i, bounds in enumerate(ranges)
    ]
    for i, before in enumerate(found.ranges):
        now = here[i]
        if before is not None:
            here[i] = before if now is None else (max(before[0], now[0]), min(before[1], now[1]))
    ctx.coordinates[array] = replace(found, ranges=tuple(here))
