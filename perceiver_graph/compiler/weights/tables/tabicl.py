"""TabICL's embedding of columns: `ColEmbedding` of tabicl, whose attention is torch's."""

from __future__ import annotations

from perceiver_graph.compiler.weights.names import Rules
from perceiver_graph.compiler.weights.systems import Cut, Heads, Numbered, Size, System

IN_PROJECTION = Cut(r"\.in_proj_(?:weight|bias)$", ("query", "key", "value"))
TORCH_ATTENTION: Rules = (
    (r"\.attention\.(query|key|value)\.(\w+)$", (r".attn.in_proj_\2[\1]",)),
    (r"\.attention\.output\.", (".attn.out_proj.",)),
)
"""`torch.nn.MultiheadAttention`, called `attn`."""
_LAST = tuple(rf"tf_col.blocks.{n}.multihead_attn2." for n in reversed(range(64)))
"""The highest number that there is: the last block, in which the queries read."""

SYSTEMS = (
    System(
        "tabicl",
        "tabicl_columns",
        "ColEmbedding of tabicl",
        ("in_linear.weight", "tf_col.blocks.0.ind_vectors", "out_w.weight", "out_b.weight"),
        (
            (r"^inputs\.\w+\.linear\.", ("in_linear.",)),
            (r"^latents$", ("tf_col.blocks.0.ind_vectors",)),
            (r"^encoder\.latents\.(\d+)\.table$", (r"tf_col.blocks.\1.ind_vectors",)),
            (r"^encoder\.cross_attends\.(\d+)\.", (r"tf_col.blocks.\1.multihead_attn1.",)),
            (r"^encoder\.cross_attend\.", ("tf_col.blocks.0.multihead_attn1.",)),
            (r"^encoder\.read_backs\.(\d+)\.", (r"tf_col.blocks.\1.multihead_attn2.",)),
            (r"^decoder\.cross_attend\.", _LAST),
            *TORCH_ATTENTION,
            (r"\.attention\.norm\.", (".norm1.",)),
            (r"\.mlp\.norm\.", (".norm2.",)),
            (r"\.mlp\.dense(\d)\.", (r".linear\1.",)),
            (r"^heads\.weights\.linear\.", ("out_w.",)),
            (r"^heads\.biases\.linear\.", ("out_b.",)),
            (r"^heads\.weights\.output_norm\.", ("ln_w.",)),
            (r"^heads\.biases\.output_norm\.", ("ln_b.",)),
        ),
        (IN_PROJECTION,),
        {
            "latents.count": Size("tf_col.blocks.0.ind_vectors", 0),
            "latents.width": Size("tf_col.blocks.0.ind_vectors", 1),
            "inputs.cells.shape.channel": Size("in_linear.weight", 1),
            "inputs.cells.steps.0.linear": Size("in_linear.weight", 0),
            "layers.hidden": Size("tf_col.blocks.0.multihead_attn1.linear1.weight", 0),
            "encode.heads": Heads("tf_col.blocks.0.multihead_attn1.attn.out_proj.weight", 0, 16),
            "encode.cross_attends": Numbered("tf_col.blocks."),
            "decode.heads": Heads("tf_col.blocks.0.multihead_attn2.attn.out_proj.weight", 0, 16),
            "outputs.weights.head.linear": Size("out_w.weight", 0),
            "outputs.biases.head.linear": Size("out_b.weight", 0),
        },
    ),
)
