"""Attention to some of the keys: samples that have none, all precisions, gradients, the caller's mask."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.onnx.emit import emit
from perceiver_graph.compiler.backends.onnx.tensors import TensorStore
from perceiver_graph.compiler.backends.torch.source import source
from perceiver_graph.compiler.blocks.builder import GraphBuilder
from perceiver_graph.compiler.ir.dims import Symbol, shape_of
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ir.parse import parse_graph
from perceiver_graph.compiler.ir.text import print_graph
from perceiver_graph.compiler.ir.verify import VerificationError, verify
from perceiver_graph.compiler.ops import Array, TensorType
from perceiver_graph.compiler.programs.cost import estimate
from perceiver_graph.compiler.programs.phases import phase_of, split
from tests.primitive_case import Case, f32
from tests.support import content
from tests.test_onnx_lowerings import proto_of, run
from tests.torch_support import assert_clean, check, module, parameters

BATCH, LENGTH = Symbol("batch"), Symbol("length", max=2000, multiple_of=2)
ROWS: list[Any] = ["uniform", "zero"]
SIZES = ((3, 8), (5, 8), (5, 4))


def attention(heads: int, masked_rows: Literal["uniform", "zero"] = "uniform") -> Graph:
    """Queries [3, 8] and a text [batch, length, 8] with its mask -> [batch, 3, 12]."""
    b = GraphBuilder("masked", {"batch": BATCH, "length": LENGTH})
    axes = ("batch", "length", "channel")
    x = b.input("text", "data", "text", axes, shape_of(BATCH, LENGTH, 8), "float32")
    shape = shape_of(BATCH, LENGTH)
    mask = b.input("text.attention_mask", "attention_mask", "text", axes[:2], shape, "bool")
    with b.block("encode", "Encode"):
        q = b(ops.Broadcast(x.shape[:1]), b.parameter("latents", (3, 8)))
        v = b.linear(x, "value", 12)
        latents = b(ops.Attention(heads, masked_rows), q, x, v, mask, name="latents")
    return b.graph({"latents": latents})


def given(length: int = 1200) -> dict[str, Array]:
    """A sample without a key, one with only the last, one with some, one with all."""
    rng = np.random.default_rng(0)
    mask = np.zeros((4, length), np.bool_)
    mask[1, -1] = True
    mask[2] = rng.random(length) < 0.5
    mask[3] = True
    text = rng.standard_normal((4, length, 8)).astype(np.float32)
    return {"text": text, "text.attention_mask": mask}


def expected(graph: Graph, heads: int, masked_rows: str) -> torch.Tensor:
    """Written out in float64, over the keys that there are."""
    weights, arrays = parameters(graph), given()
    found = np.zeros((4, 3, 12))
    for i, (x, there) in enumerate(zip(*arrays.values(), strict=True)):
        keys = x[there] if there.any() else 0 * x
        v = x[there] if there.any() else x
        v = v @ weights["encode.value.weight"].T + weights["encode.value.bias"]
        for h in range(heads):
            d, e = 8 // heads, 12 // heads
            q, k = (y[:, h * d : (h + 1) * d] for y in (weights["encode.latents"], keys))
            scores = np.exp(q.astype(np.float64) @ k.T / d**0.5)
            part = scores / scores.sum(-1, keepdims=True) @ v[:, h * e : (h + 1) * e]
            found[i, :, h * e : (h + 1) * e] = part
        if masked_rows == "zero" and not there.any():
            found[i] = 0
    return torch.from_numpy(found)


@pytest.mark.parametrize("masked_rows", ROWS)
@pytest.mark.parametrize("heads", [1, 4])
def test_every_backend_attends_to_the_keys_that_there_are(heads: int, masked_rows: Any) -> None:
    graph = attention(heads, masked_rows)
    verify(graph, "lowered")
    wanted, weights, arrays = expected(graph, heads, masked_rows), parameters(graph), given()
    oracle = evaluate(graph, arrays, weights)["latents"]
    np.testing.assert_allclose(oracle, wanted, atol=1e-5)
    text = check(graph, arrays, weights)
    assert_clean(text)
    model = ir.to_proto(emit(graph, weights, TensorStore()))
    onnx.checker.check_model(model, full_check=True)
    for sizes in ({}, {"batch": 4, "length": 1200}):
        np.testing.assert_allclose(run(model, arrays, sizes)["latents"], wanted, atol=1e-5)


@pytest.mark.parametrize("masked_rows", ROWS)
@pytest.mark.parametrize("heads", [1, 4])
@pytest.mark.parametrize("backend", [SDPBackend.MATH, SDPBackend.FLASH_ATTENTION], ids=str)
def test_gradients_are_those_of_the_definition(backend: Any, heads: int, masked_rows: Any) -> None:
    """Flash takes them where keys and values have one width; here without the values' linear map."""
    torch.manual_seed(0)
    attend = namespace(attention(heads, masked_rows))["attend_masked"]
    q, k, v = (torch.randn(4, n, 8, requires_grad=True) for n in (3, 1200, 1200))
    mask = torch.from_numpy(given()["text.attention_mask"])
    with sdpa_kernel([backend, SDPBackend.MATH]):
        found = attend(q, k, v, mask, heads, masked_rows)
        gradients = torch.autograd.grad(found.square().sum(), (q, k, v))
    again = [x.detach().double().requires_grad_() for x in (q, k, v)]
    wanted = torch.autograd.grad(by_definition(again, mask, heads, masked_rows), again)
    for gradient, known in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(gradient.double(), known, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("wrong", [1e25, float("nan"), float("inf")])
@pytest.mark.parametrize("masked_rows", ROWS)
def test_what_is_masked_has_no_part_in_the_result(masked_rows: Any, wrong: float) -> None:
    """Where it is no number either: a layer norm makes none of one that is large."""
    graph = attention(4, masked_rows)
    model = module(source(graph, name="masked"), parameters(graph))
    arrays = {name: torch.from_numpy(array[1:]) for name, array in given(40).items()}
    hidden = ~arrays["text.attention_mask"]
    found = [arrays["text"].masked_fill(hidden[..., None], x) for x in (0.0, wrong)]
    encode: Any = torch.compile(model.encode, backend="eager")
    latents = [encode({**arrays, "text": x}) for x in found]
    torch.testing.assert_close(latents[1], latents[0], rtol=0, atol=0)


def by_definition(qkv: Any, mask: torch.Tensor, heads: int, masked_rows: str) -> torch.Tensor:
    """The sum of the squares."""
    q, k, v = (torch.unflatten(x, -1, (heads, -1)).transpose(1, 2) for x in qkv)
    least = torch.finfo(q.dtype).min
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(~mask[:, None, None], least)
    found = scores.softmax(-1) @ v
    if masked_rows == "zero":
        found = found * mask.any(1)[:, None, None, None]
    return found.square().sum()


def namespace(graph: Graph) -> dict[str, Any]:
    """What the emitted file defines."""
    found: dict[str, Any] = {"__name__": "emitted"}
    exec(source(graph, name="masked"), found)
    return found


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("masked_rows", ROWS)
def test_half_precision_knows_fully_masked_samples(dtype: torch.dtype, masked_rows: Any) -> None:
    graph = attention(2, masked_rows)
    arrays = {name: torch.from_numpy(array) for name, array in given(100).items()}
    arrays["text"] *= 30  # scores far apart: any trace of them in a sample without keys shows
    full = module(source(graph, name="masked"), parameters(graph))
    half = module(source(graph, name="masked"), parameters(graph)).to(dtype)
    found = half.encode(arrays | {"text": arrays["text"].to(dtype)})["latents"]
    assert found.dtype == dtype
    assert found.isfinite().all()
    if masked_rows == "zero":
        assert (found[0] == 0).all()
    else:
        wanted = full.encode(arrays)["latents"][0]
        torch.testing.assert_close(found[0].float(), wanted, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("masked_rows", ROWS)
def test_onnx_in_every_precision(dtype: Any, masked_rows: Any) -> None:
    q, k, e = (TensorType(shape_of(BATCH, n, c), dtype) for n, c in SIZES)
    case = Case(ops.Attention(2, masked_rows), q, k, e, TensorType(shape_of(BATCH, 5), "bool"))
    model = proto_of(case.graph(constant=False))
    onnx.checker.check_model(model, full_check=True)
    if dtype == "bfloat16":  # which onnxruntime cannot run on a CPU
        return
    rng = np.random.default_rng(0)
    arrays = {f"x{i}": 9 * rng.standard_normal((2, n, c)) for i, (n, c) in enumerate(SIZES)}
    arrays = {name: array.astype(dtype) for name, array in arrays.items()}
    arrays["x3"] = np.array([[False] * 5, [True, False, True, False, False]])
    found = run(model, arrays, {})["result"]
    precise = [x if x.dtype == bool else x.astype(np.float64) for x in arrays.values()]
    wanted = case.op.evaluate(*precise)
    np.testing.assert_allclose(found, wanted, atol=0.02 if dtype == "float16" else 1e-12)


@pytest.mark.parametrize("masked_rows", ROWS)
def test_masked_models_compile_and_export(masked_rows: Any) -> None:
    graph = attention(2, masked_rows)
    net = module(source(graph, name="masked"), parameters(graph)).eval()
    arrays = {name: torch.from_numpy(array) for name, array in given(50).items()}
    compiled: Any = torch.compile(net.encode, fullgraph=True, backend="eager")
    wanted = net.encode(arrays)["latents"]
    torch.testing.assert_close(compiled(arrays)["latents"], wanted)

    class Encode(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
            latents: torch.Tensor = self.net.encode(inputs)["latents"]
            return latents

    batch, half = torch.export.Dim("batch", min=2), torch.export.Dim("half", min=2, max=1000)
    axes = {0: batch, 1: 2 * half}
    shapes = {"inputs": {"text": axes, "text.attention_mask": axes}}
    exported = torch.export.export(Encode(), (arrays,), dynamic_shapes=shapes, strict=True)
    more = {name: torch.from_numpy(array[:3]) for name, array in given(70).items()}
    torch.testing.assert_close(exported.module()(more), net.encode(more)["latents"])


def test_a_mask_that_is_left_out_is_true() -> None:
    graph = attention(1)
    net = module(source(graph, name="masked"), parameters(graph))
    text = torch.from_numpy(given(10)["text"])
    wanted = net.encode({"text": text, "text.attention_mask": torch.ones(4, 10, dtype=torch.bool)})
    torch.testing.assert_close(net.encode({"text": text}), wanted)
    ones = torch.ones(4, 10, dtype=torch.int64)
    torch.testing.assert_close(net.encode({"text": text, "text.attention_mask": ones}), wanted)
    with pytest.raises(
        ValueError,
        match=r"`text.attention_mask` has shape \[4, 9\], expected \[batch 4, length 10\]",
    ):
        net.encode({"text": text, "text.attention_mask": ones[:, :9]})
    with pytest.raises(ValueError, match=r"only text, text.attention_mask"):
        net.encode({"text": text, "text.mask": ones})


def test_a_mask_of_patches_takes_its_size_from_the_data() -> None:
    b = GraphBuilder("patches", {"batch": BATCH, "length": LENGTH})
    axes = ("batch", "length", "kind")
    x = b.input("text", "data", "text", axes[:2], shape_of(BATCH, LENGTH), "float32")
    tokens = b(ops.Unflatten(1, (None, 2)), x, name="tokens")
    shape = shape_of(BATCH, *tokens.shape[1:2], 3)
    mask = b.input("text.attention_mask", "attention_mask", "text", axes, shape, "bool")
    keys = b(ops.Concat(1), tokens, tokens, tokens)
    latents = b(ops.Attention(1), tokens, keys, keys, b(ops.Flatten(1, 2), mask))
    graph = b.graph({"latents": latents})
    text = source(graph, name="patches")
    assert '= given_mask(inputs, "text", text, (text.shape[0], text.shape[1] // 2, 3))' in text
    everything = np.ones((4, 4, 3), np.bool_)
    data = given(8)["text"][..., 0]
    wanted = evaluate(graph, {"text": data, mask.name: everything}, {})
    found = module(text).encode({"text": torch.from_numpy(data)})
    np.testing.assert_allclose(found["latents"], wanted["latents"], atol=1e-6)


@pytest.mark.parametrize(
    ("masked_rows", "last"),
    [("uniform", ["MatMul"]), ("zero", ["MatMul", "Cast", "ReduceMax", "Mul"])],
)
def test_a_mask_is_one_more_operator_on_the_scores(masked_rows: Any, last: list[str]) -> None:
    q, k = f32(BATCH, 3, 8), f32(BATCH, 5, 8)
    case = Case(ops.Attention(1, masked_rows), q, k, k, TensorType(shape_of(BATCH, 5), "bool"))
    found = [node.op_type for node in proto_of(case.graph(constant=True)).graph.node]
    product = found.index("MatMul")
    after = [op for op in found[product + 1 :] if op != "Unsqueeze"]
    assert after == ["Where", "Min", "Softmax", *last]


def test_masks_belong_to_encode() -> None:
    graph = attention(1)
    (mask,) = (leaf for leaf in graph.inputs if leaf.role == "attention_mask")
    assert phase_of(graph)[mask.value] == "encode"
    assert mask in split(graph)["encode"].inputs
    assert content(parse_graph(print_graph(graph)).inputs) == content(graph.inputs)


def test_scores_are_counted_with_a_mask_as_without() -> None:
    cost = estimate(attention(2), {"batch": 1, "length": 10}).phases["encode"]
    assert cost.peak_bytes_with_scores - cost.peak_bytes == 4 * 2 * 3 * 10


def test_a_mask_of_numbers_is_refused() -> None:
    graph = attention(1)
    mask = graph.inputs[1]
    wrong = replace(mask, value=replace(mask.value, type=graph.inputs[0].value.type))
    with pytest.raises(VerificationError, match="it says which tokens of `text` there are"):
        verify(replace(graph, inputs=(graph.inputs[0], wrong)), "lowered")


def test_what_is_usual_is_not_in_the_text() -> None:
    assert str(ops.Attention(2)) == "attention(heads=2)"
    assert str(ops.Attention(2, "zero")) == "attention(heads=2, masked_rows='zero')"


def test_booleans_that_are_data_are_a_mask_whatever_they_are_given_as() -> None:
    """As weights are numbers, a mask in their dtype would be added to scores."""
    b = GraphBuilder("flags", {"batch": BATCH, "length": LENGTH})
    axes, shape = ("batch", "length"), shape_of(BATCH, LENGTH)
    x = b.input("text", "data", "text", (*axes, "channel"), (*shape, *shape_of(8)), "float32")
    flags = b.input("flags", "data", "flags", axes, shape, "bool")
    q = b(ops.Broadcast(x.shape[:1]), b.parameter("latents", (3, 8)))
    graph = b.graph({"latents": b(ops.Attention(2), q, x, x, flags, name="latents")})
    text, mask = given(12)["text"], given(12)["text.attention_mask"]
    weights = parameters(graph)
    check(graph, {"text": text, "flags": mask}, weights)
    net = module(source(graph, name="flags"), weights)
    wanted = evaluate(graph, {"text": text, "flags": mask}, weights)["latents"]
    for dtype in (torch.bool, torch.int64, torch.float32):
        arrays = {"text": torch.from_numpy(text), "flags": torch.from_numpy(mask).to(dtype)}
        np.testing.assert_allclose(net.encode(arrays)["latents"].detach(), wanted, atol=1e-5)
