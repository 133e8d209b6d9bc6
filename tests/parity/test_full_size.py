"""The published multimodal autoencoder at full size: specs/kinetics.yaml against transformers with the
same weights. Minutes and gigabytes: `pytest -m full -s tests/parity` prints the differences."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import perceiver_graph as pg
from perceiver_graph.compiler.ops.base import Array
from perceiver_graph.spec.loader import load_spec
from tests.parity.harness import Built, compare, run_onnx, run_torch
from tests.parity.reference import KINETICS, Result, autoencoder

pytestmark = pytest.mark.full

CHUNKS = 128
ASKED = {"first": 0, "middle": CHUNKS // 2, "last": CHUNKS - 1}
COUNTS = {"audio": 1920, "image": 16 * 224 * 224}


def chunk(index: int) -> dict[str, Array]:
    """The queries of one of the 128 parts in which the published tutorial decodes."""
    return {
        name: np.arange(count // CHUNKS * index, count // CHUNKS * (index + 1))
        for name, count in COUNTS.items()
    }


@pytest.fixture(scope="module")
def kinetics(tmp_path_factory: pytest.TempPathFactory) -> Built:
    reference = autoencoder(KINETICS)
    compiled = pg.compile(load_spec("kinetics"))
    checkpoint = reference.save(tmp_path_factory.mktemp("kinetics") / "checkpoint")
    return Built("kinetics", reference, compiled, checkpoint, compiled.weights(checkpoint))


@pytest.fixture(scope="module")
def expected(kinetics: Built) -> dict[str, Result]:
    data = kinetics.data(batch=1)
    return {name: kinetics.reference.run(data, chunk(i)) for name, i in ASKED.items()}


def parts(kinetics: Built) -> Iterator[tuple[str, dict[str, Array], dict[str, Array]]]:
    for name, index in ASKED.items():
        yield name, kinetics.data(batch=1), chunk(index)


def test_onnx(kinetics: Built, expected: dict[str, Result]) -> None:
    for name, data, queries in parts(kinetics):
        found = run_onnx(kinetics.onnx, data, queries)
        compare(f"ONNX, {name} chunk", found, expected[name])


def test_pytorch(kinetics: Built, expected: dict[str, Result]) -> None:
    for name, data, queries in parts(kinetics):
        found = run_torch(kinetics.torch, data, queries)
        compare(f"PyTorch, {name} chunk", found, expected[name])


def test_oracle(kinetics: Built, expected: dict[str, Result]) -> None:
    name, data, queries = next(parts(kinetics))
    compare(f"oracle, {name} chunk", kinetics.oracle(data, queries), expected[name])
