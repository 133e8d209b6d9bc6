"""Which products an int8 program may compute in 8 bits: it has their weights as one byte a number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.stages import LATENTS
from perceiver_graph.compiler.ir.graph import Graph, Node, Value
from perceiver_graph.compiler.programs.phases import COMPILE, phase_of
from perceiver_graph.compiler.programs.target import Target

SMALLEST_SIZE = 64
"""Channels in and out below which quantising costs what the product gains."""


def operands(node: Node) -> tuple[Value, Value]:
    """What a product is of, and the matrix on its right."""
    names = ("x", "weight") if isinstance(node.op, ops.Linear) else ("a", "b")
    return node[names[0]], node[names[1]]


def gains(node: Node) -> bool:
    """Whether a product is large enough for 8 bits to pay."""
    _, weight = operands(node)
    return min(int(size) for size in weight.shape) >= SMALLEST_SIZE


def last_products(graph: Graph, results: Iterable[Value]) -> set[str]:
    """The products after which no other comes on the way to a result."""
    found: set[str] = set()
    pending, seen = list(results), set[Value]()
    while pending:
        value = pending.pop()
        node = graph.producers.get(value)
        if node is None or value in seen:
            continue
        seen.add(value)
        if node.flops.value != 0:  # products are what is counted
            found.add(node.name)
        else:
            pending.extend(node.inputs)
    return found


def expected(graph: Graph, target: Target) -> frozenset[str]:
    """The products of a whole graph that are computed in 8 bits if none of them loses accuracy: none
    where nothing is to be."""
    if target.precision != "int8":
        return frozenset()
    phases = phase_of(graph)
    found = {
        node.name
        for node in graph.nodes
        if isinstance(node.op, ops.Linear | ops.MatMul) and _is_of_weights(node, phases)
    }
    results = (value for name, value in graph.outputs.items() if name != LATENTS)
    return frozenset(found - last_products(graph, results))


def _is_of_weights(node: Node, phases: Mapping[Value, str]) -> bool:
    x, weight = operands(node)
    known = phases[weight] == COMPILE != phases[x]
    fits = len(weight.shape) == 2 and x.dtype == weight.dtype == "float32"
    return known and fits and gains(node)
