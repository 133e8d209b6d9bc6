"""Latents that are tokens which the caller chooses, by their numbers: points far from each other, say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.context import BATCH, Axis, Context, Coordinates
from perceiver_graph.compiler.blocks.located import Rows
from perceiver_graph.compiler.blocks.locating import LATENT
from perceiver_graph.compiler.blocks.longest import longest
from perceiver_graph.compiler.blocks.stages import LATENTS
from perceiver_graph.compiler.ir.dims import Dim, shape_of
from perceiver_graph.compiler.ir.graph import Value
from perceiver_graph.diagnostics.words import joined
from perceiver_graph.spec.models import ChosenLatents

CHOSEN = ".chosen"
"""Ends the name of the array that holds the numbers of the tokens which are latents."""


def chosen_latents(
    ctx: Context, made: ChosenLatents, counts: Mapping[str, Dim], inputs: Rows
) -> Rows:
    """The chosen rows of `inputs` [batch, m, width], with their mask and their places.

    Shapes: numbers int64 [batch, chosen] -> [batch, chosen, width], with the places in the batch.
    `counts` are the numbers of tokens of the inputs, in the order in which they were joined.
    """
    _check(ctx, made, counts)
    b = ctx.builder
    count = Dim.of(made.chosen)
    ctx.latent_width = inputs.width
    ctx.latent_axes = (Axis(LATENT, count),)
    with b.at(ctx.key_span("latents", "chosen")), b.inside(LATENTS):
        numbers = _numbers(ctx, made.of, count, counts[made.of])
        latents = b(ops.Choose(), inputs.array, numbers, name="tokens")
        mask = inputs.mask and b(ops.Choose(), inputs.mask, numbers, name="mask")
    located = inputs.located and replace(inputs.located, name="latent", chosen=numbers)
    return Rows(inputs.width, latents, mask, inputs.width_from, located)


def _numbers(ctx: Context, of: str, count: Dim, among: Dim) -> Value:
    """Which tokens of an input are chosen, as the caller says. Shape: int64 [batch, count], with the
    places in the batch."""
    name, axes = of + CHOSEN, (*ctx.places, Axis(LATENT, count))
    data = ctx.builder.input(
        name,
        "data",
        name,
        (BATCH, *(axis.name for axis in axes)),
        shape_of(ctx.symbols[BATCH], *(axis.size for axis in axes)),
        "int64",
        (of,),
    )
    ctx.coordinates[name] = Coordinates(data, axes, (of,), among=among)
    if not ctx.places:
        return data
    return ctx.builder(ops.Flatten(0, len(ctx.places)), data, name="chosen")


def _check(ctx: Context, made: ChosenLatents, counts: Mapping[str, Dim]) -> None:
    """Raises (reports) PG205 and PG218 for tokens that cannot be chosen."""
    if made.of not in counts:
        raise ctx.error(
            "PG205",
            f"`{made.of}` has no tokens that latents read, of which some could be latents",
            ("latents", "of"),
            also=[(("inputs", made.of), "this one")],
            help=f"name one of those that are read: {joined([*counts])}",
        )
    if (first := next(iter(counts))) != made.of:
        raise ctx.error(
            "PG205",
            f"tokens of `{made.of}` are not the first of those that are read",
            ("latents", "of"),
            also=[(("inputs", first), "the first tokens are of this input")],
            help=f"write `{made.of}` as the first of the inputs",
        )
    if ctx.inputs[made.of].mask == "always":
        raise ctx.error(
            "PG205",
            f"`{made.of}` is always masked, so its tokens are all the same",
            ("latents", "of"),
            also=[(("inputs", made.of, "mask"), "masked here")],
            help="make latents of another input, or learn them: `latents: {count: 512, width: 512}`",
        )
    most = longest(Axis(LATENT, counts[made.of]))
    if most is not None and most < made.chosen:
        raise ctx.error(
            "PG218",
            f"{made.chosen} tokens are to be chosen as latents, and there are at most {most}",
            ("latents", "chosen"),
            also=[(("inputs", made.of, "shape"), f"{counts[made.of].plain} tokens come of this")],
            help=f"write {most} or less",
        )
