"""Rotary positions: which angles queries and keys are rotated by, and the rotation itself.

Angles are waves of positions, as Fourier features are, so both are made in the same way: a row of a table
for places on a grid, and features of coordinates that the caller gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.builder import GraphBuilder
from perceiver_graph.compiler.blocks.context import Axis, Context
from perceiver_graph.compiler.blocks.coordinates import for_tokens
from perceiver_graph.compiler.blocks.located import Located, Stretch
from perceiver_graph.compiler.blocks.longest import longest
from perceiver_graph.compiler.blocks.places import at_each
from perceiver_graph.compiler.blocks.rotary_config import RotaryConfig
from perceiver_graph.compiler.blocks.rotary_errors import (
    no_positions,
    on_a_line,
    other_units,
    own_numbers,
)
from perceiver_graph.compiler.blocks.stages import LATENTS
from perceiver_graph.compiler.ir.dims import Dim, product
from perceiver_graph.compiler.ir.graph import Value
from perceiver_graph.diagnostics.words import joined

LARGEST_TABLE = 2**22
"""Numbers of a table of waves; a longer axis has them computed for each place instead."""


@dataclass(frozen=True)
class Rotation:
    """The waves by which rows and what they read are turned, [n, w] or [batch, n, w]; none by default."""

    config: RotaryConfig | None = None
    rows: Value | None = None
    read: Value | None = None

    def queries(self, b: GraphBuilder, q: Value) -> Value:
        """Shapes: [.., n, heads * d] -> the same, with a batch where positions have one."""
        if self.config is None or self.rows is None:
            return q
        if q.type.rank < self.rows.type.rank:
            q = b(ops.Broadcast(self.rows.shape[:1]), q, name="query_batch")
        return b(
            ops.Rotary(self.config.heads, self.config.order), q, self.rows, name="query_turned"
        )

    def keys(self, b: GraphBuilder, k: Value, name: str = "key_turned") -> Value:
        """Shapes: [batch, m, key_heads * d] -> the same."""
        if self.config is None or self.read is None:
            return k
        return b(ops.Rotary(self.config.key_heads, self.config.order), k, self.read, name=name)

    def values(self, b: GraphBuilder, v: Value) -> Value:
        """Turned as keys are, if values are to be. Shapes: [batch, m, key_heads * e] -> the same."""
        return self.keys(b, v, "value_turned") if self.config and self.config.values else v

    def result(self, b: GraphBuilder, attended: Value) -> Value:
        """Turned back as queries were, if values were. Shapes: [batch, n, heads * e] -> the same."""
        if self.config is None or self.rows is None or not self.config.values:
            return attended
        back = ops.Rotary(self.config.heads, self.config.order, inverse=True)
        return b(back, attended, self.rows, name="turned_back")

    def with_rows(self, ctx: Context) -> Rotation:
        """For rows that read themselves behind what they read."""
        if self.rows is None or self.read is None:
            return self
        with ctx.builder.inside("rotary"):
            both = _of_samples(ctx, [self.read, self.rows])
            return replace(self, read=ctx.builder(ops.Concat(-2), *both, name="waves_of_both"))


NO_ROTATION = Rotation()


def rotation_of(
    ctx: Context, config: RotaryConfig, rows: Located | None, read: Located | None
) -> Rotation:
    """The waves for rows and for what they read. Raises (reports) PG220 where these have no positions, or
    rows have numbers that count themselves alone."""
    if rows is None or read is None:
        raise ctx.error("PG220", "nothing says where these rows are", config.path, at_key=True)
    for one, other in ((rows, read), (read, rows)) if rows is not read else ():
        for share in config.each:
            _check_units(ctx, share, one, other)
    return Rotation(config, waves(ctx, config, rows), waves(ctx, config, read))


def _check_units(ctx: Context, config: RotaryConfig, one: Located, other: Located) -> None:
    """Raises (reports) PG220 for rows that are counted where others are not, or cannot be."""
    if _number(ctx, config, one):
        if one.own:
            counted = _number(ctx, config, other)
            raise own_numbers(ctx, config, one, other, counted=counted)
        if _lies_somewhere(ctx, config, other):
            raise other_units(ctx, config, one, other)


def waves(ctx: Context, config: RotaryConfig, located: Located) -> Value:
    """The sines and cosines of the angles of rows, made once. Shape: [n, w] or [batch, n, w]."""
    key = (located, tuple(one.of for one in config.each), config.pairs, config.ends)
    if key in ctx.waves:
        return ctx.waves[key]
    if config.shares:
        ctx.waves[key] = _shared(ctx, config, located)
        return ctx.waves[key]
    b, name = ctx.builder, f"{located.name}_waves"
    if located.chosen is not None:
        whole = waves(ctx, config, replace(located, name="input", chosen=None))
        with b.at(ctx.key_span(*config.path)), b.inside(LATENTS):
            rows = ops.Gather(0) if whole.type.rank == 2 else ops.Choose()
            found = b(rows, whole, located.chosen, name=name)
    elif located.last is None and located.but_last is None:
        with b.at(ctx.key_span(*config.path)), b.inside("rotary"):
            found = _made(ctx, config, located, name)
    else:
        whole = waves(ctx, config, replace(located, name="input", last=None, but_last=None))
        scope = LATENTS if located.last else "rotary"
        with b.at(ctx.key_span(*config.path)), b.inside(scope):
            stop = None if located.but_last is None else -located.but_last
            some = ops.Slice(whole.type.rank - 2, -(located.last or 0), stop)
            found = b(some, whole, name=name)
    ctx.waves[key] = found
    return found


def _shared(ctx: Context, config: RotaryConfig, located: Located) -> Value:
    """The angles of several positions beside each other: the sines of all, then the cosines of all."""
    b, half = ctx.builder, config.pairs
    parts = [waves(ctx, share, located) for share in config.shares]
    with b.at(ctx.key_span(*config.path)), b.inside("rotary"):
        parts = [*_of_samples(ctx, parts)]
        names = [share.of or "" for share in config.shares]
        sines, cosines = (
            [
                b(ops.Slice(-1, start, start + half), part, name=f"{name}_{what}")
                for part, name in zip(parts, names, strict=True)
            ]
            for start, what in ((0, "sines"), (half, "cosines"))
        )
        return b(ops.Concat(-1), *sines, *cosines, name=f"{located.name}_waves_of_all")


def _made(ctx: Context, config: RotaryConfig, located: Located, name: str) -> Value:
    b, parts = ctx.builder, located.parts
    if _number(ctx, config, located):
        total = Axis("token", sum((part.count for part in parts), Dim.of(0)))
        return _along(ctx, config, (total,), 0, parts[0].chosen, name)
    own = name if len(parts) == 1 else "waves"
    found = []
    for part in parts:
        kind, which = _which(ctx, config, part)
        if kind == "coordinate":
            found.append(_of_coordinate(ctx, config, part, which, own))
        else:
            found.append(_along(ctx, config, part.axes, which, part.chosen, own))
    return found[0] if len(found) == 1 else b(ops.Concat(-2), *_of_samples(ctx, found), name=name)


def _of_samples(ctx: Context, found: Sequence[Value]) -> Sequence[Value]:
    """With a batch, where any of them has one: [batch, n, w] each, or [n, w] each."""
    if all(one.type.rank == 2 for one in found):
        return found
    batch = ops.Broadcast(next(one.shape[:1] for one in found if one.type.rank == 3))
    return [ctx.builder(batch, one, name="batch") if one.type.rank == 2 else one for one in found]


def _number(ctx: Context, config: RotaryConfig, located: Located) -> bool:
    """Whether rows are turned by the number that each has among all."""
    kinds = [_which(ctx, config, part)[0] for part in located.parts]
    if "number" in kinds and "coordinate" in kinds:
        part = located.parts[kinds.index("number")]
        raise no_positions(ctx, config, part, "that turns them, as other tokens have")
    return kinds[0] == "number"


def _which(ctx: Context, config: RotaryConfig, part: Stretch) -> tuple[str, int]:
    """What rows are turned by: a coordinate, the place along an axis, which of them, or the number."""
    of, given = config.of, 0 if part.coordinates is None else int(part.coordinates.shape[-1])
    if of is None:
        if not part.rotary:
            return "number", 0
        if given > 1:
            names = part.names
            raise ctx.error(
                "PG220",
                f"{part.what} have {given} coordinates, and are turned by one",
                config.path,
                also=[(part.path, f"{joined(names) if names else given} here")],
                help=f"say which: `rotary: {{of: {names[-1]}}}`"
                if names
                else "give them names, and say which: `rotary: {of: NAME}`",
                at_key=True,
            )
        return "coordinate", 0
    if of in part.names:
        return "coordinate", part.names.index(of)
    axes = [axis.name for axis in part.axes]
    if of in axes and not part.rotary:
        return "axis", axes.index(of)
    if part.rotary and given == 1 and not part.names:
        if config.is_share:
            raise on_a_line(ctx, config, part)
        return "coordinate", 0
    known = [*part.names, *([] if part.rotary else axes)]
    raise no_positions(ctx, config, part, f"called `{of}`", known)


def _lies_somewhere(ctx: Context, config: RotaryConfig, located: Located) -> bool:
    """Whether rows are turned by coordinates: of points, of a range, or as the caller gives them."""
    return any(_which(ctx, config, part)[0] == "coordinate" for part in located.parts)


def turned_by(ctx: Context, config: RotaryConfig, located: Located) -> str:
    """In words, what rows are turned by: `number`, `axis time`, `range`, `time of spikes.position`."""
    if config.shares:
        each = [turned_by(ctx, share, located) for share in config.shares]
        return joined(list(dict.fromkeys(each)), "and")
    if _number(ctx, config, located):
        return "number"
    found = []
    for part in located.parts:
        kind, which = _which(ctx, config, part)
        name = part.names[which] if part.names and kind == "coordinate" else ""
        if kind == "axis":
            found.append(f"axis {part.axes[which].name}")
        else:
            where = (name, part.array) if part.array else ("range", name)
            found.append(" of ".join(filter(None, where)))
    return joined(list(dict.fromkeys(found)), "and")


def _of_coordinate(
    ctx: Context, config: RotaryConfig, part: Stretch, which: int, name: str
) -> Value:
    """Shapes: [.., n, coordinates] -> [.., n, w]."""
    b, x = ctx.builder, part.coordinates
    assert x is not None
    if part.array:
        found = ctx.coordinates[part.array]
        if not found.points_of:
            x = for_tokens(ctx, found, x)
        elif ctx.asked_at:
            x = at_each(ctx, x, ctx.asked_at, "points_places")
        if part.chosen is not None:
            x = b(ops.Gather(1), x, part.chosen, name="chosen")
        shortest = min(config.ends[0], found.shortest or config.ends[0])
        ctx.coordinates[part.array] = replace(found, shortest=shortest)
    if x.shape[-1] != 1:
        x = b(ops.Slice(-1, which, which + 1), x, name=part.names[which])
    features = ops.FourierFeatures(
        config.pairs, None, 1, include_position=False, wavelengths=(config.ends,)
    )
    return b(features, x, name=name)


def _along(
    ctx: Context,
    config: RotaryConfig,
    axes: Sequence[Axis],
    which: int,
    chosen: Value | None,
    name: str,
) -> Value:
    """By the place along one of the axes of a grid, at all points or at chosen ones. Shape: [n, w]."""
    b, axis = ctx.builder, axes[which]
    most, width = longest(axis), 2 * config.pairs
    sizes = tuple(one.size for one in axes)
    fixed = [one.size.value for one in axes]
    if (None in fixed and len(axes) > 1) or most is None or most * width > LARGEST_TABLE:
        each = len(axes)
        at = ops.FourierAt(
            sizes,
            (None,) * each,
            config.pairs,
            None,
            (True,) * each,
            include_position=False,
            wavelengths=(config.ends,) * each,
            order="axes",
        )
        where = chosen or b(ops.Positions(sizes), name="places")
        found = b(at, where, name=name if each == 1 else "waves")
        if each == 1:
            return found
        return b(ops.Slice(-1, which * width, (which + 1) * width), found, name=name)
    table = ops.FourierTable(
        most, 0, 1, config.pairs, None, include_position=False, wavelengths=config.ends
    )
    if len(axes) == 1 and chosen is None:
        if axis.size == most:
            return b(table, name=name)
        return b(ops.Trim(axis.size), b(table, name="waves"), name=name)
    where = chosen or b(ops.Positions(sizes), name="places")
    if len(axes) > 1:
        after = int(product(sizes[which + 1 :])) if sizes[which + 1 :] else 1
        where = b(ops.Coordinate(after, most), where, name=axis.name)
    return b(ops.Gather(0), b(table, name="waves"), where, name=name)
