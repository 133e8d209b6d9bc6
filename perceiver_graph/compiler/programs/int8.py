"""Which products an int8 program may compute in 8 bits: it has their weights as one byte a number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.stages import LATENTS
from perceiver_graph.compiler.ir.graph import Graph, Node, Value
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.programs.phases import COMPILE, phase_of
from perceiver_graph.compiler.programs.target import Target

SMALLEST_SIZE = 64
"""Channels in and out below which quantising costs what the product gains."""


@dataclass(frozen=True)
class Rounding:
    """What is computed in 8 bits."""

    products: frozenset[str] = frozenset()
    """Names of nodes."""
    means: Mapping[str, Array] = field(default_factory=dict)
    """Of what they are of, by the names of these values, where they are known: float32 [channels]."""


NOTHING = Rounding()


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


def next_products(graph: Graph, values: Iterable[Value]) -> set[str]:
    """The products with known matrices that values go through before they meet others in attention."""
    reached, found = set(values), set[str]()
    for node in graph.nodes:
        of_them = reached.intersection(node.inputs)
        product = bool(of_them) and isinstance(node.op, ops.Linear | ops.MatMul)
        if product and operands(node)[0] in reached and operands(node)[1] not in reached:
            found.add(node.name)
            reached.add(node.output)
        elif of_them and node.flops.value == 0:
            reached.add(node.output)
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
    read_by_all = next_products(graph, [graph.outputs[LATENTS]] if LATENTS in graph.outputs else [])
    return frozenset(found - last_products(graph, results) - read_by_all)


def _is_of_weights(node: Node, phases: Mapping[Value, str]) -> bool:
    x, weight = operands(node)
    known = phases[weight] == COMPILE != phases[x]
    fits = len(weight.shape) == 2 and x.dtype == weight.dtype == "float32"
    return known and fits and gains(node)
