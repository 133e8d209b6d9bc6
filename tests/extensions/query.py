"""Queries: `ring: 8` asks at places on a circle, and `first`, a word, asks nothing and takes a latent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.context import Axis, Context, Path
from perceiver_graph.compiler.blocks.heads import take
from perceiver_graph.compiler.blocks.modality import Modality
from perceiver_graph.compiler.blocks.queries import Asked, ask, chosen
from perceiver_graph.compiler.ir.dims import Dim
from perceiver_graph.compiler.ir.graph import Value
from perceiver_graph.spec.models import Query
from perceiver_graph.spec.models.base import Count


class RingQuery(Query):
    """Places on a circle, each given by the cosine and the sine of its angle."""

    ring: Count
    """How many places."""


@ask.register
def ring(
    query: RingQuery, ctx: Context, name: str, modalities: Mapping[str, Modality], path: Path
) -> Asked:
    """Shape: [places asked for, 2]."""
    axes = (Axis("angle", Dim.of(query.ring)),)
    indices, count = chosen(ctx, name, axes, (*path, "ring"))
    angles = np.arange(query.ring) * (2 * np.pi / query.ring)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=-1).astype(np.float32)
    table = ctx.builder.constant("circle", circle)
    return Asked(axes, count, ctx.builder(ops.Gather(0), table, indices, name="rows"), indices)


class FirstQuery(Query):
    """No query: the first of the latents goes to the head, as a class token does."""

    takes = "the first of the latents"

    first: Literal["latents"] = "latents"
    """What it is the first of."""


@take.register
def first(
    query: FirstQuery, ctx: Context, name: str, latents: Value
) -> tuple[Value, tuple[Axis, ...]]:
    """Shapes: [batch, latents, width] -> [batch, width]."""
    with ctx.builder.inside("heads"):
        row = ctx.builder(ops.Slice(1, 0, 1), latents, name=f"{name}.row")
        return ctx.builder(ops.Flatten(1, 2), row, name=f"{name}.first"), ()
