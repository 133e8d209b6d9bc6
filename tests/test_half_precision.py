"""Programs in half precision: how close they are, what stays wide, and what CUDA has kernels for.

onnxruntime runs float16 on the CPU by casting; for bfloat16 there is the reference evaluator of onnx.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx.reference import ReferenceEvaluator

import perceiver_graph as pg
from perceiver_graph.choices import Precision, TargetName
from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.onnx.emit import emit
from perceiver_graph.compiler.backends.onnx.files import write
from perceiver_graph.compiler.backends.onnx.precision import converted
from perceiver_graph.compiler.backends.onnx.tensors import TensorStore
from perceiver_graph.compiler.blocks.builder import GraphBuilder
from perceiver_graph.compiler.driver import Compiled
from perceiver_graph.compiler.ir.dims import Symbol, shape_of
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.ir.interpreter import bindings, evaluate
from perceiver_graph.compiler.ops import Array
from perceiver_graph.compiler.programs.target import Target
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.spec.loader import load_spec
from tests.small import SMALL
from tests.support import random_inputs
from tests.test_differential import given_inputs, onnx_program, randomised

HALVES: tuple[Precision, ...] = ("fp16", "bf16")
PROGRAMS = ("encode.onnx", "decode.onnx")
FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16}

# Of the largest number of each output. Measured: 0.0035 at most in float16, 0.042 in bfloat16,
# whose rounding is eight times as coarse.
FLOAT16_TOLERANCE, BFLOAT16_TOLERANCE = 8e-3, 8e-2

WITHOUT_BFLOAT16 = {
    *("BatchNormalization", "Conv", "Cos", "Log", "MaxPool", "Reciprocal", "ReduceMax"),
    *("ReduceMean", "Sin"),
}
"""Of what we write, what onnxruntime's CUDA provider has no kernel for in bfloat16 at our opset."""


def compiled(name: str, precision: Precision) -> Compiled:
    document = load_spec(name, overrides=list(SMALL[name]))
    target: TargetName = "cpu" if precision == "fp32" else "cuda"
    return pg.compile(document, target=target, precision=precision)


def inputs_of(model: Compiled) -> dict[str, Array]:
    """Every modality is there; of two sequences one is shorter."""
    lengths = {s: 12 for s in model.graph.symbols if s in model.lowered.document.spec.dims}
    arrays = random_inputs(model.lowered, batch=2, seed=5, lengths=lengths)
    for array in arrays.values():
        if array.dtype == np.bool_ and array.ndim == 1:
            array[:] = True
        elif array.dtype == np.bool_:
            there = np.arange(array.shape[-1]) < np.array([[array.shape[-1]], [7]])
            array[:] = there.reshape(2, *[1] * (array.ndim - 2), -1)
    return arrays


def close(found: Array, expected: Array, tolerance: float) -> None:
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


@pytest.mark.parametrize("name", SMALL)
def test_float16_is_close_to_float32(name: str, tmp_path: Path) -> None:
    whole = compiled(name, "fp32")
    weights, arrays = randomised(whole, seed=3), inputs_of(whole)
    expected = evaluate(whole.graph, arrays, weights)
    program = onnx_program(compiled(name, "fp16"), weights, tmp_path)
    inputs = given_inputs(whole, arrays)
    for output, result in program.decode(program.encode(inputs)).items():
        close(result, expected[output].reshape(result.shape), FLOAT16_TOLERANCE)
        assert not np.array_equal(result.ravel(), expected[output].ravel())


@pytest.mark.parametrize("name", SMALL)
def test_bfloat16_is_close_to_float32(name: str, tmp_path: Path) -> None:
    model = compiled(name, "bf16")
    weights, values = randomised(model, seed=3), inputs_of(model)
    expected = evaluate(model.graph, values, weights)
    sizes = bindings(model.graph, values)
    values |= {f"{name}.size": np.array([size], np.int64) for name, size in sizes.items()}
    write(model.programs(weights), weights, tmp_path, target=model.target)
    for file in PROGRAMS:
        program = ReferenceEvaluator(onnx.load(tmp_path / file))
        feeds = {entry: values[entry] for entry in program.input_names}
        values |= dict(zip(program.output_names, program.run(None, feeds), strict=True))
    for output, result in expected.items():
        if output in values:
            close(values[output], result, BFLOAT16_TOLERANCE)


@pytest.mark.parametrize("precision", HALVES)
@pytest.mark.parametrize("name", SMALL)
def test_types(name: str, precision: Precision, tmp_path: Path) -> None:
    """Valid ONNX with float32 borders; weights are stored in half; every kernel exists on CUDA."""
    model = compiled(name, precision)
    weights = randomised(model, seed=3)
    write(model.programs(weights), weights, tmp_path, target=model.target)
    half = TensorProto.FLOAT16 if precision == "fp16" else TensorProto.BFLOAT16
    stored: set[int] = set()
    for file in PROGRAMS:
        path = tmp_path / file
        onnx.checker.check_model(str(path), full_check=True)
        graph = onnx.load(path, load_external_data=False).graph
        ports = [entry.type.tensor_type.elem_type for entry in (*graph.input, *graph.output)]
        assert not {TensorProto.FLOAT16, TensorProto.BFLOAT16} & set(ports)
        types = types_of(graph)
        for node in graph.node:
            if precision == "bf16" and node.op_type in WITHOUT_BFLOAT16:
                assert types[node.output[0]] != half, node.name
            if node.op_type in ("Sin", "Cos", "Log"):
                assert types[node.input[0]] == TensorProto.FLOAT, node.name
        products = [node for node in graph.node if node.op_type == "MatMul"]
        assert {types[node.output[0]] for node in products} <= {half}
        stored |= {tensor.data_type for tensor in graph.initializer}
    assert half in stored


@pytest.mark.parametrize("target", ["openvino", "cuda"])
def test_norms_of_openvino_read_bfloat16(target: TargetName, tmp_path: Path) -> None:
    """Where the type they compute in is another, it converts the array there and back."""
    model = pg.compile(load_spec("language", overrides=list(SMALL["language"])), target=target)
    half = pg.compile(model.lowered.document, target=target, precision="bf16")
    for number, (one, told) in enumerate(((model, False), (half, target == "openvino"))):
        folder = tmp_path / str(number)
        folder.mkdir()
        weights = randomised(one, seed=3)
        write(one.programs(weights), weights, folder, target=one.target)
        nodes = onnx.load(folder / "encode.onnx", load_external_data=False).graph.node
        norms = [node for node in nodes if node.op_type == "LayerNormalization"]
        said = {a.i for node in norms for a in node.attribute if a.name == "stash_type"}
        assert norms
        assert said == ({TensorProto.BFLOAT16} if told else set())


def types_of(graph: onnx.GraphProto) -> dict[str, int]:
    typed = (*graph.value_info, *graph.input, *graph.output)
    return {value.name: value.type.tensor_type.elem_type for value in typed} | {
        tensor.name: tensor.data_type for tensor in graph.initializer
    }


def mixed() -> Graph:
    """A value that two wide nodes and a narrow one read, and that is an output as well."""
    batch = Symbol("batch")
    b = GraphBuilder("mixed", {"batch": batch})
    x = b.input("x", "data", "x", ("batch", "n", "c"), shape_of(batch, 3, 4), "float32")
    y = b(ops.Scale(2.0), x, name="y")
    return b.graph(
        {
            "y": y,
            "moments": b(ops.Moments(), y),
            "mean": b(ops.Mean(1), y),
            "sum": b(ops.Add(), y, b.parameter("offset", (4,))),
            "offset": b.parameter("again", (4,)),
        }
    )


@pytest.mark.parametrize("precision", HALVES)
def test_a_value_is_cast_once_for_all_readers(precision: Precision) -> None:
    import onnx_ir as ir

    parameters = {name: np.arange(4, dtype=np.float32) for name in ("offset", "again")}
    model = emit(mixed(), parameters, TensorStore(), target=Target("cuda", precision))
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    source = next(node.input[0] for node in proto.graph.node if node.op_type == "ReduceMean")
    casts = [node for node in proto.graph.node if node.op_type == "Cast"]
    assert sum(node.output[0] == source for node in casts) == 1
    assert len({node.name for node in proto.graph.node}) == len(proto.graph.node)
    x = np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 3, 4)
    results: Any = ReferenceEvaluator(proto).run(None, {"x": x})
    for found, expected in zip(
        results, evaluate(mixed(), {"x": x}, parameters).values(), strict=True
    ):
        close(found, expected, 1e-2)


def test_float32_programs_hold_no_casts(tmp_path: Path) -> None:
    model = compiled("imagenet_fourier", "fp32")
    weights = randomised(model, seed=3)
    write(model.programs(weights), weights, tmp_path, target=Target("cuda", "fp32"))
    for file in PROGRAMS:
        graph = onnx.load(tmp_path / file, load_external_data=False).graph
        assert set(types_of(graph).values()) & FLOATS == {TensorProto.FLOAT}
        assert "Cast" not in {node.op_type for node in graph.node}


def test_a_weight_beyond_the_range_is_refused() -> None:
    weights = np.array([1.0, 7e4], np.float32)
    with pytest.raises(DiagnosticError) as caught:
        converted("decode.weight", weights, "float16")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "PG602"
    assert "`decode.weight` holds 7e+04" in diagnostic.message
    np.testing.assert_allclose(
        converted("decode.weight", weights, "bfloat16").astype(np.float32), weights, rtol=1e-2
    )
    assert converted("w", np.array([np.inf], np.float32), "float16")[0] == np.inf
    assert converted("w", weights, "bfloat16").dtype == ml_dtypes.bfloat16


@pytest.mark.parametrize(
    ("target", "precision"),
    [("cpu", "fp16"), ("cpu", "bf16"), ("cuda", "int8"), ("openvino", "int8")],
)
def test_a_device_without_kernels_is_refused(target: TargetName, precision: Precision) -> None:
    with pytest.raises(DiagnosticError, match=r"PG602.*is not supported on"):
        pg.compile("kinetics", target=target, precision=precision)
