"""The steps that prepare a modality, one function each, dispatched on the step's model.

A step takes an array with named axes and returns one. To add a step: a model in
`spec/models/steps.py`, a function here, a case under `tests/cases/shapes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch
from math import isqrt

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks import pooling
from perceiver_graph.compiler.blocks.context import CHANNEL, Axis, Context, Field, Path, shape_note
from perceiver_graph.compiler.blocks.requirements import require_channel, require_float, require_ids
from perceiver_graph.compiler.blocks.waves import waves_of_step
from perceiver_graph.compiler.ir.dims import Dim, NotDivisible
from perceiver_graph.compiler.ir.graph import Value
from perceiver_graph.compiler.ops import Op
from perceiver_graph.diagnostics.words import joined
from perceiver_graph.spec import models


@singledispatch
def apply_step(step: object, ctx: Context, x: Field, name: str, path: Path) -> Field:
    """Lower one step. `name` is unique in the modality; `path` is where the step stands in the spec."""
    raise TypeError(f"no lowering for the step {type(step).__name__}")


ACTIVATIONS: Mapping[str, Op] = {
    "gelu": ops.Gelu("none"),
    "gelu_tanh": ops.Gelu("tanh"),
    "relu": ops.Relu(),
    "silu": ops.Silu(),
    "sigmoid": ops.Sigmoid(),
    "tanh": ops.Tanh(),
}
"""The primitive of each non-linearity that a spec can name."""


@apply_step.register
def _patch(step: models.Patch, ctx: Context, x: Field, name: str, path: Path) -> Field:
    """Space to depth: [.., h, w, c] -> [.., h/s, w/s, s*s*c], channels ordered (dy, dx, c)."""
    require_channel(ctx, x, "`patch`", path)
    path = (*path, "patch")
    ctx.axis_sizes(step.patch, x.index, "`patch`", path)
    value, axes, position = x.value, [], 1
    outer: list[int] = [0]  # where each axis and its patch part end up once all are split
    inner: list[int] = []
    for axis in x.axes:
        size = step.patch.get(axis.name, 1)
        if axis.name == CHANNEL:
            inner.append(position)
            position += 1
            continue
        outer.append(position)
        if size == 1:
            axes.append(axis)
            position += 1
            continue
        axes.append(Axis(axis.name, _divide(ctx, axis, size, path)))
        value = ctx.builder(
            ops.Unflatten(position, (None, size)), value, name=f"{name}.{axis.name}"
        )
        inner.append(position + 1)
        position += 2
    order = (*outer, *inner)
    if order != tuple(range(len(order))):
        value = ctx.builder(ops.Permute(order), value, name=f"{name}.order")
    value = ctx.builder(ops.Flatten(len(outer), len(outer) + len(inner) - 1), value, name=name)
    return Field(value, (*axes, Axis(CHANNEL, value.shape[-1])))


def _divide(ctx: Context, axis: Axis, size: int, path: Path) -> Dim:
    try:
        return axis.size.exact_div(size)
    except NotDivisible as error:
        given = ctx.inputs[str(path[1])].shape[axis.name]
        later = "" if str(given) == str(axis.size) else " after the steps before"
        patch = (*path, axis.name), f"{axis.name} is cut into patches of {size} here"
        shape = (*path[:2], "shape", axis.name), f"{axis.name} has {axis.size} positions{later}"
        # The steps of another input fit that one: what does not is the shape of this one.
        fixed, own = axis.size.value, ctx.place(shape[0])[1] != ctx.place(path)[1]
        blamed, other = (shape, patch) if own else (patch, shape)
        like = ((*path[:2], "like"), f"`{path[1]}` is like `{ctx.place(path)[1]}`")
        raise ctx.error(
            "PG203",
            f"a patch of {size} does not divide the axis `{axis.name}` of size {axis.size}",
            *blamed,
            also=[other, like] if own and ctx.place(shape[0]) == shape[0] else [other],
            help=_fitting(axis.name, fixed, size, own and not later) if fixed else ctx.exact(error),
        ) from error


def _fitting(axis: str, fixed: int, size: int, own: bool) -> str:
    """What to change: the size of an axis, or that of a patch."""
    below = fixed // size * size
    if own:
        sizes = [f"`{axis}: {one}`" for one in (below, below + size) if one]
        return f"{joined(sizes)} would do, or other `steps` instead of `like`"
    closest = sorted(_divisors(fixed), key=lambda d: (abs(d - size), d))[:3]
    return f"sizes that divide it: {', '.join(map(str, sorted(closest)))}"


def _divisors(number: int) -> set[int]:
    low = [d for d in range(1, isqrt(number) + 1) if number % d == 0]
    return {*low, *(number // d for d in low)}


@apply_step.register
def _linear(step: models.Linear, ctx: Context, x: Field, name: str, path: Path) -> Field:
    require_channel(ctx, x, "`linear`", path)
    return _with_channels(x, ctx.builder.linear(x.value, name, step.linear, bias=step.bias))


apply_step.register(models.Conv, pooling.conv)
apply_step.register(models.MaxPool, pooling.max_pool)


@apply_step.register
def _batch_norm(step: models.BatchNorm, ctx: Context, x: Field, name: str, path: Path) -> Field:
    require_channel(ctx, x, "`batch_norm`", path)
    b, channels = ctx.builder, (x.value.shape[-1],)
    value = b(
        ops.BatchNorm(step.batch_norm.epsilon),
        x.value,
        b.parameter(f"{name}.weight", channels, "gain"),
        b.parameter(f"{name}.bias", channels, "bias"),
        b.parameter(f"{name}.running_mean", channels, "running_mean", trainable=False),
        b.parameter(f"{name}.running_var", channels, "running_variance", trainable=False),
        name=name,
    )
    return _with_channels(x, value)


@apply_step.register
def _activation(step: models.Activation, ctx: Context, x: Field, name: str, path: Path) -> Field:
    require_float(ctx, x, f"`{step.activation}`", path)
    return Field(ctx.builder(ACTIVATIONS[step.activation], x.value, name=name), x.axes)


@apply_step.register
def _embedding(step: models.Embedding, ctx: Context, x: Field, name: str, path: Path) -> Field:
    size = step.embedding
    if isinstance(size.vocabulary, Mapping):
        return _embeddings(size.vocabulary, size.width, ctx, x, name, (*path, "embedding"))
    require_ids(ctx, x, "`embedding`", path, _several(x, size.vocabulary))
    table = ctx.builder.parameter(f"{name}.weight", (size.vocabulary, size.width), "embedding")
    ctx.embeddings[str(path[1])] = table
    value = ctx.builder(ops.Gather(0), table, x.value, name=name)
    return Field(value, (*x.axes, Axis(CHANNEL, Dim.of(size.width))))


def _several(x: Field, vocabulary: int) -> str:
    """What is meant where a token has a few ids, with a table of vectors for each."""
    count = x.axes[-1].size.value if x.axes and x.axes[-1].name == CHANNEL else None
    if count is None or not 1 < count <= len(_IDS):
        return ""
    tables = ", ".join(f"{name}: {vocabulary}" for name in _IDS[:count])
    return f"; for {count} ids of a token, write `vocabulary: {{{tables}}}`"


_IDS = "abcd"
"""What ids of a token may be called."""


def _embeddings(
    vocabulary: Mapping[str, int], width: int, ctx: Context, x: Field, name: str, path: Path
) -> Field:
    """The sum of a vector for each id: [.., ids] -> [.., width]."""
    axis = x.axes[-1] if x.axes else None
    if x.value.dtype != "int64" or axis is None or axis.name != CHANNEL:
        raise ctx.error(
            "PG211",
            "`embedding` of several ids looks up those in the channels, as the first step",
            (*path, "vocabulary"),
            notes=[shape_note(x.axes)],
            help=f"add `channel: {len(vocabulary)}` as the last axis of the shape: one for each of "
            f"{', '.join(vocabulary)}",
            at_key=True,
        )
    if axis.size != len(vocabulary):
        raise ctx.error(
            "PG211",
            f"there are {len(vocabulary)} tables of vectors, and {axis.size} ids of a token",
            (*path, "vocabulary"),
            notes=[shape_note(x.axes)],
            help=f"write `channel: {len(vocabulary)}`: one for each of {', '.join(vocabulary)}",
            at_key=True,
        )
    rank, total = x.value.type.rank, None
    for channel, (kind, count) in enumerate(vocabulary.items()):
        table = ctx.builder.parameter(f"{name}.{kind}.weight", (count, width), "embedding")
        column = ctx.builder(ops.Slice(-1, channel, channel + 1), x.value, name=f"{name}.{kind}.id")
        ids = ctx.builder(ops.Flatten(rank - 2, rank - 1), column, name=f"{name}.{kind}.ids")
        vector = ctx.builder(ops.Gather(0), table, ids, name=f"{name}.{kind}")
        if total is None:
            total = vector
            continue
        last = channel == len(vocabulary) - 1
        total = ctx.builder(ops.Add(), total, vector, name=name if last else f"{name}.sum")
    assert total is not None
    return Field(total, (*x.axes[:-1], Axis(CHANNEL, Dim.of(width))))


@apply_step.register
def _one_hot(step: models.OneHot, ctx: Context, x: Field, name: str, path: Path) -> Field:
    require_ids(ctx, x, "`one_hot`", path)
    value = ctx.builder(ops.OneHot(step.one_hot), x.value, name=name)
    return Field(value, (*x.axes, Axis(CHANNEL, Dim.of(step.one_hot))))


@apply_step.register
def _squeeze(step: models.Squeeze, ctx: Context, x: Field, name: str, path: Path) -> Field:
    ctx.axis_sizes([step.squeeze], x.index, "`squeeze`", path)
    position = x.names.index(step.squeeze)
    axis = x.axes[position]
    if axis.size != 1:
        raise ctx.error(
            "PG202",
            f"`squeeze` drops an axis of size 1, and `{axis.name}` has size {axis.size}",
            (*path, "squeeze"),
            notes=[shape_note(x.axes)],
            help=f"fold it into the channels first: `{{patch: {{{axis.name}: {axis.size}}}}}`"
            if axis.size.is_constant
            else f"write `{axis.name}: 1` in the shape",
        )
    value = ctx.builder(ops.Flatten(position, position + 1), x.value, name=name)
    return Field(value, (*x.axes[:position], *x.axes[position + 1 :]))


@apply_step.register
def _fourier(step: models.FourierFeatures, ctx: Context, x: Field, name: str, path: Path) -> Field:
    """Coordinates as channels, say of points: [.., c] -> [.., c * (2 * bands + 1)]."""
    require_channel(ctx, x, "`fourier`", path)
    fourier, width = step.fourier, int(x.value.shape[-1])
    channels = fourier.channels or width
    ctx.derive(channels, *path, "fourier", "channels")
    if channels > width:
        raise ctx.error(
            "PG205",
            f"{channels} coordinates cannot be taken from {width} channels",
            (*path, "fourier", "channels"),
            notes=[shape_note(x.axes)],
            help=f"use at most {width}, or leave it out to take all",
        )
    waves = waves_of_step(ctx, fourier, channels, (*path, "fourier"))
    features = ops.FourierFeatures(
        waves.bands, waves.alike, channels, wavelengths=waves.lengths, **waves.switches
    )
    return _with_channels(x, ctx.builder(features, x.value, name=name))


def _with_channels(x: Field, value: Value) -> Field:
    return Field(value, (*x.axes[:-1], Axis(CHANNEL, value.shape[-1])))
