"""How rows read, stage after stage: the layers of one stage, and all that change the latents."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import replace

from perceiver_graph import limits
from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.attention import (
    AttentionConfig,
    configure,
    cross_attend,
    mask_with_rows,
    self_attend,
)
from perceiver_graph.compiler.blocks.bottleneck import check_bottleneck, narrow
from perceiver_graph.compiler.blocks.context import Context
from perceiver_graph.compiler.blocks.idle import is_written_out
from perceiver_graph.compiler.blocks.induced import begun, check_induced
from perceiver_graph.compiler.blocks.located import Arrays, Located, Rows
from perceiver_graph.compiler.blocks.locating import latents_over
from perceiver_graph.compiler.blocks.places import apart, check_together, leave_places, together
from perceiver_graph.compiler.blocks.rotary import rotation_of, turned_by
from perceiver_graph.compiler.blocks.stages import (
    BOTTLENECK,
    INPUTS,
    LATENTS,
    Stage,
    latent_stages,
)
from perceiver_graph.compiler.blocks.styles import reads_rows
from perceiver_graph.spec.models import Key, Latents, TokenLatents, where

Configs = dict[Key, AttentionConfig]
"""How the layers of stages are built, by their place in the spec."""


def read(ctx: Context, stage: Stage, config: AttentionConfig, arrays: Arrays) -> Arrays:
    """The arrays after a stage. Shapes: its rows [.., n, width] -> [batch, n, width]."""
    b, rows = ctx.builder, arrays[stage.rows]
    if stage.rows == INPUTS:  # those that are masked are not read, and read all the same
        rows = replace(rows, mask=None)
    config = _placed(ctx, stage, config, arrays)
    one, several = ("latent", "latents") if stage.rows == LATENTS else ("query", "queries")
    *outer, name = stage.scope
    with (
        b.at(ctx.key_span(*where(stage.key))),
        b.inside(*outer),
        b.block(name, stage.kind, stage.summary, module=stage.module),
    ):
        for number in range(stage.layers):
            layer = stage.layer.format(number)
            if stage.attend == "self":
                with b.block(layer, "SelfAttendLayer", "one round of reading"):
                    x = self_attend(ctx, config, rows)
            else:
                summary = f"the {several} read the {stage.read}"
                with b.block(layer, "CrossAttendLayer", summary) if layer else nullcontext():
                    one_norm = stage.one_norm or config.style.shared_norm
                    norms = ("norm",) * 2 if one_norm else (f"{one}_norm", "input_norm")
                    x = cross_attend(ctx, config, rows, arrays[stage.read], norms)
            rows = replace(rows, value=x)
        rows = replace(rows, mask=arrays[stage.rows].mask)
        if stage.project is not None:
            with b.at(ctx.key_span(stage.key, "project")):
                rows = replace(rows, value=b.linear(rows.array, "project", stage.project))
    return {**arrays, stage.rows: rows}


def _placed(ctx: Context, stage: Stage, config: AttentionConfig, arrays: Arrays) -> AttentionConfig:
    """With the positions of what reads and is read, if layers turn by them."""
    if config.rotary is None:
        return config
    rows, read = arrays[stage.rows].located, arrays[stage.read].located
    rotation = rotation_of(ctx, config.rotary, rows, read)
    if rows is not None and read is not None:
        by = (turned_by(ctx, config.rotary, rows), turned_by(ctx, config.rotary, read))
        ctx.turned.setdefault(stage.key, {})[by] = None
    if stage.attend == "cross" and reads_rows(config.style):
        rotation = rotation.with_rows(ctx)
    return replace(config, rotation=rotation)


def configurations(ctx: Context, stages: Iterable[Stage], arrays: Arrays) -> Configs:
    """The settings of stages; what is wrong with them is reported once for each place of the spec.

    Stages whose arrays are missing, because of errors reported before, are left out.
    """
    first: dict[Key, Stage] = {}
    for stage in stages:
        first.setdefault(stage.key, stage)
    found: Configs = {}
    for key, stage in first.items():
        if {stage.rows, stage.read} <= arrays.keys():
            with ctx.part(*where(key)):
                found[key] = configure(ctx, stage, arrays)
    return found


def read_latents(ctx: Context, arrays: Arrays) -> Arrays:
    """The arrays after the stages that change the latents, which have no value if something is wrong."""
    stages = list(latent_stages(ctx.spec))
    configs = configurations(ctx, (stage for stage in stages if not stage.over), arrays)
    with ctx.part("process"):
        check_together(ctx, arrays.get(LATENTS))
        configs |= configurations(
            ctx, (stage for stage in stages if stage.over), _joined(ctx, arrays)
        )
    with ctx.part("process"):
        _check_layers(ctx)
        _check_shared(ctx, arrays)
    with ctx.part("encode"):
        _check_cross_attends(ctx)
        check_induced(ctx)
    first = arrays
    arrays = {**arrays, **_reading_themselves(ctx, arrays)}
    with ctx.part("bottleneck"):
        check_bottleneck(ctx)
    before: Stage | None = None
    located = arrays[LATENTS].located if LATENTS in arrays else None
    for stage in stages:
        if ctx.report.has_errors:  # an array that is too large: the next block has the same
            break
        with ctx.part(*where(stage.key)):
            if stage.key == "process" and BOTTLENECK not in arrays:
                arrays = narrow(ctx, arrays)
            arrays = begun(ctx, stage, arrays, first)
            arrays = read(
                ctx, stage, configs[stage.key], _arranged(ctx, before, stage, arrays, located)
            )
        before = stage
    if not ctx.report.has_errors and BOTTLENECK not in arrays:
        arrays = narrow(ctx, arrays)
    leave_places(ctx)
    if ctx.report.has_errors and LATENTS in arrays:
        return {**arrays, LATENTS: replace(arrays[LATENTS], value=None)}
    return arrays


def _joined(ctx: Context, arrays: Arrays) -> Arrays:
    """The arrays as layers over an axis see them: latents may be as wide as all of a place together."""
    if LATENTS not in arrays or not ctx.spec.process.joined:
        return arrays
    latents = arrays[LATENTS]
    width = latents.width * ctx.spec.latents.total
    return {**arrays, LATENTS: Rows(width, width_from=("process", "joined"))}


def _arranged(
    ctx: Context, before: Stage | None, stage: Stage, arrays: Arrays, located: Located | None
) -> Arrays:
    """The latents as a stage reads them: those of a place by themselves, which are `located` so, or of
    all along an axis."""
    if (before.over if before else None) == stage.over:
        return arrays
    latents = arrays[LATENTS]
    x, mask = latents.array, latents.mask
    if x.type.rank == 2:
        x = ctx.builder(ops.Broadcast(arrays[INPUTS].array.shape[:1]), x, name="latents_batch")
    with ctx.builder.at(ctx.key_span("process", "over")), ctx.builder.inside():
        if stage.over:
            x = together(ctx, x, "latents.together", joined=stage.joined)
            located = latents_over(ctx, stage.over, joined=stage.joined)
            mask = mask and together(ctx, mask, "latents.together_mask")
        else:
            joined = ctx.spec.latents.total if ctx.spec.process.joined else None
            x = apart(ctx, x, "latents.apart", joined)
            mask = mask and apart(ctx, mask, "latents.apart_mask")
    width = int(x.shape[-1])
    latents = replace(latents, value=x, mask=mask, width=width, located=located)
    return {**arrays, LATENTS: latents}


def _reading_themselves(ctx: Context, arrays: Arrays) -> Arrays:
    """The inputs where the latents read themselves behind them: without those tokens that are latents,
    and with the mask of both."""
    inputs = arrays.get(INPUTS)
    if not inputs or not reads_rows(ctx.spec.encode) or not ctx.spec.encode.cross_attends:
        return {}
    made = ctx.spec.latents
    if isinstance(made, TokenLatents) and inputs.value is not None:
        with ctx.builder.inside("encode"):
            before = ctx.builder(ops.Slice(1, 0, -made.last), inputs.value, name="before_latents")
        located = inputs.located and replace(inputs.located, but_last=made.last)
        return {INPUTS: replace(inputs, value=before, located=located)}
    if inputs.mask is None:
        return {}
    latents = arrays[LATENTS]
    with ctx.builder.inside("encode"):
        if latents.mask is not None:
            mask = ctx.builder(ops.Concat(1), inputs.mask, latents.mask, name="together_mask")
        else:
            mask = mask_with_rows(ctx, inputs.mask, latents.array.shape[-2])
    return {INPUTS: replace(inputs, mask=mask)}


def _check_layers(ctx: Context) -> None:
    process = ctx.spec.process
    if process.blocks * max(process.layers, 1) > limits.LAYERS:
        raise ctx.error(
            "PG213",
            f"{process.blocks} x {process.layers} self-attend layers are more than {limits.LAYERS}",
            ("process", "layers"),
            also=[(("process", "blocks"), "")] if process.blocks > 1 else [],
            help="use fewer layers or blocks",
        )


def _check_shared(ctx: Context, arrays: Arrays) -> None:
    """One attention for both: it is said under `encode`, and both are as wide."""
    spec = ctx.spec
    if spec.process.weights != "encode":
        return
    said = set() if is_written_out(spec.process) else spec.process.model_fields_set
    extra = sorted(said - {"layers", "weights"})
    several = spec.encode.cross_attends != 1 or spec.encode.keys != ["inputs"]
    if extra or several:
        key = ("process", extra[0]) if extra else ("process", "weights")
        raise ctx.error(
            "PG205",
            "latents that read each other by the cross-attend do so as `encode` says",
            key,
            also=[(("process", "weights"), "by the cross-attend")]
            if extra
            else [(("encode",), "")],
            help=f"leave `{extra[0]}` out"
            if extra
            else "write one cross-attend that reads the inputs, or leave `weights: encode` out",
        )
    read, latents = arrays.get(INPUTS), arrays.get(LATENTS)
    if read and latents and read.width != latents.width:
        raise ctx.error(
            "PG205",
            f"one attention cannot read inputs of width {read.width} and latents of width "
            f"{latents.width}",
            ("process", "weights"),
            also=[(read.width_from, f"{read.width} channels here"), (latents.width_from, "")],
            help=f"end the `steps` of the inputs with `{{linear: {latents.width}}}`",
        )


def _check_cross_attends(ctx: Context) -> None:
    spec = ctx.spec
    if not spec.encode.cross_attends:
        _check_unread(ctx)
    if spec.encode.cross_attends > spec.process.blocks and spec.process.layers:
        raise ctx.error(
            "PG205",
            f"{spec.encode.cross_attends} cross-attends need as many blocks to stand before, "
            f"and there {'is' if spec.process.blocks == 1 else 'are'} {spec.process.blocks}",
            ("encode", "cross_attends"),
            also=[(("process", "blocks"), f"{spec.process.blocks} here")],
            help=f"write `blocks: {spec.encode.cross_attends}` under `process`",
        )


def _check_unread(ctx: Context) -> None:
    """Without a cross-attend the latents are all that is known of the inputs (PG205)."""
    if isinstance(ctx.spec.latents, Latents):
        raise ctx.error(
            "PG205",
            "learned latents that read nothing do not depend on the inputs",
            ("encode", "cross_attends"),
            also=[(("latents",), "learned here")],
            help="write 1 or more, or make them of tokens: `latents: {of: NAME, last: 256}`",
        )
