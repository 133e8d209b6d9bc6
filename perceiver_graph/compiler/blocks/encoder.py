"""The encoder and the process: the latents read the inputs, then each other, block after block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from perceiver_graph.compiler.blocks.attention import configure, cross_attend, self_attend
from perceiver_graph.compiler.blocks.context import Context
from perceiver_graph.compiler.blocks.modality import Modality
from perceiver_graph.compiler.ir import Value

MOST_LAYERS = 10_000
"""Layers are written out one by one in the graph and in what is made of it."""


def read_and_process(
    ctx: Context,
    modalities: Mapping[str, Modality],
    joined: Value | None,
    mask: Value | None,
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
                x = cross_attend(ctx, reading, x, joined, query_name="latent", mask=mask)
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
