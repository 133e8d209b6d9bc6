"""The PyTorch backend: emitted modules compute what the numpy oracle does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import nn

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.torch.lowerings import TABLE
from perceiver_graph.compiler.backends.torch.names import DICT_ATTRIBUTES, MODULE_ATTRIBUTES
from perceiver_graph.compiler.blocks.builder import GraphBuilder
from perceiver_graph.compiler.blocks.initial import ParameterKind
from perceiver_graph.compiler.ir.dims import Symbol, shape_of
from perceiver_graph.compiler.ir.graph import Graph, Value
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ir.op import Array, DType
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.compiler.programs.phases import phase_of
from perceiver_graph.spec.loader import parse_spec
from perceiver_graph.testing.graphs import arrays, graphs
from perceiver_graph.testing.specs import render, specs
from tests.primitive_cases import CASES
from tests.torch_support import (
    assert_clean,
    check,
    check_spec,
    emit,
    lowered,
    module,
    parameters,
    tensors,
)

BATCH = Symbol("batch")


def data(b: GraphBuilder, name: str, *shape: int, dtype: DType = "float32") -> Value:
    axes = tuple(f"axis_{i}" for i in range(len(shape)))
    return b.input(name, "data", name, ("batch", *axes), shape_of(BATCH, *shape), dtype)


def normal(*shape: int) -> Array:
    return np.random.default_rng(2).standard_normal(shape).astype(np.float32)


def test_every_primitive_has_a_lowering() -> None:
    found = ops.PRIMITIVES.values()
    missing = {op for op in found if not (op.known_only or op.rewritten_only)} - set(TABLE)
    assert not missing, f"add a lowering for {', '.join(op.name for op in missing)}"


@pytest.mark.parametrize("name", sorted({op.name for op in TABLE}))
def test_a_primitive_computes_its_reference(name: str) -> None:
    @settings(max_examples=30)
    @given(CASES[name], st.booleans())
    def agree(case: Any, constant: bool) -> None:
        graph = case.graph(constant=constant)
        assume(all(leaf.role != "size" for leaf in graph.inputs))  # a module has arrays to read
        check(graph, case.arrays(), {})

    agree()


@settings(max_examples=60)
@given(graphs(), st.integers(0, 2**16))
def test_random_graphs(graph: Graph, seed: int) -> None:
    assume(phase_of(graph)[graph.outputs["latents"]] != "decode")
    check(graph, *arrays(graph, seed=seed))


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=15)
@given(specs())
def test_random_specs(spec: dict[str, Any]) -> None:
    model = lower(parse_spec(render(spec)))
    assert not any(node.op.rewritten_only for node in model.graph.nodes)
    check_spec(model)
    assert_clean(emit(model))


@pytest.mark.parametrize("padding", [((1, 1), (2, 2)), ((0, 1), (2, 1))], ids=str)
@pytest.mark.parametrize("names", [("conv.weight", "conv.bias"), ("conv.weight",), ("w", "b")])
def test_convolutions_are_layers_where_torch_has_them(names: Any, padding: Any) -> None:
    b = GraphBuilder("conv", {"batch": BATCH})
    x = data(b, "x", 8, 7, 2)
    shapes = [(5, 2, 3, 2), (5,)]
    weights = [b.parameter(name, shape) for name, shape in zip(names, shapes, strict=False)]
    graph = b.graph({"y": b(ops.Conv((2, 1), padding), x, *weights)})
    text = check(graph, {"x": normal(3, 8, 7, 2)}, parameters(graph))
    assert ("nn.Conv2d(2, 5, (3, 2), stride=(2, 1)" in text) is (names[0] == "conv.weight")
    assert_clean(text)


def batch_norm() -> Graph:
    b = GraphBuilder("norm", {"batch": BATCH})
    x = data(b, "x", 50, 3)
    kinds: dict[str, ParameterKind] = {
        "weight": "gain",
        "bias": "bias",
        "running_mean": "running_mean",
        "running_var": "running_variance",
    }
    found = [
        b.parameter(f"norm.{name}", (3,), kind, trainable="running" not in name)
        for name, kind in kinds.items()
    ]
    return b.graph({"y": b(ops.BatchNorm(1e-3), x, *found)})


def test_batch_norm_uses_running_statistics_and_trains_with_those_of_the_batch() -> None:
    graph = batch_norm()
    text = check(graph, {"x": normal(4, 50, 3)}, parameters(graph))
    model = module(text).train()
    assert {name for name, _ in model.named_parameters()} == {"norm.weight", "norm.bias"}
    y = model({"x": 5 + 3 * torch.from_numpy(normal(4, 50, 3))})["y"].detach()
    assert y.mean().abs() < 1e-3
    assert y.std() == pytest.approx(1, abs=0.01)
    assert model.state_dict()["norm.running_mean"].mean() == pytest.approx(0.5, abs=0.1)


def test_embeddings_ids_and_tied_heads() -> None:
    text = """
perceiver: 1
name: words
dims: {length: {min: 2, max: 9}}
inputs:
  text: {shape: {length: length}, steps: [{embedding: {vocabulary: 11, width: 6}}], mask: optional}
  mark: {shape: {length: 5}, steps: [{one_hot: 6}]}
latents: {count: 3, width: 4}
process: {layers: 1, heads: 1}
decode: {project: 6}
outputs: {text: {query: {inputs: text}, head: {tied_embedding: text}}}
"""
    model = lowered(text)
    found = emit(model)
    assert "nn.Embedding(11, 6)" in found
    weights = parameters(model.graph)
    given = {"text": torch.arange(8).view(2, 4), "mark": torch.zeros(2, 5, dtype=torch.int64)}
    outputs = module(found, weights)(given)
    arrays = {name: tensor.numpy() for name, tensor in given.items()}
    arrays["text.queries"] = np.arange(4)
    check(model.graph, arrays | {"text.present": np.array([True, False])}, weights)
    everything = arrays | {"text.present": np.array([True, True])}
    expected = evaluate(model.graph, everything, weights)["text"]
    np.testing.assert_allclose(outputs["text"].detach(), expected, atol=1e-5)
    half = module(found, weights).to(torch.bfloat16)(given)
    assert half["text"].dtype == torch.bfloat16
    with pytest.raises(ValueError, match="`mark` is missing"):
        module(found)({"text": given["text"]})


ODD = ["forward", "train", "class", "items", "type", "encode", "lambda", "input", "state", "self"]


def test_any_name_can_be_a_modality() -> None:
    inputs = "\n".join(f"  {name}: {{shape: {{time: 2, channel: 3}}}}" for name in ODD)
    outputs = "\n".join(f"  {name}: {{query: {{learned: {{count: 2, width: 3}}}}}}" for name in ODD)
    head = "perceiver: 1\nname: 3-odd\nlatents: {count: 2, width: 3}"
    rest = "join: {padding: {min: 1}}\nprocess: {layers: 1, heads: 1}\ndecode: {padding: {min: 1}}"
    model = lowered(f"{head}\n{rest}\ninputs:\n{inputs}\noutputs:\n{outputs}\n")
    check_spec(model)
    text = emit(model)
    assert_clean(text)
    assert "class Model3Odd(nn.Module):" in text
    net, given = module(text), tensors(model)
    compiled: Any = torch.compile(net, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(given), net(given))
    exported = torch.export.export(net, (given,), strict=True)
    assert set(exported.state_dict) == set(net.state_dict())


def test_reserved_names_are_those_of_torch() -> None:
    dicts = (nn.ModuleDict(), nn.ParameterDict())
    for made, known in ((nn.Module(), MODULE_ATTRIBUTES), *((d, DICT_ATTRIBUTES) for d in dicts)):
        missing = {name for name in dir(made) if not name.startswith("_")} - known
        # transformers adds a method of its own to nn.Module when it is imported
        missing -= {name for name in missing if "torch" not in getattr(made, name).__module__}
        assert not missing
