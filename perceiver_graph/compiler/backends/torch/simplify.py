"""Brings a lowered graph to the form in which its code reads best; it computes the same."""

from __future__ import annotations

from dataclasses import replace

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.ir.graph import Graph, Node
from perceiver_graph.compiler.passes import CommonSubexpressions, DeadCode


def simplify(graph: Graph) -> Graph:
    """Compute once what is computed twice; drop what changes nothing."""
    found = CommonSubexpressions().run(graph).graph
    same = {n.output: x for n in found.nodes if _changes_nothing(n) for x in n.inputs}
    found = found.substitute(same)
    nodes = tuple(node for node in found.nodes if node.output not in same)
    return DeadCode().run(replace(found, nodes=nodes)).graph


def _changes_nothing(node: Node) -> bool:
    match node.op:
        case ops.Permute(order=order):
            return order == tuple(range(len(order)))
        case ops.Flatten(start=start, stop=stop):
            return start == stop
        case ops.Unflatten(sizes=sizes):
            return len(sizes) == 1
        case ops.Interpolate(sizes=sizes, to=to):
            return sizes == to
        case ops.Trim():
            return node.output.type == node["table"].type
    return False
