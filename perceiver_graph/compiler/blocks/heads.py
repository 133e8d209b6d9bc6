"""Heads: how the answer of an output is formed from what its queries found, or from the latents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import singledispatch

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.context import Axis, Context, Path
from perceiver_graph.compiler.blocks.initial import ParameterKind
from perceiver_graph.compiler.blocks.steps import ACTIVATIONS
from perceiver_graph.compiler.ir.graph import Value
from perceiver_graph.diagnostics.words import did_you_mean
from perceiver_graph.spec.models import (
    Bottleneck,
    BottleneckQuery,
    Head,
    LatentsQuery,
    LinearHead,
    MeanQuery,
    MlpHead,
    Output,
    Query,
    Step,
    TiedHead,
)

_NORM_EPSILON = 1e-5


@singledispatch
def take(query: Query, ctx: Context, name: str, latents: Value) -> tuple[Value, tuple[Axis, ...]]:
    """What becomes the answer of an output that asks nothing, and its axes.

    Shapes: [batch, latents, width] -> [batch, *axes as one, width].
    """
    raise TypeError(f"no lowering for the query {type(query).__name__}")


@take.register
def _mean(
    query: MeanQuery, ctx: Context, name: str, latents: Value
) -> tuple[Value, tuple[Axis, ...]]:
    """Which the original Perceiver classifies. Shapes: [batch, latents, width] -> [batch, width]."""
    with ctx.builder.inside("heads"):
        return ctx.builder(ops.Mean(1), latents, name=f"{name}.mean"), ()


@take.register
def _latents(
    query: LatentsQuery, ctx: Context, name: str, latents: Value
) -> tuple[Value, tuple[Axis, ...]]:
    return latents, ctx.latent_axes


@take.register
def _bottleneck(
    query: BottleneckQuery, ctx: Context, name: str, latents: Value
) -> tuple[Value, tuple[Axis, ...]]:
    return latents, ctx.latent_axes


def form_output(ctx: Context, name: str, x: Value, axes: Sequence[Axis]) -> Value:
    """What norm and head make of an answer, whose rows lie along `axes`.

    Shapes: [batch, n, E] -> [batch, n, channels]; -> [batch, channels] for a mean or a single row.
    """
    spec, b = ctx.spec.outputs[name], ctx.builder
    path: Path = ("outputs", name)
    with (
        b.at(ctx.document.key_span(*path, "head")),
        b.inside("heads"),
        b.block(name, "Head", f"forms {name}"),
    ):
        x = normed(ctx, x, spec, "norm", path)
        if head := spec.head:
            path = (*path, "head")
            x = apply_head(head, ctx, x, axes, path)
            x = normed(ctx, x, head, "output_norm", path)
            if head.activation is not None:
                x = b(ACTIVATIONS[head.activation], x, name="output_activated")
            if head.scale not in (None, 1):
                x = b(ops.Scale(head.scale), x, name="scaled")
        if not axes and x.type.rank == 3:
            x = b(ops.Flatten(1, 2), x, name=name)
    return x


def normed(
    ctx: Context, x: Value, spec: Output | Head | Bottleneck, name: str, path: Path
) -> Value:
    """The norm that is asked for, if one is. Shapes: [..., width] -> [..., width]."""
    if spec.norm is None or spec.norm == "none":
        if spec.norm_epsilon is not None:
            raise ctx.error(
                "PG205",
                "there is no norm here whose constant this could be",
                (*path, "norm_epsilon"),
                help="leave it out, or write `norm: layer_norm` or `rms_norm` beside it",
                at_key=True,
            )
        return x
    epsilon = spec.norm_epsilon or _NORM_EPSILON
    ctx.derive(epsilon, *path, "norm_epsilon")
    with ctx.builder.at(ctx.document.key_span(*path, "norm")):
        return ctx.builder.norm(spec.norm, x, name, epsilon)


@singledispatch
def apply_head(head: Head, ctx: Context, x: Value, axes: Sequence[Axis], path: Path) -> Value:
    """What a kind of head makes of an answer whose rows lie along `axes`, before the keys that all
    heads have. `path` is where it stands in the spec.

    Shapes: [batch, n, E] -> [batch, n, channels], or the same without n for a mean.
    """
    raise TypeError(f"no lowering for the head {type(head).__name__}")


@apply_head.register
def _linear(head: LinearHead, ctx: Context, x: Value, axes: Sequence[Axis], path: Path) -> Value:
    ctx.builder.declare(channels=head.linear)
    is_of_pixels = {axis.name for axis in axes} == {"height", "width"}
    is_flow = is_of_pixels and head.linear == 2  # how far each has gone right, and down
    is_of_mean = x.type.rank == 2
    start: ParameterKind = "final" if is_of_mean or is_flow else "linear"
    return ctx.builder.linear(x, "linear", head.linear, start, bias=head.bias)


@apply_head.register
def _mlp(head: MlpHead, ctx: Context, x: Value, axes: Sequence[Axis], path: Path) -> Value:
    b, sizes = ctx.builder, head.mlp
    b.declare(hidden=sizes.hidden, channels=sizes.channels)
    x = b.linear(x, "hidden", sizes.hidden, bias=sizes.bias)
    x = b(ACTIVATIONS[sizes.activation], x, name="activated")
    return b.linear(x, "linear", sizes.channels, bias=sizes.bias)


@apply_head.register
def _tied(head: TiedHead, ctx: Context, x: Value, axes: Sequence[Axis], path: Path) -> Value:
    table = _embedding(ctx, head.tied_embedding, x, (*path, "tied_embedding"))
    bias = ctx.builder.parameter("bias", (table.shape[0],), "bias")
    return ctx.builder(ops.Linear(), x, table, bias, name="logits")


def _steps_of(ctx: Context, modality: str) -> Sequence[Step]:
    return ctx.inputs[modality].steps if modality in ctx.inputs else ()


def _embedding(ctx: Context, modality: str, x: Value, path: Path) -> Value:
    if modality not in ctx.embeddings:
        known = list(ctx.embeddings)
        if any(isinstance(one.vocabulary, Mapping) for one in _steps_of(ctx, modality)):
            raise ctx.error(
                "PG201",
                f"the embedding of `{modality}` is a sum of vectors, one for each id, and a head scores "
                "the rows of one table",
                path,
                also=[(("inputs", modality, "steps"), "several tables")],
                help="use `linear`, or give an input one `vocabulary`: a number",
            )
        raise ctx.error(
            "PG201",
            f"the input `{modality}` has no embedding to share",
            path,
            f"inputs with an embedding: {', '.join(known) or 'none'}",
            help=did_you_mean(modality, known)
            or "give that input an `embedding` step, or use `linear`",
        )
    table = ctx.embeddings[modality]
    if table.shape[1] != x.shape[-1]:
        width = table.shape[1]
        is_asked = not ctx.spec.outputs[str(path[1])].query.takes
        whose, key = ("decoder's", "project") if is_asked else ("latents'", "width")
        raise ctx.error(
            "PG205",
            f"the {whose} width {x.shape[-1]} is not the embedding's width {width}",
            path,
            help=f"write `{key}: {width}` under `{'decode' if is_asked else 'latents'}`",
        )
    return table
