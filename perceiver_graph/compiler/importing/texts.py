"""Specs of the models that read text: `PerceiverForMaskedLM`, `PerceiverForSequenceClassification`."""

from __future__ import annotations

from perceiver_graph.compiler.importing.draft import (
    Configuration,
    Data,
    Draft,
    classifier,
    decoder,
    make_body,
)
from perceiver_graph.compiler.importing.settings import Settings
from perceiver_graph.compiler.importing.yaml_text import Path


def _text(s: Settings) -> tuple[Data, Data]:
    """The symbol `length` and the input."""
    vocabulary, longest = s.count("vocab_size"), s.count("max_position_embeddings")
    text: Data = {
        "shape": {"length": "length"},
        "attention_mask": True,
        "steps": [{"embedding": {"vocabulary": vocabulary, "width": s.count("d_model")}}],
        "position": {"learned": {}, "combine": "add"},
    }
    if _reads_bytes(s):
        text["media"] = {"text": {}}
    return {"length": {"max": longest}}, {"text": text}


def _reads_bytes(s: Settings) -> bool:
    """Whether the vocabulary is that of the byte tokenizer: 256 bytes and 6 special ids."""
    return s.count("vocab_size") == 262


def masked_lm(config: Configuration) -> Draft:
    """Logits over the vocabulary at each position, with the embedding as the last matrix."""
    s = config.settings
    dims, inputs = _text(s)
    width = s.count("d_model")
    decode = {"heads": 8, "qk_width": 256, "v_width": width}
    output: Data = {
        "query": {"grid": {"length": "length"}, "position": {"learned": {"width": width}}},
        "head": {"tied_embedding": "text"},
    }
    if _reads_bytes(s):
        output["media"] = {"text": {}}
    body = make_body(s, width, decode)
    table = f"a table of {s.count('max_position_embeddings')} x {width}"
    remarks: dict[Path, str] = {
        ("inputs", "text", "position"): table,
        ("outputs", "text", "query"): table,
        ("outputs", "text", "head"): f"logits over the {s.count('vocab_size')} ids",
    }
    return Draft({"dims": dims, "inputs": inputs, **body, "outputs": {"text": output}}, remarks)


def text_classifier(config: Configuration) -> Draft:
    """Scores of classes for a whole text."""
    s = config.settings
    dims, inputs = _text(s)
    decode = decoder(s, s.count("d_latents"), query_residual=True)
    body = make_body(s, s.count("d_model"), decode)
    table = f"a table of {s.count('max_position_embeddings')} x {s.count('d_model')}"
    remarks: dict[Path, str] = {("inputs", "text", "position"): table}
    return Draft({"dims": dims, "inputs": inputs, **body, "outputs": classifier(config)}, remarks)
