"""Inputs whose order nothing tells: attention reads tokens as a set."""

from __future__ import annotations

from collections.abc import Mapping

from perceiver_graph.compiler.blocks.context import CHANNEL, Context
from perceiver_graph.compiler.blocks.modality import Modality
from perceiver_graph.compiler.blocks.placing import as_features, position_for
from perceiver_graph.compiler.ir.dims import product
from perceiver_graph.spec.models import Input, TokenLatents

_SETS = frozenset(
    ["point", "points", "vertex", "vertices", "particle", "particles", "atom", "atoms"]
)
"""Axes of what is a set by itself, each of which says in its channels where it is."""
_WIDE = 16
"""Channels that a position can be added to."""


def warn_of_order(ctx: Context, modalities: Mapping[str, Modality]) -> None:
    """Warn (PG224) of inputs that are read as a bag of tokens: without positions, and without channels
    that are coordinates, in a model that does not read in order and does not turn by positions."""
    if _reads_in_order(ctx):
        return
    for name, m in modalities.items():
        spec = ctx.inputs[name]
        if ctx.origin(name) != name or spec.mask == "always" or not _is_bag(spec, m):
            continue
        help = f"write `position: {_advised(ctx, spec, m)}` under it"
        if spec.shape.get(CHANNEL) == 1 and (features := as_features(spec)):
            help += f", or {features}"
        ctx.report.warning(
            "PG224",
            f"the tokens of `{name}` have no positions: in any order they are the same to the model",
            ctx.document.spans.key(("inputs", name)),
            help=f"{help}; if they are a set, or their channels say where each is, `position: none`",
        )


def _reads_in_order(ctx: Context) -> bool:
    """Whether what reads the tokens knows their order by itself."""
    spec = ctx.spec
    made = isinstance(spec.latents, TokenLatents)
    if not spec.encode.cross_attends:  # the latents are the tokens, and read by what comes after
        read = (spec.attention("process"), spec.attention("decode"))
        decoded = not spec.process.layers  # a set of latents that another model has made
        return decoded or spec.process.causal or any(one.rotary for one in read)
    return bool(spec.attention("encode").rotary) or (made and spec.encode.causal)


def _is_bag(spec: Input, m: Modality) -> bool:
    """Whether there are several tokens of which nothing says where they are."""
    several = product(tuple(axis.size for axis in m.index)) != 1
    stepped = any(step.places for step in spec.steps)
    read = spec.media is not None and spec.media.places
    cloud = not _SETS.isdisjoint(spec.shape) and spec.shape.get(CHANNEL, 1) != 1
    return several and spec.position is None and not (stepped or read or cloud)


def _advised(ctx: Context, spec: Input, m: Modality) -> str:
    """A position that fits the tokens, as it is written."""
    encode = ctx.spec.attention("encode")
    alone = ctx.spec.join is None and len(ctx.inputs) > 1  # all inputs have one width
    ids = bool(spec.steps and spec.steps[0].ids)
    add = m.channels >= _WIDE or alone or ids
    return position_for([axis.size for axis in m.index], m.channels if add else None, encode.heads)
