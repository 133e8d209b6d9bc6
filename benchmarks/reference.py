"""The transformers side: models with random weights, and each as a module from tensors to tensors.

The models are those of the parity tests, so that what is timed is what is known to agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn

from benchmarks.tasks import Precision
from benchmarks.works import System, Work, inputs_of
from tests.import_support import IMAGE, model
from tests.parity.classes import PUBLISHED
from tests.parity.reference import KINETICS, autoencoder

DTYPES: Mapping[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
}
Answer = tuple[torch.Tensor, ...]


def build(system: System) -> Any:
    """The model with random values for all parameters, LayerNorms too; of released size by default."""
    if system.settings is not None:
        return model(system.short_class, **system.settings)
    if system.short_class == "MultimodalAutoencoding":
        return autoencoder(KINETICS).model
    _, settings = PUBLISHED[system.short_class]
    return model(system.short_class, **{"vocab_size": 262, **settings})


class Peer(nn.Module):
    """A model that takes the tensors of `tensors_of` and returns a float32 tensor an output.

    Floats are converted to the precision inside, so that every contender is given float32. The
    multimodal model of transformers mixes its mask tokens into float32 and then refuses other
    weights: for it, a lower precision is autocast.
    """

    def __init__(self, system: System, weights: Path, precision: Precision) -> None:
        super().__init__()
        factory = getattr(transformers, f"PerceiverFor{system.short_class}")
        self.precision = DTYPES[precision]
        whole = system.short_class == "MultimodalAutoencoding"
        self.dtype = torch.float32 if whole else self.precision
        self.model = factory.from_pretrained(weights).eval().to(self.dtype)
        self.call, self.outputs = _calls(system.short_class)

    def forward(self, *tensors: torch.Tensor) -> Answer:
        """One call of the model."""
        inputs = [t.to(self.dtype) if t.is_floating_point() else t for t in tensors]
        if self.dtype == self.precision:
            return tuple(output.float() for output in self.call(self.model, *inputs))
        with torch.autocast(tensors[0].device.type, self.precision):
            outputs = self.call(self.model, *inputs)
        return tuple(output.float() for output in outputs)


def _calls(short_class: str) -> tuple[Callable[..., Answer], tuple[str, ...]]:
    """How a class is called, and the names that the spec has for its outputs."""
    if short_class in IMAGE:
        return _one, ("label",)
    calls: dict[str, tuple[Callable[..., Answer], tuple[str, ...]]] = {
        "OpticalFlow": (_one, ("flow",)),
        "MaskedLM": (_text, ("text",)),
        "MultimodalAutoencoding": (_multimodal, ("audio", "image", "label")),
    }
    return calls[short_class]


def _one(model: Any, inputs: torch.Tensor) -> Answer:
    return (model(inputs).logits,)


def _text(model: Any, ids: torch.Tensor, mask: torch.Tensor | None = None) -> Answer:
    return (model(ids, attention_mask=mask).logits,)


def _multimodal(
    model: Any,
    audio: torch.Tensor,
    image: torch.Tensor,
    label: torch.Tensor,
    audio_points: torch.Tensor,
    image_points: torch.Tensor,
) -> Answer:
    points = {"audio": audio_points, "image": image_points, "label": None}
    inputs = {"audio": audio, "image": image, "label": label}
    found = model(inputs=inputs, subsampled_output_points=points).logits
    return found["audio"], found["image"], found["label"]


def tensors_of(work: Work, labels: int) -> list[torch.Tensor]:
    """What `Peer` takes: the inputs of a work in the layout of transformers, images channels first.

    `labels` is how many classes the multimodal model knows.
    """
    arrays = {name: torch.from_numpy(array) for name, array in inputs_of(work).items()}
    if work.system.short_class == "MaskedLM":
        return _padded(arrays["text"], work.pad_to)
    if work.system.short_class != "MultimodalAutoencoding":
        (array,) = arrays.values()
        return [array.movedim(-1, -3).contiguous()]
    return [
        arrays["audio"],
        arrays["image"].movedim(-1, -3).contiguous(),
        torch.zeros(work.batch, labels),
        torch.arange(*work.points["audio"]),
        torch.arange(*work.points["image"]),
    ]


def _padded(ids: torch.Tensor, length: int) -> list[torch.Tensor]:
    """Ids and, where there is padding, an attention mask; the id of padding is 0."""
    if not length:
        return [ids]
    more = length - ids.shape[1]
    return [
        nn.functional.pad(ids, (0, more)),
        nn.functional.pad(torch.ones_like(ids), (0, more)),
    ]
