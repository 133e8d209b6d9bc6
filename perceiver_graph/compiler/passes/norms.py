"""What several passes know of normalisations: their affine part, and the moments they follow from."""

from __future__ import annotations

from collections.abc import Sequence

from perceiver_graph.compiler.ir.graph import Value
from perceiver_graph.compiler.ops import (
    Add,
    LayerNorm,
    Linear,
    Mean,
    MergeMoments,
    Moments,
    Mul,
    Scale,
    Slice,
)
from perceiver_graph.compiler.passes.patterns import Of, equal
from perceiver_graph.compiler.passes.rewriter import Rewriter

PLAIN_NORM = Of(LayerNorm, weight=equal(1), bias=equal(0))
"""A norm whose affine part changes nothing, and is known to."""
MEAN, INVERSE = Slice(-1, 0, 1), Slice(-1, 1, 2)
"""Of merged moments: m, and s = 1 / sqrt(variance + epsilon), where the norm is (x - m) s."""


def merged_moments(
    rewriter: Rewriter, parts: Sequence[Value], widths: Sequence[int], epsilon: float
) -> Value:
    """The moments of channels put together from parts of such widths. Shape: [..., 2]."""
    moments = [rewriter.add(Moments(), part) for part in parts]
    return rewriter.add(MergeMoments(tuple(widths), epsilon), *moments)


def without_mean(rewriter: Rewriter, rows: Value) -> Value:
    """Rows less the mean of all of them: a map to channels becomes one to channels without their mean."""
    mean = rewriter.add(Mean(0), rows)
    return rewriter.add(Add(), rows, rewriter.add(Scale(-1.0), mean))


def map_of_affine(
    rewriter: Rewriter, gamma: Value, beta: Value, weight: Value, *bias: Value
) -> tuple[Value, Value]:
    """W (gamma x + beta) + b = (W gamma) x + (W beta + b): the weight and the bias."""
    return rewriter.add(Mul(), weight, gamma), rewriter.add(Linear(), beta, weight, *bias)
