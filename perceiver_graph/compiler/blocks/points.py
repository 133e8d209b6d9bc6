"""Queries at points that the caller gives, and the inputs that these queries are made of."""

from __future__ import annotations

from collections.abc import Mapping

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.context import Context, PartError, Path
from perceiver_graph.compiler.blocks.coordinates import declare_points, point_features
from perceiver_graph.compiler.blocks.locating import points_at
from perceiver_graph.compiler.blocks.modality import Modality
from perceiver_graph.compiler.blocks.places import at_each
from perceiver_graph.compiler.blocks.queries import Asked, ask, no_input, refuse_sum, token_input
from perceiver_graph.compiler.ir.dims import Dim
from perceiver_graph.compiler.ir.graph import Value
from perceiver_graph.spec.models import Output, PointsQuery


def vectors(outputs: Mapping[str, Output]) -> dict[str, list[str]]:
    """The inputs that queries are made of and latents do not read, each with the outputs that have these
    queries."""
    found: dict[str, list[str]] = {}
    for name, output in outputs.items():
        if isinstance(output.query, PointsQuery) and output.query.vector is not None:
            found.setdefault(output.query.vector, []).append(name)
    return found


def check_vectors(ctx: Context) -> None:
    """Report vectors that are no inputs (PG201), of which nobody knows which inputs latents do not read."""
    for name, outputs in vectors(ctx.spec.outputs).items():
        for of in outputs if name not in ctx.spec.inputs else ():
            with ctx.part("outputs", of, "query"):
                raise no_input(ctx, name, ("outputs", of, "query", "vector"))


def check_vector(ctx: Context, name: str, of: str) -> None:
    """Refuse (PG220) what is said of an input as if latents read it, where it is what queries are made of."""
    spec, path = ctx.inputs[name], ("inputs", name)
    ctx.derive("never", *path, "mask")
    for key in ("position", "mask", "attention_mask"):
        if getattr(spec, key) not in (None, False, "never"):
            raise ctx.error(
                "PG220",
                f"`{name}` is what queries are made of, and no latent reads it: it takes no `{key}`",
                (*path, key),
                also=[(("outputs", of, "query", "vector"), f"the queries of `{of}`")],
                help=f"leave `{key}` out",
                at_key=True,
            )


@ask.register
def _points(
    query: PointsQuery, ctx: Context, name: str, modalities: Mapping[str, Modality], path: Path
) -> Asked:
    position, vector = query.position, None
    if query.vector is not None:
        vector = _vector(ctx, query.vector, modalities, (*path, "vector"))
    elif position is not None:
        refuse_sum(ctx, position, (*path, "position"))
    if position is None:
        _require_difference(ctx, query, path)
    array, axis = declare_points(ctx, name, query)
    features = None
    if position is not None:
        features = point_features(ctx, array, query, position, path)
    located = points_at(ctx, name, query, axis.size)
    rows = _rows(ctx, query, _at_all(ctx, vector, axis.size), features, path)
    rows = at_each(ctx, rows, ctx.asked_at, "rows_places")
    return Asked((axis,), axis.size, rows, located=located)


def _require_difference(ctx: Context, query: PointsQuery, path: Path) -> None:
    """Refuse (PG220) queries that are the same at all points."""
    if query.vector is None:
        raise ctx.error(
            "PG220",
            "nothing says what the queries are made of",
            path,
            help="write `position: {fourier: {bands: 32, max_resolution: 64}}`, or name an input of one "
            "token as their `vector`",
            at_key=True,
        )
    if ctx.spec.attention("decode").rotary is False:
        raise ctx.error(
            "PG220",
            "the queries are the same at all points, and so are the answers",
            (*path, "vector"),
            help="write `rotary: true` under `decode`, or `position: {fourier: {...}}` here",
            at_key=True,
        )


def _vector(ctx: Context, name: str, modalities: Mapping[str, Modality], path: Path) -> Value:
    """The token that queries are made of. Shape: [batch, width]."""
    if name not in ctx.spec.inputs:
        raise PartError()  # it has an error of its own, already reported
    found = token_input(ctx, name, modalities, path)
    if axes := (*found.places, *found.index):
        raise ctx.error(
            "PG220",
            f"queries are made of one token, and `{name}` has one for each of "
            f"{', '.join(map(str, axes))}",
            path,
            also=[(("inputs", name, "shape"), "these tokens")],
            help=f"give `{name}` no axis but `channel`, or ask for its tokens: `query: {{inputs: {name}}}`",
        )
    return ctx.builder(ops.Flatten(1, 2), found.tokens, name="vector")


def _at_all(ctx: Context, vector: Value | None, points: Dim) -> Value | None:
    """Shapes: [batch, width] -> [batch, points, width]."""
    if vector is None:
        return None
    each = ctx.builder(ops.Broadcast((points,)), vector, name="vector_of_each")
    return ctx.builder(ops.Permute((1, 0, 2)), each, name="vectors")


def _rows(
    ctx: Context, query: PointsQuery, vectors: Value | None, features: Value | None, path: Path
) -> Value:
    """What queries are made of: vectors, features of the points beside them, or the sum of both."""
    if vectors is None or features is None:
        rows = vectors or features
        assert rows is not None
        return rows
    assert query.position is not None
    if query.position.combine == "concat":
        return ctx.builder(ops.Concat(-1), vectors, features, name="with_position")
    if vectors.shape[-1] != features.shape[-1]:
        raise ctx.error(
            "PG205",
            f"positions of width {features.shape[-1]} cannot be added to {vectors.shape[-1]} channels",
            (*path, "position", "combine"),
            also=[((*path, "vector"), f"{vectors.shape[-1]} channels")],
            help=f"write `project: {vectors.shape[-1]}` to map them, or `combine: concat`",
        )
    return ctx.builder(ops.Add(), vectors, features, name="with_position")
