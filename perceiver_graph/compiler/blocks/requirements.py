"""What blocks require of the arrays they get, and the diagnostics where that is not so."""

from __future__ import annotations

from collections.abc import Sequence

from perceiver_graph.compiler.blocks.context import CHANNEL, Axis, Context, Field, Path, shape_note
from perceiver_graph.compiler.blocks.placing import as_features, position_for
from perceiver_graph.diagnostics.words import nearest, slips_of
from perceiver_graph.spec.render import inline

_CHANNELS = ("channels", "chan", "ch", "c", "features", "feature", "colour", "color", "rgb", "dim")
"""What others call the axis of the features."""


def fixed_size(ctx: Context, axis: Axis, what: str, path: Path) -> int:
    """The size of an axis as a number; symbols are refused."""
    if axis.size.value is None:
        raise ctx.error(
            "PG208",
            f"{what} needs a fixed size, and the axis `{axis.name}` is {axis.size}",
            path,
            also=[
                (("dims", symbol.name), f"`{symbol.name}` is known only at run time")
                for symbol in sorted(axis.size.symbols, key=lambda symbol: symbol.name)
                if symbol.name in ctx.spec.dims
            ],
            help=f"write a number for `{axis.name}`",
            at_key=True,
        )
    return axis.size.value


def require_float(ctx: Context, x: Field, what: str, path: Path) -> None:
    """Refuse ids (PG211)."""
    if x.value.dtype == "int64":
        raise ctx.error(
            "PG211",
            f"{what} needs numbers, and this input holds ids",
            path,
            help="turn ids into vectors first with `embedding` or `one_hot`",
            at_key=True,
        )


def require_channel(ctx: Context, x: Field, what: str, path: Path) -> None:
    """Refuse ids and arrays without channels (PG206)."""
    require_float(ctx, x, what, path)
    if CHANNEL not in x.names:
        raise ctx.error(
            "PG206",
            f"{what} needs a `channel` axis, and there is none",
            path,
            notes=[shape_note(x.axes)],
            help=_channel_or_features(ctx, x, str(path[1])),
            at_key=True,
        )


def _channel_or_features(ctx: Context, x: Field, name: str) -> str:
    """How to say that each place holds a number, with what tells them apart; or that all are one token."""
    spec, heads = ctx.inputs[name], ctx.spec.attention("encode").heads
    help = channel_help(x.names, "where each place holds one number")
    if "add" not in help:
        return help
    if spec.position is None:
        help += f", with `position: {position_for([axis.size for axis in x.index], None, heads)}`"
    features = as_features(spec)
    return f"write {features}; or {help}" if features else help


def channel_help(names: Sequence[str], why: str) -> str:
    """An axis that was meant to be the channels goes before a new one: the data would not fit it.

    What is only a little like it may be another, and is told with both.
    """
    sure = [name for name in names if name in _CHANNELS or slips_of(name, [CHANNEL])]
    like = sure or [name for name in names if nearest(name, [CHANNEL])]
    new = f"add `{CHANNEL}: 1` as the last axis of the shape, {why}"
    if not like:
        return new
    asked = (
        f"did you mean `{CHANNEL}` for `{like[-1]}`? It is the name of the last axis, the features"
    )
    return asked if sure else f"{asked}. If not, {new}"


def _without_channels(ctx: Context, path: Path, other: str) -> str:
    """How ids are written whose shape has channels: one number of a token is no axis, several are."""
    spec = ctx.inputs[str(path[1])]
    if path[2:4] != ("steps", 0) or [*spec.shape][-1:] != [CHANNEL]:
        return f"leave `channel` out of the shape and put this step first{other}"
    count, rest = spec.shape[CHANNEL], {a: n for a, n in spec.shape.items() if a != CHANNEL}
    bare = f"`shape: {inline(rest)}`"
    if count in (1, spec.steps[0].vocabulary):
        return f"leave `channel` out of the shape: {bare}" + (", a single id" if not rest else "")
    if other:
        return f"leave `channel` out of the shape: {bare} for one id of a token{other}"
    several = f"{bare} for one id{' a place' if rest else ''}, or `shape: {inline(rest | {'token': count})}`"
    return f"leave `channel` out of the shape: {several} for {count}"


def require_ids(ctx: Context, x: Field, what: str, path: Path, other: str = "") -> None:
    """Refuse numbers where ids are looked up (PG211). `other` is what else may be meant, as a help."""
    if x.value.dtype != "int64" or CHANNEL in x.names:
        raise ctx.error(
            "PG211",
            f"{what} looks ids up, and must be the first step of an input without channels",
            path,
            notes=[shape_note(x.axes)],
            help=_without_channels(ctx, path, other),
            at_key=True,
        )
