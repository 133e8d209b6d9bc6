"""A model as stages: who reads what, in how many layers. `encode`, `process` and `decode` of a spec
are the short way to write the usual list.

Arrays go by names: `inputs`, the tokens of all inputs joined; `latents`; `queries.NAME`, those of an
output.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from perceiver_graph import limits
from perceiver_graph.spec.models import BottleneckQuery, Key, Process, Spec, Within

INPUTS = "inputs"
BOTTLENECK = "bottleneck"
"""Its means and log-variances."""
LATENTS = "latents"
"""Also the output of a lowered graph that is not an output of its spec."""


def queries_of(output: str) -> str:
    """The name of the queries of an output."""
    return f"queries.{output}"


@dataclass(frozen=True)
class Stage:
    """Rows that read an array, layer after layer: each an attention and an MLP. What comes of it takes
    the place of the rows."""

    key: Key
    """Where the spec says heads, widths and the like."""
    rows: str
    """Who reads."""
    read: str
    """What they read."""
    scope: tuple[str, ...]
    """Where its nodes belong; the last is a block of the graph."""
    kind: str
    """The class of that block in PyTorch."""
    module: str
    """What the names of its parameters begin with: stages with the same module share weights."""
    summary: str
    attend: Literal["cross", "self"] = "cross"
    """Whether a layer has norms of its own for rows and for what they read, or one for both."""
    layers: int = 1
    layer: str = ""
    """What a layer is called inside, with `{}` for its number; empty where the block is the layer."""
    project: int | None = None
    """Channels of a linear map after the layers."""
    one_norm: bool = False
    """Whether a cross-attend has one norm for rows and for what they read."""
    over: str | None = None
    """An axis of places: the latents of all of them read together, not those of each."""
    joined: bool = False
    """Whether the latents of a place are one there, with the channels of all."""


@dataclass(frozen=True)
class Answer:
    """How an output comes about: stages, then a head on one of the arrays."""

    of: str
    """The array: the output's own queries, once they have read, or the latents."""
    stages: tuple[Stage, ...] = ()
    """Those that are for this output alone."""


def latent_stages(spec: Spec) -> Iterator[Stage]:
    """The latents read the inputs, then each other, block after block.

    There are at most `limits.LAYERS`, whatever the spec says.
    """
    blocks = spec.process.blocks
    if not spec.process.layers:  # a resampler: the inputs are read again at once
        blocks = max(blocks, spec.encode.cross_attends)
    for block in range(min(blocks, limits.LAYERS)):
        if block < spec.encode.cross_attends:
            if block and spec.encode.induced:
                yield _back(spec, block - 1)
            yield _encode(spec, block)
        if spec.process.layers and spec.process.weights == "encode":
            yield from (_again(spec, layer) for layer in range(spec.process.layers))
        elif spec.process.layers:
            if spec.process.within is not None:
                yield _within(spec.process.within, spec.process, block)
            yield _process(spec.process, block)


def _again(spec: Spec, layer: int) -> Stage:
    """The cross-attend, of the latents by themselves."""
    scope = ("process", f"layers.{layer}")
    return replace(
        _encode(spec, 0), read=LATENTS, scope=scope, summary="the latents read each other"
    )


def _weights(spec: Spec, block: int) -> int:
    """Whose weights a cross-attend has, of several."""
    return {"none": block, "all": 0, "all_but_first": min(block, 1)}[spec.encode.share]


def _back(spec: Spec, block: int) -> Stage:
    """The inputs read the latents that have read them."""
    return Stage(
        "decode",
        rows=INPUTS,
        read=LATENTS,
        scope=("encode", f"read_backs.{block}"),
        kind="CrossAttendLayer",
        module=f"encoder.read_backs.{_weights(spec, block)}",
        summary="the inputs read the latents",
    )


def set_of(spec: Spec, stage: Stage) -> int | None:
    """The number of the set of latents that a cross-attend begins with, where it goes on with none."""
    encode = spec.encode
    if not (encode.induced and encode.cross_attends > 1 and stage.key == "encode"):
        return None
    return int(stage.scope[-1].rpartition(".")[2])


def _encode(spec: Spec, block: int) -> Stage:
    """One cross-attend is `encoder.cross_attend`; several are numbered and share weights as asked."""
    name = module = "cross_attend"
    if spec.encode.cross_attends > 1:
        name, module = f"cross_attends.{block}", f"cross_attends.{_weights(spec, block)}"
    return Stage(
        "encode",
        rows=LATENTS,
        read=INPUTS,
        scope=("encode", name),
        kind="CrossAttendLayer",
        module=f"encoder.{module}",
        summary="the latents read the inputs",
        one_norm=spec.process.weights == "encode",
    )


def _process(process: Process, block: int) -> Stage:
    """One block is `process`; several are numbered, and have modules of their own if unshared."""
    scope, module = _block("process", process, block)
    return Stage(
        "process",
        rows=LATENTS,
        read=LATENTS,
        scope=scope,
        kind="Process",
        module=module,
        summary="the latents read each other",
        attend="self",
        layers=process.layers,
        layer="layers.{}",
        over=process.over,
        joined=process.joined,
    )


def _within(within: Within, process: Process, block: int) -> Stage:
    """What stands in front of a block: the latents of each place by themselves."""
    scope, module = _block("within", process, block)
    return Stage(
        "within",
        rows=LATENTS,
        read=LATENTS,
        scope=scope,
        kind="Within",
        module=module,
        summary="the latents of a place read each other",
        attend="self",
        layers=within.layers,
        layer="layers.{}",
    )


def _block(name: str, process: Process, block: int) -> tuple[tuple[str, ...], str]:
    """Where the nodes of a block belong, and what its parameters are called."""
    several = (f"blocks.{block}",) if process.blocks > 1 else ()
    own = several if not process.share else ()
    return (name, *several), ".".join((name, *own))


def answers_of(spec: Spec) -> dict[str, Answer]:
    """How each output of a spec comes about."""
    return {name: _answer(spec, name) for name in spec.outputs}


def _answer(spec: Spec, name: str) -> Answer:
    query = spec.outputs[name].query
    if query.takes:
        return Answer(BOTTLENECK if isinstance(query, BottleneckQuery) else LATENTS)
    queries = queries_of(name)
    decode = Stage(
        "decode",
        rows=queries,
        read=LATENTS,
        scope=("decode", name),
        kind="Decoder",
        module="decoder",
        summary="reads the latents",
        layer="cross_attend",
        project=spec.decode.project,
    )
    return Answer(queries, (decode,))


def stages_of(spec: Spec) -> list[Stage]:
    """All stages in the order in which they read."""
    answers = answers_of(spec).values()
    return [*latent_stages(spec), *(stage for answer in answers for stage in answer.stages)]
