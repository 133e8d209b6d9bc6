"""The seven Perceiver classes of transformers: random small configurations, and the published ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from perceiver_graph.compiler.ir.op import Array
from tests.import_support import IMAGE, TEXT

Settings = dict[str, Any]

ACTIVATIONS = ("gelu", "gelu_new", "relu", "silu", "tanh", "sigmoid")
KV_WIDTHS = {
    "ImageClassificationLearned": 512,
    "ImageClassificationFourier": 261,
    "ImageClassificationConvProcessing": 322,
    "OpticalFlow": 322,
}
"""How wide the tokens are in the classes that do not let a configuration choose."""


def random_settings(short_class: str, seed: int) -> Settings:
    """A small configuration that transformers accepts, drawn from all that it can say."""
    rng = np.random.default_rng([seed, len(short_class)])

    def one_of(*choices: Any) -> Any:
        return choices[rng.integers(len(choices))]

    d_model = 8 * int(rng.integers(1, 5))
    width = 8 * int(rng.integers(1, 5))
    given = bool(rng.integers(2))
    by_query = bool(rng.integers(2))
    qk = 8 * int(rng.integers(1, 4)) if given else None
    kv_width = d_model if short_class in TEXT else KV_WIDTHS.get(short_class)
    cross_width = qk or (width if by_query else kv_width)
    cross_heads = [n for n in (1, 2, 4) if cross_width is not None and cross_width % n == 0]
    side = int(rng.integers(1, 4))
    patch = int(rng.integers(1, 6))
    frames = int(rng.integers(2, 4))
    return {
        "num_latents": int(rng.integers(1, 10)),
        "d_latents": width,
        "d_model": d_model,
        "num_blocks": int(rng.integers(1, 4)),
        "num_self_attends_per_block": int(rng.integers(1, 4)),
        "num_self_attention_heads": one_of(1, 2, 4, 8),
        "num_cross_attention_heads": one_of(*cross_heads) if cross_heads else 1,
        "qk_channels": qk,
        "v_channels": width if given else None,  # anything else fails in transformers
        "cross_attention_shape_for_attention": "q" if by_query else "kv",
        "self_attention_widening_factor": int(rng.integers(1, 4)),
        "cross_attention_widening_factor": int(rng.integers(1, 4)),
        "use_query_residual": bool(rng.integers(2)),
        "hidden_act": one_of(*ACTIVATIONS),
        "vocab_size": int(rng.integers(7, 300)),
        "max_position_embeddings": int(rng.integers(2, 20)),
        "num_labels": int(rng.integers(2, 12)),
        "image_size": side if short_class == "MultimodalAutoencoding" else int(rng.integers(2, 9)),
        "train_size": [int(rng.integers(2, 9)), int(rng.integers(2, 9))],
        "num_frames": frames,
        "samples_per_patch": patch,
        "audio_samples_per_frame": patch * int(rng.integers(1, 5)),
        "output_shape": [1, frames, 4 * side, 4 * side],
        "output_num_channels": int(rng.integers(1, 12)),
        "_label_trainable_num_channels": int(rng.integers(1, 400)),
    }


def batched(inputs: Mapping[str, Array], batch: int) -> dict[str, Array]:
    """The same inputs, of a batch of two, for one or three samples."""
    return {name: np.concatenate([array, array[::-1]])[:batch] for name, array in inputs.items()}


_LANGUAGE: Settings = {
    "num_latents": 256,
    "d_latents": 1280,
    "d_model": 768,
    "num_blocks": 1,
    "num_self_attends_per_block": 26,
    "num_self_attention_heads": 8,
    "num_cross_attention_heads": 8,
    "qk_channels": 256,
    "v_channels": 1280,
    "vocab_size": 262,
    "max_position_embeddings": 2048,
}
_IMAGENET: Settings = {
    "num_latents": 512,
    "d_latents": 1024,
    "num_blocks": 8,
    "num_self_attends_per_block": 6,
    "num_self_attention_heads": 8,
    "num_cross_attention_heads": 1,
    "num_labels": 1000,
}
PUBLISHED: dict[str, tuple[str, Settings]] = {
    "MaskedLM": ("language", _LANGUAGE),
    "SequenceClassification": ("text_classification", {**_LANGUAGE, "num_labels": 2}),
    "ImageClassificationLearned": ("imagenet_learned", {**_IMAGENET, "image_size": 224}),
    "ImageClassificationFourier": ("imagenet_fourier", {**_IMAGENET, "image_size": 56}),
    "ImageClassificationConvProcessing": ("imagenet_conv", {**_IMAGENET, "image_size": 56}),
    "OpticalFlow": (
        "optical_flow",
        {
            "num_latents": 2048,
            "d_latents": 512,
            "num_blocks": 1,
            "num_self_attends_per_block": 24,
            "num_self_attention_heads": 16,
            "num_cross_attention_heads": 1,
            "train_size": [368, 496],
        },
    ),
}
"""The spec and the configuration of each released checkpoint; for the autoencoder, see
tests/parity/test_full_size.py. Everything left out is the default of `PerceiverConfig`."""

assert set(IMAGE) < set(PUBLISHED)
