"""When a value can be computed: at compile time, or in which of the programs.

Encoding costs far more than decoding one chunk, and one input is decoded in many chunks: splitting
the graph in programs lets the runtime encode once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from perceiver_graph.compiler.blocks.stages import LATENTS
from perceiver_graph.compiler.ir.graph import Graph, Input, Value, once
from perceiver_graph.compiler.ir.sizes import held, inputs_for, symbols_of
from perceiver_graph.spec.glance import Glance, Glanced
from perceiver_graph.spec.programs import ASKED, READS, Role

Phase = str
"""`compile`, or the program that computes a value."""
COMPILE = "compile"

IN_CHUNKS = frozenset(name for name, roles in READS.items() if roles & ASKED)
"""The programs that run once for each chunk of what is asked; others run once."""

OUTPUT = ".output"
"""Ends the name of an output of a program that has an input of the name itself."""


class Programs(Glanced, dict[str, Graph]):
    """The programs of a graph by name, in the order in which they run.

    What one leaves for others, or for its own next run, is an output under the name of the value,
    and an input with the role `state` where it is read. The first also gives the `latents`.
    """

    def _glance(self) -> Glance:
        rows = [(name, f"{len(graph.nodes):,} nodes") for name, graph in self.items()]
        return Glance(f"Programs of {next(iter(self.values())).name}", tuple(rows))


@once
def phase_of(graph: Graph) -> Mapping[Value, Phase]:
    """The phase of every value, leaves included.

    It is the last program that reads an input which the value depends on; `compile` for one that
    depends on constants and parameters only. Where nothing is asked, decoding begins after the
    latents. What depends on sizes alone is computed by the first program that reads it.
    """
    first, *others = READS
    found = dict.fromkeys((*graph.leaves, *graph.producers), COMPILE)
    found |= dict.fromkeys(graph.varying, first)
    for name in others:
        late = graph.descendants(_read_by(graph, READS[name]))
        if not late and LATENTS in graph.outputs:
            latents = graph.outputs[LATENTS]
            late = graph.descendants([latents]) - {latents}
        found |= dict.fromkeys(late & graph.varying, name)
    given = graph.descendants(leaf.value for leaf in graph.inputs)
    if sized := graph.varying - given:
        readers = {v: found[v] for v in (*given, *graph.outputs.values())}
        for name in reversed((first, *others)):
            read = graph.ancestors(v for v, reader in readers.items() if reader == name)
            found |= dict.fromkeys(read & sized, name)
        unread, order = sized - graph.ancestors(readers), [COMPILE, *READS]
        for node in graph.nodes:  # what nobody reads is computed no earlier than what it reads
            if node.output in unread:
                phases = (first, *(found[value] for value in node.inputs))
                found[node.output] = max(phases, key=order.index)
    return found


def _read_by(graph: Graph, roles: Collection[Role]) -> list[Value]:
    """The inputs of these roles, and the results of nodes with a size that only these inputs tell."""
    inputs = [leaf for leaf in graph.inputs if leaf.role != "size"]
    own = [leaf.value for leaf in inputs if leaf.role in roles]
    others = symbols_of(leaf.value.shape for leaf in inputs if leaf.role not in roles)
    counts = set(symbols_of(value.shape for value in own)).difference(others)
    return own + [n.output for n in graph.nodes if counts.intersection(symbols_of([n.op.dims]))]


def split(graph: Graph) -> Programs:
    """The programs of a graph, the last of which gives every output of the spec.

    What several need of compile time (say a position table) is in each of them.
    """
    phases = phase_of(graph)
    first, *_, last = READS
    results = {name: value for name, value in graph.outputs.items() if name != LATENTS}
    reads: dict[Phase, list[Value]] = {name: [] for name in (COMPILE, *READS)}
    for node in graph.nodes:
        reads[phases[node.output]] += node.inputs
    reads[last] += results.values()
    # Dicts for their order: the same graph gives the same programs.
    state = {
        name: dict.fromkeys(v for v in reads[name] if phases[v] not in (COMPILE, name))
        for name in READS
    }
    # A caller's array that is read later needs another name there: an output may have its own.
    handed = {
        v: replace(v, name=f"{v.name}.state") if v in graph.leaves else v
        for values in state.values()
        for v in values
    }
    programs = Programs()
    for name, roles in READS.items():
        own = graph.substitute({v: handed[v] for v in state[name] if handed[v] != v})
        inputs = [Input(handed[v], "state", handed[v].name, _axes(v)) for v in state[name]]
        inputs += [leaf for leaf in graph.inputs if leaf.role in roles]
        outputs = {to.name: v for v, to in handed.items() if phases[v] == name}
        if name == first and LATENTS in graph.outputs:
            outputs = {LATENTS: graph.outputs[LATENTS]} | outputs
        if name == last:
            outputs |= {result: own.outputs[result] for result in results}
        programs[name] = program(own, name, inputs, outputs)
    return programs


def finish_early(programs: Programs) -> Programs:
    """Let each output that needs no queries be returned, under its own name, by what computes it.

    `split` has the last program pass them through, so that it returns every output of the spec; a
    runtime that decodes in chunks would fetch them once per chunk. Where nothing else would be left of
    it, it still does: a program without outputs cannot be loaded.
    """
    *earlier, last = programs
    given = {leaf.value for leaf in programs[last].inputs if leaf.role == "state"}
    early = {name: value for name, value in programs[last].outputs.items() if value in given}
    late = {name: value for name, value in programs[last].outputs.items() if name not in early}
    if not late:
        return programs
    found = Programs(programs)
    found[last] = replace(
        program(programs[last], "", programs[last].inputs, late), name=programs[last].name
    )
    read = {leaf.value.name for graph in found.values() for leaf in graph.inputs}
    for name in earlier:
        computed = programs[name].outputs
        taken = {leaf.value.name for leaf in programs[name].inputs}
        outputs = {key: v for key, v in computed.items() if key == LATENTS or key in read}
        outputs |= {
            f"{key}{OUTPUT}" if key in taken else key: computed[state.name]
            for key, state in early.items()
            if state.name in computed
        }
        found[name] = replace(programs[name], outputs=outputs)
    return found


def program(
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
    """The graph with only the leaves and nodes among `needed`, their blocks, symbols and sizes."""
    parameters = tuple(leaf for leaf in graph.parameters if leaf.value in needed)
    constants = tuple(leaf for leaf in graph.constants if leaf.value in needed)
    nodes = tuple(node for node in graph.nodes if node.output in needed)
    inputs = inputs_for(nodes, graph.inputs, needed)
    scopes = {node.scope[:depth] for node in nodes for depth in range(len(node.scope) + 1)}
    values = [leaf.value for leaf in inputs] + [node.output for node in nodes]
    shapes = [*(value.shape for value in values), held(nodes)]
    names = {symbol.name for symbol in symbols_of(shapes)}
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
