"""The two layers a Perceiver is made of: cross-attend and self-attend, each with its MLP.

    y = output(attention(query(norm q), key(norm x), value(norm x)))  [+ q]
    z = y + mlp(norm y)

Perceiver IO, appendix E; `PerceiverLayer` in transformers. Every linear map has a bias.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.context import Context, Path
from perceiver_graph.compiler.blocks.steps import ACTIVATIONS
from perceiver_graph.compiler.ir import Value
from perceiver_graph.compiler.ops import Op
from perceiver_graph.compiler.ops.lazy import np
from perceiver_graph.spec.models import Decode, Encode, Process


@dataclass(frozen=True)
class AttentionConfig:
    """An attention layer with every width known."""

    heads: int
    qk_width: int
    v_width: int
    hidden: int
    """Width between the two linear maps of the MLP."""
    activation: Op
    norm_epsilon: float
    query_residual: bool
    masked_rows: Literal["uniform", "zero"]
    """What a query finds where all is masked: the mean of all values, or zeros."""


def configure(
    ctx: Context,
    spec: Encode | Process | Decode,
    path: Path,
    *,
    width: int,
    default_qk: int,
    default_from: Path = ("latents", "width"),
) -> AttentionConfig:
    """Fill in widths and check the heads. `width`: channels of the queries and of the result.

    `default_qk` is the width of the queries and keys where none is given, and `default_from` the
    place of the spec that it stems from.
    Raises (reports) PG204 where the heads do not divide a width.
    """
    qk = spec.qk_width or default_qk
    v = spec.v_width or qk
    default_activation = "gelu_tanh" if ctx.spec.dialect == "deepmind" else "gelu"
    chosen = spec.activation or default_activation
    for value, key in ((qk, "qk_width"), (v, "v_width"), (chosen, "activation")):
        ctx.derive(value, *path, key)
    for key, value, given in (("qk_width", qk, spec.qk_width), ("v_width", v, spec.v_width)):
        if value % spec.heads:
            blame = default_from if given is None else (*path, key)
            _heads_do_not_divide(ctx, path, spec.heads, key, value, blame)
    return AttentionConfig(
        spec.heads,
        qk,
        v,
        spec.widening * width,
        ACTIVATIONS[chosen],
        spec.norm_epsilon,
        getattr(spec, "query_residual", True),
        "zero" if ctx.spec.dialect == "deepmind" else "uniform",
    )


def _heads_do_not_divide(
    ctx: Context, path: Path, heads: int, key: str, value: int, blame: Path
) -> None:
    above = -(-value // heads) * heads
    what = "queries and keys" if key == "qk_width" else "values"
    given = blame == (*path, key)
    reason = f"`{key}` is {value}" if given else f"`{key}` is {value} where it is left out"
    raise ctx.error(
        "PG204",
        f"{heads} heads do not divide the width {value} of the {what}",
        (*path, "heads"),
        f"split into {heads} heads here",
        also=[(blame, reason)],
        help=f"use a width that is a multiple of {heads}, for example "
        f"`{key}: {above}`, or heads that divide {value}",
    )


def cross_attend(
    ctx: Context,
    config: AttentionConfig,
    query: Value,
    inputs: Value,
    *,
    query_name: str,
    mask: Value | None = None,
    query_mask: Value | None = None,
) -> Value:
    """Shapes: query [n, width] or [batch, n, width], inputs [batch, m, channels] -> [batch, n, width].

    `mask`, bool [batch, m], says which inputs are there. Queries that are false in `query_mask`,
    bool [batch, n], find nothing: zeros where the attended values would be.

    A query without a batch axis is the same for the whole batch: its norm and projection are done
    once, and where it does not depend on the caller they are constants.
    """
    b = ctx.builder
    width = int(query.shape[-1])
    with b.block("attention", "CrossAttention", "what the queries find in the inputs"):
        q = b.layer_norm(query, f"{query_name}_norm", config.norm_epsilon)
        q = b.linear(q, "query", config.qk_width, "layer")
        if query.type.rank == 2:
            q = b(ops.Broadcast(inputs.shape[:1]), q, name="query_batch")
        x = b.layer_norm(inputs, "input_norm", config.norm_epsilon)
        k = b.linear(x, "key", config.qk_width, "layer")
        v = b.linear(x, "value", config.v_width, "layer")
        masks = () if mask is None else (mask,)
        masked_rows = config.masked_rows if masks else "uniform"
        attended = b(ops.Attention(config.heads, masked_rows), q, k, v, *masks, name="attended")
        if query_mask is not None:
            column = b(ops.Unflatten(1, (None, 1)), query_mask, name="asked")
            nothing = b.constant("nothing", np.zeros((), np.float32))
            attended = b(ops.Where(), column, attended, nothing, name="masked")
        attended = b.linear(attended, "output", width, "layer")
    if config.query_residual:
        attended = b(ops.Add(), attended, query, name="residual")
    return mlp(ctx, config, attended)


def self_attend(ctx: Context, config: AttentionConfig, latents: Value) -> Value:
    """Shapes: [batch, n, width] -> [batch, n, width]."""
    b = ctx.builder
    with b.block("attention", "SelfAttention", "what the latents find in each other"):
        x = b.layer_norm(latents, "norm", config.norm_epsilon)
        q = b.linear(x, "query", config.qk_width, "layer")
        k = b.linear(x, "key", config.qk_width, "layer")
        v = b.linear(x, "value", config.v_width, "layer")
        attended = b(ops.Attention(config.heads), q, k, v, name="attended")
        attended = b.linear(attended, "output", int(latents.shape[-1]), "layer")
    attended = b(ops.Add(), attended, latents, name="residual")
    return mlp(ctx, config, attended)


def mlp(ctx: Context, config: AttentionConfig, x: Value) -> Value:
    """x + dense2(activation(dense1(norm x))). Shapes: [..., width] -> [..., width]."""
    b = ctx.builder
    with b.block("mlp", "Mlp", "a position-wise network"):
        hidden = b.layer_norm(x, "norm", config.norm_epsilon)
        hidden = b.linear(hidden, "dense1", config.hidden, "layer")
        hidden = b(config.activation, hidden, name="activated")
        hidden = b.linear(hidden, "dense2", int(x.shape[-1]), "layer")
    return b(ops.Add(), x, hidden, name="output")
