"""The graph: frozen values and nodes in topological order, with the leaves they start from.

The dataclasses are the graph; `Graph.network` is a copy for networkx, to analyse or to draw.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypeVar

from perceiver_graph.compiler.ir.dims import Dim, Shape, Symbol, product, total
from perceiver_graph.compiler.ir.op import Array, DType, Op, TensorType
from perceiver_graph.diagnostics import Span
from perceiver_graph.spec.glance import Glance, Glanced
from perceiver_graph.spec.programs import Role

if TYPE_CHECKING:
    import networkx as nx

Scope = tuple[str, ...]
"""Where a node belongs: the path of blocks, for example ("encode", "cross_attend", "attention")."""


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """A tensor of the graph. Its name is unique there and starts with its scope: `encode/.../scores`.

    A value is equal to itself alone: graphs made of one another share theirs.
    """

    name: str
    type: TensorType

    @property
    def shape(self) -> Shape:
        return self.type.shape

    @property
    def dtype(self) -> DType:
        return self.type.dtype

    def __str__(self) -> str:
        return f"%{self.name}: {self.type}"


@dataclass(frozen=True)
class Input:
    """What is supplied at run time, by the caller or, as state, by a program."""

    value: Value
    role: Role
    of: str
    """The output (queries, points), the symbol (size), the value in the whole graph (state), or else
    the array's name, which is mostly the modality's."""
    axes: tuple[str, ...]
    beside: tuple[str, ...] = ()
    """For coordinates, the modalities whose tokens lie there; they are left out together."""

    @property
    def count(self) -> Dim:
        """How many queries are asked for (queries, points)."""
        return self.value.shape[1 if self.role == "points" else 0]


@dataclass(frozen=True)
class Initializer:
    """How a parameter starts.

    `normal`: with the standard deviation `scale`. `truncated_normal`: the same, cut off at twice the
    deviation. `fan_in`: cut off too, and the deviation before the cut is `scale` divided by the
    square root of the number of inputs, the product of all axes but the first. `zeros`, `ones`.
    """

    kind: Literal["normal", "truncated_normal", "fan_in", "zeros", "ones"]
    scale: float = 1.0


@dataclass(frozen=True)
class Parameter:
    """A learned tensor, or a running statistic where `trainable` is false. Its name is dotted."""

    value: Value
    init: Initializer
    trainable: bool = True
    origin: Span | None = None


@dataclass(frozen=True, eq=False)
class Constant:
    """A tensor known at compile time."""

    value: Value
    data: Array = field(repr=False)


Primitive = TypeVar("Primitive", bound=Op)


@dataclass(frozen=True, slots=True)
class Node:
    """An application of a primitive."""

    op: Op
    inputs: tuple[Value, ...]
    output: Value
    scope: Scope = ()
    origin: Span | None = None

    def __hash__(self) -> int:
        return hash(self.output)

    @property
    def name(self) -> str:
        return self.output.name

    def __getitem__(self, operand: str) -> Value:
        """What is read under this name: `node["mask"]`. `KeyError` where nothing is."""
        return self.op.operand(operand, self.inputs)

    def __contains__(self, operand: str) -> bool:
        return bool(self.op.each(operand, self.inputs))

    def each(self, operand: str) -> Sequence[Value]:
        """All that is read under this name: none or one where it may be absent."""
        return self.op.each(operand, self.inputs)

    def only(self, kind: type[Primitive], *known: str) -> Primitive | None:
        """The operator, if it is of this very kind and says nothing but what is `known`.

        These are names of attributes and of operands that may be absent; all others are as usual.
        A rewrite asks so of what it replaces by something else: whatever it has not heard of, such
        as a mask of a new kind, is not lost by it.
        """
        op = self.op
        return op if type(op) is kind and op.says_only(known, self.inputs) else None

    def replaced(self, **operands: Value) -> tuple[Value, ...]:
        """All that is read, with other operands of these names; all others stay."""
        return self.op.replaced(self.inputs, **operands)

    @property
    def flops(self) -> Dim:
        return self.op.flops([value.type for value in self.inputs], self.output.type)


@dataclass(frozen=True)
class Block:
    """What a scope is: its kind becomes a class name in PyTorch, its module the prefix of its parameters.

    `arguments` are the numbers in which blocks of one kind may differ: the class takes them."""

    kind: str
    module: str
    summary: str = ""
    origin: Span | None = None
    arguments: tuple[tuple[str, int | float], ...] = ()


P = ParamSpec("P")
T = TypeVar("T")


def once(work: Callable[Concatenate[Graph, P], T]) -> Callable[Concatenate[Graph, P], T]:
    """Remember what a function finds out about a graph, which never changes.

    The result is shared, so nobody may change it, and gone with the graph.
    """

    @wraps(work)
    def remembered(graph: Graph, /, *args: P.args, **keywords: P.kwargs) -> T:
        results: dict[Any, T] = graph.__dict__.setdefault("_found", {})
        key = work.__qualname__, args, *sorted(keywords.items())
        if key not in results:
            results[key] = work(graph, *args, **keywords)
        return results[key]

    return remembered


@dataclass(frozen=True, repr=False)
class Graph(Glanced):
    """A program: inputs, parameters and constants, nodes in topological order, named outputs."""

    name: str
    symbols: Mapping[str, Symbol]
    inputs: tuple[Input, ...]
    parameters: tuple[Parameter, ...]
    constants: tuple[Constant, ...]
    nodes: tuple[Node, ...]
    outputs: Mapping[str, Value]
    blocks: Mapping[Scope, Block] = field(default_factory=dict)

    def _glance(self) -> Glance:
        tensors = f"{self.parameter_count:,} parameters in {len(self.parameters):,} tensors"
        inputs = [(f"input {leaf.value.name}", str(leaf.value.type)) for leaf in self.inputs]
        outputs = [(f"output {name}", str(value.type)) for name, value in self.outputs.items()]
        heading = f"Graph {self.name}: {len(self.nodes):,} nodes, {tensors}"
        return Glance(heading, (*inputs, *outputs))

    @cached_property
    def producers(self) -> Mapping[Value, Node]:
        return {node.output: node for node in self.nodes}

    @cached_property
    def users(self) -> Mapping[Value, Sequence[Node]]:
        """The nodes that read each value, each once, in their order."""
        found: dict[Value, list[Node]] = {}
        for node in self.nodes:
            for value in node.inputs:
                readers = found.setdefault(value, [])
                if not readers or readers[-1] is not node:
                    readers.append(node)
        return found

    @cached_property
    def varying(self) -> Set[Value]:
        """The values that depend on what the caller supplies, arrays or sizes: they are computed at
        run time."""
        return self.descendants([*(leaf.value for leaf in self.inputs), *self.sized])

    @cached_property
    def leaves(self) -> Mapping[Value, Input | Parameter | Constant]:
        all_leaves: Iterable[Input | Parameter | Constant] = (
            *self.inputs,
            *self.parameters,
            *self.constants,
        )
        return {leaf.value: leaf for leaf in all_leaves}

    @cached_property
    def parameter_count(self) -> int:
        """Trainable numbers, buffers left out."""
        tensors = Counter(p.value.type for p in self.parameters if p.trainable)
        return sum(int(product(kind.shape)) * count for kind, count in tensors.items())

    @cached_property
    def sized(self) -> tuple[Value, ...]:
        """The results of nodes that hold a size known only at run time."""
        return tuple(node.output for node in self.nodes if node.op.sized and node.op.dims)

    @property
    def flops(self) -> Dim:
        """Multiplications plus additions of one run of every node."""
        return total(node.flops for node in self.nodes)

    @cached_property
    def network(self) -> nx.MultiDiGraph[str]:
        """Values as a directed graph; an edge per input slot, so that q = k = v is three edges."""
        import networkx as nx

        network: nx.MultiDiGraph[str] = nx.MultiDiGraph()
        for value in self.leaves:
            network.add_node(value.name, op="leaf", type=str(value.type))
        for node in self.nodes:
            network.add_node(node.name, op=str(node.op), type=str(node.output.type))
            for slot, value in enumerate(node.inputs):
                network.add_edge(value.name, node.name, slot=slot)
        return network

    def ancestors(self, values: Iterable[Value]) -> set[Value]:
        """The values and everything they are computed from."""
        found = set(values)
        for node in reversed(self.nodes):  # topological order: one sweep is enough
            if node.output in found:
                found.update(node.inputs)
        return found

    def descendants(self, values: Iterable[Value]) -> set[Value]:
        """The values and everything computed from them."""
        found = set(values)
        for node in self.nodes:
            if not found.isdisjoint(node.inputs):
                found.add(node.output)
        return found

    def substitute(self, replacements: Mapping[Value, Value]) -> Graph:
        """Let every reader of a value read its replacement; producers stay."""

        def new(value: Value) -> Value:
            while value in replacements:
                value = replacements[value]
            return value

        nodes = tuple(replace(n, inputs=tuple(map(new, n.inputs))) for n in self.nodes)
        return replace(self, nodes=nodes, outputs={k: new(v) for k, v in self.outputs.items()})

    def at(self, place: Callable[[Span | None], Span | None]) -> Graph:
        """The same with other places of the spec for all that has one."""
        return replace(
            self,
            parameters=tuple(replace(p, origin=place(p.origin)) for p in self.parameters),
            nodes=tuple(replace(node, origin=place(node.origin)) for node in self.nodes),
            blocks={
                s: replace(block, origin=place(block.origin)) for s, block in self.blocks.items()
            },
        )

    def rewrite(self, rule: Callable[[Node], Node | None]) -> Graph:
        """Replace each node by what the rule returns; None keeps it."""
        return replace(self, nodes=tuple(rule(node) or node for node in self.nodes))
