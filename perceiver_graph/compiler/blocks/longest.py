"""How many places a position encoding covers: the size of an axis, or the largest that it may have.

Positions are of one of two kinds. Counted ones are rows of a table, or coordinates of an index: the
i-th place has the same at every size, and there is a longest. Stretched ones are coordinates from
-1 to 1 over the size at hand, as in the papers, and need no longest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perceiver_graph.compiler.blocks.context import Axis, Context, Path
from perceiver_graph.compiler.ir.dims import Undecidable


def places_counted(
    ctx: Context,
    of: int | Mapping[str, int] | None,
    axes: Sequence[Axis],
    path: Path,
    *,
    stretched: bool = False,
) -> list[int | None]:
    """Of each axis, how many places positions are counted to, perhaps those that the spec says they
    are `of`; None where they are stretched, if they may be."""
    given = _given(ctx, of, axes, (*path, "of"))
    found: list[int | None] = []
    for axis in axes:
        largest = longest(axis)
        if axis.name in given:
            found.append(given[axis.name])
            if largest is None or given[axis.name] < largest:
                raise _too_few(ctx, axis, given[axis.name], largest, (*path, "of"))
        elif axis.size.is_constant or not stretched:
            found.append(_required(ctx, axis, "a learned position table", "of", path))
        else:
            found.append(None)
    if not stretched and any(not axis.size.is_constant for axis in axes):
        ctx.derive({a.name: n for a, n in zip(axes, found, strict=True)}, *path, "of")
    return found


def longest(axis: Axis) -> int | None:
    """The largest size that an axis may have, if there is one."""
    try:
        return axis.size.bounds()[1]
    except Undecidable:
        return None


def fills(axes: Sequence[Axis], counted: Sequence[int | None]) -> bool:
    """Whether positions lie one after the other in a grid of the longest sizes: all but the first
    axis are as long as can be."""
    return all(axis.size == size for axis, size in zip(axes[1:], counted[1:], strict=True))


def resolution(ctx: Context, axis: Axis, counted: int | None, path: Path) -> float:
    """What `max_resolution` stands for where it is left out: the size, or the longest."""
    return float(counted or _required(ctx, axis, "`max_resolution`", "max_resolution", path))


def _given(
    ctx: Context, of: int | Mapping[str, int] | None, axes: Sequence[Axis], path: Path
) -> Mapping[str, int]:
    if not isinstance(of, int):
        ctx.axis_sizes(of or {}, axes, "`of`", path)
        return of or {}
    if len(axes) > 1:
        names = ", ".join(f"{axis.name}: {of}" for axis in axes if not axis.size.is_constant)
        raise ctx.error(
            "PG202",
            f"there are {len(axes)} axes, and `of` gives one size",
            path,
            help=f"say which axis it is of: `of: {{{names or f'{axes[0].name}: {of}'}}}`",
        )
    return {axes[0].name: of}


def _required(ctx: Context, axis: Axis, what: str, key: str, path: Path) -> int:
    largest = longest(axis)
    if largest is None:
        symbol = min(axis.size.symbols, key=lambda symbol: symbol.name)
        raise ctx.error(
            "PG208",
            f"{what} needs a largest size, and `{axis.name}` has none",
            path,
            also=[(("dims", symbol.name), f"`{symbol.name}` has no `max`")]
            if symbol.name in ctx.spec.dims
            else [],
            help=f"declare it: `dims: {{{symbol.declaration(most=2048)}}}`"
            + (f", or write `{key}: {{{axis.name}: 2048}}`" if key == "max_resolution" else ""),
            at_key=True,
        )
    return largest


def _too_few(ctx: Context, axis: Axis, given: int, largest: int | None, path: Path) -> Exception:
    most = "has no largest size" if largest is None else f"can have {largest}"
    if axis.size.is_constant:
        most = f"has {largest}"
    return ctx.error(
        "PG218",
        f"there are positions for {given} places, and the axis `{axis.name}` {most}",
        path,
        also=ctx.declarations(axis.size),
        help="declare a `max` for its size"
        if largest is None
        else f"write `of: {largest}`, or leave it out",
    )
