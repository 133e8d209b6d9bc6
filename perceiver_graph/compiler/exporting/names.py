"""What transformers calls a parameter: of the names in the table that import uses, that of one class.

The table has alternatives, for which a class knows one; here stands which of them a class has not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from perceiver_graph.compiler.importing import classes
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.weights.transformers import TransformersLayout

_LAYOUT = TransformersLayout("perceiver.")
_OF_ONE = ("modalities.", "output_postprocessor.")
"""Only the class of several inputs has these."""
_ABSENT: Mapping[str, tuple[str, ...]] = {
    classes.MULTIMODAL: (),
    classes.MASKED_LM: (*_OF_ONE, "decoder.decoder.", ".position_embeddings.position_embeddings"),
    classes.TEXT_CLASSIFIER: (*_OF_ONE, ".position_embeddings.position_embeddings"),
    classes.LEARNED: (*_OF_ONE, "conv_after_patches", ".position_embeddings.weight"),
    classes.FOURIER: _OF_ONE,
    classes.CONV: _OF_ONE,
    classes.FLOW: (*_OF_ONE, "convnet_1x1"),
}
_ROWS = re.compile(r"\.(?:padding|mask)\.\w+$")
"""Channels that transformers keeps as the only row of a matrix."""
_KERNEL = re.compile(r"\.convnet_1x1\.weight$")
"""A linear map that is a convolution there."""


def renamed(model_class: str, name: str, value: Array) -> tuple[str, Array]:
    """The name and the shape that a parameter has in a class."""
    absent = _ABSENT[model_class]
    candidates = _LAYOUT.candidates(name)
    found = next(n for n in candidates if not any(part in n for part in absent))
    if _ROWS.search(found):
        value = value[None]
    elif _KERNEL.search(found):
        value = value[..., None, None]
    return found, value


def counters(model_class: str, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """What batch normalisation counts while it is trained, and nothing here asks for."""
    if model_class != classes.CONV:
        return {}
    end = ".running_mean"
    return {
        f"{name.removesuffix(end)}.num_batches_tracked": np.zeros((), np.int64)
        for name in tensors
        if name.endswith(end)
    }
