"""Takes sizes from where they are known first, so that nothing is computed for its size alone."""

from __future__ import annotations

from perceiver_graph.compiler.ir import Node, Value
from perceiver_graph.compiler.ops import BroadcastLike, TrimLike
from perceiver_graph.compiler.passes.rewriter import Rewrite, Rewriter
from perceiver_graph.compiler.phases import sized_like


class EarlySizes(Rewrite):
    """Lets `broadcast_like` and `trim_like`, which read sizes only, read them as early as possible.

    1. The second input becomes the first of the values it is computed from that has the same sizes:
       an input of the graph, say, instead of what is made of it.
    2. What decode computes stays as it is: its sizes come from what encode hands over.
    """

    name = "early-sizes"
    done = ("size", "sizes", "taken from an earlier value")
    nothing = "nothing changed: all sizes are taken from where they are known first"

    def apply(self, rewriter: Rewriter, node: Node, notes: list[str]) -> int:
        if not isinstance(node.op, BroadcastLike | TrimLike):
            return 0
        if rewriter.phases[node.output] == "decode":
            return 0
        x, like = node.inputs
        for value in _earlier(rewriter, like):
            op = sized_like(node.op, like, value)
            if op is not None:
                rewriter.rewrite(node, op, x, value)
                return 1
        return 0


def _earlier(rewriter: Rewriter, value: Value) -> list[Value]:
    """What a value is computed from at run time, in the graph's order."""
    graph = rewriter.original
    ancestors = graph.ancestors([value]) - {value}
    inputs = [leaf.value for leaf in graph.inputs if leaf.value in ancestors]
    computed = [node.output for node in graph.nodes if node.output in ancestors]
    return inputs + [value for value in computed if not rewriter.known(value)]
