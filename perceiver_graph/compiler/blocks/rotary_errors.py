"""What is said where rows have no positions to be turned by, or others than what they read."""

from __future__ import annotations

from collections.abc import Sequence

from perceiver_graph.compiler.blocks.context import Context, PartError
from perceiver_graph.compiler.blocks.located import Located, Stretch
from perceiver_graph.compiler.blocks.rotary_config import RotaryConfig
from perceiver_graph.diagnostics.words import did_you_mean, joined


def no_positions(
    ctx: Context, config: RotaryConfig, part: Stretch, which: str, known: Sequence[str] = ()
) -> PartError:
    """Rows without the position that is asked for, with those that are `known`."""
    return ctx.error(
        "PG220",
        f"{part.what} have no position {which}",
        config.at,
        f"their positions are called {joined(known)}" if known else "",
        also=[(part.path, "these")],
        help=(did_you_mean(config.of, known) if config.of else None)
        or (_ways_of_several(part) if config.is_share else _ways(part)),
        at_key=config.of is None,
    )


def on_a_line(ctx: Context, config: RotaryConfig, part: Stretch) -> PartError:
    """Rows with one coordinate, which cannot stand for several."""
    return ctx.error(
        "PG220",
        f"{part.what} have one coordinate, and are turned by several positions",
        (*config.path, "of"),
        also=[(part.path, "these")],
        help=_ways_of_several(part),
    )


def own_numbers(
    ctx: Context, config: RotaryConfig, one: Located, other: Located, *, counted: bool
) -> PartError:
    """Rows whose numbers count themselves alone; whether what they read is `counted`."""
    ways, axis = _ways(one.parts[0]), _common_axis(other, other)
    if one.parts[0].path[0] == "latents" and axis and counted:
        ways = (
            f"say where they lie along `{axis}`: `range: [0, 1]` under `latents` and "
            f"`rotary: {{of: {axis}}}`, or write `rotary: false` here"
        )
    return ctx.error(
        "PG220",
        f"{one.what} have no positions among {other.what}",
        config.path,
        also=[(one.parts[0].path, "these"), (other.parts[0].path, "what they are turned against")],
        help=ways,
        at_key=True,
    )


def other_units(ctx: Context, config: RotaryConfig, one: Located, other: Located) -> PartError:
    """Numbers of tokens, and seconds, say, do not differ by anything that means something."""
    counted, there = one.parts[0], other.parts[0]
    axis = _common_axis(one, other)
    so = (
        f"; where `{axis}` counts in the same unit, `rotary: {{of: {axis}}}` says so"
        if axis
        else ""
    )
    return ctx.error(
        "PG220",
        f"{one.what} are turned by their numbers 0, 1, 2 ..., and {other.what} by where they lie",
        config.path,
        also=[(counted.path, "counted"), (there.path, "at coordinates")],
        help=_ways(counted) + so,
        at_key=True,
    )


def _common_axis(one: Located, other: Located) -> str:
    """An axis of all that are counted, which may be meant as the coordinate of the others; or nothing."""
    names = [{axis.name for axis in part.axes} for part in one.parts]
    names += [set(part.names) for part in other.parts if part.names]
    return min(set.intersection(*names), default="")


def _ways(part: Stretch) -> str:
    """How rows get a position."""
    if part.path[0] == "latents":
        return "say where they lie: `range: [0, 1]` under `latents`, or write `rotary: false` here"
    if part.path[0] == "outputs":
        return "ask at `points`, at a grid, or for the tokens of `inputs`, or write `rotary: false` here"
    return "let the caller give it: `position: {rotary: {given: [time]}}`"


def _ways_of_several(part: Stretch) -> str:
    """How rows get several positions."""
    if part.path[0] != "latents":
        return _ways(part).replace("[time]", "[x, y]")
    return (
        "let latents stand at places that have them, `per: {height: 16, width: 16}` and `range: [0, 224]` "
        "under `latents`, or be tokens, `latents: {of: NAME, last: ...}`, which lie where these do, or "
        "write `rotary: false` here"
    )
