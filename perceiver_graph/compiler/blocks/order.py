"""Texts whose order nothing tells: attention reads tokens as a set."""

from __future__ import annotations

from perceiver_graph.compiler.blocks.context import Context
from perceiver_graph.media.text.model import TextMedia
from perceiver_graph.spec.models import TokenLatents


def warn_of_order(ctx: Context) -> None:
    """Warn (PG224) of a text that is read as a bag of bytes: without positions, and without steps that
    look at neighbours, in a model that does not read in order and does not turn by positions."""
    spec = ctx.spec
    ordered = isinstance(spec.latents, TokenLatents) and spec.encode.causal
    if ordered or spec.encode.rotary:
        return
    for name, one in spec.modalities.items():
        alone = all(step.pointwise for step in one.steps)
        if isinstance(one.media, TextMedia) and one.position is None and alone:
            ctx.report.warning(
                "PG224",
                f"the tokens of `{name}` have no positions: in any order they are the same to the model",
                ctx.document.spans.key(("inputs", name)),
                help="write `position: {learned: {}, combine: add}` under it",
            )
