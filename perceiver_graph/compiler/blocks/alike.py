"""Inputs that nothing tells apart: which of them a token is of is seen by its channels alone."""

from __future__ import annotations

from collections.abc import Mapping

from perceiver_graph.compiler.blocks.context import Context
from perceiver_graph.compiler.blocks.coordinates import is_given
from perceiver_graph.compiler.blocks.modality import Modality
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.diagnostics.words import joined
from perceiver_graph.spec.models import InputsQuery, Latents, RotaryPosition

_LEAST = 4
"""Learned channels that tell inputs apart, as many as in the papers."""


def warn_of_likeness(
    ctx: Context, modalities: Mapping[str, Modality], graph: Graph, width: int
) -> None:
    """Warn (PG225) of inputs whose tokens are made in one way, by the same weights or by none, and get no
    channels of their own up to the `width` of what is joined: in a model that does not tell them by their
    place, or by what is asked.
    """
    spec = ctx.spec
    asked = {
        one.query.inputs for one in spec.outputs.values() if isinstance(one.query, InputsQuery)
    }
    said = spec.join is not None and spec.join.padding is not None and not spec.join.padding.min
    if said or not isinstance(spec.latents, Latents) or spec.attention("encode").rotary:
        return
    groups: dict[object, list[str]] = {}
    for name, m in modalities.items():
        position = ctx.inputs[name].position
        placed = is_given(position) or isinstance(position, RotaryPosition)
        own = m.channels < width or placed or ctx.inputs[name].mask == "always" or name in asked
        groups.setdefault(name if own else _made(ctx, graph, name), []).append(name)
    heads = spec.attention("encode").heads
    least = next(n for n in range(_LEAST, _LEAST + heads) if (width + n) % heads == 0)
    for names in groups.values():
        if len(names) > 1:
            ctx.report.warning(
                "PG225",
                f"{joined((f'`{name}`' for name in names), 'and')} are not told apart: exchanged, they give "
                "the same outputs",
                ctx.document.spans.key(("inputs", names[-1])),
                help=f"add `join: {{padding: {{min: {least}}}}}`, learned channels for each; if it is meant, "
                "`join: {padding: {min: 0}}`",
            )


def _made(ctx: Context, graph: Graph, name: str) -> object:
    """What tokens of an input are made by: those of two inputs are alike where this is equal."""
    spec, origin = ctx.inputs[name], ctx.origin(name)
    module = f"inputs.{origin}."
    weights = {leaf.value.name for leaf in graph.parameters} - {f"{module}mask"}
    learned = any(weight.startswith(module) for weight in weights)
    made = (spec.shape, spec.steps, spec.position, spec.attention_mask)
    return (origin if learned else "", *map(repr, made))
