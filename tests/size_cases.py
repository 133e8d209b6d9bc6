"""Random applications of the primitives that hold sizes, which may be known only at run time, and of one
that has rows for each sample."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.ir.dims import Dim, Shape, product
from perceiver_graph.compiler.ops import Array, TensorType
from tests.primitive_case import BATCH, TOKENS, Case, f32

small = st.integers(1, 4)


def dims(draw: st.DrawFn, low: int = 1, high: int = 3) -> tuple[Shape, dict[str, Any]]:
    """Sizes, and what a case has of them: what their symbols stand for, and what says it."""
    batch, tokens = Dim.of(BATCH), Dim.of(TOKENS)
    each = st.sampled_from(
        [*map(Dim.of, range(1, 5)), batch, tokens, 3 * tokens + 1, batch * tokens, tokens * tokens]
    )
    said = draw(st.sampled_from([(), (batch, 2 * tokens + 1), (batch * tokens, tokens * tokens)]))
    beside = f32(*said) if said else None
    sizes = {"batch": draw(small), "tokens": draw(small)}
    return tuple(draw(st.lists(each, min_size=low, max_size=high))), {
        "sizes": sizes,
        "beside": beside,
    }


def shape(draw: st.DrawFn, low: int = 0) -> list[int]:
    return draw(st.lists(small, min_size=low, max_size=2))


def numbers(draw: st.DrawFn, *sizes: int) -> Array:
    """Numbers or masks."""
    seed = draw(st.integers(0, 2**32 - 1))
    x = np.random.default_rng(seed).standard_normal(sizes).astype(np.float32)
    return np.asarray(x < 0) if draw(st.booleans()) else x


def broadcast(draw: st.DrawFn) -> Case:
    held, known = dims(draw)
    return Case(ops.Broadcast(held), numbers(draw, *shape(draw)), **known)


def choose(draw: st.DrawFn) -> Case:
    batch, rows, *after = draw(small), draw(small), *shape(draw)[:2]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    chosen = rng.integers(0, rows, (batch, draw(small)), dtype=np.int64)
    return Case(ops.Choose(), numbers(draw, batch, rows, *after), chosen)


def trim(draw: st.DrawFn) -> Case:
    (size,), known = dims(draw, high=1)
    if BATCH in size.symbols:
        size = Dim.of(TOKENS)
    most = size.bounds()[1]
    assert most is not None
    return Case(
        ops.Trim(size), numbers(draw, most + draw(st.integers(0, 2)), *shape(draw)), **known
    )


def apart(draw: st.DrawFn) -> Case:
    """An axis split in some of which one may be left to division."""
    held, known = dims(draw)
    before, after = shape(draw), shape(draw)
    given: list[Dim | None] = list(held)
    if draw(st.booleans()):
        given[draw(st.integers(0, len(given) - 1))] = None
    x = TensorType(f32(*before, product(held), *after).shape)
    if product(held).symbols == {BATCH, TOKENS}:  # which their product does not say
        known["beside"] = f32(Dim.of(BATCH), Dim.of(TOKENS))
    return Case(ops.Unflatten(len(before), tuple(given)), x, **known)


def positions(draw: st.DrawFn) -> Case:
    held, known = dims(draw)
    return Case(ops.Positions(held), **known)


def grid(draw: st.DrawFn) -> tuple[Array, Shape, tuple[int, ...], dict[str, Any]]:
    """Positions in a grid, its sizes, these as numbers, and what a case has of them."""
    held, known = dims(draw)
    sizes = tuple(size.evaluate(known["sizes"]) for size in held)
    chosen = draw(st.lists(st.integers(0, int(np.prod(sizes)) - 1), min_size=1, max_size=9))
    return np.array(chosen, np.int64), held, sizes, known


def regrid(draw: st.DrawFn) -> Case:
    places, held, sizes, known = grid(draw)
    to = tuple(size + draw(st.integers(0, 3)) for size in sizes)
    return Case(ops.Regrid(held, to), places, **known)


def fourier_at(draw: st.DrawFn) -> Case:
    places, held, sizes, known = grid(draw)
    axes = len(sizes)
    op = ops.FourierAt(
        held,
        of=tuple(draw(st.sampled_from([None, size, size + 3])) for size in sizes),
        bands=draw(st.integers(1, 9)),
        max_resolution=tuple(float(draw(st.integers(1, 64))) for _ in range(axes)),
        endpoint=tuple(draw(st.booleans()) for _ in range(axes)),
        include_position=draw(st.booleans()),
        sine_only=draw(st.booleans()),
        periodic=tuple(i for i in range(axes) if draw(st.booleans())),
    )
    return Case(spaced(draw, op, axes), places, **known)


def spaced(draw: st.DrawFn, op: Any, axes: int | None) -> Any:
    """Fourier features of linear spacing, or with other waves: of so many axes, or of one that is alone."""
    op = replace(op, order=draw(st.sampled_from(["waves", "axes"])))
    kind = draw(st.sampled_from(["linear", "linear", "octaves", "wavelengths"]))
    if kind == "octaves":
        pi = bool(op.periodic) or draw(st.booleans())
        return replace(op, max_resolution=None, spacing=kind, pi=pi)
    if kind == "linear":
        return op
    ends = draw(st.sampled_from([(0.01, 720.0), (1.0, 8766.0), (5.0, 5.0), (0.3, 0.1)]))
    lengths = ends if axes is None else tuple((ends[0] + i, ends[1]) for i in range(axes))
    usual: dict[str, Any] = {} if isinstance(op, ops.FourierAt) else {"ranges": ()}
    if isinstance(op, ops.FourierTable):
        usual = {"endpoint": True}
    return replace(op, max_resolution=None, wavelengths=lengths, periodic=(), **usual)


DRAW = {
    "broadcast": broadcast,
    "choose": choose,
    "fourier_at": fourier_at,
    "positions": positions,
    "regrid": regrid,
    "trim": trim,
}
"""For each of them, how to draw an application of it."""
