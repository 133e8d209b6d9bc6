"""Checkpoints of the Perceiver models in transformers: where they lie and what they call things.

Source of the names: `modeling_perceiver.py`, transformers 5.x (the same since 4.14).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from perceiver_graph.compiler.weights.files import Tensor, Tensors, read_tensors, unreadable
from perceiver_graph.compiler.weights.folders import INDEX, WEIGHTS, place_of_weights
from perceiver_graph.compiler.weights.names import Rules, renamed, same_but_for_ones
from perceiver_graph.diagnostics import DiagnosticError, quote

CONFIG = "config.json"

RULES: Rules = (
    # Inside a layer.
    (r"\.attention\.(?:latent_norm|query_norm|norm)\.", (".attention.self.layernorm1.",)),
    (r"\.attention\.input_norm\.", (".attention.self.layernorm2.",)),
    (r"\.attention\.(query|key|value)\.", (r".attention.self.\1.",)),
    (r"\.attention\.output\.", (".attention.output.dense.",)),
    (r"\.mlp\.norm\.", (".layernorm.",)),
    # Where the layers are. Most decoders have another one inside.
    (r"^latents$", ("embeddings.latents",)),
    (r"^encoder\.cross_attend\.", ("encoder.cross_attention.",)),
    (r"^process\.layers\.(\d+)\.", (r"encoder.self_attends.\1.",)),
    (
        r"^decoder\.cross_attend\.",
        ("decoder.decoder.decoding_cross_attention.", "decoder.decoding_cross_attention."),
    ),
    (r"^decoder\.project\.", ("decoder.decoder.final_layer.", "decoder.final_layer.")),
    # Modalities: what a preprocessor holds, then where it is.
    (r"^inputs\.(\w+)\.(padding|mask)$", (r"input_preprocessor.\2.\1",)),
    (
        r"^(inputs\.\w+)\.position\.table$",
        (r"\1.position_embeddings.position_embeddings", r"\1.position_embeddings.weight"),
    ),
    (r"^(inputs\.\w+)\.position\.project\.", (r"\1.positions_projection.",)),
    (r"^(inputs\.\w+)\.linear\.", (r"\1.conv_after_patches.", r"\1.convnet_1x1.")),
    (r"^(inputs\.\w+)\.conv\.", (r"\1.convnet.conv.", r"\1.convnet_1x1.")),
    (r"^(inputs\.\w+)\.batch_norm\.", (r"\1.convnet.batchnorm.",)),
    (r"^(inputs\.\w+)\.embedding\.", (r"\1.embeddings.",)),
    (r"^inputs\.(\w+)\.", (r"input_preprocessor.modalities.\1.", "input_preprocessor.")),
    # Queries: a decoder for each output of several, or the only one.
    (r"^queries\.(\w+)\.padding$", (r"decoder.padding.\1",)),
    (
        r"^(queries\.\w+)\.(?:position\.)?table$",
        (r"\1.output_position_encodings.position_embeddings",),
    ),
    (r"^(queries\.\w+)\.position\.project\.", (r"\1.positions_projection.",)),
    (
        r"^queries\.(\w+)\.",
        (
            r"decoder.modalities.\1.decoder.",
            r"decoder.modalities.\1.",
            "decoder.decoder.",
            "decoder.",
        ),
    ),
    # Heads.
    (
        r"^heads\.(\w+)\.linear\.",
        (
            r"output_postprocessor.modalities.\1.classifier.",
            "output_postprocessor.classifier.",
            "decoder.decoder.final_layer.",
            "decoder.final_layer.",
        ),
    ),
    (r"^heads\.\w+\.bias$", ("embedding_decoder.bias",)),
)
"""From our name to theirs, one rule after the other; several replacements are alternatives, the most
likely first. Theirs are relative to the `PerceiverModel`."""

_ROOTS = (
    "embeddings.",
    "encoder.",
    "decoder.",
    "input_preprocessor.",
    "output_postprocessor.",
    "embedding_decoder.",
)

_IGNORED = re.compile(r"\.num_batches_tracked$")
"""A counter that training needs and inference does not."""

_ANCHORS = re.compile(
    r"^(?P<prefix>.*?)(?:embeddings\.latents$|encoder\.(?:cross_attention|self_attends)\.)"
)


@dataclass(frozen=True)
class Checkpoint:
    """Tensors and, where there is one, the configuration of the model they belong to."""

    tensors: Tensors
    config: dict[str, Any] | None = None


@dataclass(frozen=True)
class TransformersLayout:
    """The names of `PerceiverModel` after a prefix, such as `perceiver.`."""

    prefix: str

    @classmethod
    def recognise(cls, names: Iterable[str]) -> TransformersLayout | None:
        """The prefix before the latents or encoder layers; None where these are not to be seen."""
        prefixes = {found["prefix"] for name in names if (found := _ANCHORS.match(name))}
        return cls(min(prefixes, key=len)) if prefixes else None

    def candidates(self, name: str) -> list[str]:
        return [self._whole(n) for n in renamed(name, RULES) if n.startswith(_ROOTS)]

    def _whole(self, name: str) -> str:
        """The bias of the language model's output stands beside its `PerceiverModel`."""
        outside = name == "embedding_decoder.bias"
        return (self.prefix.removesuffix("perceiver.") if outside else self.prefix) + name

    def fits(self, shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
        """Axes of size 1 may differ: [1, 303] and [303], a 1 x 1 kernel and a matrix."""
        return same_but_for_ones(shape, wanted)

    def ignores(self, name: str, shape: tuple[int, ...]) -> bool:
        """Training state, or a padding of no channels."""
        return bool(_IGNORED.search(name)) or 0 in shape


def read_folder(folder: Path) -> Checkpoint:
    """Open a folder as `save_pretrained` writes it. DiagnosticError: PG301, PG306."""
    path = folder / CONFIG
    config = read_config(path) if path.is_file() else None
    tensors = folder_tensors(folder)
    if config is None:
        raise DiagnosticError.of(
            "PG301",
            f"the folder {quote(folder)} has no {CONFIG}",
            help=f"name the file itself if its tensors are named as the spec names them, "
            f"`{folder / (INDEX if (folder / INDEX).is_file() else WEIGHTS)}`; "
            f"or copy {CONFIG} beside it",
        )
    return Checkpoint(tensors, config)


def folder_tensors(folder: Path) -> Tensors:
    """The tensors of a folder, which may lie in several files. DiagnosticError: PG301."""
    place = place_of_weights(folder)
    tensors = shards(place.file) if place.is_index else read_tensors(place.file).tensors
    return Tensors(folder, tensors, place.notes)


def read_file(path: Path) -> Tensors:
    """The tensors of a .safetensors file, or of those that an index names. DiagnosticError: PG301."""
    if path.name.endswith(".safetensors.index.json") and path.is_file():
        return Tensors(path, shards(path))
    return read_tensors(path)


def read_config(path: Path) -> dict[str, Any]:
    """The configuration of a Perceiver model. DiagnosticError: PG301, PG306."""
    config = read_json(path)
    if config.get("model_type") != "perceiver":
        raise DiagnosticError.of(
            "PG306",
            f"the checkpoint {quote(path.parent)} is of the model type "
            f"{quote(config.get('model_type', 'none'))}, not `perceiver`",
        )
    return config


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. DiagnosticError: PG301."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise unreadable(path, error) from None
    except (ValueError, RecursionError) as error:
        raise DiagnosticError.of(
            "PG301",
            f"{quote(path)} is not JSON",
            notes=[str(error)],
            help="copy or download it again",
        ) from None
    if not isinstance(data, dict):
        raise DiagnosticError.of("PG301", f"{quote(path)} should hold a JSON object")
    return data


def shards(index: Path, read: Callable[[Path], Tensors] = read_tensors) -> dict[str, Tensor]:
    """The tensors of all the files that an index names. DiagnosticError: PG301."""
    listed = read_json(index).get("weight_map")
    if not isinstance(listed, dict) or not all(isinstance(f, str) for f in listed.values()):
        raise DiagnosticError.of(
            "PG301", f"{quote(index)} has no `weight_map` of tensor names to file names"
        )
    for file in set(listed.values()):
        if PurePosixPath(file).name != file or file == ".." or "\\" in file:
            raise DiagnosticError.of(
                "PG301", f"{quote(index)} names a file outside its folder: {quote(file)}"
            )
    files = {file: read(index.parent / file) for file in sorted(set(listed.values()))}
    absent = [name for name, file in listed.items() if name not in files[file].tensors]
    if absent:
        raise DiagnosticError.of(
            "PG301",
            f"{quote(listed[absent[0]])} lacks the tensor {quote(absent[0])} that {index.name} "
            "promises",
            notes=[f"{len(absent)} such tensors in all"],
            help="copy or download the folder again",
        )
    return {name: files[listed[name]].tensors[name] for name in sorted(listed)}
