"""What the ONNX backend emits for a target in place of the common operators, and that it is equal."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perceiver_graph.choices import TargetName
from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.onnx.emit import emit
from perceiver_graph.compiler.backends.onnx.tensors import TensorStore
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ops import TensorType
from perceiver_graph.compiler.programs.target import Target
from tests.primitive_case import BATCH, Case, f32
from tests.test_onnx_lowerings import run


def model_of(case: Case, target: TargetName = "cpu") -> onnx.ModelProto:
    model = emit(case.graph(constant=True), {}, TensorStore(), target=Target(target))
    return ir.to_proto(model)


def heads(count: int, width: int, wide: int) -> Case:
    q, k = f32(BATCH, 3, count * width), f32(BATCH, 5, count * width)
    return Case(ops.Attention(count), q, k, f32(BATCH, 5, count * wide), sizes={"batch": 2})


@pytest.mark.parametrize(
    ("target", "count", "width", "wide", "fused"),
    [
        ("cpu", 2, 8, 8, True),
        ("cpu", 8, 32, 128, True),
        ("cpu", 8, 32, 160, False),
        ("cpu", 1, 8, 8, False),
        ("cuda", 8, 32, 160, True),
        ("cuda", 1, 8, 8, True),
        ("cuda", 1, 264, 264, False),
        ("openvino", 8, 32, 128, False),
        ("onnx-standard", 8, 32, 128, False),
    ],
)
def test_narrow_heads_are_fused(
    target: TargetName, count: int, width: int, wide: int, fused: bool
) -> None:
    model = model_of(heads(count, width, wide), target)
    found = [(node.domain, node.op_type) for node in model.graph.node]
    assert (found == [("com.microsoft", "MultiHeadAttention")]) == fused
    assert [f.name for f in model.functions] == (["MultiHeadAttention"] if fused else [])
    domains = {entry.domain for entry in model.opset_import}
    assert domains == ({"", "com.microsoft"} if fused else {""})


def test_masks_are_written_out() -> None:
    x = f32(BATCH, 5, 8)
    case = Case(ops.Attention(2), x, x, x, TensorType((x.shape[0], x.shape[1]), "bool"))
    assert not model_of(case).functions


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(["cpu", "cuda"]), st.integers(1, 3), st.integers(1, 4), st.integers(1, 4))
def test_the_function_is_the_kernel(target: TargetName, count: int, width: int, wide: int) -> None:
    """Under a name that onnxruntime has no kernel for, it takes the function."""
    case = heads(count, width, wide)
    inputs = case.arrays()
    expected = evaluate(case.graph(constant=True), inputs, {})["result"]
    model = model_of(case, target)
    kernel = run(model, inputs, {})["result"]
    np.testing.assert_allclose(kernel, expected, rtol=1e-4, atol=1e-5)
    for part in (*model.graph.node, *model.functions, *model.opset_import):
        if part.domain == "com.microsoft":
            part.domain = "elsewhere"
    onnx.checker.check_model(model, full_check=True)
    found = run(model, inputs, {})["result"]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
