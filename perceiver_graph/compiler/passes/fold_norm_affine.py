"""Moves the affine part of a normalisation into the linear maps beside it."""

from __future__ import annotations

from perceiver_graph.compiler.ir.graph import Node
from perceiver_graph.compiler.ops import BatchNorm, Conv, Linear, Mul, Unflatten
from perceiver_graph.compiler.passes.linear_maps import weights
from perceiver_graph.compiler.passes.norms import (
    PLAIN_NORM,
    Norm,
    affine_bias,
    map_of_affine,
    plain_affine,
)
from perceiver_graph.compiler.passes.rewriter import Rewrite, Rewriter, is_linear


class FoldNormAffine(Rewrite):
    """W (gamma x + beta) + b = (W gamma) x + (W beta + b), with the new weights known beforehand.

    1. A LayerNorm that only linear maps read loses gamma and beta to all of them, an RMSNorm gamma:
       W (gamma x) + b = (W gamma) x + b. What is left is the same for every norm of a value, and open
       to what `NormOfConcat` and `AbsorbProjections` do.
    2. A BatchNorm, which at inference is a map of each channel, goes into the convolution or linear
       map before it and disappears.
    3. A norm that anything else reads keeps its affine part, and so does one without.
    4. Where the map before a BatchNorm has other readers, both stay: it would be computed twice.
    """

    name = "fold-norm-affine"
    what = "moves norm affines into projections"
    after = "drop-dropout"
    done = ("norm", "norms", "folded")
    nothing = "nothing folded: no norm has an affine part beside linear maps alone"

    def apply(self, rewriter: Rewriter, node: Node) -> bool:
        if isinstance(node.op, Norm):
            return _fold_norm(rewriter, node)
        if isinstance(node.op, BatchNorm):
            return _fold_batch_norm(rewriter, node)
        return False


def _fold_norm(rewriter: Rewriter, node: Node) -> bool:
    if PLAIN_NORM.nodes(rewriter, node.output):
        return False
    if not all(map(rewriter.known, (node["weight"], *affine_bias(node)))):
        return rewriter.stays(node, "its affine part depends on the inputs")
    if rewriter.is_output(node.output):
        return rewriter.stays(node, "it is an output")
    readers = rewriter.readers(node.output)
    for reader in readers:
        if not is_linear(reader) or node.output in weights(reader):
            return rewriter.stays(node, "{} is no linear map of it", reader)
    plain = rewriter.add(node.op, node["x"], *plain_affine(rewriter, node))
    for reader in readers:
        with rewriter.at(reader):
            maps = map_of_affine(rewriter, node, *weights(reader))
            rewriter.rewrite(reader, Linear(), plain, *maps)
    return True


def _fold_batch_norm(rewriter: Rewriter, node: Node) -> bool:
    """The norm itself, applied to the bias, gives the new bias; without its shifts, to ones, what
    each channel is scaled by."""
    x, gamma, variance = node["x"], node["weight"], node["variance"]
    before = rewriter.producer(x)
    if before is None or not isinstance(before.op, Conv | Linear):
        return rewriter.stays(node, "no convolution or linear map comes before it")
    if rewriter.only_reader(x) is None:
        return rewriter.stays(node, "{} is read by something else too", before)
    weight, bias = before["weight"], before.each("bias")
    statistics = (gamma, node["bias"], node["mean"], variance)
    if not all(map(rewriter.known, (weight, *bias, *statistics))):
        return rewriter.stays(node, "its statistics or the weights before it depend on the inputs")
    zeros, ones = rewriter.filled(0.0, gamma.type), rewriter.filled(1.0, gamma.type)
    scale = rewriter.add(node.op, ones, gamma, zeros, zeros, variance)
    shift = rewriter.add(node.op, *(bias or [zeros]), *statistics)
    column = Unflatten(0, (None, *(1,) * (weight.type.rank - 1)))
    scaled = rewriter.add(Mul(), weight, rewriter.add(column, scale))
    rewriter.rewrite(node, before.op, before["x"], scaled, shift)
    return True
