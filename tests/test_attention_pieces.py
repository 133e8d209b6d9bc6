"""Attention to very many keys: answered for some queries at a time, so that few scores exist at once."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.onnx.emit import emit
from perceiver_graph.compiler.backends.onnx.tensors import TensorStore
from perceiver_graph.compiler.blocks.builder import GraphBuilder
from perceiver_graph.compiler.ir.dims import Symbol, shape_of
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.programs.target import Target
from tests.test_onnx_lowerings import run


def attention(queries: int, keys: int) -> Graph:
    b = GraphBuilder("many", {"batch": Symbol("batch")})
    shape = shape_of(Symbol("batch"), keys, 6)
    x = b.input("x", "data", "x", ("batch", "n", "channel"), shape, "float32")
    with b.block("encode", "Encode"):
        q = b(ops.Broadcast(x.shape[:1]), b.parameter("latents", (queries, 6)))
        latents = b(ops.Attention(1), q, x, b.linear(x, "value", 4), name="latents")
    return b.graph({"latents": latents})


def grid(queries: int, height: int, width: int) -> Graph:
    b = GraphBuilder("many", {"batch": Symbol("batch")})
    shape = shape_of(Symbol("batch"), height * width, 6)
    x = b.input("x", "data", "x", ("batch", "n", "channel"), shape, "float32")
    with b.block("encode", "Encode"):
        q, *tables = (
            b(ops.Broadcast(x.shape[:1]), b.parameter(f"q{size}", (queries, size)))
            for size in (6, height, width)
        )
        s = b(ops.Slice(-1, 0, 1), x)
        latents = b(ops.SegmentedAttention((2,)), q, x, s, *tables, name="latents")
    return b.graph({"latents": latents})


@pytest.mark.parametrize("kind", ["attention", "grid"])
@pytest.mark.parametrize(
    ("queries", "keys", "limit", "pieces"),
    [
        (7, 30, 10**6, 1),
        (7, 30, 4 * 30 * 7, 1),
        (7, 30, 4 * 30 * 4, 2),
        (7, 30, 4 * 30 * 3, 3),
        (7, 30, 1, 7),
        (1, 30, 1, 1),
    ],
)
def test_pieces(kind: str, queries: int, keys: int, limit: int, pieces: int) -> None:
    graph = attention(queries, keys) if kind == "attention" else grid(queries, 5, keys // 5)
    limit *= 3 if kind == "grid" else 1  # three arrays of scores exist at once
    rng = np.random.default_rng(0)
    weights = {
        leaf.value.name: np.asarray(
            rng.standard_normal([int(n) for n in leaf.value.shape]), np.float32
        )
        for leaf in graph.parameters
    }
    inputs = {"x": np.asarray(rng.standard_normal((2, keys, 6)), np.float32)}
    model = ir.to_proto(emit(graph, weights, TensorStore(), target=Target(score_limit=limit)))
    assert sum(node.op_type == "Softmax" for node in model.graph.node) == pieces
    found = run(model, inputs, {})["latents"]
    np.testing.assert_allclose(found, evaluate(graph, inputs, weights)["latents"], atol=1e-5)
