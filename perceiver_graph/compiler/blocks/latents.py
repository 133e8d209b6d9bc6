"""The latents before they have read anything: learned vectors, or tokens of an input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.chosen import chosen_latents
from perceiver_graph.compiler.blocks.context import BATCH, CHANNEL, Axis, Context, PartError, Path
from perceiver_graph.compiler.blocks.located import Rows
from perceiver_graph.compiler.blocks.locating import LATENT, latents_at
from perceiver_graph.compiler.blocks.longest import longest
from perceiver_graph.compiler.blocks.stages import LATENTS
from perceiver_graph.compiler.blocks.styles import reads_rows
from perceiver_graph.compiler.ir.dims import Dim, shape_of
from perceiver_graph.compiler.ir.graph import Value
from perceiver_graph.diagnostics.words import did_you_mean, joined
from perceiver_graph.spec.models import ChosenLatents, Latents, TokenLatents


def make_latents(ctx: Context, counts: Mapping[str, Dim], inputs: Rows | None) -> Rows:
    """Shapes: learned [count, width], at each place of axes [places * count, width]; of tokens, joined
    as `inputs` [batch, m, width], the last ones or chosen ones,
    [batch, last, width], with the mask that these have.

    `counts` are the numbers of tokens of the inputs, in the order in which they were joined. Raises
    (reports) PG201, PG205 and PG218 for tokens that cannot be latents, PartError where there are none
    because of other errors.
    """
    spec, b = ctx.spec, ctx.builder
    made = spec.latents
    _check_causal(ctx)
    if isinstance(made, Latents):
        return _learned(ctx, made)
    if made.of not in ctx.inputs:
        raise ctx.error(
            "PG201",
            f"there is no input `{made.of}`",
            ("latents", "of"),
            help=did_you_mean(made.of, [*ctx.inputs]) or f"inputs are {joined([*ctx.inputs])}",
        )
    if inputs is None:
        raise PartError
    if isinstance(made, ChosenLatents):
        return chosen_latents(ctx, made, counts, inputs)
    if (last := [*counts][-1]) != made.of:
        raise ctx.error(
            "PG205",
            f"tokens of `{made.of}` are not the last of those that are read",
            ("latents", "of"),
            also=[(("inputs", last), "the last tokens are of this input")],
            help=f"write `{made.of}` as the last of the inputs",
        )
    tokens = counts[made.of]
    least = tokens.bounds()[0]
    if least == made.last and len(counts) == 1 and reads_rows(spec.encode):
        raise ctx.error(
            "PG218",
            f"the last {made.last} tokens are latents, which read those before them, and there may be none",
            ("latents", "last"),
            also=[(("encode", "keys"), "read with the latents here")],
            help=f"let there be {made.last + 1} or more, by `min` under `dims`, or leave `keys` out"
            if tokens.value is None
            else f"write less than {least}",
        )
    if least < made.last:
        raise ctx.error(
            "PG218",
            f"the last {made.last} tokens are to be the latents, and there may be only {least}",
            ("latents", "last"),
            also=[(("inputs", made.of, "shape"), f"{tokens.plain} tokens come of this")],
            help=f"let there be {made.last} or more, by `min` under `dims`"
            if tokens.value is None
            else f"write {least} or less",
        )
    ctx.latent_width = inputs.width
    ctx.latent_axes = (Axis(LATENT, Dim.of(made.last)),)
    with b.inside(LATENTS):
        latents = b(ops.Slice(1, -made.last, None), inputs.array, name="tokens")
        mask = inputs.mask
        if mask is not None:
            mask = b(ops.Slice(1, -made.last, None), mask, name="mask")
    located = inputs.located and replace(inputs.located, name="latent", last=made.last)
    return Rows(inputs.width, latents, mask, inputs.width_from, located)


def _learned(ctx: Context, made: Latents) -> Rows:
    """Vectors, the same at each place of the axes where they stand."""
    b, per = ctx.builder, made.per or {}
    for axis in per.keys() & {CHANNEL, BATCH, LATENT}:
        raise ctx.error(
            "PG206",
            f"`{axis}` is an axis of every set of latents, and none at whose places they stand",
            ("latents", "per", axis),
            help="choose another name",
            at_key=True,
        )
    count = ctx.size(made.count, "latents", "count")
    most = _most(ctx, made, count)
    ctx.latent_width = made.width
    places = tuple(Axis(name, Dim.of(size)) for name, size in per.items())
    ctx.latent_axes = (*places, Axis(LATENT, count))
    latents = b.parameter(LATENTS, (most, made.width), scale=made.init_scale)
    with b.inside(LATENTS):
        latents = at_places(ctx, made, latents)
    return Rows(made.width, latents, located=latents_at(ctx, made))


def _most(ctx: Context, made: Latents, count: Dim) -> int:
    """How many rows the table has: as many as there are, or may be. Raises (reports) PG217 where nothing
    tells that, PG205 where what else is said of latents needs a number."""
    if count.value is not None:
        return count.value
    path: Path = ("latents", "count")
    fixed: dict[Path, bool] = {
        ("latents", "range"): made.range is not None,
        ("process", "joined"): ctx.spec.process.joined,
    }
    for other, there in fixed.items():
        if there:
            raise ctx.error(
                "PG205",
                f"how many latents there are is known only at run time, and `{other[-1]}` is of a number",
                path,
                also=[(other, "here")],
                help=f"write a number, or leave `{other[-1]}` out",
            )
    most = longest(Axis(LATENT, count))
    if most is None:
        raise ctx.error(
            "PG217",
            f"nothing says how many rows a table of `{count}` latents has",
            path,
            also=ctx.declarations(count),
            help="declare a `max` of each of its symbols",
        )
    return most


def at_places(ctx: Context, made: Latents, table: Value) -> Value:
    """Learned vectors at each place where latents stand. Shapes: [count, width] -> [total, width]."""
    count = ctx.latent_axes[-1].size
    if count != table.shape[0]:
        table = ctx.builder(ops.Trim(count), table, name="first")
    if (places := prod((made.per or {}).values())) == 1:
        return table
    each = ctx.builder(ops.Broadcast(shape_of(places)), table, name="each")
    return ctx.builder(ops.Flatten(0, 1), each, name="places")


def _check_causal(ctx: Context) -> None:
    """A latent has a place among the inputs only where it is one of their tokens."""
    encode = ctx.spec.encode
    if not encode.causal:
        return
    if not isinstance(ctx.spec.latents, TokenLatents):
        kind = "chosen" if isinstance(ctx.spec.latents, ChosenLatents) else "learned"
        raise ctx.error(
            "PG205",
            f"{kind} latents have no place among the inputs, before which others could come",
            ("encode", "causal"),
            also=[(("latents",), f"{kind} here")],
            help="make them of tokens, `latents: {of: NAME, last: 256}`, or leave `causal` out",
        )
