"""What a spec says of the layers of a part, where it says so, and what of it contradicts itself."""

from __future__ import annotations

from perceiver_graph.compiler.blocks.context import Context, Path
from perceiver_graph.compiler.blocks.located import Rows
from perceiver_graph.compiler.blocks.stages import Stage
from perceiver_graph.spec.models import AttentionLayers, CrossLayers, Encode, Key, NormName, where


def style_path(ctx: Context, part: Key, key: str) -> Path:
    """Where the spec says something of the layers of a part: there, or for all."""
    own = key in ctx.spec.own(part).model_fields_set
    return (*where(part), key) if own or ctx.spec.layers is None else ("layers", key)


def reads_rows(style: AttentionLayers) -> bool:
    """Whether rows find themselves behind what they read."""
    return isinstance(style, Encode) and "latents" in style.keys


def query_norm(style: AttentionLayers) -> NormName | None:
    """The norm of what reads, where it is not that of what is read."""
    return style.query_norm if isinstance(style, CrossLayers) else None


def value_norm(style: AttentionLayers) -> NormName | None:
    """The norm that values alone have, of what is read."""
    return style.value_norm if isinstance(style, CrossLayers) else None


def check_style(ctx: Context, part: Key, layers: AttentionLayers) -> None:
    """Heads of keys that divide those of queries, and one width of the MLP."""
    own = ctx.spec.own(part).model_fields_set
    if layers.key_heads and layers.heads % layers.key_heads:
        raise ctx.error(
            "PG204",
            f"heads of keys, {layers.key_heads}, do not divide those of queries, {layers.heads}",
            style_path(ctx, part, "key_heads"),
            f"{layers.key_heads} heads of keys and values here",
            also=[((*where(part), "heads"), f"{layers.heads} of queries")]
            if "heads" in own
            else [],
            help=f"use a number that divides {layers.heads}, or other `heads` under `{part}`",
        )
    _check_norms(ctx, part, layers)
    for place, said in ((where(part), own), (("layers",), _said_of_all(ctx))):
        if {"hidden", "widening"} <= said:
            raise ctx.error(
                "PG205",
                "`hidden` and `widening` are two words for the width between the maps of the MLP",
                (*place, "hidden"),
                also=[((*place, "widening"), "")],
                help="leave one of them out",
            )


def _check_norms(ctx: Context, part: Key, layers: AttentionLayers) -> None:
    """Norms of what reads, and of what values are made of, stand before and apart (PG205)."""
    norms = {"query_norm": query_norm(layers), "value_norm": value_norm(layers)}
    said = [key for key, norm in norms.items() if norm is not None]
    if not said:
        return
    is_after = layers.norm_at == "after"
    if (
        is_after
        or reads_rows(layers)
        or (part == "encode" and ctx.spec.process.weights == "encode")
    ):
        why: Path = ("process", "weights")
        if is_after:
            why = style_path(ctx, part, "norm_at")
        elif layers.shared_norm:
            why = style_path(ctx, part, "shared_norm")
        elif reads_rows(layers):
            why = (part, "keys")
        raise ctx.error(
            "PG205",
            "no norm stands before these layers"
            if is_after
            else "what reads and what is read have one norm here",
            (part, said[0]),
            also=[(why, "by this")],
            help=f"leave `{said[0]}` out",
            at_key=True,
        )


def _said_of_all(ctx: Context) -> set[str]:
    return set() if ctx.spec.layers is None else ctx.spec.layers.model_fields_set


def check_one_norm(ctx: Context, stage: Stage, rows: Rows, read: Rows) -> None:
    """A norm is of one width."""
    if rows.width != read.width:
        raise ctx.error(
            "PG205",
            f"one norm cannot be of what is {rows.width} wide and reads, and of what is {read.width} "
            "wide and is read",
            style_path(ctx, stage.key, "shared_norm"),
            also=[(read.width_from, f"{read.width} channels here")],
            help="leave it out, or make them as wide as each other",
        )
