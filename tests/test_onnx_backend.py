"""The ONNX files: what they compute, how they share tensors, and what they say about themselves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from perceiver_graph import __version__
from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.onnx.files import write
from perceiver_graph.compiler.backends.onnx.tensors import CONSTANTS, EMBED_BELOW
from perceiver_graph.compiler.blocks.builder import GraphBuilder
from perceiver_graph.compiler.ir.dims import Symbol, shape_of
from perceiver_graph.compiler.ir.graph import Graph, Value
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.compiler.ops import Array
from perceiver_graph.compiler.passes.pipeline import optimize
from perceiver_graph.compiler.programs.phases import split
from perceiver_graph.diagnostics.model import Source
from perceiver_graph.spec.loader import load_spec

SYMBOLS = {"batch": Symbol("batch"), "image_queries": Symbol("image_queries", max=24)}
WIDTH = 32
METADATA = {"spec": "0123abcd"}


def small_model() -> Graph:
    """A masked input, a cross-attend, two self-attends and queries on a grid of 4 x 6."""
    b = GraphBuilder("small", SYMBOLS)
    b.origin = Source("specs/small.yaml", "inputs:\n  image:\n").span(10, 15)
    batch, count = SYMBOLS.values()
    image = b.input("image", "data", "image", ("batch", "t", "c"), shape_of(batch, 6, 4), "float32")
    present = b.input("image.present", "present", "image", ("batch",), shape_of(batch), "bool")
    with b.block("inputs", "Modality"):
        token = b(ops.Broadcast(image.shape[:2]), b.parameter("mask_token", (4,)))
        known = b(ops.Unflatten(0, (None, 1, 1)), present)
        image = b.linear(b(ops.Where(), known, image, token, name="masked"), "project", WIDTH)
    latents = b(ops.Broadcast(image.shape[:1]), b.parameter("latents", (5, WIDTH)), name="start")
    with b.block("encode", "CrossAttendLayer"):
        latents = attend(b, latents, image, heads=1)
    for layer in range(2):
        with b.block(f"layers.{layer}", "SelfAttendLayer"):
            latents = attend(b, latents, latents, heads=4)
    queries = b.input("image.queries", "queries", "image", ("query",), shape_of(count), "int64")
    with b.block("decode", "Decoder"):
        rows = [
            b(ops.Gather(0), b(table), b(ops.Coordinate(stride, size), queries))
            for table, stride, size in (
                (ops.FourierTable(4, axis=0, axes=2, bands=7, max_resolution=4.0), 6, 4),
                (ops.FourierTable(6, axis=1, axes=2, bands=7, max_resolution=6.0), 1, 6),
            )
        ]
        query = b.linear(b(ops.Add(), *rows), "query", WIDTH)
        query = attend(b, b(ops.Broadcast(latents.shape[:1]), query), latents, heads=2)
        image = b.linear(query, "head", 3)
    return b.graph({"latents": latents, "image": image})


def attend(b: GraphBuilder, x: Value, source: Value, heads: int) -> Value:
    with b.block("attention", "Attention"):
        norm = b.layer_norm(x, "norm", 1e-5)
        q, k, v = (
            b.linear(y, n, WIDTH) for y, n in ((norm, "query"), (source, "key"), (source, "value"))
        )
        y = b(ops.Attention(heads), q, k, v, name="context")
    return b(ops.Add(), x, b(ops.Gelu(), b.linear(y, "dense", WIDTH), name="activated"), name="sum")


def random_parameters(graph: Graph, scale: float = 0.2) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    return {
        p.value.name: rng.normal(
            p.init.kind == "ones", scale, tuple(map(int, p.value.shape))
        ).astype(np.float32)
        for p in graph.parameters
    }


GRAPH = small_model()
PARAMETERS = random_parameters(GRAPH)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("small")
    files = write(split(GRAPH), PARAMETERS, directory, METADATA)
    assert sorted(files) == sorted(path.name for path in directory.iterdir())
    return directory


def session(path: Path, sizes: Mapping[str, int] | None = None) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    for dim, size in (sizes or {}).items():
        options.add_free_dimension_override_by_name(dim, size)
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run(path: Path, arrays: Mapping[str, Array], sizes: Mapping[str, int]) -> dict[str, Array]:
    """The outputs by name; arrays that the program does not take are left out."""
    program = session(path, sizes)
    names = [entry.name for entry in program.get_outputs()]
    feeds = {entry.name: arrays[entry.name] for entry in program.get_inputs()}
    return dict(zip(names, program.run(names, feeds), strict=True))


def run_both(
    folder: Path, arrays: Mapping[str, Array], sizes: Mapping[str, int] | None = None
) -> dict[str, Array]:
    encoded = run(folder / "encode.onnx", arrays, sizes or {})
    decoded = run(folder / "decode.onnx", {**encoded, **arrays}, sizes or {})
    return {"latents": encoded["latents"], **decoded}


def assert_close(found: Mapping[str, Array], expected: Mapping[str, Array]) -> None:
    """To 1e-5 of the largest number of each array."""
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        tolerance = 1e-5 * max(1.0, float(np.abs(array).max()))
        np.testing.assert_allclose(found[name], array, rtol=0, atol=tolerance, err_msg=name)


def inputs(batch: int, present: list[bool], queries: list[int]) -> dict[str, Array]:
    image = np.random.default_rng(1).standard_normal((batch, 6, 4)).astype(np.float32)
    return {
        "image": image,
        "image.present": np.array(present),
        "image.queries": np.array(queries, np.int64),
    }


@pytest.mark.parametrize("fixed", [False, True], ids=["symbolic", "fixed"])
@pytest.mark.parametrize(
    ("batch", "present", "queries"),
    [
        (1, [True], [0, 23]),
        (1, [False], [7]),
        (3, [True, False, True], [*range(23, -1, -1)]),
    ],
)
def test_programs_compute_what_the_graph_says(
    folder: Path, batch: int, present: list[bool], queries: list[int], fixed: bool
) -> None:
    arrays = inputs(batch, present, queries)
    sizes = {"batch": batch, "image_queries": len(queries)} if fixed else {}
    expected = evaluate(GRAPH, arrays, PARAMETERS)
    assert_close(run_both(folder, arrays, sizes), expected)


def test_absence_of_an_input_is_decided_at_run_time(folder: Path) -> None:
    absent, other = inputs(1, [False], [3]), inputs(1, [False], [3])
    other["image"] += 1
    assert_close(run_both(folder, absent), run_both(folder, other))
    given = run_both(folder, absent | {"image.present": np.array([True])})
    assert np.abs(given["image"] - run_both(folder, absent)["image"]).max() > 1e-3


@pytest.mark.parametrize("name", ["encode.onnx", "decode.onnx"])
def test_files_satisfy_the_standards_checker(folder: Path, name: str) -> None:
    onnx.checker.check_model(str(folder / name), full_check=True)


def test_onnxruntime_has_nothing_to_complain_about(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run_both(folder, inputs(2, [True, True], [1, 2, 3]))
    assert capfd.readouterr().err == ""


def load(path: Path) -> onnx.ModelProto:
    return onnx.load(path, load_external_data=False)


@pytest.mark.parametrize("name", ["encode.onnx", "decode.onnx"])
def test_every_value_has_a_type_and_a_shape(folder: Path, name: str) -> None:
    graph = load(folder / name).graph
    described = {v.name: v.type.tensor_type for v in (*graph.value_info, *graph.output)}
    for node in graph.node:
        kind = described[node.output[0]]
        assert kind.elem_type
        assert kind.HasField("shape")
        assert all(dim.WhichOneof("value") for dim in kind.shape.dim)


@pytest.mark.parametrize("name", ["encode.onnx", "decode.onnx"])
def test_every_initializer_is_read(folder: Path, name: str) -> None:
    graph = load(folder / name).graph
    read = {value for node in graph.node for value in node.input}
    assert {tensor.name for tensor in graph.initializer} <= read


def test_names_are_those_of_the_graph(folder: Path) -> None:
    graph = load(folder / "encode.onnx").graph
    nodes = [node.name for node in graph.node]
    assert len(set(nodes)) == len(nodes)
    assert {node.name for node in split(GRAPH)["encode"].nodes} <= set(nodes)
    assert {"layers.0/attention/context", "layers.0/attention/query/product"} <= set(nodes)
    tensors = {tensor.name for tensor in graph.initializer}
    assert {"layers.0.attention.query.weight.T", "layers.0.attention.query.bias"} <= tensors
    decode = session(folder / "decode.onnx")
    assert [entry.name for entry in decode.get_outputs()] == ["image"]
    assert decode.get_outputs()[0].shape == ["batch", "image_queries", 3]
    assert decode.get_inputs()[-1].name == "image.queries"


def test_models_say_where_they_come_from(folder: Path) -> None:
    model = load(folder / "decode.onnx")
    about = {entry.key: entry.value for entry in model.metadata_props}
    assert about["perceiver_graph.version"] == model.producer_version == __version__
    assert about["perceiver_graph.spec"] == METADATA["spec"]
    assert json.loads(about["perceiver_graph.dims"]) == {
        "batch": {"min": 1, "max": None, "multiple_of": 1},
        "image_queries": {"min": 1, "max": 24, "multiple_of": 1},
    }
    context = next(node for node in model.graph.node if node.name == "decode/attention/context")
    assert {entry.key: entry.value for entry in context.metadata_props} == {
        "perceiver_graph.block": "Attention",
        "perceiver_graph.origin": "small.yaml:2:3",
    }


def external(model: onnx.ModelProto) -> dict[str, tuple[onnx.TensorProto, dict[str, str]]]:
    return {
        tensor.name: (tensor, {entry.key: entry.value for entry in tensor.external_data})
        for tensor in model.graph.initializer
        if tensor.data_location == onnx.TensorProto.EXTERNAL
    }


@pytest.mark.parametrize("name", ["encode.onnx", "decode.onnx"])
def test_offsets_lead_to_the_tensors(folder: Path, name: str) -> None:
    stored = load_file(folder / CONSTANTS)
    content = (folder / CONSTANTS).read_bytes()
    found = external(load(folder / name))
    assert found
    for tensor, place in found.values():
        start, length = int(place["offset"]), int(place["length"])
        assert place["location"] == CONSTANTS
        assert start % 64 == 0 or length % 64
        array = np.frombuffer(content[start : start + length], np.float32).reshape(tensor.dims)
        key = tensor.name.removesuffix(".initial")
        np.testing.assert_array_equal(array, stored[key])
        if key.endswith(".T"):
            np.testing.assert_array_equal(array.T, PARAMETERS[key.removesuffix(".T")])


def test_the_weights_file_holds_every_large_tensor_once(folder: Path) -> None:
    models = [load(folder / name) for name in ("encode.onnx", "decode.onnx")]
    named = [name for model in models for name in external(model)]
    with safe_open(folder / CONSTANTS, "numpy") as file:
        assert sorted(file.keys()) == sorted({name.removesuffix(".initial") for name in named})
    for model in models:
        for tensor in model.graph.initializer:
            size = int(np.prod(tensor.dims)) * 4
            large = tensor.name in external(model)
            assert large == (size >= EMBED_BELOW) or tensor.data_type == onnx.TensorProto.INT64


def tied() -> Graph:
    """One embedding, read by both programs: to encode ids, and as the weight of the output."""
    b = GraphBuilder("tied", {"batch": Symbol("batch")})
    ids = b.input("ids", "data", "ids", ("batch", "n"), shape_of(Symbol("batch"), 3), "int64")
    table = b.parameter("table", (40, 16))
    latents = b(ops.Gather(0), table, ids)
    logits = b(ops.Linear(), b(ops.Tanh(), latents), table)
    more = b(ops.Add(), b(ops.Linear(), logits, b.parameter("second", (16, 40))), latents)
    return b.graph(
        {
            "latents": latents,
            "logits": logits,
            "more": b(ops.Add(), more, b(ops.Gather(0), table, ids)),
        }
    )


def test_a_tensor_that_both_programs_read_is_stored_once(tmp_path: Path) -> None:
    graph = tied()
    parameters = random_parameters(graph)
    write(split(graph), parameters, tmp_path, {})
    assert set(load_file(tmp_path / CONSTANTS)) == {"table", "table.T", "second.T"}
    arrays = {"ids": np.array([[1, 2, 39]], np.int64)}
    assert_close(run_both(tmp_path, arrays), evaluate(graph, arrays, parameters))


def test_the_same_input_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    backwards = dict(reversed([(name, array.copy()) for name, array in PARAMETERS.items()]))
    write(split(small_model()), backwards, tmp_path, METADATA)
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


def test_bytes_do_not_depend_on_the_seed_of_hashes(folder: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tests import test_onnx_backend as t; "
        "t.write(t.split(t.GRAPH), t.PARAMETERS, Path(sys.argv[1]), t.METADATA); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run(
        [sys.executable, "-c", code, tmp_path],
        check=True,
        cwd=Path(__file__).parent.parent,
        env=os.environ | {"PYTHONHASHSEED": "77"},
    )
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "needs the parameter `encode.dense.bias`"),
        (
            {"encode.dense.bias": np.zeros(3, np.float32)},
            r"must be float32\[32\], got float32\[3\]",
        ),
        ({"encode.dense.bias": np.zeros(32)}, r"must be float32\[32\], got float64\[32\]"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    parameters = {k: v for k, v in PARAMETERS.items() if k != "encode.dense.bias"} | change
    with pytest.raises(ValueError, match=message):
        write(split(GRAPH), parameters, tmp_path, {})
    assert not list(tmp_path.iterdir())


SMALL_KINETICS = [
    "inputs.audio.shape.time=320",
    "inputs.image.shape.time=2",
    "inputs.image.shape.height=16",
    "inputs.image.shape.width=16",
    "latents.count=12",
    "latents.width=64",
    "process.layers=3",
    "decode.project=32",
    "outputs.image.query.grid.time=2",
    "outputs.image.query.grid.height=16",
    "outputs.image.query.grid.width=16",
]


@pytest.mark.parametrize("level", [0, 1, 2])
def test_kinetics_made_small(tmp_path: Path, level: Any) -> None:
    graph = lower(load_spec("kinetics", SMALL_KINETICS)).graph
    parameters = random_parameters(graph, 0.05)  # larger ones amplify rounding from layer to layer
    programs = split(optimize(graph, level=level, parameters=parameters))
    write(programs, parameters, tmp_path, {})
    rng = np.random.default_rng(0)
    sizes = {"batch": 2, "audio_queries": 5, "image_queries": 9}
    arrays: dict[str, Array] = {}
    for leaf in graph.inputs:
        shape = tuple(dim.evaluate(sizes) for dim in leaf.value.shape)
        values = rng.standard_normal(shape)
        kinds = {"data": values.astype(np.float32), "present": values > 0}
        arrays[leaf.value.name] = kinds.get(leaf.role, rng.integers(0, 15, shape))
    expected = evaluate(graph, arrays, parameters)
    for overrides in ({}, sizes):
        assert_close(run_both(tmp_path, arrays, overrides), expected)
