"""What a backend does with a primitive that its table does not have: a lowering that was registered for
it, else what the primitive says it is in others."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from perceiver_graph.compiler.backends.unread import lowered
from perceiver_graph.compiler.ir.dims import shape_of
from perceiver_graph.compiler.ir.graph import Constant, Graph, Node, Value
from perceiver_graph.compiler.ir.op import Array, Op, TensorType
from perceiver_graph.diagnostics.errors import DiagnosticError

Lowering = TypeVar("Lowering", bound=Callable[..., Any])

LOWERINGS: dict[str, dict[type[Op], Callable[..., Any]]] = {}
"""By the name of a backend, lowerings beside those of its table."""


def lowers(backend: str, primitive: type[Op]) -> Callable[[Lowering], Lowering]:
    """Register what follows as what a backend makes of a primitive, whether or not it is in its table.

    For `onnx` it takes the primitive and a `NodeBuilder`, for `torch` the primitive and its `Operands`.
    """

    def register(lowering: Lowering) -> Lowering:
        LOWERINGS.setdefault(backend, {})[primitive] = lowering
        return lowering

    return register


def table(backend: str, own: Mapping[type[Op], Lowering]) -> dict[type[Op], Lowering]:
    """The table of a backend with what was registered for it, which goes before."""
    found: dict[type[Op], Any] = {**own, **LOWERINGS.get(backend, {})}
    return found


def decomposed(graph: Graph, known: Container[type[Op]], backend: str) -> Graph:
    """The graph with primitives alone that a backend knows.

    Raises DiagnosticError (PG703) for one that is not known and says nothing of others.
    """
    if all(type(node.op) in known for node in graph.nodes):
        return graph
    taken = {*(value.name for value in graph.leaves), *(node.name for node in graph.nodes)}
    constants: list[Constant] = []
    nodes: list[Node] = []

    def spell_out(node: Node) -> None:
        if type(node.op) in known:
            nodes.append(node)
            return
        parts: list[Node] = []

        def value(operand: Value | Array) -> Value:
            if isinstance(operand, Value):
                return operand
            dtype: Any = operand.dtype.name
            type = TensorType(shape_of(*operand.shape), dtype)
            constants.append(Constant(Value(_fresh(f"{node.name}/number", taken), type), operand))
            return constants[-1].value

        def make(op: Op, *operands: Value | Array) -> Value:
            inputs = tuple(map(value, operands))
            made = Value(
                _fresh(f"{node.name}/{op.name}", taken), op.infer(*(one.type for one in inputs))
            )
            parts.append(Node(op, inputs, made, node.scope, node.origin))
            return made

        result = lowered(type(node.op).decompose, node.op, make, *node.inputs)
        if result is None:
            raise DiagnosticError.of(
                "PG703",
                f"the {backend} backend has no lowering for the primitive `{node.op.name}`",
                notes=["and the primitive does not say what it is in others"],
                help="give it a `decompose`, or register a lowering: "
                f'`@lowers("{backend}", {type(node.op).__name__})`',
            )
        for part in parts:
            part = replace(part, output=node.output) if part.output is result else part
            spell_out(part)

    for node in graph.nodes:
        spell_out(node)
    return replace(graph, nodes=tuple(nodes), constants=(*graph.constants, *constants))


def _fresh(name: str, taken: set[str]) -> str:
    """The name, or a variant of it that nothing else has."""
    found, count = name, 1
    while found in taken:
        count += 1
        found = f"{name}_{count}"
    taken.add(found)
    return found
