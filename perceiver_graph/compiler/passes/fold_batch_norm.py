"""Folds the statistics of a batch normalisation into the convolution before it."""

from __future__ import annotations

from perceiver_graph.compiler.ir import Node
from perceiver_graph.compiler.ops import BatchNorm, Conv, Mul, Unflatten
from perceiver_graph.compiler.passes.rewriter import Rewrite, Rewriter


class FoldBatchNorm(Rewrite):
    """BatchNorm(W * x + b) = (f W) * x + BatchNorm(b), with f = gamma / sqrt(variance + epsilon).

    The running statistics are known once a model is trained, and so is the convolution that takes
    them over: the normalisation costs nothing any more.

    1. The bias becomes its own normalisation; without one, that of zeros.
    2. Where anything else reads what is convolved, the convolution is needed as it is: both stay.
    """

    name = "fold-batch-norm"

    done = ("batch norm", "batch norms", "folded")
    nothing = "nothing folded: no batch norm follows a convolution that it alone reads"

    def apply(self, rewriter: Rewriter, node: Node, notes: list[str]) -> int:
        if not isinstance(node.op, BatchNorm):
            return 0
        y, *statistics = node.inputs
        conv = rewriter.producer(y)
        if conv is None or not isinstance(conv.op, Conv):
            return 0
        x, weight, *bias = conv.inputs
        if not all(map(rewriter.known, (weight, *bias, *statistics))):
            return 0
        if rewriter.only_reader(y) != node:
            notes.append(f"%{node.name} stays: %{y.name} is read elsewhere, too")
            return 0
        gamma, beta, mean, variance = statistics
        zeros, ones = rewriter.filled(0.0, beta), rewriter.filled(1.0, beta)
        name = weight.name
        inputs = (ones, gamma, zeros, zeros, variance)
        factor = rewriter.add(node.op, *inputs, name=f"{name}.scale", at=node)
        column = Unflatten(0, (None, *[1] * (weight.type.rank - 1)))
        factor = rewriter.add(column, factor, name=f"{name}.column", at=node)
        scaled = rewriter.add(Mul(), weight, factor, name=f"{name}.scaled", at=node)
        shift = (*(bias or [zeros]), gamma, beta, mean, variance)
        added = rewriter.add(node.op, *shift, name=f"{name}.shift", at=node)
        rewriter.rewrite(node, conv.op, x, scaled, added)
        return 1
