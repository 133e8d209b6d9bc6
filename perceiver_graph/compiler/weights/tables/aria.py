"""The projector of Aria: `AriaProjector` of transformers, in which torch's attention stands between linear
layers."""

from __future__ import annotations

from perceiver_graph.compiler.weights.systems import Heads, Published, Size, System
from perceiver_graph.compiler.weights.tables.tabicl import IN_PROJECTION

SYSTEMS = (
    System(
        "aria",
        "aria_projector",
        "AriaProjector of transformers",
        ("query", "cross_attn.multihead_attn.in_proj_weight", "feed_forward.linear_in.weight"),
        (
            (r"^latents$", ("query",)),
            (r"^encoder\.cross_attend\.attention\.", ("cross_attn.",)),
            (r"\.latent_norm\.", (".layer_norm.",)),
            (r"\.input_norm\.", (".layer_norm_kv.",)),
            (r"\.(q)uery_first\.|\.(k)ey_first\.|\.(v)alue_first\.", (r".\1\2\3_proj.",)),
            (r"\.(query|key|value)\.(\w+)$", (r".multihead_attn.in_proj_\2[\1]",)),
            (r"\.output\.", (".multihead_attn.out_proj.",)),
            (r"\.output_last\.", (".linear.",)),
            (r"^heads\.\w+\.norm\.", ("layer_norm.",)),
            (r"^heads\.\w+\.hidden\.", ("feed_forward.linear_in.",)),
            (r"^heads\.\w+\.linear\.", ("feed_forward.linear_out.",)),
        ),
        (IN_PROJECTION,),
        {
            "dims.side.min": Published(35),
            "dims.side.max": Published(70),
            "dims.side.multiple_of": Published(35),
            "latents.count": Published("128 * side / 35"),
            "latents.width": Size("query", 1),
            "inputs.image.shape.channel": Size("query", 1),
            "encode.heads": Heads(
                "cross_attn.q_proj.weight", 0, 72, ("vision_config", "num_attention_heads")
            ),
            "outputs.tokens.head.mlp.hidden": Size("feed_forward.linear_in.weight", 0),
            "outputs.tokens.head.mlp.channels": Size("feed_forward.linear_out.weight", 0),
        },
    ),
)
