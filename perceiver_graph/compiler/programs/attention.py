"""What reads what: programs that give the queries and keys of every cross-attend.

Scores are the softmax of their products, and there may be billions: whoever wants some of them computes
those. Queries and keys are results of the program, so that no pass can do without them, whatever it
makes of an attention; what latents are made of inputs stays with `encode`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.context import Axis
from perceiver_graph.compiler.blocks.points import vectors
from perceiver_graph.compiler.blocks.stages import LATENTS, Stage, answers_of, latent_stages
from perceiver_graph.compiler.ir.dims import total
from perceiver_graph.compiler.ir.graph import Graph, Input, Node, Value
from perceiver_graph.compiler.lowering.lowered import Lowered
from perceiver_graph.compiler.programs.phases import Programs, program
from perceiver_graph.compiler.programs.target import Target
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.diagnostics.commands import setting
from perceiver_graph.spec.manifest_attention import AttentionSettings
from perceiver_graph.spec.programs import DECODE_ATTENTION, ENCODE_ATTENTION, SHOWS

_SAID = (*AttentionSettings.model_fields, "mask")
"""All that is told of an attention. Of a model in which one says more, no scores are given."""

Rows = tuple[str, tuple[Axis, ...]]
"""A name, and the axes that count the rows."""


@dataclass(frozen=True)
class CrossAttend:
    """A cross-attend of which scores can be told."""

    program: str
    node: Node
    op: ops.Attention
    rows: Rows
    read: tuple[Rows, ...]

    @property
    def settings(self) -> AttentionSettings:
        """All that the primitive says, with numbers for what it leaves to the widths."""
        op = self.op
        scale = op.scale_for(int(self.node["queries"].shape[-1]))
        told = {**op.attributes, "key_heads": op.shared, "scale": scale}
        return AttentionSettings(**{name: told[name] for name in AttentionSettings.model_fields})

    def values(self) -> dict[str, Value]:
        """What the program gives of it."""
        names = ["queries", "keys", *(["mask"] if "mask" in self.node else [])]
        return {name: self.node[name] for name in names}


def cross_attends(lowered: Lowered) -> dict[str, CrossAttend]:
    """Every cross-attend by name: `encode`, or `encode.1` of several, and `decode.OUTPUT`.

    Raises DiagnosticError (PG523) for a model without any, or whose latents are those of places.
    """
    if lowered.places or lowered.asked_at:
        axes = ", ".join(axis.name for axis in lowered.places or lowered.asked_at)
        raise _refused(
            f"{lowered.document.spec.name} has latents of their own at each place of `{axes}`",
            "compile without it: maps are of models in which one set of latents reads all inputs",
        )
    found = dict(_found(lowered))
    if not found:
        raise _refused(
            f"{lowered.document.spec.name} has no cross-attend: its latents read nothing, and no "
            "output reads them",
            "compile without it",
        )
    return found


def shown(lowered: Lowered, target: Target) -> dict[str, CrossAttend]:
    """Those that programs for a target show. Raises DiagnosticError (PG523) as `cross_attends`, and where
    the programs of a run compute with other numbers."""
    if target.precision != "fp32":
        raise _refused(
            f"attention is shown of programs in fp32, and these are in {target.precision}",
            f"compile once more without {setting('--precision', target.precision)}: scores differ little",
        )
    return cross_attends(lowered)


def _refused(fault: str, help: str) -> DiagnosticError:
    return DiagnosticError.of("PG523", fault, help=help)


def _found(lowered: Lowered) -> Iterator[tuple[str, CrossAttend]]:
    spec = lowered.document.spec
    latents = (LATENTS, (Axis("latent", lowered.latents[0]),))
    several = spec.encode.cross_attends > 1
    for stage in latent_stages(spec):
        if stage.key == "encode" and stage.scope[0] == "encode":
            number = stage.scope[-1].rpartition(".")[2] if several else ""
            name = f"encode.{number}" if several else "encode"
            for node, op in _attention(lowered.graph, stage):
                read = _read(lowered, node, latents)
                yield name, CrossAttend(ENCODE_ATTENTION, node, op, latents, read)
    behind = lowered.graph.descendants([lowered.graph.outputs[LATENTS]])
    encoded = _latents_read(lowered)
    for output, answer in answers_of(spec).items():
        rows = (output, lowered.outputs[output].axes)
        for stage in answer.stages:
            for node, op in _attention(lowered.graph, stage):
                if node["keys"] in behind:
                    yield (
                        f"decode.{output}",
                        CrossAttend(DECODE_ATTENTION, node, op, rows, (encoded,)),
                    )


def _latents_read(lowered: Lowered) -> Rows:
    """The latents as outputs read them: where they are all tokens of an input, these."""
    of = lowered.document.spec.last_of
    tokens = lowered.modalities.get(of) if of else None
    if of and tokens and tokens.count == lowered.latents_read[0]:
        return (of, tokens.index)
    return (LATENTS, (Axis("latent", lowered.latents_read[0]),))


def _attention(graph: Graph, stage: Stage) -> Iterator[tuple[Node, ops.Attention]]:
    """The attention of a stage. Raises DiagnosticError (PG523) where it says more than is told."""
    for node in graph.nodes:
        if node.scope[: len(stage.scope)] == stage.scope and isinstance(node.op, ops.Attention):
            if node.only(ops.Attention, *_SAID) is None:
                raise _refused(f"{node.op} says more than scores are told of", "compile without it")
            yield node, node.op


def _read(lowered: Lowered, node: Node, latents: Rows) -> tuple[Rows, ...]:
    """What the keys are, in order: the tokens of each input, and the latents where these read
    themselves too. Latents that are tokens are read as such."""
    asked_with = vectors(lowered.document.spec.outputs)
    tokens = {n: m for n, m in lowered.modalities.items() if n not in asked_with}
    found: list[Rows] = [(name, m.index or ()) for name, m in tokens.items()]
    count, keys = total(m.count for m in tokens.values()), node["keys"].shape[1]
    if keys == count:
        return tuple(found)
    if keys == count + lowered.latents[0]:
        return (*found, latents)
    return (("inputs", (Axis("token", keys),)),)


def results(found: Mapping[str, CrossAttend]) -> list[str]:
    """The names of all that the programs give."""
    return [f"{name}.{part}" for name, one in found.items() for part in one.values()]


def programs(lowered: Lowered, found: Mapping[str, CrossAttend]) -> Programs:
    """The programs for them: of what encode reads, and of what decode reads."""
    made = Programs()
    for name in SHOWS:
        results = {
            f"{key}.{part}": value
            for key, one in found.items()
            if one.program == name
            for part, value in one.values().items()
        }
        if results:
            made[name] = _program(lowered.graph, name, results)
    return made


def _program(graph: Graph, name: str, results: Mapping[str, Value]) -> Graph:
    """What gives these results; of decode, from the latents that encode has left."""
    encoded = graph.outputs[LATENTS]
    inputs: Sequence[Input] = graph.inputs
    if name == DECODE_ATTENTION:
        inputs = (Input(encoded, "state", LATENTS, ("batch", "latent", "channel")), *inputs)
    return program(graph, name, inputs, results)
