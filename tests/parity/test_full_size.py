"""The published multimodal autoencoder at full size: specs/kinetics.yaml against transformers with the
same weights. Minutes and gigabytes: `pytest -m full -s tests/parity` prints the differences."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import transformers

import perceiver_graph as pg
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.runtime.inputs import write_arrays
from perceiver_graph.spec.loader import load_spec
from tests.figures import difference
from tests.parity.harness import Built, agree, compare, run_onnx, run_torch
from tests.parity.reference import KINETICS, Result, autoencoder

pytestmark = pytest.mark.full

Record = Callable[[str, object], None]
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


def measured(record_property: Record, share: float) -> None:
    version = f"transformers {transformers.__version__}"
    record_property("difference", difference("transformers", "kinetics", share, version))


def parts(kinetics: Built) -> Iterator[tuple[str, dict[str, Array], dict[str, Array]]]:
    for name, index in ASKED.items():
        yield name, kinetics.data(batch=1), chunk(index)


def test_onnx(kinetics: Built, expected: dict[str, Result], record_property: Record) -> None:
    for name, data, queries in parts(kinetics):
        found = run_onnx(kinetics.onnx, data, queries)
        measured(record_property, compare(f"ONNX, {name} chunk", found, expected[name]))


def test_pytorch(kinetics: Built, expected: dict[str, Result], record_property: Record) -> None:
    for name, data, queries in parts(kinetics):
        found = run_torch(kinetics.torch, data, queries)
        measured(record_property, compare(f"PyTorch, {name} chunk", found, expected[name]))


def test_oracle(kinetics: Built, expected: dict[str, Result]) -> None:
    name, data, queries = next(parts(kinetics))
    compare(f"oracle, {name} chunk", kinetics.oracle(data, queries), expected[name])


def test_the_whole_video_from_the_command_line(
    kinetics: Built, tmp_path: Path, record_property: Record
) -> None:
    """Compile a transformers folder, run arrays, compare all 804,737 queries; within 4 GiB."""
    data = kinetics.data(batch=1)
    write_arrays(tmp_path / "in.npz", data)
    artifact, arrays = str(tmp_path / "artifact"), str(tmp_path / "in.npz")
    command("compile", "kinetics", "-o", artifact, "--weights", str(kinetics.checkpoint))
    peak = command("run", artifact, "--inputs", arrays, "-o", str(tmp_path / "out.npz"))
    parts = ["--decode", "image=0:6272", "--decode", "audio=0:15", "--decode", "label"]
    command("run", artifact, "--inputs", arrays, "-o", str(tmp_path / "first.npz"), *parts)

    expected = kinetics.reference.whole(data, map(chunk, range(CHUNKS)))
    everything, first = np.load(tmp_path / "out.npz"), np.load(tmp_path / "first.npz")
    assert set(everything) == set(first) == set(expected.outputs)
    for name, array in expected.outputs.items():
        share = agree(f"the whole video, {name}", flat(everything[name]), array)
        measured(record_property, share)
        beginning = flat(first[name])
        agree(f"--decode {name}", beginning, array[:, : beginning.shape[1]])
    print(f"the whole video: peak memory {peak / 2**30:.2f} GiB")
    assert peak <= 4 * 2**30


def command(*arguments: str) -> int:
    """Run perceiver-graph; returns the peak memory of all commands so far in bytes."""
    subprocess.run([sys.executable, "-m", "perceiver_graph", *arguments], check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def flat(array: Array) -> Array:
    """One axis of queries; none for a single query, [batch, channels]."""
    return array if array.ndim == 2 else array.reshape(len(array), -1, array.shape[-1])
