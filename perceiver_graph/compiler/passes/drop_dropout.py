"""Drops what is for training alone: dropout, and the noise of a variational bottleneck."""

from __future__ import annotations

from perceiver_graph.compiler.ir.graph import Node, Value
from perceiver_graph.compiler.ops import Dropout, GaussianSample, Slice
from perceiver_graph.compiler.passes.rewriter import Rewrite, Rewriter


class DropDropout(Rewrite):
    """Reads what a dropout reads, or the mean where a sample is one of training alone: both change
    nothing else, and stand between what other passes look for."""

    name = "drop-dropout"
    what = "drops dropout"
    after = "dead-code"
    done = ("dropout", "dropouts", "dropped")
    nothing = "nothing dropped: no dropout stands between others"

    def apply(self, rewriter: Rewriter, node: Node) -> bool:
        if not isinstance(node.op, Dropout | GaussianSample) or rewriter.is_output(node.output):
            return False
        kept = node["x"] if isinstance(node.op, Dropout) else _means(rewriter, node)
        rewriter.substitute(node.output, kept)
        return True


def _means(rewriter: Rewriter, node: Node) -> Value:
    return rewriter.add(Slice(-1, 0, int(node.output.shape[-1])), node["moments"])
