"""The two layers a Perceiver is made of: cross-attend and self-attend, each with its MLP.

    y = output(attention(query(norm q), key(norm x), value(norm x)))  [+ q]
    z = y + mlp(norm y)

Perceiver IO, appendix E; `PerceiverLayer` in transformers. Every linear map has a bias.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.context import Context, Path
from perceiver_graph.compiler.blocks.stages import Stage
from perceiver_graph.compiler.blocks.steps import ACTIVATIONS
from perceiver_graph.compiler.ir.graph import Value
from perceiver_graph.compiler.ops import Op
from perceiver_graph.compiler.ops.lazy import np
from perceiver_graph.spec.models import Decode, Encode, Process


@dataclass(frozen=True)
class Rows:
    """An array that reads or is read. Shapes: value [batch, n, width], or [n, width] where it is the
    same for the whole batch; mask bool [batch, n], true where there is a row."""

    width: int
    value: Value | None = None
    """None where something is wrong with it."""
    mask: Value | None = None
    width_from: Path = ("latents", "width")
    """The place of the spec that the width stems from."""

    @property
    def array(self) -> Value:
        """The value, where nothing is wrong with it."""
        assert self.value is not None
        return self.value


Arrays = Mapping[str, Rows]
"""What can read or be read, by name."""


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


def configure(ctx: Context, stage: Stage, arrays: Arrays) -> AttentionConfig:
    """Fill in the widths of a stage's layers, and check their heads.

    Queries and keys are as wide as what is read where nothing else is said. Raises (reports) PG204
    where the heads do not divide a width.
    """
    spec: Encode | Process | Decode = getattr(ctx.spec, stage.key)
    path: Path = (stage.key,)
    rows, read = arrays[stage.rows], arrays[stage.read]
    qk = spec.qk_width or read.width
    v = spec.v_width or qk
    default_activation = "gelu_tanh" if ctx.spec.dialect == "deepmind" else "gelu"
    chosen = spec.activation or default_activation
    for value, key in ((qk, "qk_width"), (v, "v_width"), (chosen, "activation")):
        ctx.derive(value, *path, key)
    for key, value, given in (("qk_width", qk, spec.qk_width), ("v_width", v, spec.v_width)):
        if value % spec.heads:
            blame = read.width_from if given is None else (*path, key)
            _heads_do_not_divide(ctx, path, spec.heads, key, value, blame)
    return AttentionConfig(
        spec.heads,
        qk,
        v,
        spec.widening * rows.width,
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


def cross_attend(ctx: Context, config: AttentionConfig, rows: Rows, read: Rows, norm: str) -> Value:
    """Shapes: rows [n, width] or [batch, n, width], read [batch, m, channels] -> [batch, n, width].

    Rows that are not there find nothing: zeros where the attended values would be. `norm` is what the
    norm of the rows is called.

    Rows without a batch axis are the same for the whole batch: their norm and projection are done
    once, and where they do not depend on the caller they are constants.
    """
    b, x, inputs = ctx.builder, rows.array, read.array
    with b.block("attention", "CrossAttention", "what the queries find in the inputs"):
        q = b.layer_norm(x, norm, config.norm_epsilon)
        q = b.linear(q, "query", config.qk_width, "layer")
        if x.type.rank == 2:
            q = b(ops.Broadcast(inputs.shape[:1]), q, name="query_batch")
        y = b.layer_norm(inputs, "input_norm", config.norm_epsilon)
        k = b.linear(y, "key", config.qk_width, "layer")
        v = b.linear(y, "value", config.v_width, "layer")
        masks = () if read.mask is None else (read.mask,)
        masked_rows = config.masked_rows if masks else "uniform"
        attended = b(ops.Attention(config.heads, masked_rows), q, k, v, *masks, name="attended")
        if rows.mask is not None:
            column = b(ops.Unflatten(1, (None, 1)), rows.mask, name="asked")
            nothing = b.constant("nothing", np.zeros((), np.float32))
            attended = b(ops.Where(), column, attended, nothing, name="masked")
        attended = b.linear(attended, "output", rows.width, "layer")
    if config.query_residual:
        attended = b(ops.Add(), attended, x, name="residual")
    return mlp(ctx, config, attended)


def self_attend(ctx: Context, config: AttentionConfig, rows: Rows) -> Value:
    """Shapes: [batch, n, width] -> [batch, n, width]."""
    b = ctx.builder
    with b.block("attention", "SelfAttention", "what the latents find in each other"):
        x = b.layer_norm(rows.array, "norm", config.norm_epsilon)
        q = b.linear(x, "query", config.qk_width, "layer")
        k = b.linear(x, "key", config.qk_width, "layer")
        v = b.linear(x, "value", config.v_width, "layer")
        attended = b(ops.Attention(config.heads), q, k, v, name="attended")
        attended = b.linear(attended, "output", rows.width, "layer")
    attended = b(ops.Add(), attended, rows.array, name="residual")
    return mlp(ctx, config, attended)


def mlp(ctx: Context, config: AttentionConfig, x: Value) -> Value:
    """x + dense2(activation(dense1(norm x))). Shapes: [..., width] -> [..., width]."""
    b = ctx.builder
    with b.block("mlp", "Mlp", "a position-wise network"):
        b.declare(width=int(x.shape[-1]), hidden=config.hidden)
        hidden = b.layer_norm(x, "norm", config.norm_epsilon)
        hidden = b.linear(hidden, "dense1", config.hidden, "layer")
        hidden = b(config.activation, hidden, name="activated")
        hidden = b.linear(hidden, "dense2", int(x.shape[-1]), "layer")
    return b(ops.Add(), x, hidden, name="output")
