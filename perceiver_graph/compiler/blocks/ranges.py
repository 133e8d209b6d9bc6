"""What a spec says of each coordinate that the caller gives: resolutions, ranges, whole frequencies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import frexp
from typing import TypeVar

from perceiver_graph.compiler.blocks.context import Context, Path
from perceiver_graph.diagnostics.words import did_you_mean
from perceiver_graph.spec.models import FourierPosition
from perceiver_graph.spec.models.base import SMALLEST_NUMBER

T = TypeVar("T")


def refuse_few_waves(ctx: Context, bands: int, resolution: float, path: Path) -> None:
    """Whole frequencies must be as many as there are bands (PG221)."""
    if bands > max(int(resolution // 2), 1):
        raise ctx.error(
            "PG221",
            f"up to {resolution / 2:g} there are {int(resolution // 2)} whole frequencies, and "
            f"{bands} bands",
            path,
            also=[((*path[:-1], "bands"), f"{bands} here")],
            help=f"write `bands: {max(int(resolution // 2), 1)}`, or a `max_resolution` of at least "
            f"{2 * bands}",
        )


def known_names(
    ctx: Context, given: Sequence[str], names: tuple[str, ...], path: Path, what: str = "coordinate"
) -> None:
    """Refuse names that no coordinate, or axis, has."""
    kind = "axes" if what == "axis" else f"{what}s"
    for name in given:
        if name in names:
            continue
        way = "`given: [x, y]`, `points: [x, y]`, or `coordinates: [x, y]` beside `inputs`"
        raise ctx.error(
            "PG202",
            f"no {what} is called `{name}`",
            path,
            f"the {kind} here are {', '.join(names) or 'without names'}",
            help=did_you_mean(name, names) or (None if names else f"give them names: {way}"),
        )


def each(
    ctx: Context,
    setting: T | Mapping[str, T],
    names: tuple[str, ...],
    count: int,
    path: Path,
    what: str = "coordinate",
) -> tuple[T, ...]:
    """A setting of each coordinate, or axis, given for all or by name."""
    if not isinstance(setting, Mapping):
        return (setting,) * count
    known_names(ctx, list(setting), names, path, what)
    for name in names:
        if name not in setting:
            raise ctx.error(
                "PG221",
                f"`{path[-1]}` leaves out the {what} `{name}`",
                path,
                help=f"say it of every {what}: {', '.join(names)}",
                at_key=True,
            )
    return tuple(setting[name] for name in names)


def ranges_of(
    ctx: Context, position: FourierPosition, names: tuple[str, ...], count: int, path: Path
) -> tuple[tuple[float, float], ...]:
    """The least and the greatest value of each coordinate; none where they lie in [-1, 1]."""
    if position.range is None:
        return ()
    path = (*path, "range")
    found = []
    for low, high in each(ctx, position.range, names, count, path):
        if not low < high:
            raise ctx.error(
                "PG221",
                f"nothing lies between {low:g} and {high:g}",
                path,
                help=f"write the least value first: `[{min(low, high):g}, {max(low, high):g}]`"
                if low != high
                else "write the least and the greatest value",
            )
        if high - low < SMALLEST_NUMBER:
            raise ctx.error(
                "PG221",
                f"{high - low:.3g} from {low:g} to {high:g} is too little to be divided by in float32",
                path,
                help=f"give the coordinates in a smaller unit: at least {SMALLEST_NUMBER:g} lies "
                "between the least and the greatest value",
            )
        found.append((float(low), float(high)))
    return tuple(found)


def refuse_coarse(
    ctx: Context, bounds: tuple[float, float], told_apart: float, path: Path, instead: str
) -> None:
    """Numbers that are large beside their range have too few digits in float32 (PG221).

    A 32nd of what the shortest wave tells apart turns it by up to 0.05 radians.
    """
    low, high = bounds
    apart = float32_step(low, high)
    if apart > told_apart / 32:
        from_zero = float32_step(0, high - low)
        raise ctx.error(
            "PG221",
            f"in float32, numbers about {high:g} differ by {apart:.3g} or more, too coarse to tell "
            f"{told_apart:.3g} apart, as the features would",
            path,
            help=f"subtract {low:.15g} from what you give: `[0, {high - low:.15g}]`"
            if from_zero < apart and from_zero <= told_apart / 32
            else instead,
        )


def finest(bounds: tuple[float, float]) -> float:
    """How many parts of a range float32 tells apart so, if it is counted from 0."""
    low, high = bounds
    return (high - low) / (32 * float32_step(0, high - low))


def float32_step(low: float, high: float) -> float:
    """How far from each other numbers of float32 are, where they are the largest."""
    return 2.0 ** (frexp(max(abs(low), abs(high)))[1] - 24)
