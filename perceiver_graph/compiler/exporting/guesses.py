"""Which class of transformers a spec may be, and the configurations that may say the same.

These are guesses: `exporter.py` makes a spec of each, as import does, and takes one that is the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from perceiver_graph.compiler.importing import classes
from perceiver_graph.compiler.weights.configuration import ACTIVATIONS
from perceiver_graph.compiler.weights.known_settings import DEFAULTS

Data = Mapping[str, Any]

_THEIR_ACTIVATIONS = {"gelu": "gelu", "gelu_tanh": "gelu_pytorch_tanh", "silu": "silu"}
"""Of several names for the same, the one that is written."""


@dataclass(frozen=True)
class Guess:
    """A configuration, and the size of pictures, which is none of its settings in most classes."""

    config: Mapping[str, Any]
    labels: int
    image_size: tuple[int, int] | None


def model_class(data: Data) -> str:
    """The class that a resolved spec looks most like."""
    modalities, outputs = data["inputs"], data["outputs"]
    if len(modalities) > 1 or len(outputs) > 1:
        return classes.MULTIMODAL
    (one,), (output,) = modalities.values(), outputs.values()
    steps = [next(iter(step), "") for step in one.get("steps", ())]
    if "embedding" in steps:
        tied = "tied_embedding" in (output.get("head") or {})
        return classes.MASKED_LM if tied else classes.TEXT_CLASSIFIER
    if "inputs" in (output.get("query") or {}):
        return classes.FLOW
    if "learned" in (one.get("position") or {}):
        return classes.LEARNED
    return classes.CONV if "conv" in steps else classes.FOURIER


def guesses(found: str, data: Data) -> Iterator[Guess]:
    """Configurations that may say the same as a resolved spec, the most usual one first."""
    own, labels, size = _own(found, data)
    common = {
        "num_latents": at(data, "latents", "count"),
        "d_latents": at(data, "latents", "width"),
        "num_blocks": at(data, "process", "blocks"),
        "num_self_attends_per_block": at(data, "process", "layers"),
        "num_self_attention_heads": at(data, "process", "heads"),
        "num_cross_attention_heads": at(data, "encode", "heads"),
        "self_attention_widening_factor": at(data, "process", "widening"),
        "cross_attention_widening_factor": at(data, "encode", "widening"),
        "hidden_act": _activation(at(data, "process", "activation")),
        "use_query_residual": at(data, "encode", "query_residual"),
    }
    known = {key: value for key, value in (common | own).items() if value is not None}
    qk, v = at(data, "process", "qk_width"), at(data, "process", "v_width")
    for widths in (
        {},
        {"cross_attention_shape_for_attention": "q"},
        {"qk_channels": qk, "v_channels": v},
        {"qk_channels": at(data, "encode", "qk_width"), "v_channels": v},
    ):
        yield Guess({**DEFAULTS, **known, **widths}, labels or 2, size)


def _activation(ours: Any) -> str | None:
    if ours in _THEIR_ACTIVATIONS:
        return _THEIR_ACTIVATIONS[ours]
    return next((name for name, meaning in ACTIVATIONS.items() if meaning == ours), None)


def at(data: Any, *path: str | int) -> Any:
    """What is at a path; None where there is nothing."""
    for key in path:
        try:
            data = data[key]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _own(found: str, data: Data) -> tuple[dict[str, Any], int | None, tuple[int, int] | None]:
    """Settings that only some classes have, the number of labels and the size of pictures."""
    if found == classes.MULTIMODAL:
        return _of_clips(data)
    (one,), (output,) = data["inputs"].values(), data["outputs"].values()
    labels, size = at(output, "head", "linear"), _size(one)
    if found in (classes.MASKED_LM, classes.TEXT_CLASSIFIER):
        symbol = str(next(iter(one["shape"].values()), ""))
        embedding = at(one, "steps", 0, "embedding")
        own = {
            "vocab_size": at(embedding, "vocabulary"),
            "d_model": at(embedding, "width"),
            "max_position_embeddings": at(data, "dims", symbol, "max"),
        }
        return own, labels, None
    if found == classes.LEARNED:
        trained_on = at(one, "position", "learned", "trained_on", "height")
        return {"image_size": trained_on or at(one, "shape", "height")}, labels, size
    if found == classes.FLOW:
        resolution = at(one, "position", "fourier", "max_resolution") or {}
        own = {"train_size": [int(side) for side in resolution.values()]}
        return own, None, size
    return {}, labels, size


def _of_clips(data: Data) -> tuple[dict[str, Any], int | None, tuple[int, int] | None]:
    image, audio = at(data, "inputs", "image"), at(data, "inputs", "audio")
    frames, samples = at(image, "shape", "time"), at(audio, "shape", "time")
    grid = at(data, "outputs", "image", "query", "grid") or {}
    own = {
        "num_frames": frames,
        "audio_samples_per_frame": samples // frames if samples and frames else None,
        "samples_per_patch": at(audio, "steps", 0, "patch", "time"),
        "image_size": int(at(image, "position", "fourier", "max_resolution", "height") or 1),
        "output_shape": [1, *grid.values()],
        "output_num_channels": at(data, "decode", "project"),
        "_label_trainable_num_channels": at(data, "outputs", "label", "query", "learned", "width"),
    }
    return own, at(data, "outputs", "label", "head", "linear"), _size(image)


def _size(entry: Any) -> tuple[int, int] | None:
    height, width = at(entry, "shape", "height"), at(entry, "shape", "width")
    return (height, width) if type(height) is int and type(width) is int else None
