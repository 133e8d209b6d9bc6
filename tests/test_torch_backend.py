"""The PyTorch backend: emitted modules compute what the numpy oracle does, and read like code."""

from __future__ import annotations

import ast
import copy
import inspect
import io
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.torch import load_module, source, write
from perceiver_graph.compiler.backends.torch.expressions import TABLE
from perceiver_graph.compiler.backends.torch.names import DICT_ATTRIBUTES, MODULE_ATTRIBUTES
from perceiver_graph.compiler.builder import GraphBuilder
from perceiver_graph.compiler.dims import Symbol, shape_of
from perceiver_graph.compiler.interpreter import evaluate
from perceiver_graph.compiler.ir import Graph, Initializer, Value
from perceiver_graph.compiler.lower import Lowered, lower
from perceiver_graph.compiler.pipeline import optimize
from perceiver_graph.spec.loader import parse_spec

BATCH = Symbol("batch")
ROOT = Path(__file__).resolve().parent.parent

SPEC = """
perceiver: 1
name: small-model
inputs:
  audio:
    shape: {time: 32, channel: 1}
    steps: [{patch: {time: 16}}]
    position: {fourier: {bands: 3, max_resolution: {time: 32}}}
  image:
    shape: {height: 8, width: 8, channel: 3}
    steps: [{patch: {height: 4, width: 4}}]
    position: {fourier: {bands: 2}}
  label: {shape: {channel: 7}, mask: always}
join: {padding: {min: 4}}
latents: {count: 6, width: 16}
process: {layers: 3, heads: 2}
decode: {padding: {min: 2}, project: 8, chunks: 4}
outputs:
  audio:
    query: {grid: {time: 2}, position: {fourier: {bands: 3, max_resolution: {time: 32}}}}
    head: {linear: 16}
  image:
    query: {grid: {height: 8, width: 8}, position: {fourier: {bands: 2}}}
    head: {linear: 3}
  label: {query: {learned: {count: 1, width: 20}}, head: {linear: 7}}
"""


def lowered(text: str = SPEC, *overrides: str) -> Lowered:
    return lower(parse_spec(text, "specs/small.yaml", overrides))


def emit(found: Lowered) -> str:
    return source(found.graph, name=found.document.spec.name, chunks=found.chunks)


def weights(graph: Graph) -> dict[str, Any]:
    """Random values, large enough for every part of the model to matter."""
    rng = np.random.default_rng(0)
    return {
        leaf.value.name: rng.uniform(0.1, 0.9, [int(d) for d in leaf.value.shape]).astype("f")
        if leaf.init.kind == "ones"
        else rng.normal(0, 0.3, [int(d) for d in leaf.value.shape]).astype("f")
        for leaf in graph.parameters
    }


def arrays(graph: Graph, batch: int = 2, **sizes: int) -> dict[str, Any]:
    """Random data; everything present; for each output a few of its positions."""
    rng = np.random.default_rng(1)
    found: dict[str, Any] = {}
    for leaf in graph.inputs:
        bindings = {"batch": batch, **sizes, **{s: 3 for s in graph.symbols if "_queries" in s}}
        shape = [
            dim.evaluate({s.name: bindings[s.name] for s in dim.symbols})
            if leaf.role != "queries"
            else 3
            for dim in leaf.value.shape
        ]
        if leaf.role == "queries":
            (symbol,) = leaf.value.shape[0].symbols
            found[leaf.value.name] = rng.integers(0, symbol.max or 2, shape)
        elif leaf.role == "present":
            found[leaf.value.name] = np.ones(shape, dtype=bool)
        elif leaf.value.dtype == "int64":
            found[leaf.value.name] = rng.integers(0, 4, shape)
        else:
            found[leaf.value.name] = rng.normal(size=shape).astype("f")
    return found


def run(model: nn.Module, graph: Graph, given: Mapping[str, Any]) -> dict[str, Any]:
    """The model on arrays by the names that the graph's inputs have."""
    tensors = {name: torch.from_numpy(np.asarray(array)) for name, array in given.items()}
    inputs = {i.value.name: tensors[i.value.name] for i in graph.inputs if i.role != "queries"}
    queries = {i.of: tensors[i.value.name] for i in graph.inputs if i.role == "queries"}
    with torch.no_grad():
        outputs = model(inputs, queries)
    return {name: tensor.numpy() for name, tensor in outputs.items()}


def assert_equal(graph: Graph, text: str, given: Mapping[str, Any], *, train: bool = False) -> None:
    """The emitted source and the oracle agree."""
    parameters = weights(graph)
    model = load_module(text, parameters).train(train)
    expected = evaluate(graph, given, parameters)
    found = run(model, graph, given)
    assert set(found) == set(expected) - {"latents"}
    for name, array in found.items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-4, atol=2e-5, err_msg=name)


def assert_clean(text: str) -> None:
    """The file is as `ruff format` would have it and without findings."""
    for command in (["format", "--check", "--diff"], ["check", "--isolated"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--line-length", "100", "-"],
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def builder(**symbols: Symbol) -> GraphBuilder:
    return GraphBuilder("test", {"batch": BATCH, **symbols})


def data(b: GraphBuilder, name: str, *shape: int, dtype: Any = "float32") -> Value:
    axes = tuple(f"axis_{i}" for i in range(len(shape)))
    return b.input(name, "data", name, ("batch", *axes), shape_of(BATCH, *shape), dtype)


def test_every_primitive_has_a_lowering() -> None:
    missing = set(ops.PRIMITIVES.values()) - set(TABLE)
    assert not missing, f"add a lowering for {', '.join(op.name for op in missing)}"


FLOATS: dict[str, tuple[ops.Op, list[tuple[int, ...]]]] = {
    "add": (ops.Add(), [(3, 4), (4,)]),
    "attention": (ops.Attention(1), [(3, 8), (5, 8), (5, 4)]),
    "attention heads": (ops.Attention(4), [(3, 8), (5, 8), (5, 4)]),
    "broadcast_like": (ops.BroadcastLike(2), [(3,), (4, 2)]),
    "concat": (ops.Concat(-1), [(3, 4), (3, 2)]),
    "concat front": (ops.Concat(1), [(3, 4), (1, 4)]),
    "flatten": (ops.Flatten(1, 2), [(3, 4, 2)]),
    "gelu": (ops.Gelu(), [(9,)]),
    "gelu tanh": (ops.Gelu("tanh"), [(9,)]),
    "matmul": (ops.MatMul(), [(3, 4), (4, 5)]),
    "matmul transposed": (ops.MatMul(True), [(3, 4), (5, 4)]),
    "max_pool": (ops.MaxPool((3, 3), (2, 2), ((1, 1), (1, 1))), [(7, 8, 2)]),
    "max_pool odd": (ops.MaxPool((2, 3), (2, 3), ((0, 1), (1, 0))), [(7, 8, 2)]),
    "max_pool wide": (ops.MaxPool((2,), (1,), ((2, 2),)), [(7, 2)]),
    "permute": (ops.Permute((0, 2, 1)), [(3, 4)]),
    "relu": (ops.Relu(), [(9,)]),
    "repeat": (ops.Repeat(3), [(4,)]),
    "scale": (ops.Scale(-0.25), [(9,)]),
    "slice": (ops.Slice(1, 1, 3), [(4, 2)]),
    "slice end": (ops.Slice(-1, -2, None), [(4, 5)]),
    "tanh": (ops.Tanh(), [(9,)]),
    "unflatten": (ops.Unflatten(1, (2, None, 1)), [(6, 3)]),
}


@pytest.mark.parametrize("name", FLOATS)
def test_primitives_on_floats(name: str) -> None:
    op, shapes = FLOATS[name]
    b = builder()
    values = [data(b, f"x{i}", *shape) for i, shape in enumerate(shapes)]
    if isinstance(op, ops.BroadcastLike | ops.Repeat):
        values[0] = b.parameter("token", shapes[0])
    graph = b.graph({"y": b(op, *values)})
    assert_equal(graph, source(graph, name="one"), arrays(graph))


CONVS = [
    ops.Conv((1,), ((0, 0),)),
    ops.Conv((2, 1), ((1, 1), (2, 2))),
    ops.Conv((2, 2), ((0, 1), (2, 1))),
    ops.Conv((1, 1, 2), ((0, 0), (1, 1), (0, 0))),
]


@pytest.mark.parametrize("op", CONVS, ids=str)
@pytest.mark.parametrize("names", [("conv.weight", "conv.bias"), ("conv.weight",), ("w", "b")])
def test_convolutions(op: ops.Conv, names: tuple[str, ...]) -> None:
    b, rank = builder(), len(op.strides)
    x = data(b, "x", *(8, 7, 6)[:rank], 2)
    shapes = [(5, 2, *(3, 2, 2)[:rank]), (5,)]
    weight = [b.parameter(n, s) for n, s in zip(names, shapes, strict=False)]
    graph = b.graph({"y": b(op, x, *weight)})
    text = source(graph, name="one")
    assert_equal(graph, text, arrays(graph))
    assert (f"nn.Conv{rank}d(2, 5" in text) is (names[0] == "conv.weight")


@pytest.mark.parametrize("module", ["norm.", "", "first.second."])
def test_parameters_make_layers_where_they_can(module: str) -> None:
    b = builder()
    x = data(b, "x", 3, 4)
    names = [f"{module}{name}" for name in ("weight", "bias", "running_mean", "running_var")]
    inits = [Initializer("ones"), Initializer("zeros"), Initializer("zeros"), Initializer("ones")]
    found = [
        b.parameter(name, (4,), init, trainable=i < 2)
        for i, (name, init) in enumerate(zip(names, inits, strict=True))
    ]
    graph = b.graph({"y": b(ops.BatchNorm(1e-3), x, *found)})
    text = source(graph, name="one")
    assert_equal(graph, text, arrays(graph))
    model = load_module(text, weights(graph))
    assert set(model.state_dict()) == set(names)
    assert {name for name, _ in model.named_buffers()} == set(names[2:])
    assert ("BatchNorm(4, eps=0.001)" in text) is bool(module)


def test_batch_norm_trains_with_the_statistics_of_the_batch() -> None:
    b = builder()
    x = data(b, "x", 50, 3)
    names = ("weight", "bias", "running_mean", "running_var")
    found = [b.parameter(f"norm.{n}", (3,), trainable="run" not in n) for n in names]
    graph = b.graph({"y": b(ops.BatchNorm(), x, *found)})
    model = load_module(source(graph, name="one"))
    y = model({"x": 5 + 3 * torch.randn(4, 50, 3)})["y"]
    assert y.mean().abs() < 1e-3
    assert y.std() == pytest.approx(1, abs=0.01)
    assert model.state_dict()["norm.running_mean"].mean() == pytest.approx(0.5, abs=0.1)


def test_primitives_on_ids_follow_the_dtype_of_the_module() -> None:
    b = builder()
    ids, present = data(b, "ids", 3, dtype="int64"), data(b, "p", 1, 1, dtype="bool")
    table = b.parameter("embedding.weight", (4, 5))
    vectors = b(ops.Gather(0), table, b(ops.Coordinate(2, 4), ids))
    hot = b.linear(b(ops.OneHot(9), ids), "hot", 5)
    x = b(ops.Where(), present, vectors, b(ops.Add(), hot, vectors))
    logits = b(ops.Linear(), x, table, b.parameter("bias", (4,)))  # tied
    norm = b(ops.LayerNorm(1e-6), logits, b.parameter("scale", (4,)), b.parameter("shift", (4,)))
    graph = b.graph({"y": norm, "rows": b(ops.Gather(1), x, b(ops.Coordinate(1, 3), table_ids(b)))})
    given = arrays(graph) | {"p": np.array([True, False]).reshape(2, 1, 1)}
    text = source(graph, name="one")
    assert_equal(graph, text, given)
    assert "nn.Embedding(4, 5)" in text
    half = load_module(text, weights(graph)).to(torch.bfloat16)
    tensors = {name: torch.from_numpy(array) for name, array in given.items()}
    queries = {"rows": tensors.pop("rows.queries")}
    assert {t.dtype for t in half(tensors, queries).values()} == {torch.bfloat16}


def table_ids(b: GraphBuilder) -> Value:
    count = Symbol("rows_queries", max=3)
    b.symbols["rows_queries"] = count
    return b.input("rows.queries", "queries", "rows", ("query",), shape_of(count), "int64")


@pytest.mark.parametrize("endpoint", [True, False])
@pytest.mark.parametrize("sine_only", [True, False])
@pytest.mark.parametrize("include_position", [True, False])
@pytest.mark.parametrize(("size", "resolution"), [(1, 2.0), (30, 30720.0), (7, 56.0)])
def test_fourier_tables(
    size: int, resolution: float, include_position: bool, sine_only: bool, endpoint: bool
) -> None:
    b = builder()
    options = (5, resolution, endpoint, include_position, sine_only)
    tables = [b(ops.FourierTable(size, axis, 2, *options)) for axis in (0, 1)]
    table = b(ops.Add(), *tables)
    graph = b.graph({"y": b(ops.BroadcastLike(), table, data(b, "x", 2))})
    given = arrays(graph)
    found = run(load_module(source(graph, name="one")), graph, given)["y"]
    # float32 sines of equal arguments: an argument that is one bit off shows in the third decimal
    np.testing.assert_allclose(found, evaluate(graph, given, {})["y"], rtol=0, atol=3e-7)
