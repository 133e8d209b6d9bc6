"""The steps that prepare a modality, one function each, dispatched on the step's model.

A step takes an array with named axes and returns one. To add a step: a model in
`spec/models/inputs.py`, a function here, a case under `tests/cases/shapes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch
from math import isqrt

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.context import CHANNEL, Axis, Context, Field, Path, shape_note
from perceiver_graph.compiler.builder import ONES, ZEROS
from perceiver_graph.compiler.dims import Dim, NotDivisible
from perceiver_graph.compiler.ir import Value
from perceiver_graph.compiler.ops import Op
from perceiver_graph.spec import models


@singledispatch
def apply_step(step: object, ctx: Context, x: Field, name: str, path: Path) -> Field:
    """Lower one step. `name` is unique in the modality; `path` is where the step stands in the spec."""
    raise TypeError(f"no lowering for the step {type(step).__name__}")


ACTIVATIONS: Mapping[str, Op] = {
    "gelu": ops.Gelu("none"),
    "gelu_tanh": ops.Gelu("tanh"),
    "relu": ops.Relu(),
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
        fixed = axis.size.value
        given = ctx.spec.inputs[str(path[1])].shape[axis.name]
        later = "" if str(given) == str(axis.size) else " after the steps before"
        closest = sorted(_divisors(fixed), key=lambda d: (abs(d - size), d))[:3] if fixed else []
        raise ctx.error(
            "PG203",
            f"a patch of {size} does not divide the axis `{axis.name}` of size {axis.size}",
            (*path, axis.name),
            f"{axis.name} is cut into patches of {size} here",
            also=[
                ((*path[:2], "shape", axis.name), f"{axis.name} has {axis.size} positions{later}")
            ],
            help=f"sizes that divide it: {', '.join(map(str, sorted(closest)))}"
            if closest
            else error.hint,
        ) from error


def _divisors(number: int) -> set[int]:
    low = [d for d in range(1, isqrt(number) + 1) if number % d == 0]
    return {*low, *(number // d for d in low)}


@apply_step.register
def _linear(step: models.Linear, ctx: Context, x: Field, name: str, path: Path) -> Field:
    require_channel(ctx, x, "`linear`", path)
    return _with_channels(x, ctx.builder.linear(x.value, name, step.linear))


@apply_step.register
def _conv(step: models.Conv, ctx: Context, x: Field, name: str, path: Path) -> Field:
    require_channel(ctx, x, "`conv`", path)
    conv, b = step.conv, ctx.builder
    spatial = _spatial(ctx, x, conv.kernel, conv.stride, (*path, "conv"), "kernel")
    padding = _padding(ctx, spatial, conv.kernel, conv.stride, conv.padding, (*path, "conv"))
    kernel = tuple(conv.kernel[axis.name] for axis in spatial)
    weight = b.parameter(f"{name}.weight", (conv.channels, x.value.shape[-1], *kernel))
    bias = (b.parameter(f"{name}.bias", (conv.channels,), ZEROS),) if conv.bias else ()
    strides = tuple(conv.stride.get(axis.name, 1) for axis in spatial)
    return _over_batch(ctx, x, spatial, ops.Conv(strides, padding), (weight, *bias), name, path)


@apply_step.register
def _max_pool(step: models.MaxPool, ctx: Context, x: Field, name: str, path: Path) -> Field:
    require_channel(ctx, x, "`max_pool`", path)
    pool = step.max_pool
    stride = {axis: pool.stride.get(axis, window) for axis, window in pool.window.items()} | {
        axis: size for axis, size in pool.stride.items() if axis not in pool.window
    }
    spatial = _spatial(ctx, x, pool.window, stride, (*path, "max_pool"), "window")
    padding = _padding(ctx, spatial, pool.window, stride, pool.padding, (*path, "max_pool"))
    window = tuple(pool.window[axis.name] for axis in spatial)
    strides = tuple(stride[axis.name] for axis in spatial)
    for axis, size, pair in zip(spatial, window, padding, strict=True):
        if max(pair) >= size:
            raise ctx.error(
                "PG210",
                f"padding of {max(pair)} is no less than the window of {size} on `{axis.name}`, "
                "so a window would hold nothing",
                (*path, "max_pool", "padding"),
                help=f"use at most {size - 1}",
            )
    return _over_batch(
        ctx, x, spatial, ops.MaxPool(window, strides, padding), (), name, (*path, "max_pool")
    )


def _spatial(
    ctx: Context,
    x: Field,
    window: Mapping[str, int],
    stride: Mapping[str, int],
    path: Path,
    key: str,
) -> tuple[Axis, ...]:
    """The axes a window moves over: the last ones before the channels."""
    ctx.axis_sizes(window, x.index, f"`{key}`", (*path, key))
    spatial = tuple(axis for axis in x.index if axis.name in window)
    ctx.axis_sizes(stride, spatial, "`stride`", (*path, "stride"))
    for axis in spatial:
        if stride.get(axis.name, 1) > 1:
            fixed_size(ctx, axis, f"a stride of {stride[axis.name]}", path)
    if x.index[len(x.index) - len(spatial) :] != spatial:
        first = x.index.index(spatial[0])
        rest = ", ".join(f"{a.name}: {window.get(a.name, 1)}" for a in x.index[first:])
        raise ctx.error(
            "PG202",
            f"`{key}` must name the last axes before the channels",
            (*path, key),
            notes=[shape_note(x.axes)],
            help=f"write `{key}: {{{rest}}}`, or put these axes last in the shape",
        )
    return spatial


def _padding(
    ctx: Context,
    spatial: tuple[Axis, ...],
    window: Mapping[str, int],
    stride: Mapping[str, int],
    padding: str | Mapping[str, int],
    path: Path,
) -> tuple[tuple[int, int], ...]:
    """Zeros before and after each axis. `same` puts the odd one after, as TensorFlow and JAX do."""
    if isinstance(padding, Mapping):
        ctx.axis_sizes(padding, spatial, "`padding`", (*path, "padding"))
        pairs = [(padding.get(axis.name, 0),) * 2 for axis in spatial]
    elif padding == "valid":
        pairs = [(0, 0)] * len(spatial)
    else:
        pairs = []
        for axis in spatial:
            size, step = fixed_size(ctx, axis, "`same` padding", path), stride.get(axis.name, 1)
            total = max((-(-size // step) - 1) * step + window[axis.name] - size, 0)
            pairs.append((total // 2, total - total // 2))
    for axis, (before, after) in zip(spatial, pairs, strict=True):
        smallest = axis.size.bounds()[0] + before + after
        if smallest < window[axis.name]:
            at_least = "" if axis.size.is_constant else f", which can be {smallest}"
            raise ctx.error(
                "PG210",
                f"a window of {window[axis.name]} does not fit the axis `{axis.name}` of size {axis.size}",
                path,
                f"padded, it has {axis.size + before + after} positions{at_least}",
                help="use a smaller window or more padding"
                + ("" if axis.size.is_constant else ", or declare a larger `min`"),
                at_key=True,
            )
    return tuple(pairs)


def _over_batch(
    ctx: Context,
    x: Field,
    spatial: tuple[Axis, ...],
    op: Op,
    weights: tuple[Value, ...],
    name: str,
    path: Path,
) -> Field:
    """Apply an op on [batch, *spatial, c], folding the axes in front of them into the batch."""
    b, value = ctx.builder, x.value
    front = x.index[: len(x.index) - len(spatial)]
    if front:
        value = b(ops.Flatten(0, len(front)), value, name=f"{name}_batch")
    value = b(op, value, *weights, name=name)
    sizes = value.shape[1:-1]
    if front:
        fixed = tuple(fixed_size(ctx, axis, "an axis without a window", path) for axis in front)
        value = b(ops.Unflatten(0, (None, *fixed)), value, name=f"{name}_unbatch")
    moved = tuple(Axis(axis.name, size) for axis, size in zip(spatial, sizes, strict=True))
    return Field(value, (*front, *moved, Axis(CHANNEL, value.shape[-1])))


@apply_step.register
def _batch_norm(step: models.BatchNorm, ctx: Context, x: Field, name: str, path: Path) -> Field:
    require_channel(ctx, x, "`batch_norm`", path)
    b, channels = ctx.builder, (x.value.shape[-1],)
    value = b(
        ops.BatchNorm(step.batch_norm.epsilon),
        x.value,
        b.parameter(f"{name}.weight", channels, ONES),
        b.parameter(f"{name}.bias", channels, ZEROS),
        b.parameter(f"{name}.running_mean", channels, ZEROS, trainable=False),
        b.parameter(f"{name}.running_var", channels, ONES, trainable=False),
        name=name,
    )
    return _with_channels(x, value)


@apply_step.register
def _activation(step: models.Activation, ctx: Context, x: Field, name: str, path: Path) -> Field:
    require_float(ctx, x, f"`{step.activation}`", path)
    return Field(ctx.builder(ACTIVATIONS[step.activation], x.value, name=name), x.axes)


@apply_step.register
def _embedding(step: models.Embedding, ctx: Context, x: Field, name: str, path: Path) -> Field:
    require_ids(ctx, x, "`embedding`", path)
    size = step.embedding
    table = ctx.builder.parameter(f"{name}.weight", (size.vocabulary, size.width))
    ctx.embeddings[str(path[1])] = table
    value = ctx.builder(ops.Gather(0), table, x.value, name=name)
    return Field(value, (*x.axes, Axis(CHANNEL, Dim.of(size.width))))


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


def _with_channels(x: Field, value: Value) -> Field:
    return Field(value, (*x.axes[:-1], Axis(CHANNEL, value.shape[-1])))


def fixed_size(ctx: Context, axis: Axis, what: str, path: Path) -> int:
    """The size of an axis as a number; symbols are refused."""
    if axis.size.value is None:
        raise ctx.error(
            "PG208",
            f"{what} needs a fixed size, and the axis `{axis.name}` is {axis.size}",
            path,
            also=[
                (("dims", symbol.name), f"`{symbol.name}` is known only at run time")
                for symbol in sorted(axis.size.symbols, key=lambda symbol: symbol.name)
                if symbol.name in ctx.spec.dims
            ],
            help=f"write a number for `{axis.name}`",
            at_key=True,
        )
    return axis.size.value


def require_float(ctx: Context, x: Field, what: str, path: Path) -> None:
    """Refuse ids (PG211)."""
    if x.value.dtype == "int64":
        raise ctx.error(
            "PG211",
            f"{what} needs numbers, and this input holds ids",
            path,
            help="turn ids into vectors first with `embedding` or `one_hot`",
            at_key=True,
        )


def require_channel(ctx: Context, x: Field, what: str, path: Path) -> None:
    """Refuse ids and arrays without channels (PG206)."""
    require_float(ctx, x, what, path)
    if CHANNEL not in x.names:
        raise ctx.error(
            "PG206",
            f"{what} needs a `channel` axis, and there is none",
            path,
            notes=[shape_note(x.axes)],
            help="add `channel: 1` as the last axis of the shape",
            at_key=True,
        )


def require_ids(ctx: Context, x: Field, what: str, path: Path) -> None:
    """Refuse numbers where ids are looked up (PG211)."""
    if x.value.dtype != "int64" or CHANNEL in x.names:
        raise ctx.error(
            "PG211",
            f"{what} looks ids up, and must be the first step of an input without channels",
            path,
            notes=[shape_note(x.axes)],
            help="leave `channel` out of the shape and put this step first",
            at_key=True,
        )
