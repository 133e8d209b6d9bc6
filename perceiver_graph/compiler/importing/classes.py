"""The model classes of transformers that can be imported, and how a checkpoint's class is told."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.diagnostics.commands import named, setting
from perceiver_graph.diagnostics.words import did_you_mean

MASKED_LM = "PerceiverForMaskedLM"
TEXT_CLASSIFIER = "PerceiverForSequenceClassification"
LEARNED = "PerceiverForImageClassificationLearned"
FOURIER = "PerceiverForImageClassificationFourier"
CONV = "PerceiverForImageClassificationConvProcessing"
FLOW = "PerceiverForOpticalFlow"
MULTIMODAL = "PerceiverForMultimodalAutoencoding"

CLASSES = (MASKED_LM, TEXT_CLASSIFIER, LEARNED, FOURIER, CONV, FLOW, MULTIMODAL)

OF_PICTURES = (LEARNED, FOURIER, CONV)
"""Those that take single pictures, which a preprocessor of transformers prepares."""

PUBLISHED = (
    "deepmind/language-perceiver",
    "deepmind/vision-perceiver-learned",
    "deepmind/vision-perceiver-fourier",
    "deepmind/vision-perceiver-conv",
    "deepmind/optical-flow-perceiver",
    "deepmind/multimodal-perceiver",
)
"""The checkpoints of the Perceiver IO paper in transformers' form."""

_SIGNS: tuple[tuple[str, str], ...] = (
    (MULTIMODAL, "input_preprocessor.modalities."),
    (MULTIMODAL, "input_preprocessor.padding."),
    (CONV, "input_preprocessor.convnet."),
    (LEARNED, "input_preprocessor.convnet_1x1."),
    (FLOW, "input_preprocessor.conv_after_patches."),
    (MASKED_LM, "decoder.decoding_cross_attention."),
    (TEXT_CLASSIFIER, "input_preprocessor.embeddings."),
    (FOURIER, "decoder.decoder.final_layer."),
)
"""What the name of a tensor tells, after the prefix of `PerceiverModel`; the first that is seen."""


def find_class(
    names: Collection[str], prefix: str, config: Mapping[str, Any], given: str | None
) -> str:
    """The model class: as given, else of the configuration, else told from the tensors.

    Raises DiagnosticError (PG311) for another class, and where nothing tells.
    """
    if names and not any(name.startswith(f"{prefix}decoder.") for name in names):
        raise _bare()
    if given is not None:
        return _known(given)
    listed = config.get("architectures")
    if isinstance(listed, list) and listed and isinstance(listed[0], str):
        if listed[0] in CLASSES:
            return listed[0]
        if listed[0] != "PerceiverModel":
            raise _unknown(listed[0], "the configuration names")
    return told_by_tensors(names, prefix)


def told_by_tensors(names: Collection[str], prefix: str) -> str:
    """The class whose parts these are. Raises DiagnosticError (PG311) where none has them."""
    for model_class, sign in _SIGNS:
        if any(name.startswith(prefix + sign) for name in names):
            return model_class
    raise DiagnosticError.of(
        "PG311",
        "the tensors do not tell which model this is",
        help=f"say it with {setting('--model-class', 'CLASS')}: {', '.join(CLASSES)}",
    )


def _bare() -> DiagnosticError:
    return DiagnosticError.of(
        "PG311",
        "there is no decoder, so no model to import: a bare PerceiverModel has latents alone",
        help=f"make it a whole model: transformers.{MASKED_LM}.from_pretrained(FOLDER) keeps its "
        "tensors and starts the others anew, all but one, which it leaves as memory was: "
        ".embedding_decoder.bias.data.zero_() of the model, then .save_pretrained(OTHER); import OTHER",
    )


def _known(given: str) -> str:
    """The class of this name, which may be shortened to what follows `PerceiverFor`."""
    for model_class in CLASSES:
        if given.lower() in (model_class.lower(), model_class.removeprefix("PerceiverFor").lower()):
            return model_class
    raise _unknown(given, f"{named('--model-class')} names")


def _unknown(name: str, where: str) -> DiagnosticError:
    return DiagnosticError.of(
        "PG311",
        f"{where} the class {quote(name)}, which cannot be imported",
        notes=[f"those that can: {', '.join(CLASSES)}"],
        help=did_you_mean(name, CLASSES),
    )
