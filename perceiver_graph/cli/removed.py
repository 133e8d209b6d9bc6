"""What each pass took away from a graph, and why it left the rest, for `inspect`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from perceiver_graph.cli.kept import Kept, kept
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.passes import PASSES, PassResult
from perceiver_graph.compiler.programs import cost


@dataclass(frozen=True)
class Removed:
    """A pass that changed the graph, all its runs together."""

    name: str
    nodes: int
    """Nodes that it dropped, rewrote or added."""
    flops: int
    """FLOPs of one encode and the decode of every query that it took away; less than 0 if it added."""

    @property
    def what(self) -> str:
        """What the pass does, in a few words."""
        return PASSES[self.name].what


class Recorder:
    """An observer of passes; `removed` has those that changed the graph, in the order of firing, `kept`
    what others, or they, left as it is."""

    def __init__(self, graph: Graph, sizes: Mapping[str, int]) -> None:
        self._graph = graph
        self._sizes = sizes
        self._flops = cost.flops(graph, sizes)
        self._found: dict[str, Removed] = {}
        self._kept: dict[str, list[Kept]] = {}

    def __call__(self, name: str, result: PassResult) -> None:
        self._kept[name] = kept(name, result.reasons)
        if not result.changed:
            return
        nodes = _changed(self._graph, result.graph)
        if not nodes:  # what nothing reads any more was a constant or a parameter
            return
        flops = cost.flops(result.graph, self._sizes)
        before = self._found.get(name, Removed(name, 0, 0))
        self._found[name] = replace(
            before, nodes=before.nodes + nodes, flops=before.flops + self._flops - flops
        )
        self._graph, self._flops = result.graph, flops

    @property
    def removed(self) -> tuple[Removed, ...]:
        """The passes that fired."""
        return tuple(self._found.values())

    @property
    def kept(self) -> tuple[Kept, ...]:
        """Why they did no more, pass by pass."""
        return tuple(one for each in self._kept.values() for one in each)


def _changed(before: Graph, after: Graph) -> int:
    """How many nodes are in one graph only or compute their value in another way."""
    old, new = before.producers, after.producers
    gone = sum(value not in new for value in old)
    kept = ((old.get(value), node) for value, node in new.items())
    return gone + sum(node is not was and node != was for was, node in kept)
