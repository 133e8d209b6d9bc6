"""Induced set attention: latents of each cross-attend stand between all tokens and all tokens, which read
them back (Set Transformer, arXiv 1810.00825)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.context import Context
from perceiver_graph.compiler.blocks.latents import at_places
from perceiver_graph.compiler.blocks.located import Arrays
from perceiver_graph.compiler.blocks.longest import longest
from perceiver_graph.compiler.blocks.modality import Modality
from perceiver_graph.compiler.blocks.points import vectors
from perceiver_graph.compiler.blocks.stages import INPUTS, LATENTS, Stage, set_of
from perceiver_graph.compiler.ir.dims import Dim
from perceiver_graph.compiler.ir.graph import Value
from perceiver_graph.spec.models import InputsQuery, Latents


def reads_back(ctx: Context) -> bool:
    """Whether tokens change by reading latents."""
    encode = ctx.spec.encode
    return encode.induced and encode.cross_attends > 1


def check_induced(ctx: Context) -> None:
    """Latents that each cross-attend has of its own are learned, and read the inputs alone (PG205)."""
    spec = ctx.spec
    if not reads_back(ctx):
        return
    others = {
        ("latents", "of"): not isinstance(spec.latents, Latents),
        ("encode", "keys"): spec.encode.keys != ["inputs"],
        ("process", "over"): bool(spec.process.over),
        ("bottleneck",): bool(spec.bottleneck),
    }
    for path, there in others.items():
        if there:
            raise ctx.error(
                "PG205",
                "latents that tokens read back are learned ones, which read the inputs alone",
                ("encode", "induced"),
                also=[(path, "not with this")],
                help=f"leave `{'.'.join(path)}` out, or `induced`",
            )


def begun(ctx: Context, stage: Stage, arrays: Arrays, first: Arrays) -> Arrays:
    """The arrays as a stage finds them: latents of its own, where it begins with such. `first` are those
    before anything was read."""
    number = set_of(ctx.spec, stage)
    made = ctx.spec.latents
    if not number or not isinstance(made, Latents):
        return arrays
    b, scope = ctx.builder, f"encoder.latents.{number}"
    with b.at(ctx.key_span("latents")), b.inside("encode"):
        summary = "latents of a cross-attend's own"
        with b.block(f"latents.{number}", "Latents", summary, module=scope):
            rows = longest(ctx.latent_axes[-1])
            assert rows is not None
            b.declare(count=rows)
            table = b.parameter("table", (rows, made.width), scale=made.init_scale)
            table = at_places(ctx, made, table)
    return {**arrays, LATENTS: replace(first[LATENTS], value=table)}


def tokens_after(
    ctx: Context, modalities: Mapping[str, Modality], arrays: Arrays
) -> dict[str, Modality]:
    """The inputs with what has become of their tokens, where these have read the latents.

    Shapes: of all [batch, m, width] -> of each [batch, count, width].
    """
    read = arrays.get(INPUTS)
    if not reads_back(ctx) or ctx.report.has_errors or read is None or read.value is None:
        return dict(modalities)
    queries = [output.query for output in ctx.spec.outputs.values()]
    asked = {query.inputs for query in queries if isinstance(query, InputsQuery)}
    # What queries are made of is not among the tokens that the latents read.
    apart = vectors(ctx.spec.outputs).keys()
    joined = {name: one for name, one in modalities.items() if name not in apart}
    found = dict(modalities)
    for name in joined.keys() & asked:
        with ctx.part("inputs", name):
            tokens = _of_one(ctx, joined, name, read.value)
            found[name] = replace(modalities[name], tokens=tokens)
    return found


def _of_one(ctx: Context, joined: Mapping[str, Modality], name: str, tokens: Value) -> Value:
    """The tokens of one input of those that are joined: so many from the first, or so many from the last.

    Raises (reports) PG205 where both numbers are known only at run time.
    """
    names = list(joined)
    if len(names) == 1:
        return tokens
    at = names.index(name)
    before = sum((joined[n].count for n in names[:at]), Dim.of(0)).value
    after = sum((joined[n].count for n in names[at + 1 :]), Dim.of(0)).value
    own = joined[name].count.value
    if before is not None and after is not None:
        cut = ops.Slice(1, before, -after or None)
    elif own is not None and before is not None:
        cut = ops.Slice(1, before, before + own)
    elif own is not None and after is not None:
        cut = ops.Slice(1, -after - own, -after or None)
    else:
        raise ctx.error(
            "PG205",
            f"where the tokens of `{name}` begin among all is known only at run time",
            ("inputs", name, "shape"),
            also=[(("encode", "induced"), "all tokens are one array, and change together")],
            help=f"write `{name}` as the first of the inputs or as the last",
        )
    with ctx.builder.inside("inputs", name):
        return ctx.builder(cut, tokens, name="read_back")
