"""From a spec to the graph: names, shapes, divisibility and every rule between fields.

Each part of a spec reports what is wrong with it and the others go on, so that one run shows every error.
Shapes come from the primitives' own rules; nothing is computed twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from perceiver_graph import limits
from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.alike import warn_of_likeness
from perceiver_graph.compiler.blocks.builder import GraphBuilder
from perceiver_graph.compiler.blocks.causality import warn_of_leaks
from perceiver_graph.compiler.blocks.context import (
    Context,
    PartError,
    Path,
)
from perceiver_graph.compiler.blocks.coordinates import coordinate_input, readers
from perceiver_graph.compiler.blocks.heads import form_output, take
from perceiver_graph.compiler.blocks.induced import tokens_after
from perceiver_graph.compiler.blocks.latents import make_latents
from perceiver_graph.compiler.blocks.likeness import unlike
from perceiver_graph.compiler.blocks.located import Arrays, Located, Rows
from perceiver_graph.compiler.blocks.modality import Modality, join, prepare
from perceiver_graph.compiler.blocks.order import warn_of_order
from perceiver_graph.compiler.blocks.places import check_names, check_places, unfold
from perceiver_graph.compiler.blocks.points import check_vector, check_vectors, vectors
from perceiver_graph.compiler.blocks.queries import (
    Queries,
    make_queries,
    pad_queries,
    query_mask,
    query_width,
    require_one_width,
)
from perceiver_graph.compiler.blocks.reading import Configs, configurations, read, read_latents
from perceiver_graph.compiler.blocks.stages import (
    BOTTLENECK,
    INPUTS,
    LATENTS,
    answers_of,
    queries_of,
)
from perceiver_graph.compiler.blocks.symbols import check_symbols
from perceiver_graph.compiler.ir.dims import Symbol, product
from perceiver_graph.compiler.ir.graph import Graph, Value
from perceiver_graph.compiler.ir.sizes import inputs_for
from perceiver_graph.compiler.lowering.lowered import Lowered, OutputShape, chunk_queries
from perceiver_graph.compiler.lowering.media import check_media
from perceiver_graph.diagnostics import Report, Span
from perceiver_graph.spec.loader import Document


def lower(document: Document) -> Lowered:
    """Build the graph of a spec. Raises DiagnosticError with everything that is wrong with it."""
    report = Report()
    symbols = _symbols(document, report)
    builder = GraphBuilder(document.spec.name, symbols, document.spec.dialect)
    ctx = Context(document, builder, report, symbols)
    modalities, given = _arrays(ctx)
    arrays = read_latents(ctx, given)
    found = _queries(ctx, tokens_after(ctx, modalities, arrays))
    outputs = _outputs(ctx, found, modalities, arrays)
    own = {q.source: q.axes for q in found.values()}
    axes = {name: m.axes for name, m in modalities.items()}
    axes |= {name: c.axes for name, c in ctx.coordinates.items()}
    check_symbols(ctx, axes, own, ctx.latent_axes)
    report.raise_if_errors()
    tokens = given[INPUTS].array
    encoded = unfold(ctx, arrays[LATENTS].array, ctx.asked_at, f"{LATENTS}.places")
    graph = builder.graph({LATENTS: encoded, **{k: v for k, (v, _) in outputs.items()}})
    graph = replace(graph, inputs=inputs_for(graph.nodes, graph.inputs, graph.leaves))
    _check_parameters(graph, report)
    report.raise_if_errors()
    lowered = Lowered(
        document=document,
        graph=graph,
        modalities=modalities,
        coordinates=ctx.coordinates,
        input_array=(tokens.shape[1], int(tokens.shape[2])),
        latents=(given[LATENTS].array.shape[-2], given[LATENTS].width),
        outputs={name: shape for name, (_, shape) in outputs.items()},
        query_width=query_width(ctx, found),
        derived=ctx.derived,
        latents_read=(arrays[LATENTS].array.shape[1], arrays[LATENTS].width),
        places=ctx.places,
        asked_at=ctx.asked_at,
        turned={key: tuple(found) for key, found in ctx.turned.items()},
    )
    check_media(ctx, lowered)
    report.raise_if_errors()
    warn_of_leaks(ctx)
    read = {name: m for name, m in modalities.items() if name not in vectors(document.spec.outputs)}
    warn_of_order(ctx, read)
    warn_of_likeness(ctx, read, graph, int(tokens.shape[2]))
    return replace(lowered, warnings=report.diagnostics)


def _check_parameters(graph: Graph, report: Report) -> None:
    """Blame the place of the spec that most of too many parameters come from."""
    if graph.parameter_count <= limits.ELEMENTS:
        return
    sizes: Counter[Span | None] = Counter()
    for leaf in graph.parameters:
        sizes[leaf.origin] += int(product(leaf.value.shape))
    ((span, count),) = sizes.most_common(1)
    report.error(
        "PG213",
        f"the model would have {graph.parameter_count:,} parameters, more than {limits.ELEMENTS:,}",
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
            most = lowest  # a value that it can have, so that its uses are not blamed too
        symbols[name] = Symbol(name, least, most, step)
        if name == "batch" and lowest > 1:
            report.error(
                "PG207",
                "a batch of 1 must be possible: it is what sizes and costs are stated for",
                document.span("dims", name, "min" if least > 1 else "multiple_of"),
                help="leave it out, or declare a `max` only",
            )
    return symbols


def _arrays(ctx: Context) -> tuple[dict[str, Modality], Arrays]:
    """Prepare and join the modalities: what the latents read, and the latents they start from."""
    spec, b = ctx.spec, ctx.builder
    modalities: dict[str, Modality] = {}
    coordinates = readers(ctx.inputs)
    for name, of in coordinates.items():
        with ctx.part("inputs", name), b.inside("inputs"):
            coordinate_input(ctx, name, of)
    for name in spec.inputs.keys() - ctx.inputs.keys():
        with ctx.part("inputs", name):
            raise unlike(ctx, name)
    tokens = {name: one for name, one in ctx.inputs.items() if name not in coordinates}
    # Those that are like others come after them, whatever the order of the spec.
    for name in sorted(tokens, key=lambda name: ctx.origin(name) != name):
        if ctx.origin(name) not in {name, *modalities}:
            continue  # it has an error of its own, already reported
        with ctx.part("inputs", name), b.inside("inputs"):
            _check_name(ctx, ("inputs", name))
            modalities[name] = prepare(ctx, name, tokens[name])
    modalities = {name: modalities[name] for name in tokens if name in modalities}
    asked_with = vectors(spec.outputs)
    for name in asked_with.keys() & modalities.keys():
        with ctx.part("inputs", name):
            check_vector(ctx, name, asked_with[name][0])
    given = {name: one for name, one in modalities.items() if name not in asked_with}
    arrays: dict[str, Rows] = {}
    check_vectors(ctx)
    known = asked_with.keys() <= spec.inputs.keys()
    if known and len(modalities) == len(tokens) and len(ctx.inputs) == len(spec.inputs):
        with ctx.part("inputs"):
            parts = ((name, m.index, m.places) for name, m in given.items())
            ctx.places = check_places(ctx, parts)
            joined, mask = join(ctx, list(given.values()))
            widest = max(given, key=lambda name: given[name].channels)
            width = int(joined.shape[-1])
            places = tuple(one.at for one in given.values() if one.at)
            arrays[INPUTS] = Rows(width, joined, mask, ("inputs", widest), Located("input", places))
    counts = {name: modality.count for name, modality in given.items()}
    with ctx.part("latents"):
        arrays[LATENTS] = make_latents(ctx, counts, arrays.get(INPUTS))
    return modalities, arrays


def _has_value(rows: Rows | None) -> bool:
    return rows is not None and rows.value is not None


_TAKEN = {
    LATENTS: "the name of the latents themselves",
    "training": "what every module of PyTorch calls whether it is in training",
}
"""Names that inputs and outputs cannot have. The second one is the only one that a module cannot reach
another way: it is set, under that name, in every module within."""


def _check_name(ctx: Context, path: Path) -> None:
    if why := _TAKEN.get(str(path[-1])):
        raise ctx.error(
            "PG201",
            f"`{path[-1]}` is {why}",
            path,
            help="choose another name",
            at_key=True,
        )


def _queries(ctx: Context, modalities: dict[str, Modality]) -> dict[str, Queries]:
    found: dict[str, Queries] = {}
    for name in ctx.spec.outputs:
        with ctx.part("outputs", name, "query"), ctx.builder.inside("queries"):
            _check_name(ctx, ("outputs", name))
            found[name] = make_queries(ctx, name, modalities)
    return found


def _outputs(
    ctx: Context,
    found: Mapping[str, Queries],
    modalities: Mapping[str, Modality],
    arrays: Arrays,
) -> dict[str, tuple[Value, OutputShape]]:
    """Bring the queries to one width, let them read, and form every output."""
    answers, width = answers_of(ctx.spec), query_width(ctx, found)
    configs: Configs = {}
    with ctx.part("decode"):
        require_one_width(ctx, found)
        stages = [stage for name in found for stage in answers[name].stages]
        asked = {stage.rows: Rows(width) for stage in stages}
        configs = configurations(ctx, stages, {**arrays, **asked})
    if found and not any(answers[name].stages for name in found):
        _warn_of_no_decoder(ctx)
    outputs: dict[str, tuple[Value, OutputShape]] = {}
    for name, queries in found.items() if _has_value(arrays.get(LATENTS)) else ():
        answer = answers[name]
        if not all(stage.key in configs for stage in answer.stages):
            continue  # there is an error, already reported
        with ctx.part("outputs", name):
            if answer.of == BOTTLENECK and BOTTLENECK not in arrays:
                raise _no_bottleneck(ctx, name)
            rows = pad_queries(ctx, queries, width)
            mask = query_mask(ctx, name, queries, modalities)
            asked_by = Rows(width, rows, mask, located=queries.located)
            known: Arrays = {queries_of(name): asked_by, **arrays}
            for stage in answer.stages:
                known = read(ctx, stage, configs[stage.key], known)
            x, axes = known[answer.of].array, queries.axes
            if not answer.stages:
                x, axes = take(ctx.spec.outputs[name].query, ctx, name, x)
            x = form_output(ctx, name, x, axes)
            check_names(ctx, name, (*ctx.asked_at, *axes))
            with ctx.builder.inside("heads"):
                if not answer.stages and len(axes) > 1:
                    sizes = (None, *(axis.size for axis in axes[1:]))
                    x = ctx.builder(ops.Unflatten(1, sizes), x, name=f"{name}.latents")
                x = unfold(ctx, x, ctx.asked_at, f"{name}.places")
            chunk = chunk_queries(queries.count, ctx.spec.decode.chunks)
            source = "" if queries.source == name else queries.source
            shape = OutputShape(
                (*ctx.asked_at, *axes),
                queries.count,
                chunk,
                int(x.shape[-1]),
                source,
                len(ctx.asked_at),
            )
            outputs[name] = x, shape
    return outputs


def _no_bottleneck(ctx: Context, name: str) -> PartError:
    return ctx.error(
        "PG201",
        "there is no bottleneck of which this could be asked",
        ("outputs", name, "query"),
        help="add one between `encode` and `process`: `bottleneck: {variational: 64}`",
    )


def _warn_of_no_decoder(ctx: Context) -> None:
    """A projection is part of the decoder, which is not there where nothing is asked."""
    if (width := ctx.spec.decode.project) is not None:
        ctx.report.warning(
            "PG205",
            "nothing is projected: there is no decoder, since no output asks anything",
            ctx.document.span("decode", "project"),
            help=f"leave it out, or map the latents in an output: `head: {{linear: {width}}}`",
        )
