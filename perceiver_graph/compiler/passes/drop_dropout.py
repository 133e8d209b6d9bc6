"""Drops dropout, which is for training."""

from __future__ import annotations

from perceiver_graph.compiler.ir.graph import Node
from perceiver_graph.compiler.ops import Dropout
from perceiver_graph.compiler.passes.rewriter import Rewrite, Rewriter


class DropDropout(Rewrite):
    """Reads what a dropout reads: it changes nothing but in training, and stands between what other
    passes look for."""

    name = "drop-dropout"
    what = "drops dropout"
    after = "dead-code"
    done = ("dropout", "dropouts", "dropped")
    nothing = "nothing dropped: no dropout stands between others"

    def apply(self, rewriter: Rewriter, node: Node) -> bool:
        if not isinstance(node.op, Dropout) or rewriter.is_output(node.output):
            return False
        rewriter.substitute(node.output, node["x"])
        return True
