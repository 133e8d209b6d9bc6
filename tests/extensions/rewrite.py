"""A pass: what comes out of a ReLU is not put through another one."""

from __future__ import annotations

from perceiver_graph.compiler.ir.graph import Node
from perceiver_graph.compiler.ops import Relu
from perceiver_graph.compiler.passes.rewriter import Rewrite, Rewriter


class DropRepeatedRelu(Rewrite):
    """max(max(x, 0), 0) is max(x, 0).

    1. A ReLU of what a ReLU gives becomes that, unless it is an output and has to keep its name.
    2. A ReLU of anything else stays.
    """

    name = "drop-repeated-relu"
    what = "drops ReLUs of ReLUs"
    after = "fold-norm-affine"
    done = ("ReLU", "ReLUs", "dropped")
    nothing = "nothing dropped: no ReLU is applied to another"

    def apply(self, rewriter: Rewriter, node: Node) -> bool:
        """Whether the rule fired at a node."""
        if node.only(Relu) is None or rewriter.is_output(node.output):
            return False
        before = rewriter.producer(node["x"])
        if before is None or before.only(Relu) is None:
            return False
        rewriter.substitute(node.output, before.output)
        return True
