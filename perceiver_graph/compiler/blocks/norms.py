"""The norms of a layer: before its branches or after them, and for values alone."""

from __future__ import annotations

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.context import Context
from perceiver_graph.compiler.blocks.styles import value_norm
from perceiver_graph.compiler.ir.graph import Value
from perceiver_graph.spec.models import AttentionLayers, Layers, NormName


def before(ctx: Context, style: Layers, x: Value, name: str, kind: NormName | None = None) -> Value:
    """The norm before a branch, if it stands there: the usual one, or another `kind`."""
    before = style.norm_at == "before"
    return ctx.builder.norm(kind or style.norm, x, name, style.norm_epsilon) if before else x


def after(ctx: Context, style: Layers, x: Value, kind: NormName | None = None) -> Value:
    """What stands at the end of a branch: a norm, if it stands there, and dropout."""
    if style.norm_at == "after":
        x = ctx.builder.norm(kind or style.norm, x, "output_norm", style.norm_epsilon)
    return ctx.builder(ops.Dropout(style.dropout), x, name="dropped") if style.dropout else x


def valued(ctx: Context, style: AttentionLayers, read: Value) -> Value | None:
    """What values are made of, if they have a norm of their own. Shape: that of what is read."""
    name = value_norm(style)
    return None if name is None else before(ctx, style, read, "value_norm", name)
