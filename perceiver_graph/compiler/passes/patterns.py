"""What a rule looks for in a graph, written as one would draw it: an op, and what it reads in turn.

`Of(LayerNorm, x=Of(Gather, axis=0, table=Rewriter.known))` is the norm of rows of a known table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from perceiver_graph.compiler.ir.graph import Node, Value
from perceiver_graph.compiler.ops import Linear, Op
from perceiver_graph.compiler.passes.rewriter import Rewriter


class Of:
    """A value that one of these ops gives; of attention, `Node.only` asks instead.

    What is said is an attribute and what it equals, or an operand and a pattern or test for it: where
    there are several of that name, each has to match, and where there is none, nothing has to.
    """

    def __init__(self, *kinds: type[Op], **said: Any) -> None:
        self._kinds = kinds
        tests = {name: one.nodes if isinstance(one, Of) else one for name, one in said.items()}
        self._operands = {name: test for name, test in tests.items() if callable(test)}
        self._attributes = {name: one for name, one in said.items() if name not in self._operands}

    def nodes(self, rewriter: Rewriter, value: Value) -> list[Node]:
        """The nodes of the match, backwards in the order they are written in; empty if there is none."""
        node = rewriter.producer(value)
        if node is None or not isinstance(node.op, self._kinds):
            return []
        for name, wanted in self._attributes.items():
            if getattr(node.op, name) != wanted:
                return []
        found = [node]
        for name, test in self._operands.items():
            for operand in node.each(name):
                inner = test(rewriter, operand)
                if not inner:
                    return []
                if inner is not True:
                    found += inner
        return found


class Either(Of):
    """A value that fits one of several patterns: the first that does is what it is taken for."""

    def __init__(self, *patterns: Of) -> None:
        self._patterns = patterns

    def nodes(self, rewriter: Rewriter, value: Value) -> list[Node]:
        found = (pattern.nodes(rewriter, value) for pattern in self._patterns)
        return next(filter(None, found), [])


def equal(number: float) -> Callable[[Rewriter, Value], bool]:
    """Whether a value is a constant of nothing but this number."""

    def test(rewriter: Rewriter, value: Value) -> bool:
        array = rewriter.array(value)
        return array is not None and bool((array == number).all())

    return test


MAP = Of(Linear, weight=Rewriter.known, bias=Rewriter.known)
"""A linear map with weights known at compile time."""
