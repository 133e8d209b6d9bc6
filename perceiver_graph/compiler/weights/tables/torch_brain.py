"""What torch-brain calls the parameters of POYO."""

from __future__ import annotations

from perceiver_graph.compiler.weights.systems import (
    Cut,
    Heads,
    Numbered,
    Published,
    Size,
    System,
    Waves,
)

_FREQUENCIES = "rotary_emb.omega"


def _cross(part: str, theirs: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """A cross-attend, and the MLP behind it."""
    return (
        (rf"^{part}\.cross_attend\.attention\.", (f"{theirs}_atn.",)),
        (rf"^{part}\.cross_attend\.mlp\.", (f"{theirs}_ffn.mlp.",)),
    )


SYSTEMS = (
    System(
        "torch_brain",
        "poyo",
        "POYO of torch-brain",
        ("latent_emb.weight", "unit_emb.weight", "session_emb.weight", "enc_atn.to_kv.weight"),
        (
            (r"^inputs\.\w+\.embedding\.unit\.", ("unit_emb.",)),
            (r"^inputs\.\w+\.embedding\.kind\.", ("token_type_emb.",)),
            (r"^inputs\.\w+\.embedding\.weight$", ("session_emb.weight",)),
            (r"^latents$", ("latent_emb.weight",)),
            *_cross("encoder", "enc"),
            *_cross("decoder", "dec"),
            (r"^(enc|dec)_atn\.(key|value)\.weight$", (r"\1_atn.to_kv.weight[\2s]",)),
            (r"^process\.layers\.(\d+)\.mlp\.", (r"proc_layers.\1.1.mlp.",)),
            (r"^process\.layers\.(\d+)\.attention\.", (r"proc_layers.\1.0.",)),
            (r"\.0\.(query|key|value)\.weight$", (r".0.to_qkv.weight[\1]",)),
            (r"\.(?:latent|query)_norm\.", (".norm.",)),
            (r"\.input_norm\.", (".norm_context.",)),
            (r"\.query\.", (".to_q.",)),
            (r"\.output\.", (".to_out.",)),
            (r"\.mlp\.norm\.", (".0.",)),
            (r"\.mlp\.dense1\.(\w+)$", (r".1.net.0.\1[hidden]",)),
            (r"\.mlp\.gate\.(\w+)$", (r".1.net.0.\1[gates]",)),
            (r"\.mlp\.dense2\.", (".1.net.3.",)),
            (r"^heads\.\w+\.linear\.", ("readout.",)),
        ),
        (
            Cut(r"\.to_kv\.weight$", ("keys", "values")),
            Cut(r"\.to_qkv\.weight$", ("query", "key", "value")),
            Cut(r"\.net\.0\.(?:weight|bias)$", ("hidden", "gates")),
        ),
        {
            "inputs.spikes.steps.0.embedding.vocabulary.unit": Size("unit_emb.weight", 0),
            "inputs.spikes.steps.0.embedding.vocabulary.kind": Size("token_type_emb.weight", 0),
            "inputs.spikes.steps.0.embedding.width": Size("unit_emb.weight", 1),
            "inputs.session.steps.0.embedding.vocabulary": Size("session_emb.weight", 0),
            "inputs.session.steps.0.embedding.width": Size("session_emb.weight", 1),
            "latents.count": Size("latent_emb.weight", 0),
            "latents.width": Size("latent_emb.weight", 1),
            "latents.per.step": Published(8),
            "layers.rotary.wavelengths": Waves(_FREQUENCIES),
            "encode.heads": Heads("enc_atn.to_q.weight", 0, 64, pairs=_FREQUENCIES),
            "encode.qk_width": Size("enc_atn.to_q.weight", 0),
            "process.heads": Heads("proc_layers.0.0.to_out.weight", 1, 64, pairs=_FREQUENCIES),
            "process.qk_width": Size("proc_layers.0.0.to_out.weight", 1),
            "process.layers": Numbered("proc_layers."),
            "decode.heads": Heads("dec_atn.to_q.weight", 0, 64, pairs=_FREQUENCIES),
            "decode.qk_width": Size("dec_atn.to_q.weight", 0),
            "outputs.velocity.head.linear": Size("readout.weight", 0),
        },
        beside=rf"^{_FREQUENCIES}$",
    ),
)
