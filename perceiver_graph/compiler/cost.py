"""What a graph costs before it is compiled: FLOPs, bytes and peak memory of each phase.

Figures are for one run of each phase with given sizes; the decode phase runs once per chunk.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from perceiver_graph.compiler.ir import Constant, Graph, Node, Parameter, Value
from perceiver_graph.compiler.ops import (
    BroadcastLike,
    Flatten,
    Op,
    SplitLike,
    TensorType,
    Unflatten,
)
from perceiver_graph.compiler.phases import Phase, phase_of
from perceiver_graph.compiler.scores import LARGEST_SCORES, elements_at_once

ITEM_BYTES: Mapping[str, int] = {
    "float64": 8,
    "int64": 8,
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "bool": 1,
}

PHASES: tuple[Phase, ...] = ("compile", "encode", "decode")


@dataclass(frozen=True)
class PhaseCost:
    """One run of one phase."""

    nodes: int
    flops: int
    """Multiplications plus additions of matrix products."""
    parameter_bytes: int
    """Parameters that nodes of the phase read."""
    constant_bytes: int
    """Constants, and results of compile time, that nodes of the phase read."""
    peak_bytes: int
    """Most bytes of inputs and activations at any node, attention scores left out."""
    peak_bytes_with_scores: int
    """The same with the attention scores that exist at once, as the ONNX programs emit them."""
    peak_at: str
    """The node at which `peak_bytes_with_scores` is reached; empty for a phase without nodes."""
    given_bytes: int = 0
    """What the caller hands to the phase and holds until it returns; part of both peaks."""
    twice_bytes: int = 0
    """Of the parameters and constants, those that exist twice while a runtime prepares them."""

    @property
    def weight_bytes(self) -> int:
        """Parameters and constants together: what one run has to read at the least."""
        return self.parameter_bytes + self.constant_bytes


@dataclass(frozen=True)
class Cost:
    """The cost of a graph for `bindings`, the sizes of its symbols by name."""

    bindings: Mapping[str, int]
    phases: Mapping[Phase, PhaseCost]

    @property
    def flops(self) -> int:
        """FLOPs at run time: one encode and one decode."""
        return self.phases["encode"].flops + self.phases["decode"].flops


def estimate(
    graph: Graph,
    bindings: Mapping[str, int] | None = None,
    *,
    score_limit: int = LARGEST_SCORES,
    of: Iterable[Phase] = PHASES,
) -> Cost:
    """The cost of each phase, or of those asked for, of a whole graph or of a program.

    Symbols that `bindings` leaves out take the smallest size they may have, as a batch of 1. Give
    `<output>_queries` the queries of a chunk. `score_limit` is how many bytes of attention scores
    programs are emitted to hold at once. `ValueError` for a size that a symbol forbids.
    """
    sizes = {name: symbol.lowest for name, symbol in graph.symbols.items()} | dict(bindings or {})
    phases = phase_of(graph)
    figures = _Figures(sizes)
    sweeps = {phase: _Sweep(graph, phases, phase, figures, score_limit) for phase in of}
    return Cost(sizes, {phase: sweep.cost() for phase, sweep in sweeps.items()})


def flops(graph: Graph, bindings: Mapping[str, int], *, trained: bool = False) -> int:
    """FLOPs at run time alone, of one encode and one decode, for these sizes of every symbol.

    What depends on parameters alone is computed once, or in each run if they are being `trained`.
    """
    given = [leaf.value for leaf in graph.inputs]
    late = graph.descendants(given + [leaf.value for leaf in graph.parameters if trained])
    figures = _Figures(bindings)
    return sum(figures.flops(node) for node in graph.nodes if node.output in late)


class _Figures:
    """FLOPs and bytes for the same sizes: worked out once for each kind, as layers are alike."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self.sizes = sizes
        self._flops: dict[tuple[Op, tuple[TensorType, ...]], int] = {}
        self._bytes: dict[TensorType, int] = {}

    def flops(self, node: Node) -> int:
        kind = node.op, tuple(value.type for value in node.inputs)
        if kind not in self._flops:
            self._flops[kind] = node.flops.evaluate(self.sizes)
        return self._flops[kind]

    def nbytes(self, value: Value) -> int:
        if value.type not in self._bytes:
            self._bytes[value.type] = nbytes(value, self.sizes)
        return self._bytes[value.type]


class _Sweep:
    """Runs over the nodes of a phase in order, counting the bytes that are live at each."""

    def __init__(
        self,
        graph: Graph,
        phases: Mapping[Value, Phase],
        phase: Phase,
        figures: _Figures,
        score_limit: int,
    ) -> None:
        self.graph = graph
        self.figures = figures
        self.score_limit = score_limit
        self.nodes = [node for node in graph.nodes if phases[node.output] == phase]
        read = dict.fromkeys(value for node in self.nodes for value in node.inputs)
        early = [value for value in read if phases[value] == "compile"]
        self.parameters = [v for v in early if isinstance(graph.leaves.get(v), Parameter)]
        constants = [v for v in early if isinstance(graph.leaves.get(v), Constant)]
        results = [v for v in early if v in graph.producers and phase != "compile"]
        self.constants = constants + results
        resident = {*self.parameters, *self.constants}
        computed = {node.output for node in self.nodes}
        # The caller holds what the phase is given, and what it hands over, until it has returned.
        self.given = [value for value in read if value not in computed and value not in resident]
        self.roots = self._views()
        kept = {v for v in graph.outputs.values() if v in computed}
        later = (node for node in graph.nodes if phases[node.output] != phase)
        kept |= {value for node in later for value in node.inputs if value in computed}
        self.last_use = self._last_uses({self.roots[value] for value in kept})

    def cost(self) -> PhaseCost:
        given = live = self._bytes(self.given)
        peak = peak_with_scores = live
        peak_at = ""
        for index, node in enumerate(self.nodes):
            if self.roots[node.output] == node.output:
                live += self._bytes([node.output])
            with_scores = live + self._scores(node)
            peak = max(peak, live)
            if with_scores > peak_with_scores or not peak_at:
                peak_with_scores, peak_at = with_scores, node.name
            live -= self._bytes(self.last_use.get(index, ()))
        return PhaseCost(
            nodes=len(self.nodes),
            flops=sum(map(self.figures.flops, self.nodes)),
            parameter_bytes=self._bytes(self.parameters),
            constant_bytes=self._bytes(self.constants),
            peak_bytes=peak,
            peak_bytes_with_scores=peak_with_scores,
            peak_at=peak_at,
            given_bytes=given,
            twice_bytes=self._bytes(self._twice()),
        )

    def _twice(self) -> Sequence[Value]:
        """Weights that nodes share, whose layout for kernels stands beside the original until all
        have it, and tables that are repeated for a batch, which is done once sizes are known."""
        readers: dict[Value, int] = {}
        for node in self.nodes:
            for value in dict.fromkeys(node.inputs):
                readers[value] = readers.get(value, 0) + 1
        repeated = {n.inputs[0] for n in self.nodes if isinstance(n.op, BroadcastLike)}
        weights = (*self.parameters, *self.constants)
        return [value for value in weights if readers[value] > 1 or value in repeated]

    def _views(self) -> dict[Value, Value]:
        """The value whose memory each computed value uses: reshapes take none of their own."""
        roots: dict[Value, Value] = {}
        for node in self.nodes:
            root = node.output
            if isinstance(node.op, Flatten | SplitLike | Unflatten):
                root = roots.get(node.inputs[0], node.inputs[0])
            roots[node.output] = root
        return roots

    def _last_uses(self, kept: set[Value]) -> dict[int, list[Value]]:
        """Which values are freed after which node."""
        last: dict[Value, int] = {}
        for index, node in enumerate(self.nodes):
            for value in (node.output, *node.inputs):
                root = self.roots.get(value)
                if root in self.roots and root not in kept:  # a view of what is given has no bytes
                    last[root] = index
        freed: dict[int, list[Value]] = {}
        for value, index in last.items():
            freed.setdefault(index, []).append(value)
        return freed

    def _scores(self, node: Node) -> int:
        """Bytes of the attention scores that exist at once at a node."""
        types = [value.type for value in node.inputs]
        elements = elements_at_once(node.op, types, self.figures.sizes, self.score_limit)
        return elements * ITEM_BYTES[node.output.dtype]

    def _bytes(self, values: Iterable[Value]) -> int:
        return sum(map(self.figures.nbytes, values))


def nbytes(value: Value, sizes: Mapping[str, int] | None = None) -> int:
    """Bytes of a value for these sizes of its symbols; without any, of a value of fixed size."""
    total = ITEM_BYTES[value.dtype]
    for dim in value.shape:
        total *= dim.evaluate(sizes or {})
    return total
