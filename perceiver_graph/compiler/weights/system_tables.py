"""Perceivers that are parts of other systems, and what their libraries call the parameters: one table
for each way of naming. Importing, `compile --weights` and the tests all read these.

Sources of the names: the classes that the tables name.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from perceiver_graph.compiler.weights.names import Rules
from perceiver_graph.compiler.weights.systems import (
    Bands,
    Cut,
    Fourier,
    Heads,
    Hidden,
    Map,
    Numbered,
    Seen,
    Size,
    System,
)
from perceiver_graph.compiler.weights.tables import SINGLE

_LAYERS: Rules = (
    (r"^encoder\.cross_attends\.(\d+)\.", (r"layers.\1.",)),
    (r"^encoder\.cross_attend\.", ("layers.0.",)),
)
"""Reads that follow each other, or one of them."""


@dataclass(frozen=True)
class Found:
    """A system in a checkpoint, and where."""

    system: System
    prefix: str


def find(names: Collection[str]) -> list[Found]:
    """The systems among names of tensors, one after a prefix."""
    known = set(names)
    found: dict[str, Found] = {}
    for system in SYSTEMS:
        found = {p: Found(system, p) for p in system.found_in(known)} | found
    return [found[prefix] for prefix in sorted(found)]


_KEYS_AND_VALUES = Cut(r"\.to_kv\.weight$", ("keys", "values"))
_GATED = Cut(r"(?:\.net\.0|\.1\.0)\.(?:weight|bias)$", ("hidden", "gates"))
"""The map to the hidden channels, in it the one to their gates."""

_LUCIDRAINS: Rules = (
    (r"\.attention\.query\.", (".attention.to_q.",)),
    (r"\.attention\.(key|value)\.weight$", (r".attention.to_kv.weight[\1s]",)),
    (r"\.attention\.output\.", (".attention.to_out.",)),
    (r"\.attention\.(?:latent|query)_norm\.", (".attention.norm.",)),
    (r"\.attention\.input_norm\.", (".attention.norm_context.",)),
)
"""An attention as Phil Wang writes it, whom many follow."""


def _flamingo(*norms: str) -> Rules:
    """A read of a resampler, in two lists; `norms` are those of the tokens and of the latents."""
    return (
        *_LAYERS,
        (r"\.attention\.input_norm\.", (f".0.{norms[0]}.",)),
        (r"\.attention\.latent_norm\.", (f".0.{norms[1]}.",)),
        (r"\.attention\.", (".0.attention.",)),
        (r"\.mlp\.norm\.", (".1.0.",)),
        (r"\.mlp\.dense1\.", (".1.1.",)),
        (r"\.mlp\.dense2\.", (".1.3.",)),
        *_LUCIDRAINS,
        (r"\.attention\.", (".",)),
    )


def _resampler(
    layers: str, query: str, hidden: str, each: int, heads: tuple[str, ...] = ()
) -> dict[str, Seen]:
    """The sizes of latents that read an input and themselves: what stands before the number of a layer,
    and the maps to queries and to the hidden channels of its first."""
    return {
        "latents.count": Size("latents", -2),
        "latents.width": Size("latents", -1),
        "encode.heads": Heads(f"{layers}0.{query}", 0, each, heads),
        "encode.qk_width": Size(f"{layers}0.{query}", 0),
        "encode.cross_attends": Numbered(layers),
        "encode.hidden": Hidden(f"{layers}0.{hidden}", 0),
    }


_ENDS_OF_IP_ADAPTER: Rules = (
    (r"^inputs\.\w+\.linear\.", ("proj_in.",)),
    (r"^heads\.\w+\.linear\.", ("proj_out.",)),
    (r"^heads\.\w+\.output_norm\.", ("norm_out.",)),
)


def _perceiver_pytorch(root: str, cross: str) -> dict[str, Seen]:
    """The sizes of latents that read an input once a block, and themselves."""
    first = f"{root}layers.0.self_attns.0.0.fn.to_q.weight"
    return {
        "latents.count": Size(f"{root}latents", 0),
        "latents.width": Size(f"{root}latents", 1),
        "encode.heads": Heads(f"{cross}fn.to_q.weight", 0, 64),
        "encode.qk_width": Size(f"{cross}fn.to_q.weight", 0),
        "process.heads": Heads(first, 0, 64),
        "process.qk_width": Size(first, 0),
    }


_PERCEIVER_PYTORCH: Rules = (
    (r"\.mlp\.dense1\.(\w+)$", (r".mlp.net.0.\1[hidden]",)),
    (r"\.mlp\.gate\.(\w+)$", (r".mlp.net.0.\1[gates]",)),
    (r"\.mlp\.dense2\.", (".mlp.net.2.",)),
    (r"\.(attention|mlp)\.(to_|net)", (r".\1.fn.\2",)),
    (r"(layers\.\d+\.self_attns\.\d+)\.attention\.", (r"\1.0.",)),
    (r"(layers\.\d+\.self_attns\.\d+)\.mlp\.", (r"\1.1.",)),
    (r"\.attention\.", (".cross_attn.",)),
    (r"\.mlp\.", (".cross_ff.",)),
)
"""Attention and MLP of a block of perceiver-pytorch, each behind its norm."""


_SIZES_OF_IP_ADAPTER = {
    "inputs.image.shape.channel": Size("proj_in.weight", 1),
    "inputs.image.steps.0.linear": Size("proj_in.weight", 0),
    "outputs.tokens.head.linear": Size("proj_out.weight", 0),
}
_NORM_AT_THE_END: Rules = ((r"^heads\.\w+\.norm\.", ("norm.",)),)

SYSTEMS: tuple[System, ...] = (
    System(
        "ip_adapter",
        "ip_adapter_plus",
        "Resampler of IP-Adapter",
        ("proj_in.weight", "latents", "layers.0.0.norm1.weight", "layers.0.0.to_kv.weight"),
        (*_ENDS_OF_IP_ADAPTER, *_flamingo("norm1", "norm2")),
        (_KEYS_AND_VALUES,),
        _resampler("layers.", "0.to_q.weight", "1.1.weight", 64) | _SIZES_OF_IP_ADAPTER,
    ),
    System(
        "ip_adapter_diffusers",
        "ip_adapter_plus",
        "IPAdapterPlusImageProjection of diffusers",
        ("proj_in.weight", "latents", "layers.0.ln0.weight", "layers.0.attn.to_q.weight"),
        (
            *_ENDS_OF_IP_ADAPTER,
            *_LAYERS,
            (r"\.attention\.input_norm\.", (".ln0.",)),
            (r"\.attention\.latent_norm\.", (".ln1.",)),
            (r"\.attention\.(query|key|value)\.", (r".attn.to_\1.",)),
            (r"\.attn\.to_(.)\w+\.", (r".attn.to_\1.",)),
            (r"\.attention\.output\.", (".attn.to_out.0.",)),
            (r"\.mlp\.norm\.", (".ff.0.",)),
            (r"\.mlp\.dense1\.", (".ff.1.net.0.proj.",)),
            (r"\.mlp\.dense2\.", (".ff.1.net.2.",)),
        ),
        sizes=_resampler("layers.", "attn.to_q.weight", "ff.1.net.0.proj.weight", 64)
        | _SIZES_OF_IP_ADAPTER,
    ),
    System(
        "flamingo",
        "openflamingo_resampler",
        "PerceiverResampler of OpenFlamingo and of flamingo-pytorch",
        ("norm.weight", "latents", "layers.0.0.norm_media.weight", "layers.0.0.to_kv.weight"),
        (*_NORM_AT_THE_END, *_flamingo("norm_media", "norm_latents")),
        (_KEYS_AND_VALUES,),
        _resampler("layers.", "0.to_q.weight", "1.1.weight", 64)
        | {"inputs.image.shape.channel": Size("latents", -1)},
    ),
    System(
        "idefics",
        "idefics_resampler",
        "IdeficsPerceiverResampler of transformers",
        ("layer_norm.weight", "latents", "blocks.0.0.context_layer_norm.weight"),
        (
            (r"^encoder\.cross_attends\.(\d+)\.", (r"blocks.\1.",)),
            (r"^encoder\.cross_attend\.", ("blocks.0.",)),
            (r"\.attention\.input_norm\.", (".0.context_layer_norm.",)),
            (r"\.attention\.latent_norm\.", (".0.latents_layer_norm.",)),
            (r"\.attention\.(query|key|value|output)\.", (r".0.\1_proj.",)),
            (r"\.(q|k|v)\w+_proj\.", (r".\1_proj.",)),
            (r"\.attention\.(q|k)_norm\.", (r".0.\1_layer_norm.",)),
            (r"\.mlp\.norm\.", (".1.ln.",)),
            (r"\.mlp\.dense1\.", (".1.fc.",)),
            (r"\.mlp\.dense2\.", (".1.c_proj.",)),
            (r"^heads\.\w+\.norm\.", ("layer_norm.",)),
        ),
        sizes=_resampler(
            "blocks.",
            "0.q_proj.weight",
            "1.fc.weight",
            96,
            ("perceiver_config", "resampler_n_heads"),
        )
        | {"inputs.image.shape.channel": Size("latents", -1)},
        only_with={"layers.qk_norm": "blocks.0.0.q_layer_norm.weight"},
    ),
    System(
        "idefics2",
        "idefics2_connector",
        "Idefics2PerceiverResampler of transformers",
        ("norm.weight", "latents", "layers.0.input_latents_norm.weight"),
        (
            *_LAYERS,
            (r"\.attention\.input_norm\.", (".input_context_norm.",)),
            (r"\.attention\.latent_norm\.", (".input_latents_norm.",)),
            (r"\.attention\.(query|key|value|output)\.", (r".self_attn.\1_proj.",)),
            (r"\.self_attn\.(.)\w+_proj\.", (r".self_attn.\1_proj.",)),
            (r"\.mlp\.norm\.", (".post_attention_layernorm.",)),
            (r"\.mlp\.dense1\.", (".mlp.up_proj.",)),
            (r"\.mlp\.gate\.", (".mlp.gate_proj.",)),
            (r"\.mlp\.dense2\.", (".mlp.down_proj.",)),
            *_NORM_AT_THE_END,
        ),
        sizes=_resampler(
            "layers.",
            "self_attn.q_proj.weight",
            "mlp.up_proj.weight",
            96,
            ("perceiver_config", "resampler_n_heads"),
        )
        | {
            "inputs.image.shape.channel": Size("latents", -1),
            "encode.key_heads": Heads(
                "layers.0.self_attn.k_proj.weight",
                0,
                96,
                ("perceiver_config", "num_key_value_heads"),
            ),
        },
    ),
    System(
        "xtts",
        "xtts_conditioner",
        "PerceiverResampler of coqui-tts",
        ("norm.gamma", "latents", "layers.0.0.to_kv.weight", "layers.0.1.2.weight"),
        (
            (r"^inputs\.\w+\.linear\.", ("proj_context.",)),
            *_LAYERS,
            (r"\.attention\.", (".0.attention.",)),
            (r"\.mlp\.dense1\.(\w+)$", (r".1.0.\1[hidden]",)),
            (r"\.mlp\.gate\.(\w+)$", (r".1.0.\1[gates]",)),
            (r"\.mlp\.dense2\.", (".1.2.",)),
            *_LUCIDRAINS,
            (r"\.attention\.", (".",)),
            (r"^heads\.\w+\.norm\.weight$", ("norm.gamma",)),
        ),
        (_KEYS_AND_VALUES, _GATED),
        {
            **_resampler("layers.", "0.to_q.weight", "1.2.weight", 64),
            "encode.hidden": Hidden("layers.0.1.2.weight", 1),
            "inputs.speech.shape.channel": Size("proj_context.weight", 1, "latents"),
            "inputs.speech.steps": Map("proj_context.weight"),
        },
    ),
    System(
        "chatterbox",
        "chatterbox_conditioner",
        "Perceiver of chatterbox-tts",
        ("pre_attention_query", "attn.to_q.weight", "attn.proj_out.weight"),
        (
            (r"^latents$", ("pre_attention_query",)),
            (r"^encoder\.cross_attend\.attention\.", ("attn.",)),
            (r"^attn\.(query|key|value)\.", (r"attn.to_\1.",)),
            (r"^attn\.to_(.)\w+\.", (r"attn.to_\1.",)),
            (r"^attn\.output\.", ("attn.proj_out.",)),
        ),
        sizes={
            "latents.count": Size("pre_attention_query", -2),
            "latents.width": Size("pre_attention_query", -1),
            "inputs.speech.shape.channel": Size("pre_attention_query", -1),
            "encode.heads": Heads("attn.to_q.weight", 0, 256),
        },
    ),
    System(
        "perceiver_pytorch",
        "lucidrains_perceiver",
        "Perceiver of perceiver-pytorch",
        ("to_logits.2.weight", "latents", "layers.0.cross_attn.norm_context.weight"),
        (
            *_LAYERS,
            (r"^process\.blocks\.(\d+)\.layers\.(\d+)\.", (r"layers.\1.self_attns.\2.",)),
            (r"^process\.layers\.(\d+)\.", (r"layers.0.self_attns.\1.",)),
            *_LUCIDRAINS,
            *_PERCEIVER_PYTORCH,
            (r"^heads\.\w+\.norm\.", ("to_logits.1.",)),
            (r"^heads\.\w+\.linear\.", ("to_logits.2.",)),
        ),
        (_KEYS_AND_VALUES, _GATED),
        {
            **_perceiver_pytorch("", "layers.0.cross_attn."),
            "inputs.image.position.fourier.bands": Bands("layers.0.cross_attn.norm_context.weight"),
            "encode.cross_attends": Numbered("layers."),
            "process.blocks": Numbered("layers."),
            "process.layers": Numbered("layers.0.self_attns."),
            "outputs.label.head.linear": Size("to_logits.2.weight", 0),
        },
        fourier=Fourier(r"\.cross_attn\.(?:norm_context\.|fn\.to_kv\.weight)", channels=3, axes=2),
    ),
    System(
        "perceiver_pytorch_lm",
        "lucidrains_perceiver_io",
        "PerceiverLM of perceiver-pytorch",
        ("perceiver_io.to_logits.weight", "token_emb.weight", "pos_emb.weight"),
        (
            (r"^latents$", ("perceiver_io.latents",)),
            (r"^encoder\.cross_attend\.", ("perceiver_io.cross_attend_block.",)),
            (r"^process\.layers\.(\d+)\.", (r"perceiver_io.layers.\1.self_attns.0.",)),
            *_LUCIDRAINS,
            (r"^decoder\.cross_attend\.attention\.norm", ("perceiver_io.decoder_cross_attn.norm",)),
            (r"^decoder\.cross_attend\.attention\.", ("perceiver_io.decoder_cross_attn.fn.",)),
            *_PERCEIVER_PYTORCH,
            (r"^inputs\.\w+\.embedding\.", ("token_emb.",)),
            (r"^inputs\.\w+\.position\.table$", ("pos_emb.weight",)),
            (r"^heads\.\w+\.linear\.", ("perceiver_io.to_logits.",)),
        ),
        (_KEYS_AND_VALUES, _GATED),
        {
            **_perceiver_pytorch("perceiver_io.", "perceiver_io.cross_attend_block.cross_attn."),
            "dims.length.max": Size("pos_emb.weight", 0),
            "inputs.text.steps.0.embedding.vocabulary": Size("token_emb.weight", 0),
            "inputs.text.steps.0.embedding.width": Size("token_emb.weight", 1),
            "process.layers": Numbered("perceiver_io.layers."),
            "decode.heads": Heads("perceiver_io.decoder_cross_attn.fn.to_q.weight", 0, 64),
            "decode.qk_width": Size("perceiver_io.decoder_cross_attn.fn.to_q.weight", 0),
            "outputs.text.head.linear": Size("perceiver_io.to_logits.weight", 0),
        },
    ),
    *SINGLE,
)
"""In the order in which they are looked for: what is more special comes first."""
