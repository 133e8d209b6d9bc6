"""Why passes left something as it is, for `inspect`: what is said of many nodes in the same words is one
line."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from perceiver_graph.compiler.ir.names import collapse
from perceiver_graph.compiler.passes.rewriter import MADE_BY

_OF_A_NODE = re.compile(r"%([^\s:]+):? (.*)", re.DOTALL)
_OTHER = re.compile(r"%(?:[^\s:]*/)?([^\s:~]+)[^\s:]*")
"""Another node in a reason, of which the last part of its name is shown."""


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


def kept(name: str, reasons: Iterable[str]) -> list[Kept]:
    """The reasons of a pass, each once."""
    found: dict[str, list[str]] = {}
    for reason in reasons:
        of_a_node = _OF_A_NODE.fullmatch(reason)
        why = of_a_node[2].removeprefix("stays: ") if of_a_node else reason
        nodes = found.setdefault(_OTHER.sub(r"`\1`", why), [])
        nodes += [of_a_node[1]] if of_a_node else []
    return [Kept(name, why, tuple(nodes)) for why, nodes in found.items()]
