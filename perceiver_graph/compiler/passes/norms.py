"""What several passes know of normalisations: their affine part, and the moments they follow from.

A LayerNorm takes the mean of a token from its channels before it divides them by their root mean square.
An RMSNorm takes nothing, and has no bias: every law of the one holds for the other with 0 for the mean.
"""

from __future__ import annotations

from collections.abc import Sequence

from perceiver_graph.compiler.ir.graph import Node, Value
from perceiver_graph.compiler.ops import (
    Add,
    LayerNorm,
    Linear,
    Mean,
    MergeMoments,
    Moments,
    Mul,
    RMSNorm,
    Scale,
    Slice,
)
from perceiver_graph.compiler.passes.patterns import Either, Of, equal
from perceiver_graph.compiler.passes.rewriter import Rewriter

Norm = LayerNorm | RMSNorm
PLAIN_NORM = Either(Of(LayerNorm, weight=equal(1), bias=equal(0)), Of(RMSNorm, weight=equal(1)))
"""A norm whose affine part changes nothing, and is known to."""
MEAN, INVERSE = Slice(-1, 0, 1), Slice(-1, 1, 2)
"""Of merged moments: m, and s = 1 / sqrt(variance + epsilon), where the norm is (x - m) s.

Of an RMSNorm, which is x s, s is 1 / sqrt(mean square + epsilon).
"""


def norm_of(node: Node) -> Norm:
    """The norm that a node is known to be."""
    assert isinstance(node.op, Norm)
    return node.op


def is_centred(norm: Norm) -> bool:
    """Whether a norm takes the mean from the channels."""
    return isinstance(norm, LayerNorm)


def plain_affine(rewriter: Rewriter, node: Node) -> list[Value]:
    """The affine part that a norm has where it changes nothing: ones and, of a LayerNorm, zeros."""
    gamma, *beta = (node["weight"], *affine_bias(node))
    return [rewriter.filled(1.0, gamma.type), *(rewriter.filled(0.0, row.type) for row in beta)]


def affine_bias(node: Node) -> Sequence[Value]:
    """What a norm adds to the channels: one row, or none."""
    return node.each("bias") if is_centred(norm_of(node)) else ()


def merged_moments(
    rewriter: Rewriter, parts: Sequence[Value], widths: Sequence[int], norm: Norm
) -> Value:
    """The moments that a norm of channels put together from parts of such widths has. Shape: [..., 2]."""
    moments = [rewriter.add(Moments(), part) for part in parts]
    merge = MergeMoments(tuple(widths), norm.epsilon, is_centred(norm))
    return rewriter.add(merge, *moments)


def without_mean(rewriter: Rewriter, rows: Value) -> Value:
    """Rows less the mean of all of them: a map to channels becomes one to channels without their mean."""
    mean = rewriter.add(Mean(0), rows)
    return rewriter.add(Add(), rows, rewriter.add(Scale(-1.0), mean))


def map_of_affine(rewriter: Rewriter, norm: Node, weight: Value, *bias: Value) -> tuple[Value, ...]:
    """W (gamma x + beta) + b = (W gamma) x + (W beta + b): the weight and the bias, if there is one.

    Without beta, the bias is b.
    """
    scaled = rewriter.add(Mul(), weight, norm["weight"])
    moved = tuple(rewriter.add(Linear(), beta, weight, *bias) for beta in affine_bias(norm))
    return scaled, *(moved or bias)
