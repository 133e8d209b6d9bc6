"""Queries: what an output asks the latents with.

Each output is decoded on its own: queries do not see each other, so the result is that of one joint
query array, nothing is computed for outputs that were not asked for, and no output has to be cut
out of an array whose lengths are known only at run time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import singledispatch

from perceiver_graph import limits
from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.context import (
    CHANNEL,
    Axis,
    Context,
    PartError,
    Path,
)
from perceiver_graph.compiler.blocks.located import Located
from perceiver_graph.compiler.blocks.locating import queries_at
from perceiver_graph.compiler.blocks.modality import Modality, modality_code
from perceiver_graph.compiler.blocks.places import together, with_over
from perceiver_graph.compiler.blocks.position import Grid, grid_positions
from perceiver_graph.compiler.blocks.symbols import add_count
from perceiver_graph.compiler.ir.dims import Dim, Symbol, product, shape_of
from perceiver_graph.compiler.ir.graph import Value
from perceiver_graph.diagnostics.words import did_you_mean
from perceiver_graph.spec.models import (
    GridQuery,
    InputsQuery,
    LearnedQuery,
    OutputQuery,
    Position,
    Query,
)


@dataclass(frozen=True)
class Asked:
    """What a kind of query gives. `rows`: [n, width], or [batch, n, width] where they depend on inputs."""

    axes: tuple[Axis, ...]
    """The index axes of the output; none for a single query."""
    count: Dim
    """How many queries there are in all."""
    rows: Value
    indices: Value | None = None
    """Which of them are asked for, where that can be chosen: int64 [n]."""
    located: Located | None = None
    """Where they are, for rotary positions; None where they are counted by themselves."""


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
    located: Located | None = None
    """Where they are, for rotary positions."""

    @property
    def width(self) -> int:
        return 0 if self.rows is None else int(self.rows.shape[-1])


def make_queries(ctx: Context, name: str, modalities: Mapping[str, Modality]) -> Queries:
    """The queries of one output, before they are brought to the common width."""
    source, query = _resolve(ctx, name)
    if query.takes:
        return Queries(name, (), Dim.of(0), None, name)
    path: Path = ("outputs", source, "query")
    summary = f"the queries of {name}"
    with ctx.builder.block(name, "Query", summary, module=f"queries.{source}"):
        asked = ask(query, ctx, name, modalities, path)
    at = asked.located or queries_at(name, asked.axes, asked.count, asked.indices)
    return Queries(name, asked.axes, asked.count, asked.rows, source, asked.indices, at)


@singledispatch
def ask(
    query: Query, ctx: Context, name: str, modalities: Mapping[str, Modality], path: Path
) -> Asked:
    """What a kind of query asks for the output `name`. `path` is where it stands in the spec, which
    may be at another output, whose weights it shares then."""
    raise TypeError(f"no lowering for the query {type(query).__name__}")


@ask.register
def _grid(
    query: GridQuery, ctx: Context, name: str, modalities: Mapping[str, Modality], path: Path
) -> Asked:
    _check_grid(ctx, query.grid, query.position, path)
    axes = tuple(Axis(a, ctx.size(s, *path, "grid", a)) for a, s in query.grid.items())
    indices, count = chosen(ctx, name, axes, (*path, "grid"))
    rows = grid_positions(ctx, query.position, Grid(axes, indices), (*path, "position"))
    return Asked(axes, count, rows, indices)


@ask.register
def _learned(
    query: LearnedQuery, ctx: Context, name: str, modalities: Mapping[str, Modality], path: Path
) -> Asked:
    learned = query.learned
    width = learned.width or ctx.latent_width
    if width is None:
        raise PartError  # the latents have an error of their own, already reported
    ctx.derive(width, *path, "learned", "width")
    shape = (learned.count, width)
    ctx.builder.declare(count=learned.count)
    table = ctx.builder.parameter("table", shape, scale=learned.init_scale)
    if learned.count == 1:
        return Asked((), Dim.of(1), table)
    axes = (Axis("query", Dim.of(learned.count)),)
    indices, count = chosen(ctx, name, axes, (*path, "learned"))
    rows = ctx.builder(ops.Gather(0), table, indices, name="rows")
    return Asked(axes, count, rows, indices)


@ask.register
def _inputs(
    query: InputsQuery, ctx: Context, name: str, modalities: Mapping[str, Modality], path: Path
) -> Asked:
    prepared = token_input(ctx, query.inputs, modalities, (*path, "inputs"))
    axes, tokens = with_over(ctx, prepared.index), prepared.tokens
    if ctx.spec.process.over:
        tokens = together(ctx, tokens, "together")
    if not axes:  # a single token: nothing to choose from
        return Asked((), Dim.of(1), tokens, located=_tokens(ctx, prepared, None, modalities))
    indices, count = chosen(ctx, name, axes, (*path, "inputs"))
    rows = ctx.builder(ops.Gather(1), tokens, indices, name="rows")
    return Asked(axes, count, rows, indices, _tokens(ctx, prepared, indices, modalities))


def _tokens(
    ctx: Context, one: Modality, indices: Value | None, modalities: Mapping[str, Modality]
) -> Located | None:
    """Where chosen tokens are. Of one of several inputs, their numbers count this one alone."""
    if one.at is None or ctx.spec.process.over:
        return None
    return Located("query", (replace(one.at, chosen=indices),), own=len(modalities) > 1)


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
    if len(seen) > 1 and query.takes:
        written = query.key if query.is_word() else f"{{{query.key}: {getattr(query, query.key)}}}"
        raise ctx.error(
            "PG201",
            f"`{seen[-1]}` has no queries: it is {query.takes}",
            ("outputs", seen[-2], "query", "output"),
            help=f"write `query: {written}` here too",
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
            f"`{name}` has no queries to mask: it is {ctx.spec.outputs[name].query.takes}",
            path,
            help="leave `query_mask` out",
            at_key=True,
        )
    source = token_input(ctx, masked_by, modalities, path)
    if source.mask is None:
        raise ctx.error(
            "PG201",
            f"the input `{masked_by}` has no attention mask",
            path,
            help=f"write `attention_mask: true` under `{masked_by}`",
        )
    tokens = product(axis.size for axis in with_over(ctx, (Axis("token", source.count),)))
    if tokens != queries.count:
        raise ctx.error(
            "PG205",
            f"the mask of `{masked_by}` is for {tokens} tokens, and there are "
            f"{queries.count} queries",
            path,
            help="leave `query_mask` out, or ask one query per token",
        )
    with ctx.builder.inside("queries", name, module=f"queries.{queries.source}"):
        mask = source.mask
        if ctx.spec.process.over:
            mask = together(ctx, mask, "mask_together")
        if queries.indices is None:  # a single one, for a single token
            return mask
        return ctx.builder(ops.Gather(1), mask, queries.indices, name="query_mask")


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


def token_input(
    ctx: Context, name: str, modalities: Mapping[str, Modality], path: Path
) -> Modality:
    """An input whose tokens are asked for or with."""
    if name not in ctx.spec.inputs:
        raise no_input(ctx, name, path)
    if name in ctx.coordinates:
        raise ctx.error(
            "PG220",
            f"`{name}` holds coordinates, and is not read as tokens",
            path,
            also=[(("inputs", name), "an input that is the position of another")],
            help=f"ask for what lies there: `{ctx.coordinates[name].beside[0]}`",
        )
    if name not in modalities:
        raise PartError()  # it has an error of its own, already reported
    return modalities[name]


def no_input(ctx: Context, name: str, path: Path) -> PartError:
    """Report a name that no input has (PG201)."""
    return ctx.error(
        "PG201",
        f"there is no input `{name}`",
        path,
        f"the inputs are {', '.join(ctx.spec.inputs)}",
        help=did_you_mean(name, ctx.spec.inputs),
    )


def chosen(ctx: Context, name: str, axes: tuple[Axis, ...], path: Path) -> tuple[Value, Dim]:
    """Which flat positions along the axes are asked for, int64 [count], with a count that is known
    only at run time; and how many there are in all."""
    total = product(tuple(axis.size for axis in axes))
    most = total.bounds()[1]
    if most is not None and most > limits.SIZE:
        symbols = " and ".join(sorted(f"`{symbol.name}`" for symbol in total.symbols))
        raise ctx.error(
            "PG213",
            f"`{name}` would have up to {most:,} queries, more than {limits.SIZE:,}",
            path,
            also=ctx.declarations(total),
            help=f"declare a smaller `max` of {symbols}"
            if symbols
            else "use a coarser grid, or make fewer tokens, say with `patch`",
            at_key=True,
        )
    symbol = Symbol(f"{name}_queries", max=most)
    add_count(ctx, symbol, name, f"queries of `{name}` are asked for")
    indices = ctx.builder.input(
        f"{name}.queries", "queries", name, ("query",), shape_of(symbol), "int64"
    )
    return indices, total


def query_width(ctx: Context, found: Mapping[str, Queries]) -> int:
    """The width that the queries of all outputs are brought to; 0 where there are none."""
    padding = ctx.spec.decode.padding
    widest = max((queries.width for queries in found.values()), default=0)
    return widest + (padding.min if padding and widest else 0)


def require_one_width(ctx: Context, found: Mapping[str, Queries]) -> None:
    """Queries that are not padded must be of one width (PG209)."""
    asked = [queries for queries in found.values() if queries.rows is not None]
    for other in asked:
        first = asked[0]
        if ctx.spec.decode.padding is None and other.width != first.width:
            raise ctx.error(
                "PG209",
                f"queries of `{first.name}` are {first.width} wide, those of `{other.name}` {other.width}",
                ("outputs", other.name, "query"),
                f"{other.width} channels",
                also=[(("outputs", first.name, "query"), f"{first.width} channels")],
                help="add `padding: {min: 0}` under `decode`, or choose equal widths",
                at_key=True,
            )


def pad_queries(ctx: Context, queries: Queries, width: int) -> Value | None:
    """Append learned channels up to the common width. Shapes: [..., n, c] -> [..., n, width]."""
    b, rows = ctx.builder, queries.rows
    if rows is None or width == queries.width:
        return rows
    with b.inside("queries", queries.name, module=f"queries.{queries.source}"):
        b.declare(padding=width - queries.width)
        number = list(ctx.spec.outputs).index(queries.source)
        padding = modality_code(ctx, ctx.spec.decode.padding, width - queries.width, number)
        padding = b(ops.Broadcast(rows.shape[:-1]), padding, name="padding.rows")
        return b(ops.Concat(-1), rows, padding, name="padded")
