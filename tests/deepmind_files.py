"""Files as DeepMind released them, with random values: haiku's names, mappings and state, pickled.

Names and operations are those of tests/haiku_names; nothing of the package is used here.
"""

from __future__ import annotations

import pickle
import re
import sys
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

TABLES = Path(__file__).parent / "haiku_names"

RELEASED = {
    "MaskedLM": ("language_perceiver_io_bytes.pickle", 26),
    "ImageClassificationLearned": ("imagenet_learned_position_encoding.pystate", 6),
    "ImageClassificationFourier": ("imagenet_fourier_position_encoding.pystate", 6),
    "ImageClassificationConvProcessing": ("imagenet_conv_preprocessing.pystate", 6),
    "OpticalFlow": ("optical_flow_checkpoint.pystate", 24),
    "MultimodalAutoencoding": ("video_autoencoding_checkpoint.pystate", 8),
}
"""The file and the number of self-attention layers of each model that was released."""

Tree = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A parameter in haiku and in transformers."""

    path: str
    shape: tuple[int, ...]
    name: str
    operation: str


def rows(short_class: str) -> Iterator[Row]:
    """The parameters of a model as released."""
    for line in (TABLES / f"{short_class}.tsv").read_text().splitlines()[1:]:
        path, shape, name, _, operation = line.split("\t")
        sizes = tuple(int(n) for n in re.findall(r"\d+", shape))
        yield Row(path, sizes, name, operation)
        if "/self_attention_1/" in path:
            for i in range(2, RELEASED[short_class][1]):
                other = path.replace("self_attention_1/", f"self_attention_{i}/")
                theirs = name.replace("self_attends.1.", f"self_attends.{i}.")
                yield Row(other, sizes, theirs, operation)


def tree(short_class: str, model: nn.Module) -> Tree:
    """The parameters of a transformers model as `{module: {parameter: array}}` of haiku."""
    state = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    found: Tree = {}
    for row in rows(short_class):
        if row.operation == "dropped":
            array = np.ones(row.shape, np.float32)
        elif row.name in state:
            array = state.pop(row.name)
            if row.operation == "transpose":
                array = np.ascontiguousarray(array.T)
            elif row.operation == "squeeze":
                array = array[None, None, None]
        else:
            continue  # a layer that the small model does not have
        module, _, parameter = row.path.rpartition("/")
        found.setdefault(module, {})[parameter] = array
    state.pop("perceiver.input_preprocessor.convnet.batchnorm.num_batches_tracked", None)
    assert not state
    return found


def content(short_class: str, model: nn.Module, mapping: type = dict) -> Any:
    """What the file holds: of the classifiers parameters and state apart, of the others only the
    parameters; in mappings of this type."""
    whole = tree(short_class, model)
    if not short_class.startswith("Image"):
        return mapping(whole)
    state = {module: whole.pop(module) for module in list(whole) if "_ema" in module}
    return {"params": mapping(whole), "state": mapping(state)}


@contextmanager
def haiku_mapping() -> Iterator[type]:
    """A mapping that is pickled under the name and in the form of haiku's."""
    name = "haiku._src.data_structures"
    module = types.ModuleType(name)
    before = {part: sys.modules.get(part) for part in ("haiku", "haiku._src", name)}
    namespace = {"__module__": name, "__init__": _keep, "__reduce__": _reduce}
    module.FlatMapping = type("FlatMapping", (), namespace)  # type: ignore[attr-defined]
    sys.modules.update(dict.fromkeys(before, module))
    try:
        yield module.FlatMapping
    finally:
        for part, former in before.items():
            if former is None:
                del sys.modules[part]
            else:
                sys.modules[part] = former


def _keep(self: Any, mapping: Mapping[str, Any]) -> None:
    self.mapping = mapping


def _reduce(self: Any) -> Any:
    return type(self), (self.mapping,)


def write(short_class: str, model: nn.Module, folder: Path, protocol: int = 4) -> Path:
    """The file, under the name it was released with."""
    path = folder / RELEASED[short_class][0]
    with haiku_mapping() as mapping:
        path.write_bytes(pickle.dumps(content(short_class, model, mapping), protocol))
    return path
