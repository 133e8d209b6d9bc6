"""Hunyuan3D's decoder of shapes: `ShapeVAE` of hy3dgen, less its encoder, which may stand beside it.

In one matrix there are queries, keys and values of the first head, then of the second, and so on.
"""

from __future__ import annotations

from perceiver_graph.compiler.weights.names import Rules
from perceiver_graph.compiler.weights.systems import (
    Bands,
    Cut,
    Heads,
    Hidden,
    Numbered,
    Published,
    Size,
    System,
)

_LATENTS = Published(4096)
_ASK = "geo_decoder.cross_attn_decoder"
_LAYER = "transformer.resblocks.0"
_NORM = (r"\.c_q?kv\.\w+$", ".attention.q_norm.weight")

_RULES: Rules = (
    (r"^inputs\.\w+\.linear\.", ("post_kl.",)),
    (r"^process\.layers\.(\d+)\.", (r"transformer.resblocks.\1.",)),
    (r"^decoder\.cross_attend\.", (f"{_ASK}.",)),
    (r"^queries\.\w+\.position\.project\.", ("geo_decoder.query_proj.",)),
    (r"^heads\.\w+\.norm\.", ("geo_decoder.ln_post.",)),
    (r"^heads\.\w+\.linear\.", ("geo_decoder.output_proj.",)),
    (r"\.attention\.(q|k)_norm\.", (r".attn.attention.\1_norm.",)),
    (r"\.attention\.(?:query_)?norm\.", (".ln_1.",)),
    (r"\.attention\.input_norm\.", (".ln_2.",)),
    (r"(resblocks\.\d+)\.attention\.(query|key|value)\.(\w+)$", (r"\1.attn.c_qkv.\3[\2]",)),
    (r"\.attention\.query\.", (".attn.c_q.",)),
    (r"\.attention\.(key|value)\.(\w+)$", (r".attn.c_kv.\2[\1]",)),
    (r"\.attention\.output\.", (".attn.c_proj.",)),
    (r"(resblocks\.\d+)\.mlp\.norm\.", (r"\1.ln_2.",)),
    (r"\.mlp\.norm\.", (".ln_3.",)),
    (r"\.mlp\.dense1\.", (".mlp.c_fc.",)),
    (r"\.mlp\.dense2\.", (".mlp.c_proj.",)),
)

SYSTEMS = (
    System(
        "hy3dgen",
        "hunyuan3d_decoder",
        "ShapeVAE of hy3dgen",
        ("post_kl.weight", "geo_decoder.query_proj.weight", f"{_LAYER}.attn.c_qkv.weight"),
        _RULES,
        (
            Cut(r"\.c_qkv\.\w+$", ("query", "key", "value"), "process.heads", _NORM),
            Cut(r"\.c_kv\.\w+$", ("key", "value"), "decode.heads", _NORM),
        ),
        beside=r"^(encoder|pre_kl)\.",
        sizes={
            "inputs.shape.shape.latent": _LATENTS,
            "inputs.shape.shape.channel": Size("post_kl.weight", 1),
            "inputs.shape.steps.0.linear": Size("post_kl.weight", 0),
            "latents.last": _LATENTS,
            "process.layers": Numbered("transformer.resblocks."),
            "process.heads": Heads(
                f"{_LAYER}.attn.c_proj.weight", 0, 64, norm=f"{_LAYER}.attn.attention.q_norm.weight"
            ),
            "process.hidden": Hidden(f"{_LAYER}.mlp.c_fc.weight", 0),
            "decode.heads": Heads(
                f"{_ASK}.attn.c_q.weight", 0, 64, norm=f"{_ASK}.attn.attention.q_norm.weight"
            ),
            "decode.hidden": Hidden(f"{_ASK}.mlp.c_fc.weight", 0),
            "outputs.inside.query.position.fourier.bands": Bands(
                "geo_decoder.query_proj.weight", axes=3
            ),
            "outputs.inside.query.position.project": Size("geo_decoder.query_proj.weight", 0),
            "outputs.inside.head.linear": Size("geo_decoder.output_proj.weight", 0),
        },
        only_with={
            "layers.qk_norm": f"{_LAYER}.attn.attention.q_norm.weight",
            "outputs.inside.norm": "geo_decoder.ln_post.weight",
        },
        only_without={"layers.bias": f"{_LAYER}.attn.c_qkv.bias"},
    ),
)
