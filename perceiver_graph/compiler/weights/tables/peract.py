"""PerAct's Perceiver: a part of `PerceiverVoxelLangEncoder` of peract, whose convolutions, poolings and heads
stand beside it.

One table of positions is of the 77 tokens of a text and of the voxels behind them.
"""

from __future__ import annotations

from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.weights.names import Rules
from perceiver_graph.compiler.weights.systems import (
    Cut,
    Heads,
    Made,
    Numbered,
    Published,
    Size,
    System,
)

TOKENS = 77
"""Of a text, as CLIP has them."""


def _of_text(table: Array) -> Array:
    return table.reshape(-1, table.shape[-1])[:TOKENS]


def _of_voxels(table: Array) -> Array:
    return table.reshape(-1, table.shape[-1])[TOKENS:]


_POSITIONS = (
    Made("positions.text", ("pos_encoding",), lambda s: (TOKENS, s[-1]), _of_text),
    Made("positions.voxels", ("pos_encoding",), lambda s: (s[-2] - TOKENS, s[-1]), _of_voxels),
)
_READ: Rules = (
    (r"\.attention\.query\.", (".fn.to_q.",)),
    (r"\.attention\.(key|value)\.weight$", (r".fn.to_kv.weight[\1s]",)),
    (r"\.attention\.output\.", (".fn.to_out.",)),
    (r"\.attention\.(?:latent_|query_)?norm\.", (".norm.",)),
    (r"\.attention\.input_norm\.", (".norm_context.",)),
    (r"\.mlp\.norm\.", (".norm.",)),
    (r"\.mlp\.dense1\.(\w+)$", (r".fn.net.0.\1[hidden]",)),
    (r"\.mlp\.gate\.(\w+)$", (r".fn.net.0.\1[gates]",)),
    (r"\.mlp\.dense2\.", (".fn.net.2.",)),
)

SYSTEMS = (
    System(
        "peract",
        "perceiver_actor",
        "PerceiverVoxelLangEncoder of peract",
        ("pos_encoding", "lang_preprocess.weight", "cross_attend_blocks.0.fn.to_kv.weight"),
        (
            (r"^inputs\.text\.linear\.", ("lang_preprocess.",)),
            (r"^inputs\.(text|voxels)\.position\.table$", (r"positions.\1",)),
            (r"^encoder\.cross_attend\.attention\.", ("cross_attend_blocks.0.attention.",)),
            (r"^encoder\.cross_attend\.mlp\.", ("cross_attend_blocks.1.mlp.",)),
            (r"^process\.layers\.(\d+)\.attention\.", (r"layers.\1.0.attention.",)),
            (r"^process\.layers\.(\d+)\.mlp\.", (r"layers.\1.1.mlp.",)),
            (r"^decoder\.cross_attend\.", ("decoder_cross_attn.",)),
            *_READ,
        ),
        (
            Cut(r"\.to_kv\.weight$", ("keys", "values")),
            Cut(r"\.net\.0\.(?:weight|bias)$", ("hidden", "gates")),
        ),
        {
            "inputs.text.shape.channel": Size("lang_preprocess.weight", 1),
            "inputs.text.steps.0.linear": Size("lang_preprocess.weight", 0),
            **{f"inputs.voxels.shape.{axis}": Published(20) for axis in "xyz"},
            "inputs.voxels.shape.channel": Size("lang_preprocess.weight", 0),
            "latents.count": Size("latents", 0),
            "latents.width": Size("latents", 1),
            "layers.hidden": Size("cross_attend_blocks.1.fn.net.2.weight", 1),
            "encode.heads": Heads("cross_attend_blocks.0.fn.to_q.weight", 0, 64),
            "encode.qk_width": Size("cross_attend_blocks.0.fn.to_q.weight", 0),
            "process.layers": Numbered("layers."),
            "process.heads": Heads("layers.0.0.fn.to_q.weight", 0, 64),
            "process.qk_width": Size("layers.0.0.fn.to_q.weight", 0),
            "decode.heads": Heads("decoder_cross_attn.fn.to_q.weight", 0, 64),
            "decode.qk_width": Size("decoder_cross_attn.fn.to_q.weight", 0),
        },
        made=_POSITIONS,
        beside=r"^(?!latents$|positions\.|lang_preprocess\.|cross_attend_blocks\.|layers\.|decoder_cross_)",
    ),
)
