"""Random applications of the primitives that read sizes known only at run time."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.dims import Dim
from perceiver_graph.compiler.ops import Array, TensorType
from tests.primitive_case import BATCH, TOKENS, Case, f32

small = st.integers(1, 4)


def split_like(draw: st.DrawFn) -> Case:
    batch, tokens, rest = draw(small), draw(small), draw(st.lists(small, max_size=2))
    first, second = Dim.of(batch), Dim.of(tokens)
    if draw(st.booleans()):
        first, second = Dim.of(BATCH), Dim.of(TOKENS)
    axes = draw(st.integers(1, 2))
    merged = first * second if axes == 2 else first
    sizes = {"batch": batch, "tokens": tokens}
    return Case(ops.SplitLike(axes), f32(merged, *rest), f32(first, second, 3), sizes=sizes)


def _like(draw: st.DrawFn) -> tuple[TensorType, int, int, dict[str, int]]:
    """A value with a grid from an axis on, sizes numbers or symbols."""
    batch, tokens, more = draw(small), draw(small), draw(small)
    first, second = Dim.of(batch), Dim.of(tokens)
    if draw(st.booleans()):
        first, second = Dim.of(BATCH), Dim.of(TOKENS)
    axes = draw(st.integers(1, 3))
    start = draw(st.integers(0, 3 - axes))
    return f32(first, second, more), start, axes, {"batch": batch, "tokens": tokens}


def sizes_like(draw: st.DrawFn) -> Case:
    like, start, axes, sizes = _like(draw)
    return Case(ops.SizesLike(start, axes), like, sizes=sizes)


def positions_like(draw: st.DrawFn) -> Case:
    like, start, axes, sizes = _like(draw)
    return Case(ops.PositionsLike(start, axes), like, sizes=sizes)


def grid(draw: st.DrawFn) -> tuple[Array, Array]:
    """Positions in a grid, and its sizes."""
    sizes = np.array(draw(st.lists(st.integers(1, 9), min_size=1, max_size=3)), np.int64)
    chosen = draw(st.lists(st.integers(0, int(np.prod(sizes)) - 1), min_size=1, max_size=9))
    return np.array(chosen, np.int64), sizes


def regrid(draw: st.DrawFn) -> Case:
    positions, sizes = grid(draw)
    to = tuple(size + draw(st.integers(0, 3)) for size in sizes.tolist())
    return Case(ops.Regrid(to), positions, sizes)


def fourier_at(draw: st.DrawFn) -> Case:
    positions, sizes = grid(draw)
    axes = len(sizes)
    longest = (draw(st.sampled_from([None, size, size + 3])) for size in sizes.tolist())
    op = ops.FourierAt(
        of=tuple(longest),
        bands=draw(st.integers(1, 9)),
        max_resolution=tuple(float(draw(st.integers(1, 64))) for _ in range(axes)),
        endpoint=tuple(draw(st.booleans()) for _ in range(axes)),
        include_position=draw(st.booleans()),
        sine_only=draw(st.booleans()),
        periodic=tuple(i for i in range(axes) if draw(st.booleans())),
    )
    return Case(op, positions, sizes)


DRAW = {
    "fourier_at": fourier_at,
    "positions_like": positions_like,
    "regrid": regrid,
    "sizes_like": sizes_like,
    "split_like": split_like,
}
"""For each of them, how to draw an application of it."""
