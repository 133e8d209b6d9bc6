"""A graph while a pass rewrites it: who reads what, what is known, and what a change would cost.

A value that keeps its name keeps its numbers; whatever holds other numbers gets a name of its own.
What nothing reads any more because of a rewrite is dropped with it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from math import prod
from typing import ClassVar, Literal

import numpy as np

from perceiver_graph.compiler.ir.dims import shape_of
from perceiver_graph.compiler.ir.graph import Constant, Graph, Node, Value, once
from perceiver_graph.compiler.ir.op import Array, DType
from perceiver_graph.compiler.ops import Attention, Broadcast, Concat, Linear, Op, TensorType
from perceiver_graph.compiler.passes.base import Pass, PassResult, Reason, counted
from perceiver_graph.diagnostics.words import joined

MADE_BY = "~"
"""In the name of a value, between the node that it was made for and its own op: `query~matmul`."""


class Rewrite(Pass):
    """A pass that applies one rule to one node after the other, until it fires nowhere any more."""

    done: ClassVar[tuple[str, str, str]]
    """What was rewritten, one and several, and what was done to it: ("norm", "norms", "folded")."""
    nothing: ClassVar[str]
    """The reason where the rule fired nowhere."""

    @abstractmethod
    def apply(self, rewriter: Rewriter, node: Node) -> bool:
        """Whether the rule fired at a node that is computed at run time; it may say why not, with `stays`."""

    def run(self, graph: Graph) -> PassResult:
        result, total = graph, 0
        taken: set[str] = set()
        while True:
            rewriter = Rewriter(result, taken)
            count = sum(self.apply(rewriter, node) for node in rewriter.visit())
            if not count:
                break
            total += count
            # A name that was dropped in one round is not given to other numbers in the next.
            taken |= names_of(result)
            result = rewriter.graph()
        if not total:
            return PassResult(graph, False, reasons=(*rewriter.reasons, Reason(self.nothing)))
        one, several, what = self.done
        done = f"{counted(total, one, several)} {what}"
        return PassResult(result, True, (done,), tuple(rewriter.reasons))


class Rewriter:
    """Nodes by their outputs, edited in place; `graph()` gives the result, in topological order."""

    def __init__(self, graph: Graph, taken: Set[str] = frozenset()) -> None:
        """No value is given a name that is in the graph or one of those `taken`."""
        self.original = graph
        self.sizes = largest_sizes(graph)
        self._nodes = dict(graph.producers)
        self._outputs = dict(graph.outputs)
        self._constants = {constant.value.name: constant for constant in graph.constants}
        self._varying = set(graph.varying)
        # Thousands of layers are alike: what there is to say about a type is worked out once.
        self._inferred: dict[tuple[Op, tuple[TensorType, ...]], TensorType] = {}
        self._flops: dict[tuple[Op, tuple[TensorType, ...]], int] = {}
        self._elements: dict[TensorType, int] = {}
        self._before: dict[Value, list[Value]] = {}
        self._read: dict[Value, dict[Value, None]] = {}
        self._taken = taken
        self._numbers: dict[str, int] = {}
        self._at: Node | None = None
        self.reasons: list[Reason] = []

    @cached_property
    def _names(self) -> set[str]:
        return {*names_of(self.original), *self._taken}

    # Asking

    def visit(self) -> Iterator[Node]:
        """The nodes computed at run time, as they are by then, without those dropped by then.

        What is added meanwhile belongs to the node at hand.
        """
        for before in self.original.nodes:
            if before.output in self._varying and before.output in self._nodes:
                self._at = self._nodes[before.output]
                yield self._at

    @contextmanager
    def at(self, node: Node) -> Iterator[None]:
        """Let what is added belong to another node than the one that is visited."""
        visited, self._at = self._at, node
        yield
        self._at = visited

    def stays(self, node: Node, why: str, *others: Node | Value) -> Literal[False]:
        """Say why a rule does not fire at a node; `{}` in it stands for each of the others in turn."""
        self.reasons.append(Reason(why, node.name, tuple(other.name for other in others)))
        return False

    def producer(self, value: Value) -> Node | None:
        return self._nodes.get(value)

    def readers(self, value: Value) -> list[Node]:
        """The nodes that read a value, each once, in the order in which they began to."""
        return [self._nodes[reader] for reader in self._readers(value)]

    def is_output(self, value: Value) -> bool:
        return value in self._outputs.values()

    def only_reader(self, value: Value) -> Node | None:
        """The node for which alone a value is computed, if there is one."""
        readers = self.readers(value)
        return readers[0] if len(readers) == 1 and not self.is_output(value) else None

    def known(self, value: Value) -> bool:
        """Whether a value depends on parameters and constants alone: it costs nothing at run time."""
        return value not in self._varying

    def array(self, value: Value) -> Array | None:
        """The numbers of a constant."""
        constant = self._constants.get(value.name)
        return constant.data if constant else None

    def sharing(self, value: Value) -> tuple[Value, Node | None]:
        """What a value repeats over leading axes, and the node that does: itself and none otherwise."""
        node = self.producer(value)
        if node and isinstance(node.op, Broadcast) and node["x"].type.rank:
            return node["x"], node
        return value, None

    # Costs

    def flops(self, op: Op, *inputs: Value) -> int:
        """What a node costs at run time, for the largest sizes; what is known costs nothing."""
        if self._varying.isdisjoint(inputs):
            return 0
        return self.type_flops(op, *(value.type for value in inputs))

    def type_of(self, op: Op, *inputs: Value) -> TensorType:
        """What a node gives, worked out once for each kind."""
        return self._infer(op, tuple(value.type for value in inputs))

    def type_flops(self, op: Op, *inputs: TensorType) -> int:
        kind = op, inputs
        if kind not in self._flops:
            self._flops[kind] = op.flops(inputs, self._infer(op, inputs)).evaluate(self.sizes)
        return self._flops[kind]

    def cost(self, node: Node) -> int:
        return self.flops(node.op, *node.inputs)

    def linear_flops(self, x: Value, width: int) -> int:
        """A linear map of x to so many channels."""
        return 0 if self.known(x) else 2 * self.elements(x) * width

    def elements(self, value: Value) -> int:
        kind = value.type
        if kind not in self._elements:
            self._elements[kind] = prod(dim.evaluate(self.sizes) for dim in kind.shape)
        return self._elements[kind]

    # Changing

    def add(self, op: Op, *inputs: Value) -> Value:
        """A new node right before the one at hand, of its scope and spec line and called after it."""
        assert self._at is not None, "nodes are added while one is visited"
        stem, _, _ = self._at.name.partition(MADE_BY)
        output = Value(self._fresh(f"{stem}{MADE_BY}{op.name}"), self.type_of(op, *inputs))
        node = Node(op, inputs, output, self._at.scope, self._at.origin)
        self._nodes[output] = node
        self._before.setdefault(self._at.output, []).append(output)
        self._count(node)
        if op.dims or not self._varying.isdisjoint(inputs):
            self._varying.add(output)
        return output

    def constant(self, name: str, array: Array) -> Value:
        """A constant; one of this name and these bytes that is there already is taken."""
        dtype: DType = array.dtype.name  # type: ignore[assignment]
        kind = TensorType(shape_of(*array.shape), dtype)
        found = self._constants.get(name)
        if found and found.value.type == kind and found.data.tobytes() == array.tobytes():
            return found.value
        value = Value(self._fresh(name), kind)
        self._constants[value.name] = Constant(value, array)
        return value

    def filled(self, number: float, row: TensorType) -> Value:
        """A row of equal numbers of this type: `ones.8`."""
        (width,) = row.shape
        word = {0.0: "zeros", 1.0: "ones"}[number]
        return self.constant(f"{word}.{width}", np.full(int(width), number, np.dtype(row.dtype)))

    def rewrite(self, node: Node, op: Op, *inputs: Value) -> Node:
        """Compute a node's value, the same numbers, in another way."""
        new = replace(node, op=op, inputs=inputs)
        if self.type_of(op, *inputs) != node.output.type:
            raise ValueError(f"{op} gives something else than {node.output}")
        self._nodes[node.output] = new
        self._count(new)
        for value in dict.fromkeys(node.inputs):
            if value not in inputs:
                del self._readers(value)[node.output]
                self._drop(value)
        return new

    def substitute(self, old: Value, new: Value) -> None:
        """Let all readers of a value read another one, and drop the first."""
        for reader in self.readers(old):
            inputs = tuple(new if value == old else value for value in reader.inputs)
            self.rewrite(reader, reader.op, *inputs)
        self._outputs = {k: new if v == old else v for k, v in self._outputs.items()}
        self._drop(old)

    def graph(self) -> Graph:
        order: list[Node] = []
        for node in self.original.nodes:
            self._emit(node.output, order)
        constants = tuple(self._constants.values())
        return replace(
            self.original, constants=constants, nodes=tuple(order), outputs=self._outputs
        )

    # Inside

    def _infer(self, op: Op, inputs: tuple[TensorType, ...]) -> TensorType:
        kind = op, inputs
        if kind not in self._inferred:
            self._inferred[kind] = op.infer(*inputs)
        return self._inferred[kind]

    def _emit(self, value: Value, order: list[Node]) -> None:
        for earlier in self._before.get(value, ()):
            self._emit(earlier, order)
        if value in self._nodes:
            order.append(self._nodes[value])

    def _readers(self, value: Value) -> dict[Value, None]:
        """What is computed from a value directly; most values of a graph are never asked about."""
        found = self._read.get(value)
        if found is None:
            readers = self.original.users.get(value, ())
            found = self._read[value] = {node.output: None for node in readers}
        return found

    def _count(self, node: Node) -> None:
        for value in node.inputs:
            self._readers(value)[node.output] = None

    def _drop(self, value: Value) -> None:
        """Remove a node that nothing reads, and so on backwards."""
        pending = [value]
        while pending:
            value = pending.pop()
            if value in self._nodes and not self._readers(value) and not self.is_output(value):
                node = self._nodes.pop(value)
                for read in dict.fromkeys(node.inputs):
                    del self._readers(read)[value]
                    pending.append(read)

    def _fresh(self, name: str) -> str:
        """The name, numbered where it is taken."""
        count = self._numbers.get(name, 0)
        candidate = f"{name}_{count}" if count else name
        while candidate in self._names:
            count = max(count + 1, 2)
            candidate = f"{name}_{count}"
        self._numbers[name] = count
        self._names.add(candidate)
        return candidate


@once
def names_of(graph: Graph) -> Set[str]:
    """The names of all values of a graph."""
    return {value.name for value in (*graph.leaves, *graph.producers)}


def largest_sizes(graph: Graph) -> Mapping[str, int]:
    """What costs are counted for: batch 1, all queries, the largest (else smallest) of others."""
    symbols: Iterable[tuple[str, int]] = (
        (name, s.lowest if s.highest is None else s.highest) for name, s in graph.symbols.items()
    )
    return {**dict(symbols), "batch": 1}


def is_linear(node: Node | None) -> bool:
    """Whether a value comes from a linear map."""
    return node is not None and isinstance(node.op, Linear)


def parts_of(rewriter: Rewriter, value: Value, axis: int) -> tuple[Value, ...]:
    """What a value is put together from along an axis: itself alone where it is not."""
    node, rank = rewriter.producer(value), value.type.rank
    if node and isinstance(node.op, Concat) and node.op.axis % rank == axis % rank:
        return node.inputs
    return (value,)


def why_not_one_head(node: Node) -> str | None:
    """What an attention has that one of a single head without a mask has not: empty if nothing.

    None for what is no attention, or is one of another kind.
    """
    if type(node.op) is not Attention:
        return None
    op = node.only(Attention, "heads", "mask", "masked_rows")
    if op is None:
        return f"it says {joined(node.op.unusual() - {'heads', 'masked_rows'})} as well"
    if op.heads != 1:
        return f"it has {op.heads} heads"
    return "it has a mask" if "mask" in node else ""
