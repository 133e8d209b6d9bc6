"""The next row of a graph whose rows depend on those before them alone: what is new is computed, and
keys and values of the rows before come from a cache.

A value grows along the one axis that is one longer where all sequences are. Of such a value a step
computes one row, by the same primitives; what does not grow, and is not known before any input, is
handed over as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.ir.dims import Dim, Shape, Symbol, product
from perceiver_graph.compiler.ir.graph import Graph, Input, Node, Value
from perceiver_graph.compiler.ir.op import Op, ShapeError, TensorType
from perceiver_graph.compiler.programs.phases import OUTPUT

ONE = Dim.of(1)
CACHE = "cache/"
"""Begins the names of what is kept for a step."""
FARTHEST = 2**31
"""More places than a text has."""
HEARD: Mapping[type[Op], tuple[str, ...]] = {
    ops.Attention: ("heads", "masked_rows", "key_heads", "scale", "causal", "mask"),
    ops.Concat: ("axis", "parts"),
    ops.FourierAt: (
        *("sizes", "of", "bands", "max_resolution", "endpoint", "include_position", "sine_only"),
        *("periodic", "spacing", "pi", "wavelengths", "order"),
    ),
    ops.Gather: ("axis",),
    ops.Positions: ("sizes",),
    ops.Trim: ("size",),
}
"""The primitives for which a step has others, and all that is known of what they say. One that says
more is not replaced: what a step would have to do then, nobody has written."""


class NotCausal(ValueError):  # noqa: N818 - read as "except NotCausal"
    """A node of whose result a row depends on rows behind it, or may."""

    def __init__(self, node: Node, why: str) -> None:
        self.node = node
        super().__init__(why)


@dataclass(frozen=True)
class Step:
    """One row further, and what has to be kept for it."""

    graph: Graph
    state: Mapping[str, Value]
    """What is kept of the whole graph, by the name under which the step reads and gives it."""


def replayed(
    graph: Graph,
    sizes: Mapping[Symbol, Dim],
    leaves: Mapping[Value, Input],
    rule: Callable[[Node, Mapping[Value, Value]], Node | None],
) -> Graph:
    """The graph with other sizes for symbols and other inputs, its types worked out anew.

    `rule` gives another node for a node, or None where it stays; it is told what each value before
    has become. Raises NotCausal where a primitive does not take the sizes.
    """
    now: dict[Value, Value] = {value: value for value in graph.leaves}
    now |= {value: leaf.value for value, leaf in leaves.items()}
    nodes: list[Node] = []
    for node in graph.nodes:
        found = rule(node, now) or replace(node, inputs=tuple(now[v] for v in node.inputs))
        op = with_dims(found.op, lambda dim: substituted(dim, sizes))
        try:
            type = op.infer(*(value.type for value in found.inputs))
        except (ShapeError, ValueError) as error:
            raise NotCausal(node, str(error)) from error
        alike = op == node.op and found.inputs == node.inputs and type == node.output.type
        if not alike:  # what stays as it is, such as a table, is one value of both graphs
            node_output = Value(node.output.name, type)
            found = replace(found, op=op, output=node_output)
        nodes.append(found)
        now[node.output] = found.output
    inputs = tuple(leaves.get(leaf.value, leaf) for leaf in graph.inputs)
    outputs = {name: now[value] for name, value in graph.outputs.items()}
    return replace(graph, inputs=inputs, nodes=tuple(nodes), outputs=outputs)


def with_dims(op: Op, change: Callable[[Dim], Dim]) -> Op:
    """The primitive with other sizes in place of those that it holds."""
    if not op.dims:
        return op

    def other(held: object) -> object:
        if isinstance(held, tuple):
            return tuple(map(other, held))
        return change(held) if isinstance(held, Dim) else held

    return replace(op, **{name: other(getattr(op, name)) for name in op.sized})


def substituted(dim: Dim, sizes: Mapping[Symbol, Dim]) -> Dim:
    """A size with others in place of symbols. `NotDivisible` where it then is no whole number."""
    if dim.is_constant or not dim.symbols & sizes.keys():
        return dim
    total = Dim.of(0)
    for number, symbols, over in dim.terms:
        term = product([sizes.get(symbol, Dim.of(symbol)) for symbol in symbols]) * number
        total = total + term.exact_div(over)
    return total


def _require_heard(node: Node) -> None:
    """Raise NotCausal for a primitive for which a step has another, if it says what nobody has heard of."""
    for kind, known in HEARD.items():
        if isinstance(node.op, kind) and node.only(kind, *known) is None:
            raise NotCausal(node, f"`{node.op}` says more than a step knows of")


class Incremental:
    """Makes the step of a graph."""

    def __init__(
        self, graph: Graph, growing: Mapping[Symbol, str], chosen: Value, before: Value | None
    ) -> None:
        """`growing` are the symbols of sequences, each with the name of how many rows of it there
        were before; `chosen` are the rows of the first that are those of the second, and `before`
        those that are not."""
        self.graph = graph
        self.growing = growing
        self.chosen = chosen
        self.before = before
        self.counts = {symbol: Symbol(name) for symbol, name in growing.items()}
        self.state: dict[str, Value] = {}
        """What is kept, by the name of its port."""
        self._longer = {symbol: Dim.of(symbol) + 1 for symbol in growing}
        self._read: dict[str, Value] = {}
        self._grown: dict[str, Value] = {}
        self._nodes: list[Node] = []
        name = "position"
        while any(leaf.value.name == name for leaf in graph.inputs):
            name += "_"
        self.position = Value(name, TensorType((ONE,), "int64"))

    @cached_property
    def late(self) -> set[Value]:
        """The values that change as the sequences grow."""
        found = {leaf.value for leaf in self.graph.inputs if self._grows(leaf.value.shape)}
        for node in self.graph.nodes:
            if isinstance(node.op, ops.Gather) and node["indices"] is self.before:
                continue  # those in front stay in front
            if self._grows(node.output.shape) or not found.isdisjoint(node.inputs):
                found.add(node.output)
        return found

    def step(self, outputs: Mapping[str, Value]) -> Step:
        """The step that gives the last row of these outputs. Raises NotCausal."""
        graph = self.graph
        for node in graph.nodes:
            if node.output in self.late:
                self._axis(node, node.output)
        leaves = {
            leaf.value: replace(leaf, value=Value(leaf.value.name, self._row(leaf.value.type)))
            for leaf in graph.inputs
            if leaf.value in self.late and leaf.value is not self.chosen
        }
        now: dict[Value, Value] = {value: value for value in graph.leaves}
        now |= {value: leaf.value for value, leaf in leaves.items()}
        nodes: list[Node] = []
        for node in graph.nodes:
            if node.output not in self.late:
                continue
            self._nodes = nodes
            found = self._rule(node, now)
            if isinstance(found, Node):
                type = self._inferred(node, found.op, found.inputs)
                if type != self._row(node.output.type):
                    raise NotCausal(node, "a row of its result cannot be computed by itself")
                found = replace(found, output=Value(node.output.name, type))
                nodes.append(found)
                found = found.output
            now[node.output] = found
        early = self._early(nodes)
        results = {name: now[value] for name, value in outputs.items()}
        inputs = [
            *leaves.values(),
            Input(self.position, "position", "position", ("place",)),
            *(self._input(name, value) for name, value in self._read.items()),
        ]
        step = replace(
            graph,
            inputs=tuple(inputs),
            nodes=(*early, *nodes),
            outputs={**results, **self._grown},
            symbols={**graph.symbols, **{s.name: s for s in self.counts.values()}},
        )
        return Step(step, self.state)

    def _rule(self, node: Node, now: dict[Value, Value]) -> Value | Node:
        """What gives the new row of a node's result."""
        _require_heard(node)
        match node.op:
            case ops.Attention() as op:
                return self._attention(node, op, now)
            case ops.Gather() if node["indices"] is self.chosen:
                return now[node["table"]]  # the newest token is the newest latent
            case ops.Trim(size=size) if (first := self._in_front(size)) is not None:
                table = self._behind(self._as_is(node["table"], node), first)
                return replace(node, op=ops.Gather(0), inputs=(table, self.position))
            case ops.FourierAt(sizes=(size,)) if node.op.wavelengths and self._in_front(size) == 0:
                far = replace(
                    node.op, sizes=(Dim.of(FARTHEST),)
                )  # the place is what is turned to waves
                return replace(node, op=far, inputs=(self.position,))
            case ops.Positions(sizes=(size,)) if self._in_front(size) == 0:
                return self.position
            case ops.FourierAt():
                why = "positions are coordinates over the whole text, and change as it grows: count them"
                raise NotCausal(node, f"{why}, `of` the longest")
            case ops.Concat(axis=axis) if axis % node.output.type.rank == self._axis_of(node):
                *before, last = node.each("parts")
                if last not in self.late or not self.late.isdisjoint(before):
                    raise NotCausal(node, "what grows is not the last of what is joined")
                return now[last]
        self._require_alone(node)
        inputs = tuple(now[v] if v in self.late else self._as_is(v, node) for v in node.inputs)
        return replace(node, op=with_dims(node.op, self._one_row), inputs=inputs)

    def _attention(self, node: Node, op: ops.Attention, now: dict[Value, Value]) -> Node:
        """The query of the new row reads all that came before it, and itself."""
        read = [node["keys"], node["values"], *node.each("mask")]
        if node["queries"] not in self.late or node["keys"] not in self.late:
            raise NotCausal(node, "its queries, or its keys, do not grow")
        if not op.causal:
            raise NotCausal(node, "queries read what comes after them: `causal` is not set")
        rows = [self._with_cache(value, now) for value in read]
        inputs = (now[node["queries"]], *rows)
        return replace(node, op=replace(op, causal=False), inputs=inputs)

    def _with_cache(self, value: Value, now: Mapping[Value, Value]) -> Value:
        """All rows of a value: those that are kept, and the new one."""
        name = f"{CACHE}{value.name}"
        if name not in self._read:
            symbol = next(s for s in self.growing if s in value.shape[1].symbols)
            shape = (value.shape[0], Dim.of(self.counts[symbol]), *value.shape[2:])
            self.state[name] = value
            self._read[name] = kept = Value(name, TensorType(shape, value.dtype))
            row = now[value]
            joined = ops.Concat(1).infer(kept.type, row.type)
            grown = Value(f"{name}/grown", joined)
            self._nodes.append(Node(ops.Concat(1), (kept, row), grown))
            self._grown[name + OUTPUT] = grown
        return self._grown[name + OUTPUT]

    def _as_is(self, value: Value, node: Node) -> Value:
        """What does not grow: known before any input, or kept from the whole graph."""
        if value not in self.graph.varying:
            return value
        if any(dim.symbols & self.growing.keys() for dim in value.shape):
            raise NotCausal(node, "it reads a part of the text that has no fixed size")
        name = f"{CACHE}{value.name}"
        self.state[name] = value
        return self._read.setdefault(name, Value(name, value.type))

    def _early(self, nodes: list[Node]) -> list[Node]:
        """The nodes of the graph that others read the results of, and that no input is needed for."""
        made = {node.output for node in nodes}
        needed = self.graph.ancestors({v for node in nodes for v in node.inputs} - made)
        return [n for n in self.graph.nodes if n.output in needed and n.output not in self.late]

    def _input(self, name: str, value: Value) -> Input:
        axes = ("batch", *(f"axis_{index}" for index in range(1, value.type.rank)))
        return Input(value, "state", name, axes if value.type.rank else ())

    def _grows(self, shape: Shape) -> bool:
        return any(substituted(dim, self._longer) != dim for dim in shape)

    def _in_front(self, size: Dim) -> int | None:
        """How many rows there are in front of those of the first sequence, of so many in all."""
        first = next(iter(self.growing))
        return (size - Dim.of(first)).value

    def _behind(self, table: Value, rows: int) -> Value:
        """A table without its first rows."""
        if not rows:
            return table
        op = ops.Slice(0, rows, None)
        rest = Value(f"{table.name}/behind_{rows}", op.infer(table.type))
        if all(node.output.name != rest.name for node in self._nodes):
            self._nodes.append(Node(op, (table,), rest))
        return next(node.output for node in self._nodes if node.output.name == rest.name)

    def _axis(self, node: Node, value: Value) -> int:
        """The axis along which a value grows, a row at a time. Raises NotCausal."""
        more = [substituted(dim, self._longer) - dim for dim in value.shape]
        axes = [i for i, rows in enumerate(more) if rows != 0]
        if len(axes) != 1:
            raise NotCausal(node, "it depends on all of the text at once")
        if more[axes[0]] != 1:
            raise NotCausal(node, "a row of it is made of several tokens, or a token makes several")
        return axes[0]

    def _axis_of(self, node: Node) -> int:
        return self._axis(node, node.output)

    def _row(self, type: TensorType) -> TensorType:
        """One row of a value of this type."""
        return type.with_shape(*map(self._one_row, type.shape))

    def _one_row(self, dim: Dim) -> Dim:
        return dim if substituted(dim, self._longer) == dim else ONE

    def _inferred(self, node: Node, op: Op, inputs: tuple[Value, ...]) -> TensorType:
        try:
            return op.infer(*(value.type for value in inputs))
        except ValueError as error:
            raise NotCausal(node, str(error)) from error

    def _require_alone(self, node: Node) -> None:
        """Raise NotCausal unless a row of the result depends on that row of what is read alone."""
        op, axis, rank = node.op, self._axis_of(node), node.output.type.rank
        match op:
            case ops.Gather(axis=0):
                alone = node["table"] not in self.late
            case ops.MatMul():
                alone = node["b"] not in self.late and axis == rank - 2
            case ops.Concat() | ops.Permute() | ops.Flatten() | ops.Unflatten():
                alone = True  # what they merge with other axes, or divide, is told by its size
            case _:
                alone = op.mixes == "nothing" or (op.mixes == "channels" and axis != rank - 1)
        # Axes of operands are aligned at the end: what grows has to be at one place from there.
        ends = {self._axis(node, v) - v.type.rank for v in node.inputs if v in self.late}
        moves = isinstance(op, ops.Flatten | ops.Unflatten | ops.Permute | ops.Gather | ops.OneHot)
        if not alone or (len(ends) > 1 and not moves):
            raise NotCausal(node, f"`{op.name}` makes a row of several, or may")
