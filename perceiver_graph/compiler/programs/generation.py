"""A causal model as two programs that write: one reads a text, the other goes on token by token.

`prefill` is the graph with any number of latents up to that of the spec, on texts as short as one
token; what attention has read of it, keys and values, comes out too. `step` reads one new token, and
these. A latent reads those before it, so what comes of it does not change while others come behind
it, as long as the first one stays: Perceiver AR, arXiv 2202.07765, appendix on caching activations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.causality import causality
from perceiver_graph.compiler.blocks.stages import LATENTS
from perceiver_graph.compiler.ir.dims import Dim, NotDivisible, Symbol, Undecidable
from perceiver_graph.compiler.ir.graph import Graph, Input, Node, Value
from perceiver_graph.compiler.ir.op import TensorType
from perceiver_graph.compiler.ir.sizes import inputs_for, largest
from perceiver_graph.compiler.lowering.lowered import Lowered
from perceiver_graph.compiler.lowering.media import vocabulary
from perceiver_graph.compiler.programs.cost import nbytes
from perceiver_graph.compiler.programs.incremental import (
    Incremental,
    NotCausal,
    replayed,
    substituted,
)
from perceiver_graph.compiler.programs.phases import Programs, program
from perceiver_graph.spec.models import LatentsQuery
from perceiver_graph.spec.programs import PREFILL, STEP

CHOSEN, BEFORE = "latents.places", "latents.before"
"""The inputs that say which tokens are the latents, and which of all are not."""


@dataclass(frozen=True)
class Writing:
    """How a causal model writes: what it reads and gives, and the programs for it, if there can be any."""

    text: str
    """The input that is a text, the end of which the latents are."""
    output: str = ""
    """The output that has scores for the token behind each latent."""
    programs: Programs = field(default_factory=Programs)
    refused: str = ""
    """Why there are no programs, in words."""

    @property
    def cache_bytes(self) -> int:
        """What is kept of the longest text with all latents, in float32."""
        if not self.programs:
            return 0
        prefill = self.programs[PREFILL]
        kept = [value for name, value in prefill.outputs.items() if name != self.output]
        return sum(nbytes(value, largest(prefill.symbols)) for value in kept)


def kept(found: Writing | None) -> int | None:
    """Bytes that a model keeps of a text that it writes, the longest; None of one that writes none."""
    return None if found is None or found.refused else found.cache_bytes


def writing(lowered: Lowered) -> Writing | None:
    """The programs of a model that writes; None of one that is not causal."""
    spec = lowered.document.spec
    reads = causality(spec)
    if reads is None or (reads.others and not reads.causal):
        return None
    text = spec.last_of
    assert text is not None
    if reads.leak:
        return Writing(text, refused=f"`{reads.others[0]}` is not causal: {reads.leak}")
    known = vocabulary(lowered.inputs[text])
    shape = lowered.inputs[text].shape or {}
    if known is None:
        return Writing(text, refused=f"`{text}` is no text: its tokens are not ids of a vocabulary")
    if len(shape) != 1 or (length := lowered.modalities[text].axes[0].size.symbol) is None:
        return Writing(
            text,
            refused=f"`{text}` does not grow: a text has one axis, whose size is a symbol of `dims`",
        )
    scores = [
        name
        for name, output in spec.outputs.items()
        if isinstance(output.query, LatentsQuery) and lowered.outputs[name].channels == known
    ]
    if not scores:
        return Writing(
            text,
            refused=f"no output with `query: latents` has scores for the {known} ids of `{text}`",
        )
    output = scores[0]
    present = (leaf for leaf in lowered.graph.inputs if leaf.role == "present")
    if any(leaf.of == text for leaf in present):
        absent = (
            f"`{text}` may be left out: write `mask: never` at it, for texts that are always there"
        )
        return Writing(text, output, refused=absent)
    try:
        programs = _programs(lowered, length, output)
    except NotCausal as error:
        return Writing(text, output, refused=f"{error} (at `{error.node.name}`)")
    except (NotDivisible, Undecidable) as error:
        return Writing(text, output, refused=f"it takes texts of some lengths alone: {error}")
    if refused := _refused(text, programs):
        return Writing(text, output, refused=refused)
    return Writing(text, output, programs)


def _refused(text: str, programs: Programs) -> str:
    """Why programs do not write, in words; empty if they do. A step has one token, and what is kept."""
    read = (leaf.value.name for leaf in programs[STEP].inputs if leaf.role == "data")
    others = sorted(name for name in read if name != text)
    if others:
        given = others[0] == f"{text}.position"
        without = "; without `position: {rotary: ...}` at it, tokens are counted" if given else ""
        return f"it reads `{others[0]}` for each token, which no token that is written has{without}"
    return ""


def _programs(lowered: Lowered, length: Symbol, output: str) -> Programs:
    graph = lowered.graph
    results = {output: graph.outputs[output], LATENTS: graph.outputs[LATENTS]}
    graph = replace(program(graph, "", graph.inputs, results), name=graph.name)
    names = {*graph.symbols}
    count = Symbol(_free("latent_count", names), 1, int(lowered.latents[0]))
    tokens = Symbol(length.name, 1, length.highest)
    growing = {tokens: _free("tokens_before", names), count: _free("latents_before", names)}
    sizes = {length: Dim.of(tokens)}
    of = lowered.document.spec.last_of
    assert of is not None
    total = substituted(lowered.input_array[0], sizes)
    chosen = _places(CHOSEN, Dim.of(count), of)
    before = _places(BEFORE, total - Dim.of(count), of)
    whole = _any_latents(graph, sizes, chosen, before)
    step = Incremental(whole, growing, chosen.value, before.value).step(
        {output: whole.outputs[output]}
    )
    prefill = _any_latents(_last_alone(graph), sizes, chosen, before)
    made = {value.name: value for value in (*prefill.leaves, *prefill.producers)}
    kept = {name: made[value.name] for name, value in step.state.items()}
    return Programs(
        {
            PREFILL: _alone(prefill, PREFILL, {output: prefill.outputs[output], **kept}),
            STEP: _alone(step.graph, STEP, step.graph.outputs),
        }
    )


def _alone(graph: Graph, name: str, results: Mapping[str, Value]) -> Graph:
    """What of a graph gives these results, with the inputs that it reads."""
    cut = program(graph, name, graph.inputs, results)
    read = {value for node in cut.nodes for value in node.inputs} | set(results.values())
    return replace(cut, inputs=inputs_for(cut.nodes, cut.inputs, read))


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _places(name: str, count: Dim, of: str) -> Input:
    return Input(Value(name, TensorType((count,), "int64")), "latents", of, ("latent",))


def _any_latents(graph: Graph, sizes: Mapping[Symbol, Dim], chosen: Input, before: Input) -> Graph:
    """The graph with texts of any length, and with as many latents as an input says."""
    most = chosen.count.bounds()[1] or 0
    leaves = {chosen.value: chosen, before.value: before}
    for leaf in graph.inputs:
        shape = tuple(substituted(dim, sizes) for dim in leaf.value.shape)
        value = Value(leaf.value.name, leaf.value.type.with_shape(*shape))
        leaves[leaf.value] = replace(leaf, value=value)

    def rule(node: Node, now: Mapping[Value, Value]) -> Node | None:
        op = node.only(ops.Slice, "axis", "start", "stop")
        if op is None:
            return None
        axis, which = op.axis % node.output.type.rank, (op.start, op.stop)
        places = {(-most, None): chosen, (0, -most): before}.get(which)
        if places is None or not node["x"].shape[axis].symbols & sizes.keys():
            return None  # it takes neither the last tokens nor those before
        return replace(node, op=ops.Gather(axis), inputs=(now[node["x"]], places.value))

    with_inputs = replace(graph, inputs=(*graph.inputs, chosen, before))
    symbols = {s.name: s for dim in (*sizes.values(), chosen.count) for s in dim.symbols}
    whole = replayed(with_inputs, sizes, leaves, rule)
    return replace(whole, symbols={**graph.symbols, **symbols})


def _last_alone(graph: Graph) -> Graph:
    """The graph with scores for the last latent alone, its types as they were before: none of the
    others is asked what comes next."""
    encoded = graph.outputs[LATENTS]
    taken = Value(f"{LATENTS}/newest", encoded.type)
    last = Node(ops.Slice(1, -1, None), (encoded,), taken, (LATENTS,))
    behind = graph.descendants([encoded])
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.output in behind and node.output is not encoded:
            node = replace(node, inputs=tuple(taken if v is encoded else v for v in node.inputs))
        nodes += [node, last] if node.output is encoded else [node]
    outputs = {name: taken if v is encoded else v for name, v in graph.outputs.items()}
    return replace(graph, nodes=tuple(nodes), outputs=outputs)
