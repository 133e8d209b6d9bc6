"""What braindecode calls the parameters of LUNA."""

from __future__ import annotations

from perceiver_graph.compiler.weights.systems import (
    Cut,
    Heads,
    Numbered,
    Published,
    Size,
    System,
)

_THREE = ("query", "key", "value")
_WITHIN = "cross_attn.query_self_attn.layers."
_FREQUENCIES = "attn.rotary_emb.freqs"

SYSTEMS = (
    System(
        "braindecode",
        "luna",
        "LUNA of braindecode",
        ("cross_attn.query_embed", "final_layer.learned_agg", "blocks.0.attn.qkv_proj.weight"),
        (
            (r"^latents$", ("cross_attn.query_embed",)),
            (r"^queries\.\w+\.table$", ("final_layer.learned_agg",)),
            (r"^encoder\.cross_attend\.attention\.latent_norm\.", ("cross_attn.queries_norm.",)),
            (r"^encoder\.cross_attend\.attention\.input_norm\.", ("cross_attn.keys_norm.",)),
            (r"^encoder\.cross_attend\.attention\.value_norm\.", ("cross_attn.values_norm.",)),
            (r"^encoder\.cross_attend\.attention\.", ("cross_attn.cross_attention.",)),
            (r"^encoder\.cross_attend\.mlp\.dense(\d)\.", (r"cross_attn.ffn.fc\1.",)),
            (r"^within\.layers\.(\d+)\.attention\.norm\.", (rf"{_WITHIN}\1.norm1.",)),
            (r"^within\.layers\.(\d+)\.attention\.", (rf"{_WITHIN}\1.self_attn.",)),
            (r"^within\.layers\.(\d+)\.mlp\.norm\.", (rf"{_WITHIN}\1.norm2.",)),
            (r"^within\.layers\.(\d+)\.mlp\.dense(\d)\.", (rf"{_WITHIN}\1.linear\2.",)),
            (r"^process\.layers\.(\d+)\.attention\.norm\.", (r"blocks.\1.norm1.",)),
            (r"^process\.layers\.(\d+)\.attention\.output\.", (r"blocks.\1.attn.proj.",)),
            (
                r"^process\.layers\.(\d+)\.attention\.(\w+)\.(\w+)$",
                (r"blocks.\1.attn.qkv_proj.\3[\2]",),
            ),
            (r"^process\.layers\.(\d+)\.mlp\.norm\.", (r"blocks.\1.norm2.",)),
            (r"^process\.layers\.(\d+)\.mlp\.hidden_norm\.", (r"blocks.\1.mlp.norm.",)),
            (r"^process\.layers\.(\d+)\.mlp\.dense(\d)\.", (r"blocks.\1.mlp.fc\2.",)),
            (r"^decoder\.cross_attend\.attention\.input_norm\.", ("norm.",)),
            (r"^decoder\.cross_attend\.attention\.", ("final_layer.decoder_attn.",)),
            (r"^heads\.\w+\.hidden\.", ("final_layer.decoder_ffn.fc1.",)),
            (r"^heads\.\w+\.linear\.", ("final_layer.decoder_ffn.fc2.",)),
            (r"\.(query|key|value)\.(weight|bias)$", (r".in_proj_\2[\1]",)),
            (r"\.output\.", (".out_proj.",)),
        ),
        (
            Cut(r"\.in_proj_(?:weight|bias)$", _THREE),
            Cut(r"\.qkv_proj\.(?:weight|bias)$", _THREE),
        ),
        {
            "inputs.signal.shape.channel": Size("cross_attn.query_embed", -1),
            "latents.count": Size("cross_attn.query_embed", -2),
            "latents.width": Size("cross_attn.query_embed", -1),
            "encode.heads": Published(2),
            "process.within.layers": Numbered(_WITHIN),
            "process.within.heads": Published(2),
            "process.layers": Numbered("blocks."),
            "process.heads": Heads(
                "blocks.0.attn.proj.weight", 0, 32, pairs=f"blocks.0.{_FREQUENCIES}"
            ),
            "decode.heads": Published(2),
            "outputs.label.query.learned.width": Size("final_layer.learned_agg", -1),
            "outputs.label.head.mlp.hidden": Size("final_layer.decoder_ffn.fc1.weight", 0),
            "outputs.label.head.mlp.channels": Size("final_layer.decoder_ffn.fc2.weight", 0),
        },
        # What makes features of a signal, what stands for features that are hidden in training, and
        # numbers that no training changes.
        beside=r"^(?:patch_embed|freq_embed|channel_location_embedder|mask_token)\b"
        rf"|^cross_attn\.temp\w+$|\.{_FREQUENCIES}$",
    ),
)
