"""Drops what no output needs."""

from __future__ import annotations

from dataclasses import replace

from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.passes.base import Pass, PassResult, Reason, counted
from perceiver_graph.compiler.programs.phases import restrict


class DeadCode(Pass):
    """Removes nodes and constants from which no output is computed.

    1. A node that no output depends on is dropped, and so on backwards.
    2. A constant that nothing needs any more is dropped.
    3. Declared inputs and parameters stay, needed or not: they are the model's interface, and its
       parameter count and checkpoints must not depend on what was optimised. Symbols and blocks
       stay too.
    4. With `drop_unused_leaves`, for programs: unneeded inputs and parameters, and the symbols and
       blocks that then have no use, are dropped too.
    """

    name = "dead-code"
    what = "drops what nothing reads"

    def __init__(self, *, drop_unused_leaves: bool = False) -> None:
        self.drop_unused_leaves = drop_unused_leaves

    def run(self, graph: Graph) -> PassResult:
        needed = graph.ancestors(graph.outputs.values())
        if self.drop_unused_leaves:
            new = restrict(graph, needed)
        else:
            new = replace(
                graph,
                constants=tuple(c for c in graph.constants if c.value in needed),
                nodes=tuple(node for node in graph.nodes if node.output in needed),
            )
        removed = {
            "node": len(graph.nodes) - len(new.nodes),
            "constant": len(graph.constants) - len(new.constants),
            "input": len(graph.inputs) - len(new.inputs),
            "parameter": len(graph.parameters) - len(new.parameters),
            "symbol": len(graph.symbols) - len(new.symbols),
            "block": len(graph.blocks) - len(new.blocks),
        }
        notes = tuple(f"{counted(n, what)} dropped" for what, n in removed.items() if n)
        if not notes:
            return PassResult(
                graph, False, reasons=(Reason("nothing dropped: every output needs all of it"),)
            )
        return PassResult(new, True, notes)
