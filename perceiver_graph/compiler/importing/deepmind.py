"""Checkpoints that DeepMind released: which of the six models one is, its sizes and its tensors.

Source: google-deepmind/deepmind-research, perceiver/, colabs included.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from perceiver_graph.compiler.importing import classes
from perceiver_graph.compiler.importing.draft import Draft
from perceiver_graph.compiler.importing.pickled import Pickled
from perceiver_graph.compiler.importing.pickles import read_pickle
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.weights.files import Tensor, Tensors
from perceiver_graph.diagnostics import DiagnosticError, quote

_DEPTH = 12
_MOST = 100_000  # parameters; the largest file released has 457

_SIGNS: tuple[tuple[str, str], ...] = (
    (classes.MULTIMODAL, "multimodal_preprocessor/"),
    (classes.FLOW, "flow_decoder/"),
    (classes.CONV, "image_preprocessor/~/conv2_d_downsample/"),
    (classes.LEARNED, "image_preprocessor/~/conv2_d/"),
    (classes.MASKED_LM, "embed/"),
    (classes.FOURIER, "classification_decoder/"),
)
"""What the path of a module tells; the first that is seen."""

_HEADS: Mapping[str, tuple[int, int, int]] = {
    classes.MASKED_LM: (8, 8, 1),
    classes.LEARNED: (8, 1, 8),
    classes.FOURIER: (8, 1, 8),
    classes.CONV: (8, 1, 8),
    classes.FLOW: (16, 1, 1),
    classes.MULTIMODAL: (8, 1, 1),
}
"""What no shape tells, as released: heads of self-attention and of cross-attention, blocks."""


@dataclass(frozen=True)
class Parameters:
    """The tensors of a file, with the axes of ours, and the configuration that fits them."""

    model_class: str
    tensors: Tensors
    config: Mapping[str, Any]


def read_parameters(path: Path) -> Parameters:
    """Open a .pystate or .pickle file. Raises DiagnosticError (PG301, PG306, PG312)."""
    arrays = dict(_flatten(path, _trees(path, read_pickle(path))))
    tensors = {name: _tensor(name, array) for name, array in sorted(arrays.items())}
    found = next((c for c, sign in _SIGNS if any(n.startswith(sign) for n in tensors)), None)
    if found is None:
        raise DiagnosticError.of(
            "PG306",
            f"the parameters of {quote(path)} have names of no model that DeepMind released",
            notes=[f"it holds {', '.join(quote(name) for name in list(tensors)[:5]) or 'none'}"],
        )
    return Parameters(found, Tensors(path, tensors), _config(found, tensors))


def adapt(model_class: str, draft: Draft) -> None:
    """Change the spec of a transformers class into that of the original model, in place."""
    data = draft.data
    if model_class == classes.LEARNED:
        del data["decode"]["query_residual"]
        draft.remarks["decode",] = "the query is not added, unlike in transformers"
    if model_class == classes.MASKED_LM:
        data["outputs"]["text"]["query_mask"] = "text"
    draft.data = {"dialect": "deepmind", **data}


# What the file holds


def _trees(path: Path, content: Any) -> list[Any]:
    """The parameters, and the state if it is there."""
    if isinstance(content, dict) and isinstance(content.get("params"), dict):
        return [content["params"], content.get("state") or {}]
    if isinstance(content, dict):
        return [content]
    raise DiagnosticError.of(
        "PG306", f"{quote(path)} holds no dictionary of parameters but a {type(content).__name__}"
    )


def _flatten(path: Path, trees: list[Any]) -> Iterator[tuple[str, Pickled]]:
    """Arrays by `module/path/parameter`."""
    waiting: list[tuple[str, Any, int]] = [("", tree, 0) for tree in reversed(trees)]
    seen = 0
    while waiting:
        name, value, depth = waiting.pop()
        seen += 1
        if isinstance(value, dict) and depth < _DEPTH and seen < _MOST:
            below = [(f"{name}/{k}" if name else k, v, depth + 1) for k, v in value.items()]
            waiting.extend(reversed(below))
        elif isinstance(value, Pickled) and value.dtype is not None:
            yield name, value
        else:
            raise DiagnosticError.of(
                "PG306",
                f"{quote(path)} is no tree of arrays: {quote(name or 'its root')} is "
                + ("too deep or too large" if isinstance(value, dict) else "no array"),
            )


def _tensor(name: str, array: Pickled) -> Tensor:
    """An array with its axes in our order: linear maps [out, in], kernels [out, in, height, width]."""
    assert array.dtype is not None
    assert array.shape is not None
    order = list(range(len(array.shape)))
    if name.endswith("/w") and len(order) in (2, 4):
        order = [1, 0] if len(order) == 2 else [3, 2, 0, 1]
    code = array.dtype.code

    def read() -> Array:
        return array.array().transpose(order)

    dtype = code if code == "bfloat16" else np.dtype(code).name
    return Tensor(tuple(array.shape[axis] for axis in order), dtype, read)


# Sizes, from the shapes; what no shape tells is as released


def _config(model_class: str, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """A configuration as transformers has it. Tensors that are absent are reported later."""
    heads, cross_heads, blocks = _HEADS[model_class]
    encoder = "encoder" if model_class == classes.MULTIMODAL else "perceiver_encoder"

    def size(name: str, axis: int, otherwise: int = 1) -> int:
        tensor = tensors.get(name)
        return tensor.shape[axis] if tensor is not None and len(tensor.shape) > axis else otherwise

    layers = [n for n in tensors if n.startswith(f"{encoder}/~/self_attention")]
    width = size(f"{encoder}/~/trainable_position_encoding/pos_embs", 1)
    kv_width = size(f"{encoder}/~/cross_attention/attention/linear_1/w", 1)
    qk = size(f"{encoder}/~/self_attention/attention/linear/w", 0, width)
    v = size(f"{encoder}/~/self_attention/attention/linear_2/w", 0, width)
    cross_qk = size(f"{encoder}/~/cross_attention/attention/linear/w", 0, kv_width)
    own_qk = (qk, cross_qk) != (width, kv_width)
    return {
        "num_latents": size(f"{encoder}/~/trainable_position_encoding/pos_embs", 0),
        "d_latents": width,
        "num_blocks": blocks,
        "num_self_attends_per_block": len({name.split("/")[2] for name in layers}),
        "num_self_attention_heads": heads,
        "num_cross_attention_heads": cross_heads,
        "qk_channels": qk if own_qk else None,
        "v_channels": v if own_qk else None,
        "self_attention_widening_factor": max(
            1, size(f"{encoder}/~/self_attention/mlp/linear/w", 0, width) // width
        ),
        "cross_attention_widening_factor": max(
            1, size(f"{encoder}/~/cross_attention/mlp/linear/w", 0, width) // width
        ),
        "hidden_act": "gelu",  # that of the dialect: the tanh approximation
        **_own_sizes(model_class, size),
    }


def _own_sizes(model_class: str, size: Callable[..., int]) -> dict[str, Any]:
    classifier = "classification_decoder/~/basic_decoder/output/w"
    positions = "image_preprocessor/~_build_network_inputs/trainable_position_encoding/pos_embs"
    queries = "classification_decoder/~/basic_decoder/~/trainable_position_encoding/pos_embs"
    match model_class:
        case classes.MASKED_LM:
            return {
                "vocab_size": size("embed/embeddings", 0),
                "d_model": size("embed/embeddings", 1),
                "max_position_embeddings": size("trainable_position_encoding/pos_embs", 0),
            }
        case classes.LEARNED:
            return {"num_labels": size(classifier, 0), "image_size": math.isqrt(size(positions, 0))}
        case classes.MULTIMODAL:
            return {
                "num_labels": size("classification_postprocessor/linear/w", 0),
                "samples_per_patch": size("audio_postprocessor/linear/w", 0),
                "output_num_channels": size("projection_postprocessor/linear/w", 1),
                "_label_trainable_num_channels": size(queries, 1),
            }
        case classes.FLOW:
            return {}
        case _:
            return {"num_labels": size(classifier, 0)}
