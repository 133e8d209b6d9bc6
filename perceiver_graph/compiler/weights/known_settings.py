"""The settings of a transformers configuration that are known here; of others a person is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perceiver_graph.diagnostics import quote

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
"""Those of `PerceiverConfig`, transformers 5.x."""

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
