"""The work for a model grows with its layers and no faster, and ten thousand are seconds to inspect."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import perceiver_graph as pg
from perceiver_graph.cli.inspection import Inspection
from perceiver_graph.compiler.ir.dims import shape_of
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.compiler.ops import TensorType
from perceiver_graph.compiler.passes import ComposeLinear, PassResult
from perceiver_graph.compiler.passes.pipeline import Level
from perceiver_graph.spec.loader import parse_spec

ROOT = Path(__file__).resolve().parent.parent

SPEC = """
perceiver: 1
name: deep
inputs: {x: {shape: {step: 4, channel: 8}}}
latents: {count: 4, width: 8}
encode: {heads: 1}
process: {PROCESS, heads: 1}
decode: {heads: 1}
outputs: {y: {query: {learned: {}}, head: {linear: 3}}}
"""


def inspected(text: str, level: Level) -> None:
    assert Inspection.of(lower(parse_spec(text)), level).as_json()["flops"] > 0


def calls(work: Callable[[], object]) -> int:
    """How many functions are called: the same on every machine, however busy."""
    count = 0

    def called(_frame: object, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(called)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def assert_linear(work: Callable[[str], object], process: str) -> None:
    """Forty layers more cost twice what twenty more do."""
    texts = [SPEC.replace("PROCESS", process.format(n)) for n in (20, 40, 80)]
    work(texts[0])  # what is loaded and worked out once for all models
    few, some, many = [calls(partial(work, text)) for text in texts]
    assert many - some < 1.05 * 2 * (some - few)


@pytest.mark.parametrize("process", ["layers: {}", "layers: 1, blocks: {}, share: false"])
@pytest.mark.parametrize("level", [0, 2])
def test_inspect_grows_with_the_layers(level: Level, process: str) -> None:
    assert_linear(lambda text: inspected(text, level), process)


@pytest.mark.parametrize(("level", "most"), [(0, 2_500), (2, 12_000)])
def test_a_layer_is_quick_to_inspect(level: Level, most: int) -> None:
    """A call takes about a tenth of a microsecond: 10,000 layers are two seconds, and twelve."""

    def work(layers: int) -> None:
        inspected(SPEC.replace("PROCESS", f"layers: {layers}"), level)

    work(20)
    few, many = calls(partial(work, 20)), calls(partial(work, 120))
    assert (many - few) / 100 < most


def test_a_graph_is_rewritten_once_to_be_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the values of its weights, and without them for what the manifest says of it."""
    graphs: list[Graph] = []
    run = ComposeLinear.run

    def counted(self: ComposeLinear, graph: Graph) -> PassResult:
        graphs.append(graph)
        return run(self, graph)

    monkeypatch.setattr(ComposeLinear, "run", counted)
    pg.compile(parse_spec(SPEC.replace("PROCESS", "layers: 2"))).save(tmp_path / "artifact")
    assert len(graphs) == 1


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_compile_grows_with_the_layers(backend: str, tmp_path: Path) -> None:
    def work(text: str) -> None:
        pg.compile(parse_spec(text)).save(tmp_path / "artifact", backends=(backend,))

    assert_linear(work, "layers: {}")


def test_a_type_from_another_process_is_found() -> None:
    """Types remember their hash, and each process hashes text in its own way."""
    code = """
import pickle, sys
from perceiver_graph.compiler.ir.dims import shape_of
from perceiver_graph.compiler.ops import TensorType
sys.stdout.buffer.write(pickle.dumps(TensorType(shape_of(2, 3), "bool")))
"""
    pickled = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            check=True,
            timeout=120,
        ).stdout
        for seed in ("1", "2")
    ]
    known = {TensorType(shape_of(2, 3), "bool")}
    assert all(pickle.loads(one) in known for one in pickled)
