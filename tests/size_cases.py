"""Random applications of the primitives that read sizes known only at run time."""

from __future__ import annotations

from hypothesis import strategies as st

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.dims import Dim
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
