"""Evaluates what depends on constants alone, so that no program does it at run time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

import numpy as np

from perceiver_graph.compiler.ir.graph import Constant, Graph, Node, Value
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.passes.base import Pass, PassResult, Reason, bytes_text, counted
from perceiver_graph.compiler.programs.cost import nbytes

LIMIT_BYTES = 64 * 2**20
"""Every position table of the papers' models fits, dense features of optical flow do not."""


class FoldConstants(Pass):
    """Replaces nodes whose inputs are known at compile time by constants of the same names.

    Known are constants, nodes without inputs (position tables), parameters whose values are given,
    and every node with known inputs only that holds no size known only at run time.

    1. A known node that an unknown node reads, or that is an output, becomes a constant. The known
       nodes before it are dropped unless something else needs them: only maximal results are kept.
    2. A result over `limit_bytes` that takes more room than the constants it would be computed from
       stays a node, with the reason; those become constants instead. A reshape of such a result stays
       as well.
    3. A parameter that is read directly stays a parameter, and all parameters stay declared: counts
       and checkpoints are about them.
    """

    name = "fold-constants"
    what = "evaluates what needs no input"

    def __init__(
        self, parameters: Mapping[str, Array] | None = None, limit_bytes: int = LIMIT_BYTES
    ) -> None:
        self.parameters = parameters or {}
        self.limit_bytes = limit_bytes

    def run(self, graph: Graph) -> PassResult:
        known = _Known(graph, self.parameters, self.limit_bytes)
        kept, folded = known.decide()
        reasons = tuple(known.why_left(node) for node in kept)
        if not folded:
            return PassResult(graph, False, reasons=(*reasons, Reason(known.why_nothing())))
        constants = self._evaluate(graph, known.nodes, folded)
        needed = {node.output for node in kept}
        nodes = tuple(n for n in graph.nodes if n.output not in known.nodes or n.output in needed)
        new = replace(graph, constants=(*graph.constants, *constants), nodes=nodes)
        gone, size = len(graph.nodes) - len(nodes), sum(c.data.nbytes for c in constants)
        done = (
            f"{counted(gone, 'node')} became {counted(len(constants), 'constant')} "
            f"of {bytes_text(size)}"
        )
        return PassResult(new, True, (done,), reasons)

    def _evaluate(
        self, graph: Graph, nodes: Mapping[Value, Node], wanted: list[Value]
    ) -> list[Constant]:
        part = replace(
            graph,
            inputs=(),
            nodes=tuple(nodes.values()),
            outputs={value.name: value for value in wanted},
        )
        with np.errstate(over="ignore", invalid="ignore"):  # a run tells of results that overflow
            arrays = evaluate(part, {}, self.parameters)
        # Results may be parameters still in training, views of them or of one another.
        others = {id(array) for array in self.parameters.values()}
        constants = []
        for value in wanted:
            array = arrays[value.name]
            new = array.base is None and id(array) not in others
            others.add(id(array))
            keep = np.asarray if new else np.array
            constants.append(Constant(value, keep(array, value.dtype, order="C")))
        return constants


class _Known:
    """What is known at compile time in a graph, and which of it to keep as constants."""

    def __init__(self, graph: Graph, parameters: Mapping[str, Array], limit_bytes: int) -> None:
        self.graph = graph
        self.limit_bytes = limit_bytes
        self.has_parameters = bool(parameters)
        self.leaves = {constant.value for constant in graph.constants}
        self.leaves |= {leaf.value for leaf in graph.parameters if leaf.value.name in parameters}
        self.nodes: dict[Value, Node] = {}
        for node in graph.nodes:
            given = all(value in self.leaves or value in self.nodes for value in node.inputs)
            if given and not node.op.dims:
                self.nodes[node.output] = node

    def decide(self) -> tuple[list[Node], list[Value]]:
        """The known nodes that stay, and the values that become constants, in the graph's order."""
        readers = (node.inputs for node in self.graph.nodes if node.output not in self.nodes)
        pending = [value for inputs in readers for value in inputs]
        pending += self.graph.outputs.values()
        kept: set[Value] = set()
        folded: set[Value] = set()
        while pending:
            value = pending.pop()
            if value not in self.nodes or value in kept or value in folded:
                continue
            if self._worth(value):
                folded.add(value)
            else:
                kept.add(value)
                pending.extend(self.nodes[value].inputs)
        return (
            [node for value, node in self.nodes.items() if value in kept],
            [value for value in self.nodes if value in folded],
        )

    def _worth(self, value: Value) -> bool:
        size = nbytes(value)
        return size <= self.limit_bytes or size <= self._sources(value)

    def _sources(self, value: Value) -> int:
        """Bytes of the constants from which a node would compute the value. Case 2."""
        return sum(self.stored[source] for source in dict.fromkeys(self.nodes[value].inputs))

    @cached_property
    def stored(self) -> dict[Value, int]:
        """Bytes that must be kept for each known value: its own, or those of its sources."""
        stored = {value: nbytes(value) for value in self.leaves}
        for value, node in self.nodes.items():
            sources = sum(stored[source] for source in dict.fromkeys(node.inputs))
            size = nbytes(value)
            stored[value] = size if size <= self.limit_bytes else min(size, sources)
        return stored

    def why_left(self, node: Node) -> Reason:
        size, sources = nbytes(node.output), self._sources(node.output)
        why = (
            f"{bytes_text(size)} is over the limit of {bytes_text(self.limit_bytes)}, "
            f"its sources take {bytes_text(sources)}"
        )
        return Reason(why, node.name)

    def why_nothing(self) -> str:
        if self.nodes:
            return "nothing folded: what is known at compile time is not needed or not worth it"
        among = (
            "constants and parameters" if self.has_parameters else "constants (no parameters given)"
        )
        return f"nothing folded: no node depends on {among} only"
