"""The contract of a pass: a graph in, a graph out, whether it changed, and why not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.extensions import is_other


@dataclass(frozen=True)
class Reason:
    """Why a rule that could have fired did not: at a node, or anywhere."""

    why: str
    """`{}` stands for each of `others` in turn."""
    node: str = ""
    """Its name; empty for the whole graph."""
    others: tuple[str, ...] = ()
    """The names of nodes that the words are about as well."""

    def text(self, called: Callable[[str], str]) -> str:
        """The words, in which other nodes are called what `called` makes of their names."""
        return self.why.format(*map(called, self.others)) if self.others else self.why

    def __str__(self) -> str:
        text = self.text("%{}".format)
        return f"%{self.node} stays: {text}" if self.node else text


@dataclass(frozen=True)
class PassResult:
    """What a pass made of a graph; the very graph it was given where `changed` is false."""

    graph: Graph
    changed: bool
    done: tuple[str, ...] = ()
    """What was done."""
    reasons: tuple[Reason, ...] = ()
    """For each rule that could have fired and did not, why."""

    @property
    def notes(self) -> tuple[str, ...]:
        """All of it in words."""
        return (*self.done, *map(str, self.reasons))


PASSES: dict[str, type[Pass]] = {}
"""Every pass by its name, in order of definition."""


class Pass(ABC):
    """A rewrite that keeps what the graph computes. Settings go to the constructor, and have defaults.

    Defining a pass registers it: it runs where `after` says.

    A pass keeps the names, types and origins of the values it does not remove, the outputs' names,
    and the topological order of nodes.
    """

    name: ClassVar[str]
    """As in dumps and errors: lower case with hyphens."""
    what: ClassVar[str] = ""
    """What it does, in five words at most: `inspect` shows it."""
    after: ClassVar[str] = ""
    """The pass right behind which it runs, among those that rewrite a graph; none if it does not."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "name" not in vars(cls):  # a kind of pass
            return
        before = PASSES.get(cls.name)
        if before and is_other(before, cls):
            raise TypeError(f"{cls.__name__} needs a name of its own: there is a pass `{cls.name}`")
        PASSES[cls.name] = cls

    @abstractmethod
    def run(self, graph: Graph) -> PassResult:
        """Apply the pass once to the whole graph."""


def bytes_text(count: int) -> str:
    """`39.1 MB`."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.4g} {unit}"
        size /= 1000
    return f"{size:.4g} GB"


def counted(count: int, noun: str, plural: str = "") -> str:
    """`1 node`, `3 nodes`; `3 biases` with the plural given."""
    return f"{count} {noun}" if count == 1 else f"{count} {plural or noun + 's'}"
