"""Weights: initial values, safetensors files, and everything that can be wrong with them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

import perceiver_graph as pg
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.ir.names import collapse
from perceiver_graph.compiler.ir.text import print_graph
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.compiler.weights import initialize, load
from perceiver_graph.compiler.weights.assign import load_arrays
from perceiver_graph.compiler.weights.files import read_tensors
from perceiver_graph.diagnostics import DiagnosticError, Report
from perceiver_graph.spec.loader import load_spec
from tests.checkpoints import SPEC, Tensors, file, folder, problems, small, theirs


@pytest.fixture(scope="module")
def graph() -> Graph:
    return small()


@pytest.fixture(scope="module")
def values(graph: Graph) -> Tensors:
    return initialize(graph, 0)


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
        "from perceiver_graph.compiler.lowering.lower import lower\n"
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


@pytest.mark.parametrize(
    "form",
    [
        lambda value: value.astype(">f4"),
        np.ma.masked_array,
        lambda value: torch.from_numpy(value).to_sparse(),
        lambda value: torch.quantize_per_tensor(torch.from_numpy(value), 0.25, 0, torch.qint8),
    ],
    ids=["big-endian", "masked", "sparse", "quantised"],
)
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_arrays_and_tensors_of_every_form(form: Any, graph: Graph, values: Tensors) -> None:
    halves = {
        name: (np.arange(value.size) % 9 / 2).reshape(value.shape) for name, value in values.items()
    }
    halves = {name: value.astype(np.float32) for name, value in halves.items()}
    found = load_arrays({name: form(value) for name, value in halves.items()}, graph)
    for name, value in halves.items():
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (
            lambda x: np.ma.masked_array(x, x < x.max()),
            "is a masked array, and some of it is masked",
        ),
        (lambda x: torch.from_numpy(x).to("meta"), "is no array: "),
        (lambda x: [[1], [2, 3]], "is no array: "),
    ],
    ids=["masked", "meta", "ragged"],
)
def test_what_has_no_numbers_to_give_is_refused(
    form: Any, message: str, graph: Graph, values: Tensors
) -> None:
    with pytest.raises(DiagnosticError, match="PG305") as caught:
        load_arrays(values | {"latents": form(values["latents"])}, graph)
    assert f"the tensor `latents` {message}" in caught.value.diagnostics[0].message


def test_a_header_is_read_without_its_tensors(tmp_path: Path) -> None:
    tensors = read_tensors(file(tmp_path, {"b": np.zeros((2, 0), np.int8), "a": np.ones(3, "f2")}))
    assert tensors.names == ("a", "b")
    found = [(tensor.shape, tensor.dtype) for tensor in tensors.tensors.values()]
    assert found == [((3,), "float16"), ((2, 0), "I8")]
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
        ("empty.safetensors", lambda path: path.write_bytes(b""), "is empty"),
        ("text.safetensors", lambda path: path.write_text("hello " * 99), "is text, not weights"),
        ("cut.safetensors", _truncated, "not a complete safetensors"),
        ("model.bin", lambda path: path.write_bytes(b"PK\3\4...."), "model.bin', map_location="),
        ("model.pth", lambda path: path.write_bytes(b"\x80\2."), "convert it with PyTorch"),
        ("model.PKL", lambda path: path.write_bytes(b"\x80\4."), "runs whatever program"),
        ("model.pickle", lambda path: path.write_bytes(b"\x80\4."), "runs whatever program"),
        ("disguised.safetensors", lambda path: path.write_bytes(b"\x80\4.cos\n"), "is a pickle"),
        ("zipped.safetensors", lambda path: path.write_bytes(b"PK\3\4" * 9), "is a pickle"),
        ("nul\0.safetensors", lambda path: None, "there is no file or folder"),
        ("spec.yaml", lambda path: path.write_text("perceiver: 1"), "is YAML text, not weights"),
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
    assert "perceiver-graph import hf://deepmind/multimodal-perceiver" in text


# Fitting


def test_our_own_names(tmp_path: Path, graph: Graph, values: Tensors) -> None:
    for tensors in (values, {f"module.{name}": value for name, value in values.items()}):
        found = load(file(tmp_path, tensors), graph)
        assert found.keys() == values.keys()
        assert all(np.array_equal(found[name], values[name]) for name in values)


def test_a_folder_of_this_package(tmp_path: Path, graph: Graph, values: Tensors) -> None:
    file(tmp_path, values)
    assert np.array_equal(load(tmp_path, graph)["latents"], values["latents"])


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


def test_a_misfit_names_the_file_of_the_spec_not_that_of_the_model(
    tmp_path: Path, graph: Graph, values: Tensors
) -> None:
    spec = tmp_path / "mine.yaml"
    spec.write_text(SPEC, encoding="utf-8")
    line = SPEC.splitlines().index("latents: {count: 4, width: 8, init_scale: 0.5}") + 1
    compiled = pg.compile(spec)
    for wrong in ({}, {"latents": np.ones((8, 4), np.float32)}):
        some = {name: value for name, value in values.items() if name != "latents"}
        for source in (some | wrong, file(tmp_path, some | wrong)):
            with pytest.raises(DiagnosticError) as caught:
                compiled.weights(source)
            assert f"--> {spec}:{line}:1" in str(caught.value)
    text = print_graph(compiled.graph)  # what is compiled does not tell the path
    assert "small.yaml:" in text
    assert "mine.yaml" not in text


def test_axes_of_size_one_must_match_in_our_own_layout(
    tmp_path: Path, graph: Graph, values: Tensors
) -> None:
    tensors = values | {"inputs.kind.mask": values["inputs.kind.mask"][None]}
    assert problems(file(tmp_path, tensors), graph)[0] == ["PG304"]


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


def test_kinetics_loads(tmp_path: Path) -> None:
    graph = lower(load_spec("kinetics")).graph
    values = initialize(graph, 3)
    found = load(file(tmp_path, values), graph)
    assert sum(value.size for value in found.values()) == graph.parameter_count
    assert all(np.array_equal(found[name], values[name]) for name in values)
