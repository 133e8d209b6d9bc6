"""The outputs: queries, how they read the latents, and the heads that form the results.

Each output is decoded on its own: queries do not see each other, so the result is that of one joint
query array, nothing is computed for outputs that were not asked for, and no output has to be cut
out of an array whose lengths are known only at run time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.attention import Rows
from perceiver_graph.compiler.blocks.context import (
    CHANNEL,
    Axis,
    Context,
    Path,
    StageError,
)
from perceiver_graph.compiler.blocks.coordinates import point_queries
from perceiver_graph.compiler.blocks.modality import Modality, modality_code
from perceiver_graph.compiler.blocks.position import query_positions
from perceiver_graph.compiler.blocks.steps import ACTIVATIONS
from perceiver_graph.compiler.blocks.symbols import add_count
from perceiver_graph.compiler.builder import LARGEST
from perceiver_graph.compiler.dims import Dim, Symbol, product, shape_of
from perceiver_graph.compiler.initial import Kind
from perceiver_graph.compiler.ir import Value
from perceiver_graph.compiler.stages import Answer, has_queries
from perceiver_graph.diagnostics.words import did_you_mean
from perceiver_graph.spec.models import (
    GridQuery,
    InputsQuery,
    LearnedQuery,
    LinearHead,
    MlpHead,
    OutputQuery,
    PointsQuery,
    Position,
    Query,
    TiedHead,
)
from perceiver_graph.spec.models.media import FlowOutputMedia


@dataclass(frozen=True)
class Queries:
    """The queries of an output. `rows`: [n, width], or [batch, n, width] where they depend on inputs."""

    name: str
    axes: tuple[Axis, ...]
    """The index axes of the output; none for a single learned query."""
    count: Dim
    rows: Value | None
    """None where the output is not asked with queries."""
    source: str
    """The output whose learned vectors these are: mostly its own."""
    indices: Value | None = None
    """Which queries are asked for, where that can be chosen: int64 [n]."""

    @property
    def width(self) -> int:
        return 0 if self.rows is None else int(self.rows.shape[-1])


def make_queries(ctx: Context, name: str, modalities: dict[str, Modality]) -> Queries:
    """The queries of one output, before they are brought to the common width."""
    source, query = _resolve(ctx, name)
    if not has_queries(query):
        return Queries(name, (), Dim.of(0), None, name)
    path: Path = ("outputs", source, "query")
    summary = f"the queries of {name}"
    with ctx.builder.block(name, "Query", summary, module=f"queries.{source}"):
        match query:
            case GridQuery(grid=grid, position=position):
                _check_grid(ctx, grid, position, path)
                axes = tuple(Axis(a, ctx.size(s, *path, "grid", a)) for a, s in grid.items())
                _check_count(ctx, axes, (*path, "grid"))
                indices, count = _query_input(ctx, name, axes)
                rows = query_positions(ctx, position, axes, indices, (*path, "position"))
                return Queries(name, axes, count, rows, source, indices)
            case LearnedQuery(learned=learned):
                width = learned.width or ctx.spec.latents.width
                ctx.derive(width, *path, "learned", "width")
                shape = (learned.count, width)
                table = ctx.builder.parameter("table", shape, scale=learned.init_scale)
                if learned.count == 1:
                    return Queries(name, (), Dim.of(1), table, source)
                axes = (Axis("query", Dim.of(learned.count)),)
                indices, count = _query_input(ctx, name, axes)
                rows = ctx.builder(ops.Gather(0), table, indices, name="rows")
                return Queries(name, axes, count, rows, source, indices)
            case InputsQuery(inputs=modality):
                prepared = _modality(ctx, modality, modalities, (*path, "inputs"))
                if not prepared.index:  # a single token: nothing to choose from
                    return Queries(name, (), Dim.of(1), prepared.tokens, source)
                indices, count = _query_input(ctx, name, prepared.index)
                rows = ctx.builder(ops.Gather(1), prepared.tokens, indices, name="rows")
                return Queries(name, prepared.index, count, rows, source, indices)
            case PointsQuery():
                refuse_sum(ctx, query.position, (*path, "position"))
                rows, axis = point_queries(ctx, name, query, path)
                return Queries(name, (axis,), axis.size, rows, source)
    raise TypeError(f"no lowering for the query {query!r}")


def _resolve(ctx: Context, name: str) -> tuple[str, Query]:
    """The output whose queries these are, and what they are: `{output: NAME}` is followed."""
    seen = [name]
    query, path = ctx.spec.outputs[name].query, ("outputs", name, "query", "output")
    while isinstance(query, OutputQuery):
        other = query.output
        known = [n for n in ctx.spec.outputs if n != name]
        if other not in ctx.spec.outputs or other in seen:
            raise ctx.error(
                "PG201",
                f"`{seen[-1]}` takes the queries of `{other}`, which come from `{seen[-1]}` itself"
                if other in seen
                else f"there is no output `{other}`",
                path,
                f"the other outputs are {', '.join(known) or 'none'}",
                help="give one of them a query of its own"
                if other in seen
                else did_you_mean(other, known),
            )
        seen.append(other)
        query, path = ctx.spec.outputs[other].query, ("outputs", other, "query", "output")
    if len(seen) > 1 and not has_queries(query):
        raise ctx.error(
            "PG201",
            f"`{seen[-1]}` has no queries: it is a mean over the latents",
            ("outputs", seen[-2], "query", "output"),
            help="write `query: {mean: latents}` here too",
        )
    return seen[-1], query


def query_mask(
    ctx: Context, name: str, queries: Queries, modalities: Mapping[str, Modality]
) -> Value | None:
    """Which queries are there, if an input's attention mask says so. Shape: bool [batch, n]."""
    masked_by, path = ctx.spec.outputs[name].query_mask, ("outputs", name, "query_mask")
    if masked_by is None:
        return None
    if queries.rows is None:
        raise ctx.error(
            "PG205",
            "a mean over the latents has no queries to mask",
            path,
            help="leave `query_mask` out",
            at_key=True,
        )
    source = _modality(ctx, masked_by, dict(modalities), path)
    if source.mask is None:
        raise ctx.error(
            "PG201",
            f"the input `{masked_by}` has no attention mask",
            path,
            help=f"write `attention_mask: true` under `{masked_by}`",
        )
    if source.count != queries.count or queries.indices is None:
        raise ctx.error(
            "PG205",
            f"the mask of `{masked_by}` is for {source.count} tokens, and there are "
            f"{queries.count} queries",
            path,
            help="leave `query_mask` out, or ask one query per token",
        )
    with ctx.builder.inside("queries", name, module=f"queries.{queries.source}"):
        return ctx.builder(ops.Gather(1), source.mask, queries.indices, name="query_mask")


def _check_grid(ctx: Context, grid: Collection[str], position: Position, path: Path) -> None:
    """Axes that every output has anyway, and channels that a query does not have."""
    for axis in (CHANNEL, "batch"):
        if axis in grid:
            raise ctx.error(
                "PG206",
                f"`{axis}` is an axis of every output, and cannot be one of its grid",
                (*path, "grid", axis),
                help="leave it out",
                at_key=True,
            )
    refuse_sum(ctx, position, (*path, "position"))


def refuse_sum(ctx: Context, position: Position, path: Path) -> None:
    """Queries have no channels besides (PG205)."""
    if position.combine == "add":
        raise ctx.error(
            "PG205",
            "the queries are made of positions alone, so there is nothing to add them to",
            (*path, "combine"),
            help="leave `combine` out",
        )


def _check_count(ctx: Context, axes: tuple[Axis, ...], path: Path) -> None:
    count = product(tuple(axis.size for axis in axes))
    if count.bounds()[0] > LARGEST:
        raise ctx.error(
            "PG213",
            f"the grid would have {count} points, more than {LARGEST:,} (2 to the power of 40)",
            path,
            help="use a coarser grid",
            at_key=True,
        )


def _modality(ctx: Context, name: str, modalities: dict[str, Modality], path: Path) -> Modality:
    if name not in ctx.spec.inputs:
        raise ctx.error(
            "PG201",
            f"there is no input `{name}`",
            path,
            f"the inputs are {', '.join(ctx.spec.inputs)}",
            help=did_you_mean(name, ctx.spec.inputs),
        )
    if name in ctx.coordinates:
        raise ctx.error(
            "PG220",
            f"`{name}` holds coordinates, and is not read as tokens",
            path,
            also=[(("inputs", name), "an input that is the position of another")],
            help=f"ask for what lies there: `{ctx.coordinates[name].beside[0]}`",
        )
    if name not in modalities:
        raise StageError()  # it has an error of its own, already reported
    return modalities[name]


def _query_input(ctx: Context, name: str, axes: tuple[Axis, ...]) -> tuple[Value, Dim]:
    """Which flat positions are asked for: int64 [count], count known only at run time."""
    total = product(tuple(axis.size for axis in axes))
    symbol = Symbol(f"{name}_queries", max=total.bounds()[1])
    add_count(ctx, symbol, name, f"queries of `{name}` are asked for")
    indices = ctx.builder.input(
        f"{name}.queries", "queries", name, ("query",), shape_of(symbol), "int64"
    )
    return indices, total


def pad_queries(ctx: Context, queries: Queries, width: int) -> Value | None:
    """Append learned channels up to the common width. Shapes: [..., n, c] -> [..., n, width]."""
    b, rows = ctx.builder, queries.rows
    if rows is None or width == queries.width:
        return rows
    with b.inside("queries", queries.name, module=f"queries.{queries.source}"):
        number = list(ctx.spec.outputs).index(queries.source)
        padding = modality_code(ctx, ctx.spec.decode.padding, width - queries.width, number)
        padding = b(ops.Broadcast(rows.shape[:-1]), padding, name="padding.rows")
        return b(ops.Concat(-1), rows, padding, name="padded")


def form_output(ctx: Context, name: str, answer: Answer, rows: Rows, single: bool) -> Value:
    """What the head makes of rows, or of their mean, which the original Perceiver classifies.

    Shapes: [batch, n, E] -> [batch, n, channels]; -> [batch, channels] for a mean or a single row.
    """
    x = rows.array
    if answer.pool is not None:
        with ctx.builder.inside("heads"):
            x = ctx.builder(ops.Mean(1), x, name=f"{name}.mean")
    spec = ctx.spec.outputs[name]
    # DeepMind starts the maps of these at zero.
    zero = answer.pool is not None or isinstance(spec.media, FlowOutputMedia)
    start: Kind = "final" if zero else "linear"
    b, path = ctx.builder, ("outputs", name, "head")
    blame = b.at(ctx.document.key_span(*path))
    with blame, b.inside("heads"), b.block(name, "Head", f"forms {name}"):
        match spec.head:
            case LinearHead(linear=channels):
                x = b.linear(x, "linear", channels, start)
            case MlpHead(mlp=parameters):
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
        if single and x.type.rank == 3:
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
