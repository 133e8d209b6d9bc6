"""Small transformers models with random weights, and what they answer, for the tests of `import`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from transformers import PerceiverConfig

from perceiver_graph.compiler.ir.op import Array
from tests.parity.reference import randomise

TEXT = ("MaskedLM", "SequenceClassification")
IMAGE = tuple(f"ImageClassification{kind}" for kind in ("Learned", "Fourier", "ConvProcessing"))
CLASSES = (*TEXT, *IMAGE, "OpticalFlow", "MultimodalAutoencoding")
SIDE = 36
"""Of pictures for the classes whose configuration does not say it."""

BASE: Mapping[str, Any] = {
    "num_latents": 6,
    "d_latents": 16,
    "d_model": 24,
    "num_blocks": 1,
    "num_self_attends_per_block": 2,
    "num_self_attention_heads": 4,
    "num_cross_attention_heads": 1,
    "vocab_size": 50,
    "max_position_embeddings": 12,
    "image_size": 4,
    "train_size": [6, 8],
    "num_frames": 2,
    "audio_samples_per_frame": 12,
    "samples_per_patch": 4,
    "output_shape": [1, 2, 16, 16],
    "output_num_channels": 8,
    "_label_trainable_num_channels": 10,
    "num_labels": 5,
}


def model(short_class: str, seed: int = 0, **settings: Any) -> Any:
    """A model of `PerceiverFor...` with BASE and these settings."""
    factory = getattr(transformers, f"PerceiverFor{short_class}")
    made = factory(PerceiverConfig(**{**BASE, **settings})).eval()
    randomise(made, seed)
    return made


def save(made: Any, folder: Path, **options: Any) -> Path:
    made.save_pretrained(folder, **options)
    return folder


def inputs_of(made: Any, short_class: str, seed: int = 1) -> dict[str, Array]:
    """Random inputs, a batch of two; channels last, as specs have them."""
    rng, config = np.random.default_rng(seed), made.config
    if short_class in TEXT:
        longest = config.max_position_embeddings
        ids = rng.integers(0, config.vocab_size, (2, longest))
        return {"text": ids, "text.attention_mask": rng.random((2, longest)) < 0.7}
    if short_class in IMAGE:
        side = config.image_size if short_class.endswith("Learned") else SIDE
        return {"image": rng.standard_normal((2, side, side, 3), np.float32)}
    if short_class == "OpticalFlow":
        return {"frames": rng.standard_normal((2, 2, *config.train_size, 27), np.float32)}
    samples = config.num_frames * config.audio_samples_per_frame
    side = 4 * config.image_size
    return {
        "audio": rng.standard_normal((2, samples, 1), np.float32),
        "image": rng.standard_normal((2, config.num_frames, side, side, 3), np.float32),
    }


def answer(made: Any, short_class: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """What transformers answers, under the names and in the shapes of the imported spec."""
    tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
    with torch.no_grad():
        if short_class in TEXT:
            found = made(tensors["text"], attention_mask=tensors["text.attention_mask"].long())
            return {"text" if short_class == "MaskedLM" else "label": found.logits.numpy()}
        if short_class in IMAGE:
            return {"label": made(tensors["image"].movedim(-1, 1)).logits.numpy()}
        if short_class == "OpticalFlow":
            return {"flow": made(tensors["frames"].movedim(-1, 2)).logits.numpy()}
        return _reconstruction(made, tensors)


def _reconstruction(made: Any, tensors: Mapping[str, torch.Tensor]) -> dict[str, Array]:
    config = made.config
    patches = config.num_frames * config.audio_samples_per_frame // config.samples_per_patch
    grid = list(config.output_shape[1:])
    points = {
        "audio": torch.arange(patches),
        "image": torch.arange(int(np.prod(grid))),
        "label": None,
    }
    inputs = {
        "audio": tensors["audio"],
        "image": tensors["image"].movedim(-1, 2),
        "label": torch.zeros(2, config.num_labels),
    }
    found = made(inputs, subsampled_output_points=points).logits
    return {
        "audio": found["audio"].reshape(2, patches, -1).numpy(),
        "image": found["image"].reshape(2, *grid, 3).numpy(),
        "label": found["label"].numpy(),
    }
