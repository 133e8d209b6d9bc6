"""Inputs that are like others: what is said of those that are like none."""

from __future__ import annotations

from perceiver_graph.compiler.blocks.context import Context, PartError, Path
from perceiver_graph.diagnostics.words import did_you_mean
from perceiver_graph.spec.models import like_chain


def unlike(ctx: Context, name: str) -> PartError:
    """An input that is like one that is not there, or in the end like itself (PG201)."""
    chain = like_chain(ctx.spec.inputs, name)
    path: Path = ("inputs", chain[-2], "like")
    others = [other for other in ctx.spec.inputs if other not in chain[:-1]]
    if chain[-1] in ctx.spec.inputs:
        return ctx.error(
            "PG201",
            f"`{name}` is like itself: {' is like '.join(f'`{one}`' for one in chain)}",
            ("inputs", name, "like"),
            help="write the shape and the steps of one of them out, without `like`",
        )
    return ctx.error(
        "PG201",
        f"there is no input `{chain[-1]}`",
        path,
        f"the other inputs are {', '.join(others) or 'none'}",
        help=did_you_mean(chain[-1], others),
    )
