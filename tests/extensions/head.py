"""A head: `low_rank: {rank: 4, channels: 1000}` maps to many channels by way of few."""

from __future__ import annotations

from collections.abc import Sequence

from perceiver_graph.compiler.blocks.context import Axis, Context, Path
from perceiver_graph.compiler.blocks.heads import apply_head
from perceiver_graph.compiler.ir.graph import Value
from perceiver_graph.spec.models import Head
from perceiver_graph.spec.models.base import Count, Model


class LowRankParameters(Model):
    """A linear map to few channels, and one from them to many."""

    rank: Count
    """Channels between the two."""
    channels: Count
    """Channels that come out."""


class LowRankHead(Head):
    """Two linear maps with nothing between them: one of a low rank."""

    low_rank: LowRankParameters
    """Its rank, and the channels that come out."""


@apply_head.register
def low_rank(head: LowRankHead, ctx: Context, x: Value, axes: Sequence[Axis], path: Path) -> Value:
    """Shapes: [..., width] -> [..., channels]."""
    sizes, b, width = head.low_rank, ctx.builder, int(x.shape[-1])
    if sizes.rank >= min(width, sizes.channels):
        raise ctx.error(
            "PG205",
            f"a map of {width} to {sizes.channels} channels has no rank of more than "
            f"{min(width, sizes.channels)}, and `linear` needs fewer parameters than {sizes.rank}",
            (*path, "low_rank", "rank"),
            help=f"write `linear: {sizes.channels}`",
        )
    b.declare(rank=sizes.rank, channels=sizes.channels)
    return b.linear(b.linear(x, "down", sizes.rank), "up", sizes.channels)
