"""When a value can be computed: at compile time, once per input (encode), or per chunk of queries.

Encoding costs far more than decoding one chunk, and one input is decoded in many chunks: splitting
the graph in two programs lets the runtime encode once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from perceiver_graph.compiler.ir import LATE, Graph, Input, Node, Value, once
from perceiver_graph.compiler.ops import BroadcastLike, Op, TrimLike
from perceiver_graph.spec.glance import Glance, Glanced

Phase = Literal["compile", "encode", "decode"]

OUTPUT = ".output"
"""Ends the name of an output that encode returns, where an input of encode has the name itself."""

LATENTS = "latents"
"""The output of a lowered graph that is not an output of its spec."""


@dataclass(frozen=True, repr=False)
class Programs(Glanced):
    """The two programs of a graph.

    `encode` takes the data; its outputs are `latents` and, under their own names, the values that
    decode needs. `decode` takes those as inputs with role `state`, and the queries; its outputs are
    the outputs of the spec. One that needs no queries is handed over by encode as it is.
    """

    encode: Graph
    decode: Graph

    def _glance(self) -> Glance:
        graphs = {"encode": self.encode, "decode": self.decode}
        rows = [(name, f"{len(graph.nodes):,} nodes") for name, graph in graphs.items()]
        return Glance(f"Programs of {self.encode.name}", tuple(rows))


@once
def phase_of(graph: Graph) -> Mapping[Value, Phase]:
    """The phase of every value, leaves included.

    compile: depends on constants and parameters only. decode: depends on what is asked or, in a
    graph that has none, comes after the latents. encode: the rest.
    """
    at_run_time = graph.descendants(leaf.value for leaf in graph.inputs)
    late = graph.descendants(leaf.value for leaf in graph.inputs if leaf.role in LATE)
    if not late and LATENTS in graph.outputs:
        latents = graph.outputs[LATENTS]
        late = graph.descendants([latents]) - {latents}

    def phase(value: Value) -> Phase:
        if value not in at_run_time:
            return "compile"
        return "decode" if value in late else "encode"

    return {value: phase(value) for value in (*graph.leaves, *graph.producers)}


def split(graph: Graph) -> Programs:
    """Both programs; what both need of compile time (say a position table) is in both."""
    phases = phase_of(graph)
    graph = _share_likes(graph, phases)
    results = {name: value for name, value in graph.outputs.items() if name != LATENTS}
    decode_reads = [
        value for node in graph.nodes if phases[node.output] == "decode" for value in node.inputs
    ]
    boundary = dict.fromkeys(  # a dict for its order: the same graph gives the same programs
        value for value in (*decode_reads, *results.values()) if phases[value] == "encode"
    )
    latents = {LATENTS: graph.outputs[LATENTS]} if LATENTS in graph.outputs else {}
    # A caller's array that decode reads as it is needs another name there: an output may have its own.
    handed = {v: replace(v, name=f"{v.name}.state") if v in graph.leaves else v for v in boundary}
    outputs = latents | {state.name: value for value, state in handed.items()}
    encode = _program(graph, "encode", graph.inputs, outputs)
    queries = [leaf for leaf in graph.inputs if leaf.role in LATE]
    state = [Input(value, "state", value.name, _axes(value)) for value in handed.values()]
    renamed = graph.substitute({value: new for value, new in handed.items() if value != new})
    results = {name: renamed.outputs[name] for name in results}
    return Programs(encode, _program(renamed, "decode", (*state, *queries), results))


def _share_likes(graph: Graph, phases: Mapping[Value, Phase]) -> Graph:
    """Let decode take sizes from values that it reads anyway.

    `broadcast_like` and `trim_like` read only sizes of their second input: where decode uses a value
    for nothing else, the value need not be handed over.
    """
    decode = [node for node in graph.nodes if phases[node.output] == "decode"]
    likes = {node for node in decode if isinstance(node.op, BroadcastLike | TrimLike)}
    read = [value for node in decode for value in node.inputs[: 1 if node in likes else None]]
    read = [value for value in dict.fromkeys(read) if phases[value] == "encode"]

    def rule(node: Node) -> Node | None:
        if node not in likes:
            return None
        x, like = node.inputs
        if like in read or phases[like] != "encode":
            return None
        for value in read:
            op = sized_like(node.op, like, value)
            if op is not None:
                return replace(node, op=op, inputs=(x, value))
        return None

    return graph.rewrite(rule)


def sized_like(op: Op, like: Value, other: Value) -> Op | None:
    """The primitive that does with the sizes of another value what this one does with `like`'s."""
    match op:
        case BroadcastLike(axes=axes):
            return op if other.shape[:axes] == like.shape[:axes] else None
        case TrimLike(axis=axis) if like.shape[axis] in other.shape:
            return TrimLike(other.shape.index(like.shape[axis]))
    return None


def finish_early(programs: Programs) -> Programs:
    """Let encode return, under their own names, the outputs that need no queries.

    `split` has decode pass them through, so that it returns every output of the spec; a runtime
    that decodes in chunks would fetch them once per chunk.
    """
    given = {leaf.value for leaf in programs.decode.inputs if leaf.role == "state"}
    early = {name: value for name, value in programs.decode.outputs.items() if value in given}
    late = {name: value for name, value in programs.decode.outputs.items() if name not in early}
    decode = _program(programs.decode, "", programs.decode.inputs, late)
    still_read = {leaf.value.name for leaf in decode.inputs}
    computed = programs.encode.outputs
    kept = {name: v for name, v in computed.items() if name == LATENTS or name in still_read}
    taken = {leaf.value.name for leaf in programs.encode.inputs}
    kept |= {
        f"{name}{OUTPUT}" if name in taken else name: computed[state.name]
        for name, state in early.items()
    }
    return Programs(
        replace(programs.encode, outputs=kept), replace(decode, name=programs.decode.name)
    )


def _program(
    graph: Graph, name: str, inputs: Iterable[Input], outputs: Mapping[str, Value]
) -> Graph:
    """What of the graph computes the outputs from the inputs, and nothing else."""
    supplied = {leaf.value for leaf in inputs}
    needed: set[Value] = set()
    pending = list(outputs.values())
    while pending:
        value = pending.pop()
        if value not in needed:
            needed.add(value)
            node = None if value in supplied else graph.producers.get(value)
            pending.extend(node.inputs if node else ())
    return restrict(
        replace(
            graph,
            name=f"{graph.name}.{name}",
            inputs=tuple(inputs),
            nodes=tuple(node for node in graph.nodes if node.output not in supplied),
            outputs=dict(outputs),
        ),
        needed,
    )


def restrict(graph: Graph, needed: set[Value]) -> Graph:
    """The graph with only the leaves and nodes among `needed`, their blocks and symbols."""
    inputs = tuple(leaf for leaf in graph.inputs if leaf.value in needed)
    parameters = tuple(leaf for leaf in graph.parameters if leaf.value in needed)
    constants = tuple(leaf for leaf in graph.constants if leaf.value in needed)
    nodes = tuple(node for node in graph.nodes if node.output in needed)
    scopes = {node.scope[:depth] for node in nodes for depth in range(len(node.scope) + 1)}
    values = [leaf.value for leaf in inputs] + [node.output for node in nodes]
    names = {symbol.name for value in values for dim in value.shape for symbol in dim.symbols}
    return replace(
        graph,
        symbols={name: symbol for name, symbol in graph.symbols.items() if name in names},
        inputs=inputs,
        parameters=parameters,
        constants=constants,
        nodes=nodes,
        blocks={scope: block for scope, block in graph.blocks.items() if scope in scopes},
    )


def _axes(value: Value) -> tuple[str, ...]:
    """Names for the axes of a state: only the first, the batch, has one of its own."""
    first = str(value.shape[0]) if value.shape else ""
    return tuple(
        first if index == 0 and first.isidentifier() else f"axis_{index}"
        for index in range(len(value.shape))
    )
