"""Why passes left something as it is, for `inspect`: what is said of many nodes in the same words is one
line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from perceiver_graph.compiler.ir.names import collapse
from perceiver_graph.compiler.passes.base import Reason
from perceiver_graph.compiler.passes.rewriter import MADE_BY


@dataclass(frozen=True)
class Kept:
    """What a pass left, for one reason."""

    name: str
    why: str
    nodes: tuple[str, ...]
    """Those that it is said of; none where it is said of the whole graph."""

    @property
    def where(self) -> list[str]:
        """The nodes as patterns of dotted names, an attention's that of its layer:
        `process.layers.{0..7}`."""
        layers = (
            node.partition(MADE_BY)[0].removesuffix("/attention/attended") for node in self.nodes
        )
        return list(collapse(dict.fromkeys(layer.replace("/", ".") for layer in layers)))


def kept(name: str, reasons: Iterable[Reason]) -> list[Kept]:
    """The reasons of a pass, each once."""
    found: dict[str, list[str]] = {}
    for reason in reasons:
        nodes = found.setdefault(reason.text(_last_part), [])
        nodes += [reason.node] if reason.node else []
    return [Kept(name, why, tuple(nodes)) for why, nodes in found.items()]


def _last_part(node: str) -> str:
    """A node by what its layer calls it, the same in every layer: `relu` for `a.0/relu~relu_2`."""
    return f"`{node.rpartition('/')[2].partition(MADE_BY)[0]}`"
