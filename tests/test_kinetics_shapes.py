"""Shapes and sizes of specs/kinetics.yaml against those of the reference implementation.

The tables are what `PerceiverForMultimodalAutoencoding` of transformers, with the configuration of
deepmind/multimodal-perceiver, showed at the output of every sub-module while it decoded one of 128
chunks, batch 1. Nothing in them is computed here.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from perceiver_graph.compiler.ir.dims import Shape
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.compiler.lowering.lowered import Lowered
from perceiver_graph.compiler.ops import Attention
from perceiver_graph.spec.loader import load_spec

SIZES = {"batch": 1, "audio_queries": 15, "image_queries": 6272}

INPUTS = {
    "inputs/audio/patch": (1, 1920, 16),
    "inputs/audio/position.batch": (1, 1920, 385),
    "inputs/audio/with_position": (1, 1920, 401),
    "inputs/image/patch": (1, 16, 56, 56, 48),
    "inputs/image/tokens": (1, 50176, 48),
    "inputs/image/position.batch": (1, 50176, 195),
    "inputs/image/with_position": (1, 50176, 243),
    "inputs/label/tokens": (1, 1, 700),
    "inputs/joined": (1, 52097, 704),
    "latents": (784, 512),
}

ENCODE = {
    "attention/latent_norm": (784, 512),
    "attention/input_norm": (1, 52097, 704),
    "attention/query": (784, 704),
    "attention/key": (1, 52097, 704),
    "attention/value": (1, 52097, 704),
    "attention/attended": (1, 784, 704),
    "attention/output": (1, 784, 512),
    "mlp/norm": (1, 784, 512),
    "mlp/dense1": (1, 784, 512),
    "mlp/activated": (1, 784, 512),
    "mlp/dense2": (1, 784, 512),
    "output": (1, 784, 512),
}

SELF_ATTEND = dict.fromkeys(
    [
        "attention/norm",
        "attention/query",
        "attention/key",
        "attention/value",
        "attention/attended",
        "attention/output",
        "mlp/norm",
        "mlp/dense1",
        "mlp/dense2",
        "output",
    ],
    (1, 784, 512),
)

QUERIES = {
    "queries/audio/fourier.time": (1920, 385),
    "queries/image/fourier.time": (16, 195),
    "queries/image/fourier.height": (224, 195),
    "queries/image/fourier.width": (224, 195),
    "queries.label.table": (1, 1024),
    "queries/audio/padded": (15, 1026),
    "queries/image/padded": (6272, 1026),
    "queries/label/padded": (1, 1026),
}

DECODE = {  # n: queries of the output; 15 + 6272 + 1 = 6288 in the reference, which joins them
    "attention/query_norm": ("n", 1026),
    "attention/input_norm": (1, 784, 512),
    "attention/query": ("n", 512),
    "attention/key": (1, 784, 512),
    "attention/value": (1, 784, 512),
    "attention/attended": (1, "n", 512),
    "attention/output": (1, "n", 1026),
    "mlp/norm": (1, "n", 1026),
    "mlp/dense1": (1, "n", 1026),
    "mlp/activated": (1, "n", 1026),
    "mlp/dense2": (1, "n", 1026),
    "output": (1, "n", 1026),
}

CHUNK = {"audio": 15, "image": 6272, "label": 1}
OUTPUTS = {"audio": (1, 15, 16), "image": (1, 6272, 3), "label": (1, 700), "latents": (1, 784, 512)}

PARAMETERS = {
    "inputs": 2_880,
    "latents": 401_408,
    "encoder": 2_243_520,
    "process": 12_623_872,
    "queries + decoder": 4_218_328,
    "heads": 368_847,
}


@pytest.fixture(scope="module")
def kinetics() -> Lowered:
    return lower(load_spec("kinetics"))


@pytest.fixture(scope="module")
def shapes(kinetics: Lowered) -> Mapping[str, tuple[int, ...]]:
    """Of every value of the graph, by name."""
    graph = kinetics.graph
    return {value.name: _sizes(value.shape) for value in (*graph.leaves, *graph.producers)}


def _sizes(shape: Shape) -> tuple[int, ...]:
    return tuple(dim.evaluate(SIZES) for dim in shape)


def _check(shapes: Mapping[str, tuple[int, ...]], expected: Mapping[str, object]) -> None:
    assert {name: shapes.get(name) for name in expected} == expected


def test_inputs(shapes: Mapping[str, tuple[int, ...]]) -> None:
    _check(shapes, INPUTS)


def test_encode(shapes: Mapping[str, tuple[int, ...]]) -> None:
    _check(shapes, {f"encode/cross_attend/{name}": shape for name, shape in ENCODE.items()})


@pytest.mark.parametrize("layer", range(8))
def test_process(shapes: Mapping[str, tuple[int, ...]], layer: int) -> None:
    scope = f"process/layers.{layer}"
    _check(shapes, {f"{scope}/{name}": shape for name, shape in SELF_ATTEND.items()})
    assert "process/layers.8/output" not in shapes


def test_queries(shapes: Mapping[str, tuple[int, ...]]) -> None:
    _check(shapes, QUERIES)


@pytest.mark.parametrize("output", CHUNK)
def test_decode(shapes: Mapping[str, tuple[int, ...]], output: str) -> None:
    n = CHUNK[output]
    expected = {
        f"decode/{output}/cross_attend/{name}": tuple(n if size == "n" else size for size in shape)
        for name, shape in DECODE.items()
    }
    _check(shapes, {**expected, f"decode/{output}/project": (1, n, 512)})


def test_outputs(kinetics: Lowered) -> None:
    assert {name: _sizes(v.shape) for name, v in kinetics.graph.outputs.items()} == OUTPUTS


def test_what_is_asked_about(kinetics: Lowered) -> None:
    assert [int(size) for size in kinetics.input_array] == [52097, 704]
    assert [int(size) for size in kinetics.latents] == [784, 512]
    assert [int(size) for size in kinetics.query_array] == [6288, 1026]
    assert kinetics.total_queries == 1920 + 16 * 224 * 224 + 1
    assert kinetics.chunks == 128


def test_parameters(kinetics: Lowered) -> None:
    graph = kinetics.graph
    found = dict.fromkeys(PARAMETERS, 0)
    for leaf in graph.parameters:
        part = leaf.value.name.split(".")[0]
        part = "queries + decoder" if part in ("queries", "decoder") else part
        found[part] += int(np.prod(_sizes(leaf.value.shape)))
    assert found == PARAMETERS
    assert len(graph.parameters) == 183
    assert graph.parameter_count == 19_858_855


def test_cost(kinetics: Lowered) -> None:
    """The reference's multiply-additions of one chunk, counted from the shapes above."""
    multiply_additions = kinetics.graph.flops.evaluate(SIZES) / 2
    assert multiply_additions == pytest.approx(153.6e9, rel=0.02)


def test_heads(kinetics: Lowered) -> None:
    nodes = kinetics.graph.nodes
    heads = {node.scope[0]: node.op.heads for node in nodes if isinstance(node.op, Attention)}
    assert heads == {"encode": 1, "process": 8, "decode": 1}
