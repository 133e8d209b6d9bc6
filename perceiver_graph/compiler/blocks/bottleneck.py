"""Few numbers for each latent, between what it has read and what is made of it."""

from __future__ import annotations

from dataclasses import replace

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.context import Context
from perceiver_graph.compiler.blocks.heads import normed
from perceiver_graph.compiler.blocks.located import Arrays, Rows
from perceiver_graph.compiler.blocks.stages import BOTTLENECK, LATENTS


def check_bottleneck(ctx: Context) -> None:
    """It stands where reading ends and thinking begins, which is one place (PG205)."""
    spec = ctx.spec
    if spec.bottleneck and spec.process.over:
        raise ctx.error(
            "PG205",
            "there is no bottleneck where latents of several places become one token",
            ("bottleneck",),
            also=[(("process", "over"), "here")],
            help="leave it out",
            at_key=True,
        )
    if spec.bottleneck and spec.process.layers and spec.encode.cross_attends > 1:
        raise ctx.error(
            "PG205",
            "the inputs are read again after the bottleneck, by which they would get around it",
            ("bottleneck",),
            also=[(("encode", "cross_attends"), f"{spec.encode.cross_attends} here")],
            help="write `cross_attends: 1`",
            at_key=True,
        )


def narrow(ctx: Context, arrays: Arrays) -> Arrays:
    """The latents behind the bottleneck, and its means and log-variances as an array of their own.

    Shapes: latents [batch, n, width] -> the same, and [batch, n, 2 * variational]. Three maps of
    3DShape2VecSet (arXiv 2301.11445, section 5.2): to the means and log-variances, and back.
    """
    made, b, rows = ctx.spec.bottleneck, ctx.builder, arrays[LATENTS]
    if made is None:
        return arrays
    count = made.variational
    with (
        b.at(ctx.key_span("bottleneck")),
        b.block(BOTTLENECK, "Bottleneck", "few numbers for each latent"),
    ):
        x = normed(ctx, rows.array, made, "norm", ("bottleneck",))
        moments = b.linear(x, "moments", 2 * count)
        sample = b(ops.GaussianSample(), moments, name="sample")
        x = b.linear(sample, "output", rows.width)
    found = Rows(2 * count, moments, rows.mask, ("bottleneck", "variational"))
    return {**arrays, LATENTS: replace(rows, value=x), BOTTLENECK: found}
