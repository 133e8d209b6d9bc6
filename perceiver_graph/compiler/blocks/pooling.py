"""Convolution and pooling: the steps that move a window over named axes."""

from __future__ import annotations

from collections.abc import Mapping

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.context import CHANNEL, Axis, Context, Field, Path, shape_note
from perceiver_graph.compiler.blocks.requirements import require_channel
from perceiver_graph.compiler.ir.dims import Dim, NotDivisible
from perceiver_graph.compiler.ir.graph import Value
from perceiver_graph.compiler.ops import Op
from perceiver_graph.spec import models

_Padding = str | Mapping[str, int | tuple[int, int]]


def conv(step: models.Conv, ctx: Context, x: Field, name: str, path: Path) -> Field:
    """A convolution. Shapes: [.., *window, c] -> [.., *smaller, channels]."""
    require_channel(ctx, x, "`conv`", path)
    conv, b = step.conv, ctx.builder
    spatial = _spatial(ctx, x, conv.kernel, conv.stride, (*path, "conv"), "kernel")
    given: _Padding | None = conv.padding
    if given is None:
        given = _default_padding(ctx, conv.kernel, (*path, "conv"), half=True)
    padding = _padding(ctx, spatial, conv.kernel, conv.stride, given, (*path, "conv"))
    kernel = tuple(conv.kernel[axis.name] for axis in spatial)
    weight = b.parameter(
        f"{name}.weight", (conv.channels, x.value.shape[-1], *kernel), "convolution"
    )
    bias = (b.parameter(f"{name}.bias", (conv.channels,), "bias"),) if conv.bias else ()
    strides = tuple(conv.stride.get(axis.name, 1) for axis in spatial)
    return _over_batch(ctx, x, spatial, ops.Conv(strides, padding), (weight, *bias), name)


def max_pool(step: models.MaxPool, ctx: Context, x: Field, name: str, path: Path) -> Field:
    """The maximum over windows. Shapes: [.., *window, c] -> [.., *smaller, c]."""
    require_channel(ctx, x, "`max_pool`", path)
    pool = step.max_pool
    stride = {axis: pool.stride.get(axis, window) for axis, window in pool.window.items()} | {
        axis: size for axis, size in pool.stride.items() if axis not in pool.window
    }
    spatial = _spatial(ctx, x, pool.window, stride, (*path, "max_pool"), "window")
    given: _Padding | None = pool.padding
    if given is None:
        given = _default_padding(ctx, pool.window, (*path, "max_pool"), half=False)
    padding = _padding(ctx, spatial, pool.window, stride, given, (*path, "max_pool"))
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
    return _over_batch(ctx, x, spatial, ops.MaxPool(window, strides, padding), (), name)


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


def _default_padding(
    ctx: Context, window: Mapping[str, int], path: Path, *, half: bool
) -> _Padding:
    """What the dialect's source pads with: JAX `SAME`; transformers half the kernel of a
    convolution (`Conv2dSamePadding`, whatever the stride and the size) and nothing before a pool."""
    padding: _Padding = "valid"
    if ctx.spec.dialect == "deepmind":
        padding = "same"
    elif half and all(size % 2 for size in window.values()):
        padding = {axis: size // 2 for axis, size in window.items()}
    elif half:  # of an even kernel, the smaller half goes first; no key of a spec says so
        return {axis: (size // 2 - 1 + size % 2, size // 2) for axis, size in window.items()}
    ctx.derive(padding, *path, "padding")
    return padding


def _padding(
    ctx: Context,
    spatial: tuple[Axis, ...],
    window: Mapping[str, int],
    stride: Mapping[str, int],
    padding: _Padding,
    path: Path,
) -> tuple[tuple[int, int], ...]:
    """Zeros before and after each axis. `same` puts the odd one after, as TensorFlow and JAX do."""
    if isinstance(padding, Mapping):
        ctx.axis_sizes(padding, spatial, "`padding`", (*path, "padding"))
        given = [padding.get(axis.name, 0) for axis in spatial]
        pairs = [(size, size) if isinstance(size, int) else size for size in given]
    elif padding == "valid":
        pairs = [(0, 0)] * len(spatial)
    else:
        pairs = []
        for axis in spatial:
            step = stride.get(axis.name, 1)
            rest = _remainder(ctx, axis, axis.size, step, "`same` padding for ", path)
            total = max(window[axis.name] - (rest or step), 0)
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
        _remainder(
            ctx,
            axis,
            axis.size + before + after - window[axis.name],
            stride.get(axis.name, 1),
            "",
            path,
        )
    return tuple(pairs)


def _remainder(ctx: Context, axis: Axis, size: Dim, stride: int, what: str, path: Path) -> int:
    """What a stride leaves over of a size: the same number whatever the symbols are."""
    try:
        return size.divide(stride)[1]
    except NotDivisible as error:
        raise ctx.error(
            "PG203",
            f"{what}a stride of {stride} does not divide the axis `{axis.name}` of size "
            f"{axis.size} evenly: what is left over depends on the size",
            path,
            also=ctx.declarations(axis.size),
            help=ctx.exact(error),
            at_key=True,
        ) from error


def _over_batch(
    ctx: Context,
    x: Field,
    spatial: tuple[Axis, ...],
    op: Op,
    weights: tuple[Value, ...],
    name: str,
) -> Field:
    """Apply an op on [batch, *spatial, c], folding the axes in front of them into the batch."""
    b, value = ctx.builder, x.value
    front = x.index[: len(x.index) - len(spatial)]
    if front:
        value = b(ops.Flatten(0, len(front)), value, name=f"{name}_batch")
    value = b(op, value, *weights, name=name)
    sizes = value.shape[1:-1]
    if front:
        apart = ops.Unflatten(0, (None, *(axis.size for axis in front)))
        value = b(apart, value, name=f"{name}_unbatch")
    moved = tuple(Axis(axis.name, size) for axis, size in zip(spatial, sizes, strict=True))
    return Field(value, (*front, *moved, Axis(CHANNEL, value.shape[-1])))
