"""Brings a lowered graph to the form in which its code reads best; it computes the same."""

from __future__ import annotations

from dataclasses import replace

import networkx as nx

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.ir import Graph, Node, Value
from perceiver_graph.compiler.passes import CommonSubexpressions, DeadCode


def simplify(graph: Graph) -> Graph:
    """Compute once what is computed twice; drop what changes nothing; take sizes from close by."""
    found = CommonSubexpressions().run(graph).graph
    same = {node.output: node.inputs[0] for node in found.nodes if _changes_nothing(node)}
    found = found.substitute(same)
    nodes = tuple(node for node in found.nodes if node.output not in same)
    return DeadCode().run(_like_neighbours(replace(found, nodes=nodes))).graph


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
        case ops.TrimLike():
            return node.output.type == node.inputs[0].type
    return False


def _like_neighbours(graph: Graph) -> Graph:
    """Let what is repeated over the batch take its size from what it meets next.

    Queries take it from the keys, an operand of a concatenation from the first one: that is at
    hand there anyway, while the value named by the graph may have to be passed in for this alone.
    """
    likes: dict[Value, Value] = {}
    for node in graph.nodes:
        readers = graph.users.get(node.output, ())
        if node.op == ops.BroadcastLike(1) and len(readers) == 1:
            (reader,) = readers
            if isinstance(reader.op, ops.Attention) and reader.inputs[0] == node.output:
                neighbour = reader.inputs[1]
            elif isinstance(reader.op, ops.Concat) and reader.op.axis not in (
                0,
                -reader.output.type.rank,
            ):
                neighbour = reader.inputs[0]
            else:
                continue
            if neighbour not in graph.descendants([node.output]):
                likes[node.output] = neighbour

    def rule(node: Node) -> Node | None:
        like = likes.get(node.output)
        return replace(node, inputs=(node.inputs[0], like)) if like is not None else None

    return _in_order(graph.rewrite(rule))


def _in_order(graph: Graph) -> Graph:
    """Nodes after what they read, otherwise as they are."""
    index = {node.output: i for i, node in enumerate(graph.nodes)}
    order: nx.DiGraph[int] = nx.DiGraph()
    order.add_nodes_from(index.values())
    for node in graph.nodes:
        order.add_edges_from((index[v], index[node.output]) for v in node.inputs if v in index)
    nodes = tuple(graph.nodes[i] for i in nx.lexicographical_topological_sort(order))
    return replace(graph, nodes=nodes)
