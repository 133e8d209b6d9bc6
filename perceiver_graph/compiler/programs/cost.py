"""What a graph costs before it is compiled: FLOPs, bytes and peak memory of each phase.

Figures are for one run of each phase with given sizes; the decode phase runs once per chunk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from perceiver_graph.compiler.ir.graph import Graph, Node, Parameter, Value, once
from perceiver_graph.compiler.ir.op import ITEM_BYTES
from perceiver_graph.compiler.ops import (
    Broadcast,
    Flatten,
    Op,
    TensorType,
    Unflatten,
)
from perceiver_graph.compiler.ops.scores import LARGEST_SCORES
from perceiver_graph.compiler.programs.phases import COMPILE, Phase, phase_of
from perceiver_graph.spec.programs import READS

_Kind = tuple[Op, tuple[TensorType, ...]]
"""An operator and the types of what it reads: all such nodes cost the same."""

PHASES: tuple[Phase, ...] = (COMPILE, *READS)


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
        """FLOPs at run time: one run of each program."""
        return sum(phase.flops for name, phase in self.phases.items() if name != COMPILE)


def estimate(
    graph: Graph,
    bindings: Mapping[str, int] | None = None,
    *,
    score_limit: int = LARGEST_SCORES,
    of: Iterable[Phase] = PHASES,
    int8: Collection[str] = (),
) -> Cost:
    """The cost of each phase, or of those asked for, of a whole graph or of a program.

    Symbols that `bindings` leaves out take the smallest size they may have, as a batch of 1. Give
    `<output>_queries` the queries of a chunk. `score_limit` is how many bytes of attention scores
    programs are emitted to hold at once; `int8` names the products whose weights they have in 8 bits.
    `ValueError` for a size that a symbol forbids.
    """
    sizes = {name: symbol.lowest for name, symbol in graph.symbols.items()} | dict(bindings or {})
    figures = Figures(sizes, score_limit, frozenset(int8))
    return Cost(sizes, {phase: _sweep(graph, phase).cost(figures) for phase in of})


def flops(graph: Graph, bindings: Mapping[str, int], *, trained: bool = False) -> int:
    """FLOPs at run time alone, of one run of each program, for these sizes of every symbol.

    What depends on parameters alone is computed once, or in each run if they are being `trained`.
    """
    late = graph.varying
    if trained:
        late = graph.descendants([*late, *(leaf.value for leaf in graph.parameters)])
    figures = Figures(bindings)
    return sum(figures.flops(node) for node in graph.nodes if node.output in late)


class Figures:
    """FLOPs and bytes for the same sizes: worked out once for each kind, as layers are alike."""

    def __init__(
        self,
        sizes: Mapping[str, int],
        score_limit: int = LARGEST_SCORES,
        int8: frozenset[str] = frozenset(),
    ) -> None:
        self.sizes = sizes
        self.score_limit = score_limit
        self.int8 = int8
        self._flops: dict[_Kind, int] = {}
        self._scores: dict[_Kind, int] = {}
        self._bytes: dict[TensorType, int] = {}

    def flops(self, node: Node) -> int:
        if type(node.op).flops is Op.flops:  # most nodes have none
            return 0
        kind = _kind(node)
        if kind not in self._flops:
            self._flops[kind] = node.flops.evaluate(self.sizes)
        return self._flops[kind]

    def nbytes(self, value: Value) -> int:
        found = self._bytes.get(value.type)
        if found is None:
            found = self._bytes[value.type] = nbytes(value, self.sizes)
        return found

    def scores(self, node: Node) -> int:
        """Bytes of the attention scores that exist at once at a node."""
        if type(node.op).bytes_held is Op.bytes_held:
            return 0
        kind = _kind(node)
        if kind not in self._scores:
            self._scores[kind] = node.op.bytes_held(kind[1], self.sizes, self.score_limit)
        return self._scores[kind]

    def total(self, values: Iterable[Value]) -> int:
        """Bytes of all these values."""
        return sum(map(self.nbytes, values))

    def weights(self, values: Iterable[Value], readers: Mapping[Value, Sequence[str]]) -> int:
        """Bytes of weights, of which each product in 8 bits has them so, and the others in float."""
        return sum(self._weight(value, readers[value]) for value in values)

    def _weight(self, value: Value, readers: Sequence[str]) -> int:
        whole = self.nbytes(value)
        rounded = sum(name in self.int8 for name in readers)
        if not rounded or len(value.shape) != 2:  # a bias stays as it is
            return whole
        small = whole // ITEM_BYTES[value.dtype] + 4 * max(int(size) for size in value.shape)
        return small if rounded == len(readers) else whole + small


def _kind(node: Node) -> _Kind:
    return node.op, tuple([value.type for value in node.inputs])


@once
def _nodes_by_phase(graph: Graph) -> Mapping[Phase, Sequence[Node]]:
    phases = phase_of(graph)
    found: dict[Phase, list[Node]] = {phase: [] for phase in PHASES}
    for node in graph.nodes:
        found[phases[node.output]].append(node)
    return found


@once
def _sweep(graph: Graph, phase: Phase) -> _Sweep:
    return _Sweep(graph, phase)


class _Sweep:
    """The nodes of a phase in order and what is live at each, which is the same for all sizes."""

    def __init__(self, graph: Graph, phase: Phase) -> None:
        phases, nodes = phase_of(graph), _nodes_by_phase(graph)
        self.nodes = nodes[phase]
        roots = self._views()
        self.makes = [roots[node.output] is node.output for node in self.nodes]
        """Whether a node's output takes memory of its own."""
        read = dict.fromkeys(value for node in self.nodes for value in node.inputs)
        outside = [value for value in read if value not in roots]
        early = [value for value in outside if phases[value] == COMPILE]
        self.parameters = [v for v in early if isinstance(graph.leaves.get(v), Parameter)]
        self.constants = [v for v in early if not isinstance(graph.leaves.get(v), Parameter)]
        self.readers = {value: list[str]() for value in early}
        for node in self.nodes:
            for value in {*node.inputs} & self.readers.keys():
                self.readers[value].append(node.name)
        # The caller holds what the phase is given, and what it hands over, until it has returned.
        self.given = [value for value in outside if phases[value] != COMPILE]
        kept = {roots[value] for value in graph.outputs.values() if value in roots}
        for later in PHASES[PHASES.index(phase) + 1 :]:
            kept.update(roots[v] for node in nodes[later] for v in node.inputs if v in roots)
        self.last_use = self._last_uses(roots, kept)
        self.twice = self._twice()

    def cost(self, figures: Figures) -> PhaseCost:
        given = live = figures.total(self.given)
        peak = peak_with_scores = live
        peak_at = ""
        for index, (node, makes) in enumerate(zip(self.nodes, self.makes, strict=True)):
            if makes:
                live += figures.nbytes(node.output)
            with_scores = live + figures.scores(node)
            peak = max(peak, live)
            if with_scores > peak_with_scores or not peak_at:
                peak_with_scores, peak_at = with_scores, node.name
            for value in self.last_use.get(index, ()):
                live -= figures.nbytes(value)
        return PhaseCost(
            nodes=len(self.nodes),
            flops=sum(map(figures.flops, self.nodes)),
            parameter_bytes=figures.weights(self.parameters, self.readers),
            constant_bytes=figures.weights(self.constants, self.readers),
            peak_bytes=peak,
            peak_bytes_with_scores=peak_with_scores,
            peak_at=peak_at,
            given_bytes=given,
            twice_bytes=figures.weights(self.twice, self.readers),
        )

    def _twice(self) -> Sequence[Value]:
        """Weights that nodes share, whose layout for kernels stands beside the original until all
        have it, and tables that are repeated for a batch, which is done once sizes are known."""
        reads = Counter(value for node in self.nodes for value in {*node.inputs})
        repeated = {n["x"] for n in self.nodes if isinstance(n.op, Broadcast)}
        weights = (*self.parameters, *self.constants)
        return [value for value in weights if reads[value] > 1 or value in repeated]

    def _views(self) -> dict[Value, Value]:
        """The value whose memory each computed value uses: reshapes take none of their own."""
        roots: dict[Value, Value] = {}
        for node in self.nodes:
            root = node.output
            if isinstance(node.op, Flatten | Unflatten):
                root = roots.get(node["x"], node["x"])
            roots[node.output] = root
        return roots

    def _last_uses(self, roots: Mapping[Value, Value], kept: set[Value]) -> dict[int, list[Value]]:
        """Which values are freed after which node."""
        freeable = roots.keys() - kept  # a view of what is given has no bytes
        last: dict[Value, int] = {}
        for index, node in enumerate(self.nodes):
            for value in (node.output, *node.inputs):
                root = roots.get(value)
                if root in freeable:
                    last[root] = index
        freed: dict[int, list[Value]] = {}
        for value, index in last.items():
            freed.setdefault(index, []).append(value)
        return freed


def nbytes(value: Value, sizes: Mapping[str, int] | None = None) -> int:
    """Bytes of a value for these sizes of its symbols; without any, of a value of fixed size."""
    total = ITEM_BYTES[value.dtype]
    for dim in value.shape:
        total *= dim.evaluate(sizes or {})
    return total
