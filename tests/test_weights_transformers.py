"""Checkpoints of transformers: names, folders, shards and settings, right and wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.weights import initialize, load
from perceiver_graph.compiler.weights.transformers import TransformersLayout
from tests.checkpoints import Tensors, file, folder, problems, small, theirs


@pytest.fixture(scope="module")
def graph() -> Graph:
    return small()


@pytest.fixture(scope="module")
def values(graph: Graph) -> Tensors:
    return initialize(graph, 0)


@pytest.mark.parametrize("prefix", ["perceiver.", "", "model.perceiver.", "module."])
def test_names_of_transformers(prefix: str, tmp_path: Path, graph: Graph, values: Tensors) -> None:
    tensors = theirs(values, prefix)
    tensors[f"{prefix}input_preprocessor.padding.none"] = np.zeros((1, 0), np.float32)
    for path in (file(tmp_path, tensors), folder(tmp_path / "checkpoint", tensors)):
        found = load(path, graph)
        assert found.keys() == values.keys()
        assert all(np.array_equal(found[name], values[name]) for name in values)


def test_a_parameter_that_transformers_does_not_have(tmp_path: Path, values: Tensors) -> None:
    own_weights = small("process.blocks=2", "process.share=false")
    codes, text = problems(file(tmp_path, theirs(values)), own_weights)
    assert set(codes) == {"PG302", "PG303"}
    assert "the checkpoint's layout has no name for it" in text


def test_shards(tmp_path: Path, graph: Graph, values: Tensors) -> None:
    tensors = theirs(values)
    path = folder(tmp_path, tensors)
    (path / "model.safetensors").unlink()
    names = sorted(tensors)
    listed = {name: f"model-{i % 2}.safetensors" for i, name in enumerate(names)}
    for shard in set(listed.values()):
        save_file({n: tensors[n] for n in names if listed[n] == shard}, path / shard)
    index = path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": listed}))
    found = load(path, graph)
    assert all(np.array_equal(found[name], values[name]) for name in values)

    index.write_text(json.dumps({"weight_map": listed | {names[0]: "model-1.safetensors"}}))
    assert "lacks the tensor" in problems(path, graph)[1]
    for outside in ("../model-1.safetensors", "/etc/passwd", "a\\b", ".."):
        index.write_text(json.dumps({"weight_map": listed | {names[0]: outside}}))
        assert "outside its folder" in problems(path, graph)[1]
    for content in ("{}", '{"weight_map": {"a": 1}}', '{"weight_map": []}'):
        index.write_text(content)
        assert "`weight_map`" in problems(path, graph)[1]
    index.write_text(json.dumps({"weight_map": listed}))
    (path / "model-1.safetensors").unlink()
    assert "there is no file" in problems(path, graph)[1]


def _without(name: str) -> Callable[[Path], object]:
    return lambda path: (path / name).unlink()


def _with_config(text: str | bytes) -> Callable[[Path], object]:
    data = text.encode() if isinstance(text, str) else text
    return lambda path: (path / "config.json").write_bytes(data)


def _only_pickle(path: Path) -> None:
    (path / "model.safetensors").rename(path / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (_without("config.json"), "PG301", "has no config.json"),
        (_without("model.safetensors"), "PG301", "has no model.safetensors"),
        (_only_pickle, "PG301", "pytorch_model.bin: pickles"),
        (_with_config("{"), "PG301", "is not JSON"),
        (_with_config(b"\xff\xfe"), "PG301", "is not JSON"),
        (_with_config("[" * 100_000), "PG301", "is not JSON"),
        (_with_config("[]"), "PG301", "should hold a JSON object"),
        (_with_config('{"model_type": "bert"}'), "PG306", "of the model type `bert`"),
        (_with_config("{}"), "PG306", "of the model type `none`"),
    ],
    ids=["no_config", "no_weights", "pickle", "cut", "not_utf8", "deep", "list", "bert", "none"],
)
def test_folders_that_are_no_checkpoints(
    change: Callable[[Path], object],
    code: str,
    words: str,
    tmp_path: Path,
    graph: Graph,
    values: Tensors,
) -> None:
    path = folder(tmp_path, theirs(values))
    change(path)
    codes, text = problems(path, graph)
    assert codes == [code]
    assert words in text


@pytest.mark.parametrize(
    ("setting", "value", "spec_key"),
    [
        ("num_self_attention_heads", 4, "process.heads"),
        ("num_cross_attention_heads", 13, "encode.heads"),
        ("num_blocks", 8, "process.blocks"),
        ("use_query_residual", False, "encode.query_residual"),
        ("hidden_act", "relu", "process.activation"),
    ],
)
def test_settings_that_no_shape_tells(
    setting: str, value: object, spec_key: str, tmp_path: Path, graph: Graph, values: Tensors
) -> None:
    codes, text = problems(folder(tmp_path, theirs(values), **{setting: value}), graph)
    assert codes == ["PG309"]
    assert f"`{setting}` = {value}" in text
    assert f"`{spec_key}`" in text


def test_settings_that_agree(tmp_path: Path, values: Tensors) -> None:
    overrides = {
        "num_blocks": (2, "process.blocks=2"),
        "use_query_residual": (False, "encode.query_residual=false"),
        "hidden_act": ("gelu_new", "process.activation=gelu_tanh"),
    }
    for setting, (value, override) in overrides.items():
        path = folder(tmp_path, theirs(values), **{setting: value})
        assert load(path, small(override)).keys() == values.keys()


def test_other_models_of_transformers_are_named_too() -> None:
    layout = TransformersLayout("perceiver.")
    examples = {
        "inputs.text.embedding.weight": "input_preprocessor.embeddings.weight",
        "inputs.text.position.table": "input_preprocessor.position_embeddings.weight",
        "inputs.image.position.table": "input_preprocessor.position_embeddings.position_embeddings",
        "inputs.image.position.project.bias": "input_preprocessor.positions_projection.bias",
        "inputs.image.conv.weight": "input_preprocessor.convnet.conv.weight",
        "inputs.image.batch_norm.running_var": "input_preprocessor.convnet.batchnorm.running_var",
        "inputs.image.linear.weight": "input_preprocessor.convnet_1x1.weight",
        "inputs.frames.linear.weight": "input_preprocessor.conv_after_patches.weight",
        "queries.text.table": "decoder.output_position_encodings.position_embeddings",
        "queries.classes.table": "decoder.decoder.output_position_encodings.position_embeddings",
        "decoder.cross_attend.mlp.norm.bias": "decoder.decoding_cross_attention.layernorm.bias",
        "heads.classes.linear.weight": "decoder.decoder.final_layer.weight",
    }
    for ours, name in examples.items():
        assert f"perceiver.{name}" in layout.candidates(ours)
    assert layout.candidates("heads.text.bias") == ["embedding_decoder.bias"]
