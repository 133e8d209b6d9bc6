"""How layers are built: `layers` says it for all, `encode`, `process` and `decode` for theirs."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Discriminator, Field, Tag

from perceiver_graph.spec.models.base import (
    Axis,
    Count,
    Fraction,
    Model,
    Name,
    NonNegative,
    PositiveFraction,
    PositiveNumber,
)
from perceiver_graph.spec.models.coordinates import MOST, Lengths
from perceiver_graph.spec.models.steps import ActivationName

Part = Literal["encode", "process", "decode"]
PARTS: tuple[Part, ...] = get_args(Part)
"""The parts of a spec that are made of layers."""
Key = Literal[Part, "within"]
"""What has layers of one kind: a part, or those within a place that `process` has besides."""


def where(key: Key) -> tuple[str, ...]:
    """Where a spec says how such layers are."""
    return ("process", key) if key == "within" else (key,)


NormName = Literal["layer_norm", "rms_norm", "none"]


def _switch(model: type[Model], expected: str) -> Discriminator:
    """Tells whether something is there from a mapping that says how it is."""

    def tag(value: Any) -> str | None:
        if isinstance(value, bool):
            return "<all>"
        return "<each>" if isinstance(value, dict | model) else None

    return Discriminator(tag, custom_error_type="switch", custom_error_message=expected)


class Bias(Model):
    """Which linear maps of a layer have a bias."""

    qkv: bool = True
    """Those to queries, keys and values."""
    output: bool = True
    """That of what was attended to."""
    mlp: bool = True
    """Those of the MLP."""


def _one_or_several(value: Any) -> str | None:
    if isinstance(value, str):
        return "<one>"
    return "<several>" if isinstance(value, list) else None


OneOrSeveral = Annotated[
    Annotated[Name, Tag("<one>")]
    | Annotated[list[Name], Field(min_length=1, max_length=MOST), Tag("<several>")],
    Discriminator(
        _one_or_several,
        custom_error_type="of",
        custom_error_message="expected a name, `time`, or several, `[height, width]`",
    ),
]


class Rotary(Model):
    """Rotary positions: pairs of channels of queries and keys are turned by angles that grow with their
    positions, so that products depend on how far apart these are (RoFormer, arXiv 2104.09864)."""

    of: OneOrSeveral | None = None
    """The axis of tokens along which they are counted, or the name of a coordinate that is given
    (default: the one of `position: {rotary: ...}`, else the number of the token). Several, `[height,
    width]`, share the pairs: the first of them are turned by the first, and so on, as many by each."""
    fraction: PositiveFraction = 1.0
    """The share of the channels of each head that is turned, the first ones."""
    base: PositiveNumber | None = None
    """Angles are x / base^(k / pairs) for k = 0 .. pairs - 1 (default: 10000)."""
    wavelengths: Lengths | None = None
    """In place of `base`, the shortest and the longest wave, of 2 pi: angles are 2 pi x / w, where w
    goes from one to the other in equal ratios. They are in the unit of the positions."""
    pairs: Literal["interleaved", "halves"] = "interleaved"
    """Which channels are a pair: 2 k and 2 k + 1, as in the paper, or k of the first half of those that
    are turned and k of the second."""
    values: bool = False
    """Whether values are turned as keys are, and what is attended to is turned back as queries were, so
    that what a query finds depends on how far away it is."""


AnyBias = Annotated[
    Annotated[bool, Tag("<all>")] | Annotated[Bias, Tag("<each>")],
    _switch(Bias, "expected `true`, `false`, or which: `{qkv: false}`"),
]
AnyRotary = Annotated[
    Annotated[bool, Tag("<all>")] | Annotated[Rotary, Tag("<each>")],
    _switch(Rotary, "expected `true`, `false`, or how: `{fraction: 0.5}`"),
]


class Layers(Model):
    """The style of layers: what a paper says once for all of them."""

    norm: NormName = "layer_norm"
    """What normalises the channels. A LayerNorm has weight and bias, an RMSNorm a weight."""
    norm_at: Literal["before", "after"] = "before"
    """Whether a norm stands before attention and MLP, x + f(norm(x)), or after them, x + norm(f(x))."""
    norm_epsilon: PositiveNumber = 1e-5
    """Added to the variance in every norm, or to the mean square in an RMSNorm."""
    shared_norm: bool = False
    """Whether what reads and what is read have one norm, with the same weights (default: each its own)."""
    mlp_norm: NormName | None = None
    """The norm of the MLP, where it is not that of the attention (default: `norm`)."""
    hidden_norm: NormName = "none"
    """A norm of the hidden channels of the MLP, behind the non-linearity."""
    qk_norm: NormName = "none"
    """A norm of queries and keys, of the channels of each head, with weights that all heads share."""
    key_heads: Count | None = None
    """Heads of keys and values, each read by as many heads of queries: they divide `heads`, and are as
    wide (default: as many as there are of queries). Said of all layers, a part with fewer `heads` has as
    many as those."""
    scale: PositiveNumber | None = None
    """What products of queries and keys are multiplied by (default: one over the root of the channels
    of a head)."""
    rotary: AnyRotary = False
    """Whether queries and keys are turned by their positions, and how. A part that says some of it takes
    the rest from `layers`."""
    mapped_twice: bool = False
    """Whether a linear map without bias stands before each of those to queries, keys and values, and a
    second one behind that of what was attended to: an attention of another library between linear layers."""
    bias: AnyBias = True
    """Whether the linear maps have a bias: all, none, or which."""
    mlp: bool = True
    """Whether an MLP follows the attention."""
    widening: Count | None = None
    """Hidden width of the MLP as a multiple of its input's (default: 1)."""
    hidden: Count | None = None
    """Hidden width of the MLP, in place of `widening`."""
    activation: ActivationName | None = None
    """Non-linearity of the MLP (default: `gelu`; `gelu_tanh` in the deepmind dialect)."""
    gated: bool = False
    """Whether the hidden channels are multiplied by the activation of as many others, mapped from the
    input like they are: GEGLU with `gelu`, SwiGLU with `silu`."""
    dropout: Fraction = 0.0
    """The share of values, of what an attention and an MLP give, that is set to zero in training: in
    the PyTorch module alone."""


class Heads(Model):
    """The sizes of an attention."""

    heads: Count = 1
    """Attention heads; they divide the widths of queries, keys and values."""
    qk_width: Count | None = None
    """Width of queries and keys over all heads."""
    v_width: Count | None = None
    """Width of values over all heads (default: that of the keys)."""


class AttentionLayers(Layers, Heads):
    """Layers with an attention: its sizes, and the style."""


class CrossLayers(AttentionLayers):
    """Layers in which one array reads another."""

    query_norm: NormName | None = None
    """The norm of what reads, where it is not that of what is read (default: `norm`)."""
    value_norm: NormName | None = None
    """A norm for values alone, of what is read (default: none, they are made of what keys are made of)."""


class Encode(CrossLayers):
    """Cross-attention from the latents to the inputs. Default `qk_width`: the inputs' width."""

    query_residual: bool = True
    """Whether the latents are added to what was attended to."""
    over: Axis | None = None
    """The axis of the inputs that is read along: each place of the others has latents of its own, which
    read what lies there, and queries are asked at each (default: all tokens are read together). An input
    without the axis has one token at each place. Positions of a grid are those along the axis."""
    keys: list[Literal["inputs", "latents"]] = ["inputs"]
    """What is read: the inputs, or the inputs and the latents themselves, as resamplers do. Latents that
    are tokens are read as latents, and the inputs are those before them."""
    causal: bool = False
    """Whether a latent that is a token reads only what comes before it, and itself."""
    cross_attends: NonNegative = 1
    """How often the inputs are read: once before each of the first blocks of `process`. 0 where the
    latents are the tokens of an input and read nothing else: a set of latents that is decoded."""
    share: Literal["none", "all", "all_but_first"] = "none"
    """Which of several cross-attends use the same weights."""
    induced: bool = False
    """Whether each of several cross-attends has latents of its own, and before the next one the inputs
    read those, as `decode` says: induced set attention (Set Transformer, arXiv 1810.00825). Queries that
    are `inputs` are then what has become of the tokens, and the last to read."""


class Within(AttentionLayers):
    """Self-attention among the latents of a place, where `process` is over those of all."""

    heads: Count = 8
    """Attention heads; they divide the widths of queries, keys and values."""
    layers: Count
    """Self-attention layers."""


class Process(AttentionLayers):
    """Self-attention among the latents. Default `qk_width`: the latents' width."""

    heads: Count = 8
    """Attention heads; they divide the widths of queries, keys and values."""
    causal: bool = False
    """Whether a latent reads only those before it, and itself."""
    layers: NonNegative
    """Self-attention layers of a block."""
    over: Axis | None = None
    """An axis at each place of which there are latents, because another one is read along: those of all
    its places read each other (default: those of a place). Queries then read them together."""
    within: Within | None = None
    """Layers in which the latents of a place read each other before those `over` an axis do (default:
    none)."""
    joined: bool = False
    """Whether the latents of a place become one before they read `over` an axis, with the channels of
    all, one latent after the other."""
    blocks: Count = 1
    """How often the block is applied."""
    share: bool = True
    """Whether all blocks use the same weights."""
    weights: Literal["own", "encode"] = "own"
    """Whose weights the layers have. `encode`: those of the cross-attend, by which the latents then read
    each other; what reads and what is read have one norm in it."""


class WidthPadding(Model):
    """A vector per modality, appended to each of its tokens up to a common width."""

    min: NonNegative = 0
    """How many such channels the widest modality gets."""
    learned: bool = True
    """Whether the vectors are learned. If not, they are fixed: zeros, and for the n-th modality a
    one, n-th from the end."""


class Decode(CrossLayers):
    """Cross-attention from the queries to the latents. Default `qk_width`: the latents' width."""

    query_residual: bool = False
    """Whether the queries are added to what was attended to."""
    padding: WidthPadding | None = None
    """Learned channels up to a common width; needed where the queries' widths differ."""
    project: Count | None = None
    """Channels of a linear map after the attention, shared by all outputs."""
    chunks: Count = 1
    """In how many parts the queries are answered; an output with fewer queries is in each part."""


def styled(own: AttentionLayers, common: Layers | None) -> AttentionLayers:
    """Layers with what is said of all of them, where they say nothing of their own."""
    given = set() if common is None else common.model_fields_set - own.model_fields_set
    if "hidden" in own.model_fields_set or "widening" in own.model_fields_set:
        given -= {"hidden", "widening"}  # two words for one width
    if common is not None and common.key_heads and own.heads < common.key_heads:
        given -= {"key_heads"}
    new = {key: getattr(common, key) for key in given}
    if common is not None and own.rotary and isinstance(common.rotary, Rotary):
        new["rotary"] = _turned_as(own.rotary, common.rotary)
    return own.model_copy(update=new)


def _turned_as(own: bool | Rotary, common: Rotary) -> Rotary:
    """How all layers turn, but for what these say; of `base` and `wavelengths` one replaces the other."""
    if isinstance(own, bool):
        return common
    said = {key: getattr(own, key) for key in own.model_fields_set}
    if {"base", "wavelengths"} & said.keys():
        said = {"base": None, "wavelengths": None} | said
    return common.model_copy(update=said)
