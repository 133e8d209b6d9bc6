"""The two layers a Perceiver is made of: cross-attend and self-attend, each with its MLP.

    y = output(attention(query(norm q), key(norm x), value(norm x)))  [+ q]
    z = y + mlp(norm y)

Perceiver IO, appendix E; `PerceiverLayer` in transformers. `layers` of a spec says what is otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.context import Context, Path
from perceiver_graph.compiler.blocks.idle import refuse_idle_keys
from perceiver_graph.compiler.blocks.located import Arrays, Rows
from perceiver_graph.compiler.blocks.norms import after, before, valued
from perceiver_graph.compiler.blocks.rotary import NO_ROTATION, Rotation
from perceiver_graph.compiler.blocks.rotary_config import RotaryConfig, rotary_config
from perceiver_graph.compiler.blocks.stages import Stage
from perceiver_graph.compiler.blocks.steps import ACTIVATIONS
from perceiver_graph.compiler.blocks.styles import (
    check_one_norm,
    check_style,
    query_norm,
    reads_rows,
    style_path,
)
from perceiver_graph.compiler.ir.dims import Dim
from perceiver_graph.compiler.ir.graph import Value
from perceiver_graph.compiler.ops import Op
from perceiver_graph.compiler.ops.lazy import np
from perceiver_graph.spec.models import (
    AttentionLayers,
    Bias,
    Decode,
    Encode,
    Layers,
    Process,
    where,
)


@dataclass(frozen=True)
class AttentionConfig:
    """An attention layer with every width known."""

    style: AttentionLayers
    """As the spec says it, for all layers or for these."""
    qk_width: int
    """Of queries; keys have that of their heads."""
    v_width: int
    """Of values, had they as many heads as queries."""
    hidden: int
    """Width between the two linear maps of the MLP."""
    activation: Op
    bias: Bias
    query_residual: bool
    """Whether what reads is added to what it found."""
    causal: bool
    """Whether rows read only what comes before them, and themselves."""
    masked_rows: Literal["uniform", "zero"]
    """What a query finds where all is masked: the mean of all values, or zeros."""
    rotary: RotaryConfig | None = None
    """How queries and keys are turned by their positions, if they are."""
    rotation: Rotation = NO_ROTATION
    """The positions of the stage at hand, as what they are turned by."""

    @property
    def key_heads(self) -> int:
        return self.style.key_heads or self.style.heads

    def of_keys(self, width: int) -> int:
        """The width of keys or values, where all heads together have this one."""
        return width // self.style.heads * self.key_heads

    def attention(self, masked_rows: Literal["uniform", "zero"] = "uniform") -> ops.Attention:
        """The primitive."""
        heads = self.style.heads
        key_heads = None if self.key_heads == heads else self.key_heads
        return ops.Attention(
            heads=heads,
            masked_rows=masked_rows,
            key_heads=key_heads,
            scale=self.style.scale,
            causal=self.causal,
        )


def configure(ctx: Context, stage: Stage, arrays: Arrays) -> AttentionConfig:
    """Fill in the widths of a stage's layers, and check their heads.

    Queries and keys are as wide as what is read where nothing else is said. Raises (reports) PG204
    where the heads do not divide a width.
    """
    spec = ctx.spec.attention(stage.key)
    path: Path = where(stage.key)
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
    check_style(ctx, stage.key, spec)
    refuse_idle_keys(ctx, stage.key)
    hidden = spec.hidden or (spec.widening or 1) * rows.width
    if spec.hidden is None:
        ctx.derive(spec.widening or 1, *path, "widening")
    if isinstance(spec, Encode) and spec.keys != ["inputs"]:
        _check_keys(ctx, rows, read)
    if spec.shared_norm and stage.attend == "cross":
        check_one_norm(ctx, stage, rows, read)
    bias = spec.bias
    if isinstance(bias, bool):
        bias = Bias(qkv=bias, output=bias, mlp=bias)
    return AttentionConfig(
        style=spec,
        qk_width=qk,
        v_width=v,
        hidden=hidden,
        activation=ACTIVATIONS[chosen],
        bias=bias,
        query_residual=spec.query_residual if isinstance(spec, Encode | Decode) else True,
        causal=spec.causal if isinstance(spec, Encode | Process) else False,
        masked_rows="zero" if ctx.spec.dialect == "deepmind" else "uniform",
        rotary=rotary_config(ctx, stage.key, spec, style_path(ctx, stage.key, "rotary"), qk, v),
    )


def _check_keys(ctx: Context, rows: Rows, read: Rows) -> None:
    """Inputs and latents are one array where both are read."""
    keys = ctx.spec.encode.keys
    if sorted(keys) != ["inputs", "latents"]:
        raise ctx.error(
            "PG205",
            "the latents read the inputs, once",
            ("encode", "keys"),
            help="write `[inputs]` or `[inputs, latents]`; among themselves they read in `process`",
        )
    if rows.width != read.width:
        raise ctx.error(
            "PG205",
            f"inputs of width {read.width} and latents of width {rows.width} cannot be read together",
            ("encode", "keys"),
            "both are read here",
            also=[
                (read.width_from, f"{read.width} channels here"),
                (rows.width_from, f"{rows.width} here"),
            ],
            help=f"end the `steps` of the inputs with `{{linear: {rows.width}}}`",
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
    ctx: Context, config: AttentionConfig, rows: Rows, read: Rows, norms: tuple[str, str]
) -> Value:
    """Shapes: rows [n, width] or [batch, n, width], read [batch, m, channels] -> [batch, n, width].

    Rows that are not there find nothing: zeros where the attended values would be. `norms` are what
    those of the rows and of what they read are called: one, if they have the same name.

    Rows without a batch axis are the same for the whole batch: their norm and projection are done
    once, and where they do not depend on the caller they are constants.
    """
    b, x, inputs, style = ctx.builder, rows.array, read.array, config.style
    with b.block("attention", "CrossAttention", "what the queries find in the inputs"):
        asking = before(ctx, style, x, norms[0], query_norm(style))
        q = _query(ctx, config, asking)
        if q.type.rank == 2:
            q = b(ops.Broadcast(inputs.shape[:1]), q, name="query_batch")
        y = before(ctx, style, inputs, norms[1])
        own = valued(ctx, style, inputs)
        if reads_rows(style):
            y = _with_rows(ctx, y, asking)
        k, v = _keys_and_values(ctx, config, y, own)
        masks = () if read.mask is None else (read.mask,)
        masked_rows = config.masked_rows if masks else "uniform"
        attended = b(config.attention(masked_rows), q, k, v, *masks, name="attended")
        attended = config.rotation.result(b, attended)
        if rows.mask is not None:
            column = b(ops.Unflatten(1, (None, 1)), rows.mask, name="asked")
            nothing = b.constant("nothing", np.zeros((), np.float32))
            attended = b(ops.Where(), column, attended, nothing, name="masked")
        attended = _output(ctx, config, attended, rows.width)
    if config.query_residual:
        attended = b(ops.Add(), attended, x, name="residual")
    return mlp(ctx, config, attended)


def self_attend(ctx: Context, config: AttentionConfig, rows: Rows) -> Value:
    """Shapes: [batch, n, width] -> [batch, n, width]."""
    b = ctx.builder
    with b.block("attention", "SelfAttention", "what the latents find in each other"):
        x = before(ctx, config.style, rows.array, "norm")
        q = _query(ctx, config, x)
        k, v = _keys_and_values(ctx, config, x)
        masks = () if rows.mask is None else (rows.mask,)
        masked_rows = config.masked_rows if masks else "uniform"
        attended = b(config.attention(masked_rows), q, k, v, *masks, name="attended")
        attended = config.rotation.result(b, attended)
        attended = _output(ctx, config, attended, rows.width)
    attended = b(ops.Add(), attended, rows.array, name="residual")
    return mlp(ctx, config, attended)


def mlp(ctx: Context, config: AttentionConfig, x: Value) -> Value:
    """x + dense2(activation(dense1(norm x))), gated: x + dense2(activation(gate(norm x)) dense1(norm x)).

    Shapes: [..., width] -> [..., width].
    """
    b, style, bias = ctx.builder, config.style, config.bias.mlp
    if not style.mlp:
        return x
    with b.block("mlp", "Mlp", "a position-wise network"):
        b.declare(width=int(x.shape[-1]), hidden=config.hidden)
        y = before(ctx, style, x, "norm", style.mlp_norm)
        hidden = b.linear(y, "dense1", config.hidden, "layer", bias=bias)
        if style.gated:
            gate = b.linear(y, "gate", config.hidden, "layer", bias=bias)
            gate = b(config.activation, gate, name="activated")
            hidden = b(ops.Mul(), hidden, gate, name="gated")
        else:
            hidden = b(config.activation, hidden, name="activated")
        hidden = b.norm(style.hidden_norm, hidden, "hidden_norm", style.norm_epsilon)
        hidden = b.linear(hidden, "dense2", int(x.shape[-1]), "layer", bias=bias)
        hidden = after(ctx, style, hidden, style.mlp_norm)
    return b(ops.Add(), x, hidden, name="output")


def _query(ctx: Context, config: AttentionConfig, rows: Value) -> Value:
    """Shapes: [.., n, width] -> [.., n, heads * d]."""
    q = _mapped(ctx, config, rows, "query", config.qk_width)
    q = _normed_heads(ctx, config.style, q, "query", config.style.heads)
    return config.rotation.queries(ctx.builder, q)


def _keys_and_values(
    ctx: Context, config: AttentionConfig, read: Value, own: Value | None = None
) -> tuple[Value, Value]:
    """Shapes: [batch, m, channels] -> [batch, m, key_heads * d] and [batch, m, key_heads * e]."""
    b = ctx.builder
    k = _mapped(ctx, config, read, "key", config.of_keys(config.qk_width))
    k = _normed_heads(ctx, config.style, k, "key", config.key_heads)
    k = config.rotation.keys(b, k)
    v = _mapped(ctx, config, own or read, "value", config.of_keys(config.v_width))
    return k, config.rotation.values(b, v)


def _mapped(ctx: Context, config: AttentionConfig, x: Value, name: str, width: int) -> Value:
    """Shapes: [.., n, channels] -> [.., n, width]."""
    if config.style.mapped_twice:
        x = ctx.builder.linear(x, f"{name}_first", width, "layer", bias=False)
    return ctx.builder.linear(x, name, width, "layer", bias=config.bias.qkv)


def _normed_heads(ctx: Context, style: Layers, x: Value, name: str, heads: int) -> Value:
    """Each head normed by itself, if they are to be. Shapes: [.., n, heads * d] -> the same."""
    if style.qk_norm == "none":
        return x
    b, last = ctx.builder, x.type.rank - 1
    apart = b(ops.Unflatten(last, (heads, None)), x, name=f"{name}_heads")
    normed = b.norm(style.qk_norm, apart, f"{name[0]}_norm", style.norm_epsilon)
    return b(ops.Flatten(last, last + 1), normed, name=f"{name}_normed")


def _with_rows(ctx: Context, read: Value, rows: Value) -> Value:
    """What is read and the rows behind it.

    Shapes: read [batch, m, width], rows [n, width] or [batch, n, width] -> [batch, m + n, width].
    """
    b = ctx.builder
    if rows.type.rank == 2:
        rows = b(ops.Broadcast(read.shape[:1]), rows, name="rows_batch")
    return b(ops.Concat(1), read, rows, name="together")


def mask_with_rows(ctx: Context, mask: Value, rows: Dim) -> Value:
    """The mask of what is read and of rows behind it, which are there for every sample.

    Shapes: mask bool [batch, m] -> [batch, m + rows].
    """
    b = ctx.builder
    sizes = mask.shape[:1]
    if rows.value is None:
        sizes = (*sizes, rows)
    there = b.constant("there", np.ones(rows.value or (), bool))
    there = b(ops.Broadcast(sizes), there, name="there_batch")
    return b(ops.Concat(1), mask, there, name="together_mask")


def _output(ctx: Context, config: AttentionConfig, attended: Value, width: int) -> Value:
    """The map of what was attended to, and what stands at the end of the branch."""
    b = ctx.builder
    found = b.linear(attended, "output", width, "layer", bias=config.bias.output)
    if config.style.mapped_twice:
        found = b.linear(found, "output_last", width, "layer", bias=config.bias.output)
    return after(ctx, config.style, found)
