"""Weights: initial values, safetensors files, transformers folders, and everything that can be
wrong with them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from perceiver_graph.compiler.ir import Graph
from perceiver_graph.compiler.lower import lower
from perceiver_graph.compiler.ops.base import Array
from perceiver_graph.compiler.weights import initialize, load
from perceiver_graph.compiler.weights.files import read_tensors
from perceiver_graph.compiler.weights.names import collapse
from perceiver_graph.compiler.weights.transformers import TransformersLayout
from perceiver_graph.diagnostics import DiagnosticError, Report, render
from perceiver_graph.spec.loader import load_spec, parse_spec

SPEC = """
perceiver: 1
name: small
inputs:
  sound:
    shape: {time: 12, channel: 1}
    steps: [{patch: {time: 3}}]
    position: {fourier: {bands: 2}}
  kind: {shape: {channel: 9}, mask: always}
join: {padding: {min: 2}}
latents: {count: 4, width: 8, init_scale: 0.5}
encode: {heads: 1}
process: {layers: 3, heads: 2}
decode: {padding: {min: 1}, project: 6}
outputs:
  kind: {query: {learned: {count: 1, width: 5}}, head: {linear: 9}}
"""

Tensors = dict[str, Array]


def small(*overrides: str) -> Graph:
    return lower(parse_spec(SPEC, "small.yaml", overrides)).graph


@pytest.fixture(scope="module")
def graph() -> Graph:
    return small()


@pytest.fixture(scope="module")
def values(graph: Graph) -> Tensors:
    return initialize(graph, 0)


def theirs(values: Tensors, prefix: str = "perceiver.") -> Tensors:
    """The same values under the names and in the shapes that transformers gives them."""
    layer = {
        "attention.latent_norm": "attention.self.layernorm1",
        "attention.query_norm": "attention.self.layernorm1",
        "attention.norm": "attention.self.layernorm1",
        "attention.input_norm": "attention.self.layernorm2",
        "attention.query": "attention.self.query",
        "attention.key": "attention.self.key",
        "attention.value": "attention.self.value",
        "attention.output": "attention.output.dense",
        "mlp.norm": "layernorm",
        "mlp.dense1": "mlp.dense1",
        "mlp.dense2": "mlp.dense2",
    }
    places = {
        "encode.cross_attend": "encoder.cross_attention",
        "decode.cross_attend": "decoder.decoder.decoding_cross_attention",
    } | {f"process.layers.{i}": f"encoder.self_attends.{i}" for i in range(3)}
    names = {
        "latents": "embeddings.latents",
        "inputs.sound.padding": "input_preprocessor.padding.sound",
        "inputs.sound.mask": "input_preprocessor.mask.sound",
        "inputs.kind.padding": "input_preprocessor.padding.kind",
        "inputs.kind.mask": "input_preprocessor.mask.kind",
        "queries.kind.padding": "decoder.padding.kind",
        "queries.kind.table": "decoder.modalities.kind.decoder.output_position_encodings"
        ".position_embeddings",
    }
    for end in ("weight", "bias"):
        names |= {
            f"{ours}.{part}.{end}": f"{place}.{other}.{end}"
            for ours, place in places.items()
            for part, other in layer.items()
        }
        names[f"decode.project.{end}"] = f"decoder.decoder.final_layer.{end}"
        names[f"heads.kind.linear.{end}"] = f"output_postprocessor.modalities.kind.classifier.{end}"
    return {
        prefix + names[name]: value[None] if name.endswith(("padding", "mask")) else value
        for name, value in values.items()
    }


CONFIG = {
    "model_type": "perceiver",
    "num_self_attention_heads": 2,
    "num_cross_attention_heads": 1,
    "num_blocks": 1,
}


def folder(path: Path, tensors: Tensors, **settings: Any) -> Path:
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(json.dumps(CONFIG | settings))
    save_file(tensors, path / "model.safetensors")
    return path


def file(path: Path, tensors: Tensors) -> Path:
    save_file(tensors, path / "weights.safetensors")
    return path / "weights.safetensors"


def problems(path: str | Path, graph: Graph) -> tuple[list[str], str]:
    """The codes and the whole text of what is wrong."""
    with pytest.raises(DiagnosticError) as caught:
        load(path, graph)
    found = caught.value.diagnostics
    return [d.code for d in found], render(found)


# Initial values


def test_initial_values_follow_their_kind(values: Tensors) -> None:
    assert all(value.dtype == np.float32 for value in values.values())
    assert np.all(values["process.layers.0.mlp.norm.weight"] == 1)
    assert np.all(values["process.layers.0.mlp.norm.bias"] == 0)
    big = initialize(small("latents.count=4000"), 0)["latents"]
    assert big.std() == pytest.approx(0.5, rel=0.02)
    assert abs(big.mean()) < 0.01


def test_initial_values_depend_on_seed_and_name_alone(values: Tensors) -> None:
    again = initialize(small("process.layers=1", "join.padding.min=7"), 0)
    same = "process.layers.0.mlp.dense1.weight"
    assert np.array_equal(values[same], again[same])
    assert not np.array_equal(values[same], initialize(small(), 1)[same])
    assert not np.array_equal(values[same], values["process.layers.1.mlp.dense1.weight"])
    assert not np.array_equal(values[same], initialize(small(), -1)[same])


def test_initial_values_are_the_same_in_another_process(values: Tensors) -> None:
    code = (
        "import hashlib, sys\n"
        "from perceiver_graph.compiler.lower import lower\n"
        "from perceiver_graph.compiler.weights import initialize\n"
        "from perceiver_graph.spec.loader import parse_spec\n"
        "values = initialize(lower(parse_spec(sys.stdin.read())).graph, 0)\n"
        "print(values['latents'].tobytes().hex())\n"
    )
    root = Path(__file__).resolve().parent.parent
    run = subprocess.run(
        [sys.executable, "-c", code],
        input=SPEC,
        capture_output=True,
        text=True,
        cwd=root,
        check=True,
    )
    assert run.stdout.strip() == values["latents"].tobytes().hex()


# Files


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64, ml_dtypes.bfloat16])
def test_every_float_format_is_read(
    dtype: Any, tmp_path: Path, graph: Graph, values: Tensors
) -> None:
    report = Report()
    stored = {name: value.astype(dtype) for name, value in values.items()}
    found = load(file(tmp_path, stored), graph, report=report)
    for name, value in stored.items():
        assert found[name].dtype == np.float32
        assert np.array_equal(found[name], value.astype(np.float32))
    notes = [d.message for d in report.diagnostics]
    expected = f"{len(values)} tensors converted from {np.dtype(dtype).name} to float32"
    assert notes == ([] if dtype == np.float32 else [expected])


def test_a_header_is_read_without_its_tensors(tmp_path: Path) -> None:
    tensors = read_tensors(file(tmp_path, {"b": np.zeros((2, 0), np.int8), "a": np.ones(3, "f2")}))
    assert tensors.names == ("a", "b")
    assert tensors.shapes == {"a": (3,), "b": (2, 0)}
    assert tensors.dtypes == {"a": "float16", "b": "I8"}
    assert np.array_equal(tensors.get("a"), np.ones(3, np.float32))
    with pytest.raises(DiagnosticError, match="PG305"):
        tensors.get("b")


def test_other_formats_are_refused(tmp_path: Path, graph: Graph, values: Tensors) -> None:
    name = "process.layers.0.mlp.dense1.weight"
    path = file(tmp_path, values | {name: np.zeros((8, 8), np.int8)})
    codes, text = problems(path, graph)
    assert codes == ["PG305"]
    assert f"I8: {name}" in text


def _truncated(path: Path) -> None:
    save_file({"a": np.ones(100, np.float32)}, path)
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("name", "write", "words"),
    [
        ("absent.safetensors", lambda path: None, "there is no file or folder"),
        ("empty.safetensors", lambda path: path.write_bytes(b""), "not a complete safetensors"),
        ("text.safetensors", lambda path: path.write_text("hello " * 99), "not a complete"),
        ("cut.safetensors", _truncated, "not a complete safetensors"),
        ("model.bin", lambda path: path.write_bytes(b"PK\3\4...."), "torch.load('model.bin'"),
        ("model.pth", lambda path: path.write_bytes(b""), "convert it with PyTorch"),
        ("model.PKL", lambda path: path.write_bytes(b"\x80\4."), "runs whatever program"),
        ("model.pickle", lambda path: path.write_bytes(b"\x80\4."), "runs whatever program"),
        ("disguised.safetensors", lambda path: path.write_bytes(b"\x80\4.cos\n"), "is a pickle"),
        ("zipped.safetensors", lambda path: path.write_bytes(b"PK\3\4" * 9), "is a pickle"),
        ("nul\0.safetensors", lambda path: None, "there is no file or folder"),
    ],
)
def test_what_is_no_safetensors_file(
    name: str, write: Callable[[Path], object], words: str, tmp_path: Path, graph: Graph
) -> None:
    write(tmp_path / name)
    codes, text = problems(tmp_path / name, graph)
    assert codes == ["PG301"]
    assert words in text


def test_the_name_of_a_model_on_a_hub_is_explained(graph: Graph) -> None:
    codes, text = problems("deepmind/multimodal-perceiver", graph)
    assert codes == ["PG301"]
    assert "hf download deepmind/multimodal-perceiver" in text


# Fitting


def test_our_own_names(tmp_path: Path, graph: Graph, values: Tensors) -> None:
    for tensors in (values, {f"module.{name}": value for name, value in values.items()}):
        found = load(file(tmp_path, tensors), graph)
        assert found.keys() == values.keys()
        assert all(np.array_equal(found[name], values[name]) for name in values)


def test_a_folder_of_this_package(tmp_path: Path, graph: Graph, values: Tensors) -> None:
    file(tmp_path, values)
    assert np.array_equal(load(tmp_path, graph)["latents"], values["latents"])


@pytest.mark.parametrize("prefix", ["perceiver.", "", "model.perceiver.", "module."])
def test_names_of_transformers(prefix: str, tmp_path: Path, graph: Graph, values: Tensors) -> None:
    tensors = theirs(values, prefix)
    tensors[f"{prefix}input_preprocessor.padding.none"] = np.zeros((1, 0), np.float32)
    for path in (file(tmp_path, tensors), folder(tmp_path / "checkpoint", tensors)):
        found = load(path, graph)
        assert found.keys() == values.keys()
        assert all(np.array_equal(found[name], values[name]) for name in values)


def test_every_misfit_is_reported_at_once(tmp_path: Path, graph: Graph, values: Tensors) -> None:
    tensors = theirs(values)
    for end in ("weight", "bias"):
        del tensors[f"perceiver.encoder.self_attends.1.mlp.dense1.{end}"]
        del tensors[f"perceiver.encoder.self_attends.2.mlp.dense1.{end}"]
        tensors[f"perceiver.extra.{end}"] = np.ones(2, np.float32)
    tensors["perceiver.embeddings.latents"] = np.ones((8, 4), np.float32)
    tensors["perceiver.decoder.padding.kind"] = np.ones((1, 3), np.float32)
    codes, text = problems(folder(tmp_path, tensors), graph)
    assert sorted(codes) == ["PG302", "PG303", "PG304", "PG304"]
    assert "4 tensors are missing" in text
    assert "process.layers.{1..2}.mlp.dense1.{weight, bias}" in text
    assert "(perceiver.encoder.self_attends.{1..2}.mlp.dense1.{weight, bias} in the che" in text
    assert "perceiver.extra.{bias, weight}" in text
    assert "expected [4, 8], found [8, 4]: latents" in text
    assert "(perceiver.embeddings.latents in the checkpoint)" in text
    assert "expected [1], found [1, 3]: queries.kind.padding" in text
    assert "small.yaml:11:1" in text  # the line of the latents


def test_axes_of_size_one_must_match_in_our_own_layout(
    tmp_path: Path, graph: Graph, values: Tensors
) -> None:
    tensors = values | {"inputs.kind.mask": values["inputs.kind.mask"][None]}
    assert problems(file(tmp_path, tensors), graph)[0] == ["PG304"]


def test_a_parameter_that_transformers_does_not_have(tmp_path: Path, values: Tensors) -> None:
    own_weights = small("process.blocks=2", "process.share=false")
    codes, text = problems(file(tmp_path, theirs(values)), own_weights)
    assert set(codes) == {"PG302", "PG303"}
    assert "the checkpoint's layout has no name for it" in text


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(
    bad: float, tmp_path: Path, graph: Graph, values: Tensors
) -> None:
    tensors = theirs(values)
    for layer in (0, 2):
        tensors[f"perceiver.encoder.self_attends.{layer}.mlp.dense2.bias"] = np.full(8, bad, "f4")
    codes, text = problems(file(tmp_path, tensors), graph)
    assert codes == ["PG308"]
    assert "not finite: perceiver.encoder.self_attends.{0, 2}.mlp.dense2.bias" in text


def test_float64_beyond_float32_is_not_finite(
    tmp_path: Path, graph: Graph, values: Tensors
) -> None:
    path = file(tmp_path, values | {"latents": np.full((4, 8), 1e300)})
    assert problems(path, graph)[0] == ["PG308"]


@pytest.mark.parametrize("tensors", [{}, {"conv1.weight": np.ones((2, 2), np.float32)}])
def test_names_of_no_known_layout(tensors: Tensors, tmp_path: Path, graph: Graph) -> None:
    codes, text = problems(file(tmp_path, tensors), graph)
    assert codes == ["PG306"]
    assert "perceiver.embeddings.latents" in text


# Folders of transformers


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


# Names


@pytest.mark.parametrize(
    ("names", "patterns"),
    [
        ([], []),
        (["a"], ["a"]),
        (["a", "a.b", "a.c"], ["a", "a.{b, c}"]),
        (["x.0.w", "x.1.w", "x.2.w", "x.5.w", "x.10.w"], ["x.{0..2, 5, 10}.w"]),
        (["l.0.a.w", "l.0.a.b", "l.1.a.w", "l.1.a.b"], ["l.{0..1}.a.{w, b}"]),
        (["l.0.a", "l.0.b", "l.1.a"], ["l.0.{a, b}", "l.1.a"]),
    ],
)
def test_names_are_collapsed_without_loss(names: list[str], patterns: list[str]) -> None:
    found = collapse(names)
    assert list(found) == patterns
    assert sorted(name for members in found.values() for name in members) == sorted(names)


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
        "decode.cross_attend.mlp.norm.bias": "decoder.decoding_cross_attention.layernorm.bias",
        "heads.classes.linear.weight": "decoder.decoder.final_layer.weight",
    }
    for ours, name in examples.items():
        assert f"perceiver.{name}" in layout.candidates(ours)
    assert layout.candidates("heads.text.bias") == ["embedding_decoder.bias"]


def test_kinetics_loads_in_a_blink(tmp_path: Path) -> None:
    graph = lower(load_spec("kinetics")).graph
    values = initialize(graph, 3)
    found = load(file(tmp_path, values), graph)
    assert sum(value.size for value in found.values()) == graph.parameter_count
    assert load_file(tmp_path / "weights.safetensors").keys() == found.keys()
