"""Random applications of every primitive, to compare a backend with the numpy references.

Each case is a graph of one node whose weights may be constants of the graph or inputs, and whose
first axes may be symbols.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.ir.dims import Dim, Symbol, shape_of
from perceiver_graph.compiler.ops import Array, Op, TensorType
from tests import size_cases
from tests.primitive_case import BATCH, COUNT, Case, f32

small = st.integers(1, 5)


def typed(draw: st.DrawFn, *shape: int | Dim | Symbol) -> TensorType:
    """Of a type that can be moved around: numbers or masks."""
    return TensorType(shape_of(*shape), draw(st.sampled_from(["float32", "bool"])))


def weights(draw: st.DrawFn, *shape: int) -> Array:
    seed = draw(st.integers(0, 2**32 - 1))
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def shapes(draw: st.DrawFn, low: int = 1, high: int = 4) -> tuple[int, ...]:
    return tuple(draw(st.lists(small, min_size=low, max_size=high)))


def batched(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[TensorType, dict[str, int]]:
    """The shape, its first axis a symbol half of the time."""
    if draw(st.booleans()) and shape:
        return f32(BATCH, *shape[1:]), {"batch": shape[0]}
    return f32(*shape), {}


def unary(draw: st.DrawFn, op: Op) -> Case:
    type, sizes = batched(draw, shapes(draw))
    return Case(op, type, sizes=sizes)


def binary_shapes(draw: st.DrawFn, count: int) -> list[tuple[int, ...]]:
    """Shapes that broadcast to a common one."""
    common = shapes(draw)
    found = []
    for _ in range(count):
        kept = [1 if draw(st.booleans()) else size for size in common]
        found.append(tuple(kept[draw(st.integers(0, len(kept) - 1)) :]))
    return found


def gaussian_sample(draw: st.DrawFn) -> Case:
    type, sizes = batched(draw, (*shapes(draw), 2 * draw(st.integers(1, 3))))
    return Case(ops.GaussianSample(), type, sizes=sizes)


def add(draw: st.DrawFn) -> Case:
    return Case(ops.Add(), *(f32(*shape) for shape in binary_shapes(draw, 2)))


def mul(draw: st.DrawFn) -> Case:
    return Case(ops.Mul(), *(f32(*shape) for shape in binary_shapes(draw, 2)))


def where(draw: st.DrawFn) -> Case:
    condition, then, other = binary_shapes(draw, 3)
    return Case(ops.Where(), TensorType(shape_of(*condition), "bool"), f32(*then), f32(*other))


def leading(draw: st.DrawFn) -> tuple[Dim, Dim, dict[str, int]]:
    """A batch of samples with some queries each, numbers or symbols."""
    batch, n = draw(small), draw(small)
    first = draw(st.sampled_from([Dim.of(BATCH), Dim.of(batch)]))
    rows = draw(st.sampled_from([Dim.of(COUNT), Dim.of(n)]))
    return first, rows, {"batch": batch, "image_queries": n}


def attention(draw: st.DrawFn) -> Case:
    first, rows, sizes = leading(draw)
    key_heads, group, m, d, e = (draw(small) for _ in range(5))
    heads = key_heads * group
    op = ops.Attention(
        heads,
        key_heads=None if group == 1 else key_heads,
        scale=draw(st.sampled_from([None, 0.25, 2.0])),
        causal=draw(st.booleans()),
    )
    keys = Dim.of(m)
    if op.causal:  # no query comes before all keys
        keys = rows + m
    q, k = f32(first, rows, heads * d), f32(first, keys, key_heads * d)
    v = f32(first, keys, key_heads * e)
    if draw(st.booleans()):
        return Case(op, q, k, v, sizes=sizes)
    op = replace(op, masked_rows=draw(st.sampled_from(["uniform", "zero"])))
    mask = TensorType((first, keys), "bool")  # true nowhere for some samples: m is small
    return Case(op, q, k, v, mask, sizes=sizes)


def rotary(draw: st.DrawFn) -> Case:
    first, rows, sizes = leading(draw)
    heads, pairs, rest = draw(small), draw(small), draw(st.integers(0, 3))
    op = ops.Rotary(heads, draw(st.sampled_from(["interleaved", "halves"])), draw(st.booleans()))
    batched = draw(st.sampled_from([(first,), ()]))
    of = draw(st.sampled_from([batched, ()]))
    x = f32(*batched, rows, heads * (2 * pairs + rest))
    return Case(op, x, f32(*of, rows, 2 * pairs), sizes=sizes)


def segmented_attention(draw: st.DrawFn) -> Case:
    first, rows, sizes = leading(draw)
    axes, inputs = [], []
    for _ in range(draw(st.integers(1, 4))):
        grid = draw(st.lists(small, max_size=3))
        m, d = int(np.prod(grid)) if grid else draw(small), draw(small)
        inputs += [f32(first, rows, d), f32(first, m, d)]
        inputs += [f32(first, m, 1 if grid else draw(small))]
        inputs += [f32(first, rows, size) for size in grid]
        axes.append(len(grid))
    return Case(ops.SegmentedAttention(tuple(axes)), *inputs, sizes=sizes)


def table_attention(draw: st.DrawFn) -> Case:
    n, m, d, e = (draw(small) for _ in range(4))
    batch = draw(small)
    first = draw(st.sampled_from([Dim.of(BATCH), Dim.of(batch)]))
    tables: list[TensorType | Array] = []
    for _ in range(draw(st.integers(1, 3))):
        size = draw(small)
        places = np.random.default_rng(size).integers(0, size, n)
        tables += [f32(first, size, m), places]
    given = [f32(first, n, d), f32(first, m, d), f32(first, m, e), f32(first, n, 1)]
    return Case(ops.TableAttention(), *given, *tables, sizes={"batch": batch})


def linear(draw: st.DrawFn) -> Case:
    *rows, width, out = shapes(draw, 3, 5)
    x, sizes = batched(draw, (*rows, width))
    bias = (weights(draw, out),) if draw(st.booleans()) else ()
    return Case(ops.Linear(), x, weights(draw, out, width), *bias, sizes=sizes)


def matmul(draw: st.DrawFn) -> Case:
    batch, n, k, m = (draw(small) for _ in range(4))
    x, sizes = batched(draw, (batch, n, k))
    transpose = draw(st.booleans())
    lead = (batch,) if draw(st.booleans()) and not sizes else ()
    return Case(
        ops.MatMul(transpose),
        x,
        weights(draw, *lead, *((m, k) if transpose else (k, m))),
        sizes=sizes,
    )


def spatial(draw: st.DrawFn) -> tuple[tuple[int, ...], ...]:
    """(sizes, window, strides) of one to three axes, and padding smaller than the window."""
    rank = draw(st.integers(1, 3))
    window = tuple(draw(st.integers(1, 3)) for _ in range(rank))
    strides = tuple(draw(st.integers(1, 2)) for _ in range(rank))
    sizes = tuple(size + draw(st.integers(0, 3)) for size in window)
    return sizes, window, strides


def padding(draw: st.DrawFn, window: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    return tuple(
        (draw(st.integers(0, size - 1)), draw(st.integers(0, size - 1))) for size in window
    )


def conv(draw: st.DrawFn) -> Case:
    sizes, kernel, strides = spatial(draw)
    batch, channels, out = (draw(small) for _ in range(3))
    x, bound = batched(draw, (batch, *sizes, channels))
    bias = (weights(draw, out),) if draw(st.booleans()) else ()
    op = ops.Conv(strides, tuple((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in sizes))
    return Case(op, x, weights(draw, out, channels, *kernel), *bias, sizes=bound)


def max_pool(draw: st.DrawFn) -> Case:
    sizes, window, strides = spatial(draw)
    x, bound = batched(draw, (draw(small), *sizes, draw(small)))
    return Case(ops.MaxPool(window, strides, padding(draw, window)), x, sizes=bound)


def batch_norm(draw: st.DrawFn) -> Case:
    x, sizes = batched(draw, shapes(draw, 1, 5))
    if x.rank == 1:
        x, sizes = f32(3), {}
    c = int(x.shape[-1])
    four = [weights(draw, c) for _ in range(4)]
    return Case(ops.BatchNorm(1e-3), x, *four[:3], np.abs(four[3]), sizes=sizes)


def layer_norm(draw: st.DrawFn) -> Case:
    x, sizes = batched(draw, (*shapes(draw, 1, 3), draw(st.integers(2, 8))))
    c = int(x.shape[-1])
    op = ops.LayerNorm(draw(st.sampled_from([1e-5, 1e-2])))
    return Case(op, x, weights(draw, c), weights(draw, c), sizes=sizes)


def rms_norm(draw: st.DrawFn) -> Case:
    x, sizes = batched(draw, (*shapes(draw, 1, 3), draw(st.integers(1, 8))))
    return Case(ops.RMSNorm(1e-3), x, weights(draw, int(x.shape[-1])), sizes=sizes)


def moments(draw: st.DrawFn) -> Case:
    return unary(draw, ops.Moments())


def merge_moments(draw: st.DrawFn) -> Case:
    shapes = binary_shapes(draw, draw(st.integers(1, 3)))
    parts = [np.abs(weights(draw, *shape[:-1], 2)) for shape in shapes]
    widths = tuple(draw(small) for _ in parts)
    return Case(ops.MergeMoments(widths, 1e-3, draw(st.booleans())), *parts)


def flatten(draw: st.DrawFn) -> Case:
    shape = shapes(draw)
    start = draw(st.integers(0, len(shape) - 1))
    x, sizes = batched(draw, shape)
    if draw(st.booleans()) and len(shape) > 1:  # a symbol at the end too
        x, sizes = f32(*x.shape[:-1], COUNT), {**sizes, "image_queries": shape[-1]}
    op = ops.Flatten(start, draw(st.integers(start, len(shape) - 1)))
    return Case(op, typed(draw, *x.shape), sizes=sizes)


def unflatten(draw: st.DrawFn) -> Case:
    before, after = shapes(draw, 0, 2), shapes(draw, 0, 2)
    parts: tuple[int | None, ...] = shapes(draw, 1, 3)
    total = int(np.prod([size for size in parts if size]))
    x, sizes = batched(draw, (*before, total, *after)) if before else (f32(total, *after), {})
    if draw(st.booleans()) and after:
        x, sizes = f32(*x.shape[:-1], COUNT), {**sizes, "image_queries": after[-1]}
    if draw(st.booleans()):
        left = draw(st.integers(0, len(parts) - 1))
        parts = (*parts[:left], None, *parts[left + 1 :])
    return Case(ops.Unflatten(len(before), parts), typed(draw, *x.shape), sizes=sizes)


def permute(draw: st.DrawFn) -> Case:
    x, sizes = batched(draw, shapes(draw))
    return Case(ops.Permute(tuple(draw(st.permutations(range(x.rank))))), x, sizes=sizes)


def concat(draw: st.DrawFn) -> Case:
    shape = shapes(draw)
    axis = draw(st.integers(0, len(shape) - 1))
    count = draw(st.integers(1, 3))
    first = typed(draw, *shape)
    ends = [(*shape[:axis], draw(small), *shape[axis + 1 :]) for _ in range(count)]
    types = [TensorType(shape_of(*end), first.dtype) for end in ends]
    return Case(ops.Concat(draw(st.sampled_from([axis, axis - len(shape)]))), *types)


def slice_(draw: st.DrawFn) -> Case:
    shape = shapes(draw)
    axis = draw(st.integers(0, len(shape) - 1))
    start = draw(st.integers(0, shape[axis] - 1))
    stop = draw(st.integers(start + 1, shape[axis]))
    bounds: tuple[int, int | None] = (start, stop)
    if stop == shape[axis]:
        bounds = draw(st.sampled_from([(start, None), (start - stop, None), (start, stop)]))
    elif draw(st.booleans()):
        bounds = (start, stop - shape[axis])
    return Case(ops.Slice(axis, *bounds), f32(*shape))


def mean(draw: st.DrawFn) -> Case:
    x, sizes = batched(draw, shapes(draw))
    return Case(ops.Mean(draw(st.integers(-x.rank, x.rank - 1))), x, sizes=sizes)


def interpolate(draw: st.DrawFn) -> Case:
    rank = draw(st.integers(1, 3))
    sizes, to = (tuple(draw(st.integers(1, 6)) for _ in range(rank)) for _ in range(2))
    return Case(ops.Interpolate(sizes, to), weights(draw, int(np.prod(sizes)), draw(small)))


def fourier_features(draw: st.DrawFn) -> Case:
    shape = shapes(draw)
    x, sizes = batched(draw, shape)
    if len(shape) == 1:
        x, sizes = f32(*shape), {}
    channels = draw(st.integers(1, shape[-1]))
    resolution: Any = float(draw(st.integers(1, 16)))
    if draw(st.booleans()):
        resolution = tuple(float(draw(st.integers(1, 16))) for _ in range(channels))
    op = ops.FourierFeatures(
        draw(st.integers(1, 8)),
        resolution,
        channels,
        include_position=draw(st.booleans()),
        sine_only=draw(st.booleans()),
        periodic=periodic(draw, channels),
        ranges=draw(st.sampled_from([(), tuple((-2.0 - i, 3.0) for i in range(channels))])),
    )
    return Case(size_cases.spaced(draw, op, channels), x, sizes=sizes)


def periodic(draw: st.DrawFn, axes: int) -> tuple[int, ...]:
    """Some of the axes, mostly none."""
    if draw(st.booleans()):
        return ()
    return tuple(i for i in range(axes) if draw(st.booleans()))


def integers(draw: st.DrawFn, low: int, high: int) -> Array:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.integers(low, high, shapes(draw, 0, 3), dtype=np.int64)


def gather(draw: st.DrawFn) -> Case:
    shape = shapes(draw)
    axis = draw(st.integers(0, len(shape) - 1))
    return Case(ops.Gather(axis), f32(*shape), integers(draw, 0, shape[axis]))


def one_hot(draw: st.DrawFn) -> Case:
    classes = draw(st.sampled_from([1, 3, 200]))
    return Case(ops.OneHot(classes), integers(draw, -2, classes + 2))


def coordinate(draw: st.DrawFn) -> Case:
    return Case(ops.Coordinate(draw(small), draw(small)), integers(draw, 0, 1000))


def fourier_table(draw: st.DrawFn) -> Case:
    axes = draw(st.integers(1, 3))
    table = ops.FourierTable(
        size=draw(st.integers(1, 6)),
        axis=draw(st.integers(0, axes - 1)),
        axes=axes,
        bands=draw(st.integers(1, 20)),
        max_resolution=float(draw(st.integers(1, 64))),
        endpoint=draw(st.booleans()),
        include_position=draw(st.booleans()),
        sine_only=draw(st.booleans()),
        periodic=periodic(draw, axes),
    )
    return Case(size_cases.spaced(draw, table, None))


_DRAW: dict[str, Callable[[st.DrawFn], Case]] = {
    "add": add,
    "attention": attention,
    "batch_norm": batch_norm,
    "concat": concat,
    "conv": conv,
    "coordinate": coordinate,
    "flatten": flatten,
    "fourier_features": fourier_features,
    "fourier_table": fourier_table,
    "gather": gather,
    "dropout": lambda draw: unary(draw, ops.Dropout(0.5)),
    "gaussian_sample": gaussian_sample,
    "gelu": lambda draw: unary(draw, ops.Gelu(draw(st.sampled_from(["none", "tanh"])))),
    "interpolate": interpolate,
    "inverse_norm": lambda draw: unary(draw, ops.InverseNorm(draw(st.sampled_from([1e-3, 0.5])))),
    "layer_norm": layer_norm,
    "linear": linear,
    "matmul": matmul,
    "max_pool": max_pool,
    "mean": mean,
    "merge_moments": merge_moments,
    "moments": moments,
    "mul": mul,
    "one_hot": one_hot,
    "permute": permute,
    "relu": lambda draw: unary(draw, ops.Relu()),
    "rms_norm": rms_norm,
    "rotary": rotary,
    "scale": lambda draw: unary(draw, ops.Scale(draw(st.floats(-4, 4, width=32)))),
    "sigmoid": lambda draw: unary(draw, ops.Sigmoid()),
    "silu": lambda draw: unary(draw, ops.Silu()),
    "slice": slice_,
    **size_cases.DRAW,
    "segmented_attention": segmented_attention,
    "table_attention": table_attention,
    "tanh": lambda draw: unary(draw, ops.Tanh()),
    "unflatten": lambda draw: draw(st.sampled_from([unflatten, size_cases.apart]))(draw),
    "where": where,
}
"""For each primitive, how to draw an application of it."""

CASES = {name: st.composite(draw)() for name, draw in _DRAW.items()}
"""Random applications of each primitive."""
