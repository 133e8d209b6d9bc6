"""The released models at full size: each shipped spec against transformers with the same weights.

One line a model: `pytest -m full -s tests/parity/test_full_size_classes.py`. The autoencoder is in
test_full_size.py.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

import perceiver_graph as pg
from perceiver_graph.compiler.importing import import_checkpoint
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.spec.loader import load_spec, parse_spec
from tests.figures import difference
from tests.import_support import IMAGE, TEXT, answer, model, save
from tests.parity.classes import PUBLISHED
from tests.parity.harness import TOLERANCE
from tests.parity.test_classes import run_onnx, run_torch
from tests.test_export import exported, loaded

pytestmark = pytest.mark.full


@pytest.fixture(autouse=True)
def _free_memory() -> Iterator[None]:
    yield
    gc.collect()


def full_inputs(short_class: str) -> dict[str, Array]:
    """What the released model takes: all 2048 bytes with some padding, 224 x 224 pixels, a tile."""
    rng = np.random.default_rng(1)
    if short_class in TEXT:
        mask = np.arange(2048)[None] < 1500
        return {"text": rng.integers(0, 262, (1, 2048)), "text.attention_mask": mask}
    if short_class in IMAGE:
        return {"image": rng.standard_normal((1, 224, 224, 3), np.float32)}
    return {"frames": rng.standard_normal((1, 2, 368, 496, 27), np.float32)}


@pytest.mark.parametrize("short_class", PUBLISHED)
def test_released_model(
    short_class: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    name, settings = PUBLISHED[short_class]
    original = model(short_class, **{"vocab_size": 262, **settings})
    checkpoint = save(original, tmp_path / "checkpoint")
    compiled = pg.compile(load_spec(name))
    assert sum(p.numel() for p in original.parameters()) == compiled.graph.parameter_count
    compiled.save(tmp_path / "artifact", backends=("onnx", "torch"), weights=checkpoint)
    inputs = full_inputs(short_class)
    expected = answer(original, short_class, inputs)
    del original
    gc.collect()
    parts = [f"{name}: {compiled.graph.parameter_count:,} parameters"]
    shares = []
    for backend, run in (("ONNX", run_onnx), ("PyTorch", run_torch)):
        share = largest_difference(run(tmp_path / "artifact", inputs), expected)
        shares.append(share)
        parts.append(f"{backend} {share:.1e}")
        gc.collect()
    print(f"\n{', '.join(parts)} of the largest output", flush=True)
    version = f"transformers {transformers.__version__}"
    record_property("difference", difference("transformers", name, max(shares), version))
    assert max(shares) <= TOLERANCE


def largest_difference(found: dict[str, Array], expected: dict[str, Array]) -> float:
    """As a share of the largest output."""
    assert found.keys() == expected.keys()
    shares = []
    for name, theirs in expected.items():
        scale = np.abs(theirs).max()
        assert scale > 1e-3  # a reference of zeros would show nothing
        shares.append(float(np.abs(found[name].reshape(theirs.shape) - theirs).max() / scale))
    return max(shares)


@pytest.mark.parametrize("short_class", PUBLISHED)
def test_the_released_model_there_and_back(short_class: str, tmp_path: Path) -> None:
    """Imported, exported and loaded by transformers, at full size, bit by bit."""
    _, settings = PUBLISHED[short_class]
    original = model(short_class, **{"vocab_size": 262, **settings})
    size = (224, 224) if short_class in IMAGE[1:] else None
    imported = import_checkpoint(save(original, tmp_path / "checkpoint"), image_size=size)
    state = original.state_dict()
    again = loaded(short_class, exported(imported, tmp_path / "exported")).state_dict()
    assert again.keys() == state.keys()
    assert [name for name in state if not torch.equal(again[name], state[name])] == []


@pytest.mark.parametrize("short_class", PUBLISHED)
def test_importing_the_released_configuration_gives_the_shipped_graph(
    short_class: str, tmp_path: Path
) -> None:
    name, settings = PUBLISHED[short_class]
    original = model(short_class, **{"vocab_size": 262, **settings})
    size = (224, 224) if short_class in IMAGE[1:] else None
    imported = import_checkpoint(save(original, tmp_path / "checkpoint"), image_size=size)
    shipped = lower(load_spec(name)).graph
    ours = lower(parse_spec(imported.spec_text)).graph
    assert described(ours) == described(shipped)


def described(graph: Graph) -> list[str]:
    """Everything but names of graphs and lines of specs."""
    values = [leaf.value for leaf in graph.inputs] + [leaf.value for leaf in graph.parameters]
    leaves = [f"{value.name} {value.type}" for value in values]
    nodes = [
        f"{node.output.name} {node.output.type} = {node.op} {[v.name for v in node.inputs]}"
        for node in graph.nodes
    ]
    return [*leaves, *nodes, *(f"{name} {value.name}" for name, value in graph.outputs.items())]
