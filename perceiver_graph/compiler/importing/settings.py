"""The configuration of a transformers checkpoint: only what a model class asks for is looked at.

Defaults are those of `PerceiverConfig`, transformers 5.x. What is wrong is collected, so that one
run shows all of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from perceiver_graph.compiler.weights.configuration import ACTIVATIONS
from perceiver_graph.diagnostics import Report, quote
from perceiver_graph.spec.models.base import LARGEST

DEFAULTS: Mapping[str, Any] = {
    "num_latents": 256,
    "d_latents": 1280,
    "d_model": 768,
    "num_blocks": 1,
    "num_self_attends_per_block": 26,
    "num_self_attention_heads": 8,
    "num_cross_attention_heads": 8,
    "qk_channels": None,
    "v_channels": None,
    "cross_attention_shape_for_attention": "kv",
    "self_attention_widening_factor": 1,
    "cross_attention_widening_factor": 1,
    "hidden_act": "gelu",
    "use_query_residual": True,
    "vocab_size": 262,
    "max_position_embeddings": 2048,
    "image_size": 56,
    "train_size": [368, 496],
    "num_frames": 16,
    "audio_samples_per_frame": 1920,
    "samples_per_patch": 16,
    "output_shape": [1, 16, 224, 224],
    "output_num_channels": 512,
    "_label_trainable_num_channels": 1024,
}

_NO_EFFECT = {
    *("architectures", "model_type", "transformers_version", "_name_or_path", "name_or_path"),
    *("dtype", "torch_dtype", "initializer_range", "attention_probs_dropout_prob"),
    *("id2label", "label2id", "num_labels", "problem_type", "_commit_hash", "license"),
    *("pad_token_id", "bos_token_id", "eos_token_id", "sep_token_id", "cls_token_id"),
    *("mask_token_id", "tokenizer_class", "task_specific_params", "finetuning_task"),
    *("layer_norm_eps",),  # PerceiverConfig has it, and no layer of the model reads it
    *("_attn_implementation", "_attn_implementation_autoset", "attn_implementation", "auto_map"),
    *("use_return_dict", "tf_legacy_loss", "xla_device"),
    # How language models write one word after the other, which no Perceiver here does.
    *("prefix", "decoder_start_token_id", "max_length", "min_length", "do_sample"),
    *("early_stopping", "num_beams", "num_beam_groups", "diversity_penalty", "temperature"),
    *("top_k", "top_p", "typical_p", "repetition_penalty", "length_penalty", "bad_words_ids"),
    *("no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "output_scores"),
    *("num_return_sequences", "return_dict_in_generate", "forced_bos_token_id"),
    *("forced_eos_token_id", "remove_invalid_values", "exponential_decay_length_penalty"),
    *("suppress_tokens", "begin_suppress_tokens"),
}
"""Settings that change nothing of what a model answers, or that are followed elsewhere."""

_GENERIC: Mapping[str, Any] = {
    "output_hidden_states": False,
    "output_attentions": False,
    "return_dict": True,
    "use_cache": True,
    "torchscript": False,
    "use_bfloat16": False,
    "pruned_heads": {},
    "tie_word_embeddings": True,
    "chunk_size_feed_forward": 0,
    "is_encoder_decoder": False,
    "is_decoder": False,
    "add_cross_attention": False,
    "cross_attention_hidden_size": None,
    "tie_encoder_decoder": False,
    "gradient_checkpointing": False,
}
"""What any configuration of transformers may hold, and what it says where it means nothing."""


def not_followed(config: Mapping[str, Any]) -> list[str]:
    """A sentence for each setting that would be dropped silently, not being known here.

    What says nothing (null, an empty list) is left out.
    """
    known = {*DEFAULTS, *_NO_EFFECT}
    return [
        f"the setting {quote(key)} of the configuration, {quote(value)}, is not known here and "
        "was not followed"
        for key, value in config.items()
        if key not in known
        and value not in (None, {}, [], "")
        and not (key in _GENERIC and _GENERIC[key] == value)
    ]


@dataclass
class Settings:
    """Typed access to a configuration; a value that cannot be used is reported (PG310)."""

    config: Mapping[str, Any]
    report: Report = field(default_factory=Report)
    notes: list[str] = field(default_factory=list)
    """What was not followed, for a person to know."""

    def count(self, key: str, least: int = 1) -> int:
        """An integer of at least `least`."""
        value = self._get(key)
        if type(value) is int and least <= value <= LARGEST:
            return value
        self._wrong(key, f"an integer from {least} on")
        return max(least, 1)

    def optional(self, key: str) -> int | None:
        """An integer of at least 1, or None."""
        return None if self._get(key) is None else self.count(key)

    def counts(self, key: str, length: int) -> list[int]:
        """A list of so many integers."""
        value = self._get(key)
        fits = isinstance(value, list | tuple) and len(value) == length
        if fits and all(type(n) is int and 1 <= n <= LARGEST for n in value):
            return list(value)
        self._wrong(key, f"a list of {length} positive integers")
        return [1] * length

    def flag(self, key: str) -> bool:
        """A boolean, or a number that stands for one."""
        value = self._get(key)
        if isinstance(value, bool | int | float):
            return bool(value)
        self._wrong(key, "true or false")
        return True

    def by_query(self) -> bool:
        """Whether cross-attention is by default as wide as what asks, not as what is read."""
        value = self._get("cross_attention_shape_for_attention")
        if value not in ("q", "kv"):
            self._wrong("cross_attention_shape_for_attention", "`q` or `kv`")
        return bool(value == "q")

    def activation(self) -> str:
        """The activation of every MLP, by the name it has in specs."""
        value = self._get("hidden_act")
        if isinstance(value, str) and value in ACTIVATIONS:
            return ACTIVATIONS[value]
        self._wrong("hidden_act", f"one of {', '.join(ACTIVATIONS)}")
        return "gelu"

    def labels(self) -> int | None:
        """How many classes there are; None where the configuration leaves it out."""
        names = self.config.get("id2label")
        if isinstance(names, dict) and names:
            return len(names)
        value = self.config.get("num_labels")
        return value if type(value) is int and 1 <= value <= LARGEST else None

    def label_names(self, count: int) -> list[str] | None:
        """What so many classes are called, in order; None for names that are only numbers.

        Names that cannot be used are noted.
        """
        given = self.config.get("id2label")
        if given is None:
            return None
        names = list(given.values()) if isinstance(given, dict) else []
        if names and all(re.fullmatch(r"LABEL_\d+", str(name)) for name in names):
            return None
        keys = {str(key): key for key in given} if isinstance(given, dict) else {}
        ordered = [given[keys[str(i)]] for i in range(count) if str(i) in keys]
        if len(ordered) == len(names) == count and all(isinstance(n, str) for n in ordered):
            return ordered
        self.notes.append(
            f"`id2label` of the configuration does not name the {count} classes 0 to {count - 1} "
            "one by one: its names were not taken"
        )
        return None

    def text(self, key: str) -> str | None:
        value = self.config.get(key)
        return value if isinstance(value, str) else None

    def wrong(self, message: str, help: str | None = None) -> None:
        """Report that settings cannot be used together."""
        self.report.error("PG310", message, help=help)

    def _get(self, key: str) -> Any:
        return self.config.get(key, DEFAULTS[key])

    def _wrong(self, key: str, expected: str) -> None:
        self.wrong(f"`{key}` of the configuration is {quote(self._get(key))}, not {expected}")
