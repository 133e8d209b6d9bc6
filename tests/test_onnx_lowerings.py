"""Every primitive as ONNX, run by onnxruntime on the CPU, against its numpy reference; and names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.onnx.emit import emit
from perceiver_graph.compiler.backends.onnx.lowerings import LOWERINGS
from perceiver_graph.compiler.backends.onnx.tensors import TensorStore
from perceiver_graph.compiler.blocks.builder import GraphBuilder
from perceiver_graph.compiler.ir.dims import Symbol, shape_of
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ops import PRIMITIVES, Array, Op
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.testing.graphs import arrays, graphs
from tests.primitive_case import BATCH, Case, f32
from tests.primitive_cases import CASES

Feeds = Mapping[str, Array]


def proto_of(graph: Graph) -> onnx.ModelProto:
    return ir.to_proto(emit(graph, {}, TensorStore()))


def run(model: onnx.ModelProto, feeds: Feeds, sizes: Mapping[str, int]) -> dict[str, Array]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    for dim, size in sizes.items():
        options.add_free_dimension_override_by_name(dim, size)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = {entry.name for entry in session.get_inputs()}
    outputs = [entry.name for entry in session.get_outputs()]
    results = session.run(outputs, {k: v for k, v in feeds.items() if k in names})
    return dict(zip(outputs, results, strict=True))


def check(case: Case, *, rtol: float = 1e-4, atol: float = 1e-5) -> None:
    """With weights as inputs and as initializers, with symbolic sizes and with fixed ones."""
    inputs = case.arrays()
    for constant in (False, True):
        graph = case.graph(constant=constant)
        expected = evaluate(graph, inputs, {})["result"]
        model = proto_of(graph)
        onnx.checker.check_model(model, full_check=True)
        for sizes in ({}, case.sizes):
            found = run(model, inputs, sizes)["result"]
            assert found.dtype == expected.dtype
            np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)


def test_no_primitive_lacks_a_lowering() -> None:
    missing = [
        name
        for name, op in PRIMITIVES.items()
        if op not in LOWERINGS and op.decompose is Op.decompose and not op.known_only
    ]
    assert not missing, f"the ONNX backend has no lowering for {missing}"


def test_no_primitive_lacks_a_case() -> None:
    assert set(CASES) == {name for name, op in PRIMITIVES.items() if not op.known_only}


@pytest.mark.parametrize("name", CASES)
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_onnxruntime_agrees_with_numpy(name: str, data: st.DataObject) -> None:
    check(data.draw(CASES[name]))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(graphs(), st.integers(0, 2**16))
def test_random_graphs(graph: Graph, seed: int) -> None:
    inputs, parameters = arrays(graph, seed=seed)
    expected = evaluate(graph, inputs, parameters)
    found = run(ir.to_proto(emit(graph, parameters, TensorStore())), inputs, {})
    assert set(found) == set(expected)
    for name, array in expected.items():
        limit = 1e-4 * max(1.0, float(np.abs(array).max(initial=0)))
        np.testing.assert_allclose(found[name], array, rtol=0, atol=limit, err_msg=name)


def test_a_missing_lowering_is_named() -> None:
    graph = Case(ops.Tanh(), f32(2)).graph(constant=False)
    with pytest.raises(DiagnosticError, match="`tanh`"):
        emit(graph, {}, TensorStore(), lowerings={})


def test_a_target_may_have_lowerings_of_its_own() -> None:
    graph = Case(ops.Tanh(), f32(2)).graph(constant=False)
    lowerings = {**LOWERINGS, ops.Tanh: lambda op, b: b.result("Relu", *b.inputs)}
    model = emit(graph, {}, TensorStore(), lowerings=lowerings)
    assert [node.op_type for node in model.graph] == ["Relu"]


def operators(case: Case) -> list[str]:
    return [node.op_type for node in proto_of(case.graph(constant=True)).graph.node]


def test_attention_with_one_head_is_not_split() -> None:
    q, k = f32(BATCH, 3, 8), f32(BATCH, 5, 8)
    expected = ["Transpose", "Mul", "MatMul", "Softmax", "MatMul"]
    assert operators(Case(ops.Attention(1), q, k, k)) == expected


@pytest.mark.parametrize(
    ("n", "m", "scaled"), [(3, 5, "query"), (5, 3, "key"), (BATCH, 3, "query")]
)
def test_attention_scales_the_smaller_operand(n: int, m: int, scaled: str) -> None:
    case = Case(ops.Attention(2), f32(1, n, 8), f32(1, m, 8), f32(1, m, 8))
    model = emit(case.graph(constant=True), {}, TensorStore(), lowerings=LOWERINGS)
    names = [node.name or "" for node in model.graph]
    assert [name for name in names if "scaled" in name] == [f"scope/scaled_{scaled}"]


def test_a_known_weight_is_stored_transposed() -> None:
    weight = np.ones((3, 2), np.float32)
    graph = Case(ops.Linear(), f32(BATCH, 2), weight).graph(constant=True)
    model = proto_of(graph)
    assert [node.op_type for node in model.graph.node] == ["MatMul"]
    assert [tensor.name for tensor in model.graph.initializer] == ["x1.T"]


def test_a_weight_from_elsewhere_is_transposed_at_run_time() -> None:
    weight = np.ones((3, 2), np.float32)
    graph = Case(ops.Linear(), f32(BATCH, 2), weight).graph(constant=False)
    assert [node.op_type for node in proto_of(graph).graph.node] == ["Transpose", "MatMul"]


def test_reshape_takes_sizes_from_the_value_where_a_constant_cannot_say_them() -> None:
    free = f32(BATCH, 2, 3)
    assert operators(Case(ops.Flatten(1, 2), free)) == ["Reshape"]
    two = Case(ops.Flatten(0, 1), f32(BATCH, 2, BATCH))
    assert operators(two) == ["Shape", "Concat", "Reshape"]


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu_far_from_zero(approximate: str) -> None:
    x = np.linspace(-12, 12, 97, dtype=np.float32)
    check(Case(ops.Gelu(approximate), x))  # type: ignore[arg-type]


def test_one_hot_of_ids_out_of_range_is_zero() -> None:
    check(Case(ops.OneHot(3), np.array([-1, 0, 2, 3], np.int64)))


def leaf_outputs() -> Graph:
    """Outputs that no node computes, one value under two names, and a name that is also a node's."""
    b = GraphBuilder("leaves", {"batch": Symbol("batch")})
    x = b.input("x", "data", "x", ("batch",), shape_of(Symbol("batch")), "float32")
    table = b(ops.FourierTable(2, axis=0, axes=1, bands=2, max_resolution=4.0), name="table")
    w, y, z = b.parameter("w", (2,)), b(ops.Tanh(), x, name="y"), b(ops.Relu(), x, name="z")
    return b.graph(
        {"x": x, "w": w, "also_x": x, "y": y, "also_y": y, "t": table, "z": b(ops.Tanh(), z)}
    )


def test_outputs_need_not_be_computed_by_a_node() -> None:
    graph, parameters = leaf_outputs(), {"w": np.array([3.0, 4.0], np.float32)}
    model = ir.to_proto(emit(graph, parameters, TensorStore()))
    onnx.checker.check_model(model, full_check=True)
    inputs = {"x": np.array([-1.0, 2.0], np.float32)}
    expected = evaluate(graph, inputs, parameters)
    found = run(model, inputs, {})
    assert list(found) == list(expected)
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-5, err_msg=name)


def test_an_output_cannot_have_the_name_of_an_input() -> None:
    graph = leaf_outputs()
    clash = replace(graph, outputs={"x": graph.outputs["y"]})
    with pytest.raises(ValueError, match="an input and an output named `x`"):
        emit(clash, {}, TensorStore())
