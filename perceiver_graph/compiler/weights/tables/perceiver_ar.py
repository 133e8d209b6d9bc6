"""Perceiver AR as perceiver-ar-pytorch has it: `PerceiverAR`."""

from __future__ import annotations

from perceiver_graph.compiler.weights.systems import (
    Cut,
    Heads,
    Hidden,
    Numbered,
    Published,
    Size,
    System,
)

_READ = "perceive_layers.0.0"
_PLACES = Size("pos_emb.weight", 0)

SYSTEMS = (
    System(
        "perceiver_ar_pytorch",
        "perceiver_ar",
        "PerceiverAR of perceiver-ar-pytorch",
        ("to_logits.weight", "token_emb.weight", "pos_emb.weight", f"{_READ}.to_q.weight"),
        (
            (r"^inputs\.\w+\.embedding\.", ("token_emb.",)),
            (r"^inputs\.\w+\.position\.table$", ("pos_emb.weight",)),
            (r"^heads\.\w+\.linear\.", ("to_logits.",)),
            (r"^encoder\.cross_attend\.", ("perceive_layers.0.",)),
            (r"^process\.", ("",)),
            (r"\.mlp\.norm\.", (".1.0.",)),
            (r"\.mlp\.dense1\.", (".1.1.",)),
            (r"\.mlp\.dense2\.", (".1.4.",)),
            (r"^(layers\.\d+)\.attention\.(query|key|value)\.", (r"\1.0.to_qkv.weight[\2]",)),
            (r"\.attention\.(key|value)\.weight$", (r".0.to_kv.weight[\1]",)),
            (r"\.attention\.query\.", (".0.to_q.",)),
            (r"\.attention\.output\.", (".0.to_out.",)),
            (r"\.attention\.input_norm\.", (".0.context_norm.",)),
            (r"\.attention\.(?:latent_)?norm\.", (".0.norm.",)),
            (r"\]weight$", ("]",)),
        ),
        (
            Cut(r"\.to_qkv\.weight$", ("query", "key", "value")),
            Cut(r"\.to_kv\.weight$", ("key", "value")),
        ),
        beside=r"^rotary_pos_emb\.inv_freq$",  # 10000 to the power of steps, as the spec has it
        sizes={
            "dims.length.min": Published(4, _PLACES, more=1),
            "dims.length.max": _PLACES,
            "inputs.text.steps.0.embedding.vocabulary": Size("token_emb.weight", 0),
            "inputs.text.steps.0.embedding.width": Size("token_emb.weight", 1),
            "latents.last": Published(4, _PLACES),
            "encode.heads": Heads(f"{_READ}.to_q.weight", 0, 64),
            "encode.qk_width": Size(f"{_READ}.to_q.weight", 0),
            "layers.hidden": Hidden("perceive_layers.0.1.1.weight", 0),
            "process.layers": Numbered("layers."),
            "process.heads": Heads("layers.0.0.to_out.weight", 1, 64),
            "process.qk_width": Size("layers.0.0.to_out.weight", 1),
            "outputs.next.head.linear": Size("to_logits.weight", 0),
        },
    ),
)
