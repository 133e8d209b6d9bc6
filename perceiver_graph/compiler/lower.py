"""From a spec to the graph: names, shapes, divisibility and every rule between fields.

Each stage reports what is wrong with it and the others go on, so that one run shows every error.
Shapes come from the primitives' own rules; nothing is computed twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from perceiver_graph.compiler.blocks.attention import configure, cross_attend, self_attend
from perceiver_graph.compiler.blocks.context import Axis, Context, Path, StageError
from perceiver_graph.compiler.blocks.decoder import (
    Queries,
    decode,
    form_output,
    make_queries,
    pad_queries,
)
from perceiver_graph.compiler.blocks.modality import Modality, join, prepare
from perceiver_graph.compiler.builder import LARGEST, GraphBuilder
from perceiver_graph.compiler.dims import Dim, Symbol, product
from perceiver_graph.compiler.ir import Graph, Initializer, Value
from perceiver_graph.diagnostics import Report, Span
from perceiver_graph.spec.loader import Document

RESERVED = "latents"

MOST_LAYERS = 10_000
"""Layers are written out one by one in the graph and in what is made of it."""


@dataclass(frozen=True)
class OutputShape:
    """An output: index axes (none for a single query), queries in all and per chunk, channels."""

    axes: tuple[Axis, ...]
    queries: Dim
    chunk_queries: Dim
    channels: int


@dataclass(frozen=True)
class Lowered:
    """A spec's graph and the shapes people ask about."""

    document: Document
    graph: Graph
    modalities: Mapping[str, Modality]
    input_array: tuple[Dim, int]
    """M x C."""
    latents: tuple[int, int]
    """N x D."""
    outputs: Mapping[str, OutputShape]
    query_width: int
    derived: Mapping[Path, Any]
    """What keys that the spec left out stand for."""

    @property
    def query_array(self) -> tuple[Dim, int]:
        """O x E of one decode chunk."""
        return _total(o.chunk_queries for o in self.outputs.values()), self.query_width

    @property
    def total_queries(self) -> Dim:
        return _total(o.queries for o in self.outputs.values())

    @property
    def chunks(self) -> int:
        return self.document.spec.decode.chunks


def lower(document: Document) -> Lowered:
    """Build the graph of a spec. Raises DiagnosticError with everything that is wrong with it."""
    report = Report()
    symbols = _symbols(document, report)
    builder = GraphBuilder(document.spec.name, symbols)
    ctx = Context(document, builder, report, symbols)
    modalities, input_array, encoded = _encode(ctx)
    found = _queries(ctx, modalities)
    outputs = _decode(ctx, found, encoded)
    report.raise_if_errors()
    assert encoded is not None
    assert input_array is not None
    graph = builder.graph({RESERVED: encoded, **{k: v for k, (v, _) in outputs.items()}})
    _check_parameters(graph, report)
    report.raise_if_errors()
    spec = document.spec
    return Lowered(
        document,
        graph,
        modalities,
        (input_array.shape[1], int(input_array.shape[2])),
        (spec.latents.count, spec.latents.width),
        {name: shape for name, (_, shape) in outputs.items()},
        _query_width(ctx, found),
        ctx.derived,
    )


def _check_parameters(graph: Graph, report: Report) -> None:
    """Blame the place of the spec that most of too many parameters come from."""
    if graph.parameter_count <= LARGEST:
        return
    sizes: Counter[Span | None] = Counter()
    for leaf in graph.parameters:
        sizes[leaf.origin] += int(product(leaf.value.shape))
    ((span, count),) = sizes.most_common(1)
    report.error(
        "PG213",
        f"the model would have {graph.parameter_count:,} parameters, more than {LARGEST:,}",
        span,
        label=f"{count:,} of them are for this",
        help="use smaller widths",
    )


def _symbols(document: Document, report: Report) -> dict[str, Symbol]:
    symbols = {"batch": Symbol("batch")}
    for name, declared in document.spec.dims.items():
        least, most, step = declared.min, declared.max, declared.multiple_of
        lowest = -(-least // step) * step
        if most is not None and most < lowest:
            values = "number" if step == 1 else f"multiple of {step}"
            report.error(
                "PG207",
                f"no {values} lies between {least} and {most}, so `{name}` can have no value",
                document.span("dims", name, "max"),
                help=f"raise `max` to {lowest} or more",
            )
            most = None  # so that its uses are not blamed too
        symbols[name] = Symbol(name, least, most, step)
        if name == "batch" and lowest > 1:
            report.error(
                "PG207",
                "a batch of 1 must be possible: it is what sizes and costs are stated for",
                document.span("dims", name, "min" if least > 1 else "multiple_of"),
                help="leave it out, or declare a `max` only",
            )
    return symbols


def _encode(ctx: Context) -> tuple[dict[str, Modality], Value | None, Value | None]:
    """Prepare and join the modalities, then let the latents read them and each other."""
    spec, b = ctx.spec, ctx.builder
    modalities: dict[str, Modality] = {}
    for name, declared in spec.inputs.items():
        with ctx.stage("inputs", name), b.inside("inputs"):
            _check_name(ctx, ("inputs", name))
            modalities[name] = prepare(ctx, name, declared)
    joined: Value | None = None
    if len(modalities) == len(spec.inputs):
        with ctx.stage("inputs"):
            joined = join(ctx, list(modalities.values()))
    latents: Value | None = None
    with ctx.stage("latents"):
        init = Initializer("normal", spec.latents.init_scale)
        latents = b.parameter(RESERVED, (spec.latents.count, spec.latents.width), init)
    return modalities, joined, _read_and_process(ctx, modalities, joined, latents)


def _check_name(ctx: Context, path: Path) -> None:
    if path[-1] == RESERVED:
        raise ctx.error(
            "PG201",
            f"`{RESERVED}` is the name of the latents themselves",
            path,
            help="choose another name",
            at_key=True,
        )


def _read_and_process(
    ctx: Context,
    modalities: Mapping[str, Modality],
    joined: Value | None,
    latents: Value | None,
) -> Value | None:
    """Blocks of self-attention, the first ones each after a cross-attend to the inputs."""
    spec, width = ctx.spec, ctx.spec.latents.width
    reading = thinking = None
    if joined is not None:
        with ctx.stage("encode"):
            channels = int(joined.shape[-1])
            widest = ("inputs", max(modalities, key=lambda name: modalities[name].channels))
            reading = configure(
                ctx,
                spec.encode,
                ("encode",),
                width=width,
                default_qk=channels,
                default_from=widest,
            )
    with ctx.stage("process"):
        thinking = configure(ctx, spec.process, ("process",), width=width, default_qk=width)
        _check_layers(ctx)
    with ctx.stage("encode"):
        _check_cross_attends(ctx)
    if reading is None or thinking is None or joined is None or ctx.report.has_errors:
        return None
    assert latents is not None  # or an error was reported
    x = latents
    for block in range(spec.process.blocks):
        if block < spec.encode.cross_attends:
            with ctx.stage("encode"), _cross_attend_scope(ctx, block):
                x = cross_attend(ctx, reading, x, joined, query_name="latent")
        if ctx.report.has_errors:
            return None
        with ctx.stage("process"), _process_scope(ctx, block):
            for layer in range(spec.process.layers):
                with ctx.builder.block(f"layers.{layer}", "SelfAttend", "one round of reading"):
                    x = self_attend(ctx, thinking, x)
        if ctx.report.has_errors:  # an array that is too large: the next block has the same
            return None
    return x


def _check_layers(ctx: Context) -> None:
    process = ctx.spec.process
    if process.blocks * max(process.layers, 1) > MOST_LAYERS:
        raise ctx.error(
            "PG213",
            f"{process.blocks} x {process.layers} self-attend layers are more than {MOST_LAYERS}",
            ("process", "layers"),
            also=[(("process", "blocks"), "")] if process.blocks > 1 else [],
            help="use fewer layers or blocks",
        )


def _check_cross_attends(ctx: Context) -> None:
    spec = ctx.spec
    if spec.encode.cross_attends > spec.process.blocks:
        raise ctx.error(
            "PG205",
            f"{spec.encode.cross_attends} cross-attends need as many blocks to stand before, "
            f"and there {'is' if spec.process.blocks == 1 else 'are'} {spec.process.blocks}",
            ("encode", "cross_attends"),
            also=[(("process", "blocks"), f"{spec.process.blocks} here")],
            help=f"write `blocks: {spec.encode.cross_attends}` under `process`",
        )


@contextmanager
def _cross_attend_scope(ctx: Context, block: int) -> Iterator[None]:
    """One cross-attend is `encoder.cross_attend`; several are numbered and share weights as asked."""
    encode, b = ctx.spec.encode, ctx.builder
    name = module = "cross_attend"
    if encode.cross_attends > 1:
        weights = {"none": block, "all": 0, "all_but_first": min(block, 1)}[encode.share]
        name, module = f"cross_attends.{block}", f"cross_attends.{weights}"
    summary = "the latents read the inputs"
    with b.inside("encode"), b.block(name, "CrossAttend", summary, module=f"encoder.{module}"):
        yield


@contextmanager
def _process_scope(ctx: Context, block: int) -> Iterator[None]:
    """One block is `process`; several are numbered, and have modules of their own if unshared."""
    process, b = ctx.spec.process, ctx.builder
    summary = "the latents read each other"
    if process.blocks == 1:
        with b.block("process", "Process", summary):
            yield
        return
    name = f"blocks.{block}"
    module = "process" if process.share else f"process.{name}"
    with b.inside("process"), b.block(name, "Process", summary, module=module):
        yield


def _queries(ctx: Context, modalities: dict[str, Modality]) -> dict[str, Queries]:
    b = ctx.builder
    found: dict[str, Queries] = {}
    for name, output in ctx.spec.outputs.items():
        with ctx.stage("outputs", name, "query"), b.inside("queries"):
            _check_name(ctx, ("outputs", name))
            found[name] = make_queries(ctx, name, output, modalities, ctx.spec.latents.width)
    return found


def _query_width(ctx: Context, found: Mapping[str, Queries]) -> int:
    padding = ctx.spec.decode.padding
    return max(q.width for q in found.values()) + (padding.min if padding else 0)


def _decode(
    ctx: Context, found: dict[str, Queries], encoded: Value | None
) -> dict[str, tuple[Value, OutputShape]]:
    """Bring the queries to one width, decode and form every output."""
    spec = ctx.spec
    outputs: dict[str, tuple[Value, OutputShape]] = {}
    if not found:
        return outputs
    width, config = _query_width(ctx, found), None
    with ctx.stage("decode"):
        _require_one_query_width(ctx, found)
        latent_width = spec.latents.width
        config = configure(ctx, spec.decode, ("decode",), width=width, default_qk=latent_width)
    if config is None or encoded is None:
        return outputs
    for name, queries in found.items():
        with ctx.stage("outputs", name):
            rows = pad_queries(ctx, queries, width)
            with ctx.builder.at(ctx.key_span("decode")):
                x = decode(ctx, config, name, rows, encoded, spec.decode.project)
            x = form_output(ctx, name, spec.outputs[name], x, single=not queries.axes)
            chunk = chunk_queries(queries.count, spec.decode.chunks)
            shape = OutputShape(queries.axes, queries.count, chunk, int(x.shape[-1]))
            outputs[name] = (x, shape)
    return outputs


def _require_one_query_width(ctx: Context, found: Mapping[str, Queries]) -> None:
    first = next(iter(found.values()))
    for other in found.values():
        if ctx.spec.decode.padding is None and other.width != first.width:
            raise ctx.error(
                "PG209",
                f"queries of `{first.name}` are {first.width} wide, those of `{other.name}` {other.width}",
                ("outputs", other.name, "query"),
                f"{other.width} channels",
                also=[(("outputs", first.name, "query"), f"{first.width} channels")],
                help="add `padding: {min: 0}` under `decode`, or choose equal widths",
                at_key=True,
            )


def chunk_queries(count: Dim, chunks: int) -> Dim:
    """Queries of an output in one chunk: its share, or all where there are fewer than chunks."""
    if count.value is None or count.value < chunks:
        return count
    return Dim.of(-(-count.value // chunks))


def _total(dims: Iterable[Dim]) -> Dim:
    total = Dim.of(0)
    for dim in dims:
        total = total + dim
    return total


__all__ = ["Lowered", "OutputShape", "StageError", "chunk_queries", "lower"]
