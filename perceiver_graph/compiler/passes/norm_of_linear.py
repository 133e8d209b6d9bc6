"""Normalises what a linear map makes of fewer channels without making it."""

from __future__ import annotations

import math

from perceiver_graph.compiler.ir.graph import Node, Value
from perceiver_graph.compiler.ops import (
    Add,
    Concat,
    Flatten,
    InverseNorm,
    Linear,
    MatMul,
    Mul,
    Scale,
    Slice,
    TriangularFactor,
    Unflatten,
)
from perceiver_graph.compiler.passes.linear_maps import maps_alone_read
from perceiver_graph.compiler.passes.norms import PLAIN_NORM, is_centred, norm_of, without_mean
from perceiver_graph.compiler.passes.patterns import MAP
from perceiver_graph.compiler.passes.rewriter import Rewrite, Rewriter


class NormOfLinear(Rewrite):
    """Maps of LayerNorm(x), x = W a + b with C channels made of c, as maps of a.

    Without its mean, x is D a' with a' = [a | 1] and D = [W | b] less the mean of its rows. Its
    variance is |D a'|^2 / C = |R a'|^2, where D / sqrt(C) = Q R. So V LayerNorm(x) is
    (V D) a' / sqrt(|R a'|^2 + epsilon), with V D and R known at compile time: no sum of squares is a
    difference, and x itself need not be computed. The decoder of Kinetics makes 1026 channels of the
    512 that its queries find in the latents, and maps their norm to 1026.
    V RMSNorm(x) is the same with D = [W | b]: the mean square of x is |D a'|^2 / C.

    1. Linear maps with known weights are all that reads the norm. x may be read by others: it is
       computed for them then.
    2. Where that takes no fewer FLOPs for the largest sizes, it stays.
    """

    name = "norm-of-linear"
    what = "normalises before widening"
    after = "norm-of-concat"
    done = ("norm", "norms", "rewritten")
    nothing = "nothing rewritten: no norm of a linear map is read by linear maps alone"

    def apply(self, rewriter: Rewriter, node: Node) -> bool:
        plain = PLAIN_NORM.nodes(rewriter, node.output)
        found = MAP.nodes(rewriter, node["x"]) if plain else []
        if not found or not maps_alone_read(rewriter, node.output):
            return False
        (inner,) = found
        if _saved(rewriter, node, inner) <= 0:
            return rewriter.stays(node, "maps of what {} reads would cost as much", inner)
        _rewrite(rewriter, node, inner)
        return True


def _saved(rewriter: Rewriter, node: Node, inner: Node) -> int:
    """Case 2."""
    x, a = node["x"], inner["x"]
    readers = rewriter.readers(node.output)
    channels, fewer = int(x.shape[-1]), int(a.shape[-1]) + ("bias" in inner)
    before = sum(map(rewriter.cost, readers))
    if rewriter.only_reader(x) == node:
        before += rewriter.cost(inner)
    widths = sum(int(reader.output.shape[-1]) for reader in readers)
    return before - rewriter.linear_flops(a, widths + min(channels, fewer))


def _rewrite(rewriter: Rewriter, node: Node, inner: Node) -> None:
    norm = norm_of(node)
    rows = _rows(rewriter, inner)
    if is_centred(norm):
        rows = without_mean(rewriter, rows)
    fraction = rewriter.add(Scale(1 / math.sqrt(int(node.output.shape[-1]))), rows)
    spread = _map(rewriter, inner["x"], rewriter.add(TriangularFactor(), fraction))
    inverse = rewriter.add(InverseNorm(norm.epsilon), spread)
    for reader in rewriter.readers(node.output):
        with rewriter.at(reader):
            product = rewriter.add(MatMul(), reader["weight"], rows)
            mapped = _map(rewriter, inner["x"], product)
            if "bias" in reader:
                scaled = rewriter.add(Mul(), mapped, inverse)
                rewriter.rewrite(reader, Add(), scaled, reader["bias"])
            else:
                rewriter.rewrite(reader, Mul(), mapped, inverse)


def _rows(rewriter: Rewriter, inner: Node) -> Value:
    """[W | b]. Shape: [C, c + 1], or [C, c] without a bias."""
    if "bias" not in inner:
        return inner["weight"]
    column = rewriter.add(Unflatten(0, (None, 1)), inner["bias"])
    return rewriter.add(Concat(1), inner["weight"], column)


def _map(rewriter: Rewriter, a: Value, matrix: Value) -> Value:
    """The product of known rows [out, c (+ 1)] with a'."""
    add, width = rewriter.add, int(a.shape[-1])
    if int(matrix.shape[1]) == width:
        return add(Linear(), a, matrix)
    weight = add(Slice(1, 0, width), matrix)
    bias = add(Flatten(0, 1), add(Slice(1, width, width + 1), matrix))
    return add(Linear(), a, weight, bias)
