"""Heads: how the answer of an output is formed from what its queries found, or from the latents."""

from __future__ import annotations

from collections.abc import Sequence

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.attention import Rows
from perceiver_graph.compiler.blocks.context import Axis, Context, Path
from perceiver_graph.compiler.blocks.initial import ParameterKind
from perceiver_graph.compiler.blocks.stages import Answer
from perceiver_graph.compiler.blocks.steps import ACTIVATIONS
from perceiver_graph.compiler.ir.graph import Value
from perceiver_graph.diagnostics.words import did_you_mean
from perceiver_graph.spec.models import LinearHead, MlpHead, TiedHead


def form_output(ctx: Context, name: str, answer: Answer, rows: Rows, axes: Sequence[Axis]) -> Value:
    """What the head makes of rows, which lie along `axes`, or of their mean, which the original
    Perceiver classifies.

    Shapes: [batch, n, E] -> [batch, n, channels]; -> [batch, channels] for a mean or a single row.
    """
    x = rows.array
    if answer.pool is not None:
        with ctx.builder.inside("heads"):
            x = ctx.builder(ops.Mean(1), x, name=f"{name}.mean")
    spec = ctx.spec.outputs[name]
    is_of_pixels = {axis.name for axis in axes} == {"height", "width"}
    b, path = ctx.builder, ("outputs", name, "head")
    blame = b.at(ctx.document.key_span(*path))
    with blame, b.inside("heads"), b.block(name, "Head", f"forms {name}"):
        match spec.head:
            case LinearHead(linear=channels):
                b.declare(channels=channels)
                is_flow = is_of_pixels and channels == 2  # how far each has gone right, and down
                start: ParameterKind = "final" if answer.pool or is_flow else "linear"
                x = b.linear(x, "linear", channels, start)
            case MlpHead(mlp=parameters):
                b.declare(hidden=parameters.hidden, channels=parameters.channels)
                x = b.linear(x, "hidden", parameters.hidden)
                x = b(ACTIVATIONS[parameters.activation], x, name="activated")
                x = b.linear(x, "linear", parameters.channels)
            case TiedHead(tied_embedding=modality):
                table = _embedding(ctx, modality, x, (*path, "tied_embedding"))
                bias = b.parameter("bias", (table.shape[0],), "bias")
                x = b(ops.Linear(), x, table, bias, name="logits")
        if spec.head is not None and spec.head.activation is not None:
            x = b(ACTIVATIONS[spec.head.activation], x, name="output_activated")
        if spec.head is not None and spec.head.scale is not None:
            x = b(ops.Scale(spec.head.scale), x, name="scaled")
        if not axes and x.type.rank == 3:
            x = b(ops.Flatten(1, 2), x, name=name)
    return x


def _embedding(ctx: Context, modality: str, x: Value, path: Path) -> Value:
    if modality not in ctx.embeddings:
        known = list(ctx.embeddings)
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
        raise ctx.error(
            "PG205",
            f"the decoder's width {x.shape[-1]} is not the embedding's width {table.shape[1]}",
            path,
            help=f"write `project: {table.shape[1]}` under `decode`",
        )
    return table
