"""Computes once what is computed twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from perceiver_graph.compiler.ir.graph import Constant, Graph, Node, Value
from perceiver_graph.compiler.ir.op import Array, Op
from perceiver_graph.compiler.passes.base import Pass, PassResult, Reason, counted


class CommonSubexpressions(Pass):
    """Merges equal constants and equal nodes; the first in order keeps its name and stays.

    1. Constants of one type with the same bytes become one. Equal bytes, not equal numbers: 0 and
       -0 differ, and so they should.
    2. Nodes with the same primitive, the same parameters of it and the same inputs, in order,
       become one; their readers may turn out equal in turn.
    3. Where the second of a pair is an output of the graph, the output's name stays and reads the
       first.
    4. Learned parameters are never merged, whatever their values: training would tell them apart.
    """

    name = "common-subexpressions"
    what = "computes equal values once"
    after = "score-queries-by-axis"  # what several outputs now read of the latents

    def run(self, graph: Graph) -> PassResult:
        merged: dict[Value, Value] = {}
        constants = self._constants(graph, merged)
        first: dict[tuple[Op, tuple[Value, ...]], list[Node]] = {}
        nodes: list[Node] = []
        for node in graph.nodes:
            inputs = tuple(map(merged.get, node.inputs, node.inputs))
            alike = first.setdefault((node.op, inputs), [])
            same = next((other for other in alike if str(other.op) == str(node.op)), None)
            if same:
                merged[node.output] = same.output
            else:
                alike.append(node)
                nodes.append(node if inputs == node.inputs else replace(node, inputs=inputs))
        if not merged:
            return PassResult(
                graph, False, reasons=(Reason("nothing merged: all nodes and constants differ"),)
            )
        outputs = {name: merged.get(value, value) for name, value in graph.outputs.items()}
        new = replace(graph, constants=constants, nodes=tuple(nodes), outputs=outputs)
        notes = tuple(f"%{gone.name} is %{stays.name}" for gone, stays in merged.items())
        return PassResult(new, True, (f"{counted(len(merged), 'value')} merged", *notes))

    def _constants(self, graph: Graph, merged: dict[Value, Value]) -> tuple[Constant, ...]:
        first: dict[tuple[str, bytes], list[Constant]] = {}
        kept: list[Constant] = []
        for constant in graph.constants:
            alike = first.setdefault((str(constant.value.type), _sample(constant.data)), [])
            same = next((other for other in alike if _same(constant.data, other.data)), None)
            if same:
                merged[constant.value] = same.value
            else:
                alike.append(constant)
                kept.append(constant)
        return tuple(kept)


def _sample(data: Array) -> bytes:
    """A few numbers: constants that differ in them need not be compared as a whole."""
    flat = data.reshape(-1)
    return flat[:: max(flat.size // 16, 1)].tobytes()


def _same(left: Array, right: Array) -> bool:
    """Whether two arrays of one type have the same bytes."""
    one, other = (x.reshape(-1).view(np.uint8) for x in (left, right))
    return np.array_equal(one, other)
