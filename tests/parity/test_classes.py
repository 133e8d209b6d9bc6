"""Every class of transformers at random small configurations: saved there, imported and run here.

All parameters are random. ONNX runs on onnxruntime, PyTorch is the emitted model.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import perceiver_graph as pg
from perceiver_graph.compiler.importing import import_checkpoint
from perceiver_graph.compiler.importing import save as save_imported
from perceiver_graph.compiler.ir.op import Array
from tests.import_support import CLASSES, IMAGE, SIDE, TEXT, answer, inputs_of, model, save
from tests.parity.classes import batched, random_settings
from tests.parity.harness import agree, load_emitted

CONFIGURATIONS = 22
"""Of each class."""


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Models this small only lose by more threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("seed", range(CONFIGURATIONS))
@pytest.mark.parametrize("short_class", CLASSES)
def test_any_configuration(short_class: str, seed: int, tmp_path: Path) -> None:
    original = model(short_class, seed, **random_settings(short_class, seed))
    checkpoint = save(original, tmp_path / "checkpoint")
    size = (SIDE, SIDE) if short_class in IMAGE[1:] else None
    save_imported(import_checkpoint(checkpoint, image_size=size), tmp_path / "imported")
    compiled = pg.compile(tmp_path / "imported" / "spec.yaml")
    weights = tmp_path / "imported" / "weights.safetensors"
    compiled.save(tmp_path / "artifact", backends=("onnx", "torch"), weights=weights)
    inputs = inputs_of(original, short_class, seed)
    if short_class in TEXT:
        inputs["text.attention_mask"][0] = seed % 3 != 0  # sometimes a text of nothing but padding
    if short_class != "MultimodalAutoencoding":
        inputs = batched(inputs, 1 + seed % 3)
    expected = answer(original, short_class, inputs)
    compare(f"{short_class}, {seed}, ONNX", run_onnx(tmp_path / "artifact", inputs), expected)
    compare(f"{short_class}, {seed}, PyTorch", run_torch(tmp_path / "artifact", inputs), expected)


def run_onnx(artifact: Path, inputs: dict[str, Array]) -> dict[str, Array]:
    return pg.load(artifact, device="cpu").run(inputs)


def run_torch(artifact: Path, inputs: dict[str, Array]) -> dict[str, Array]:
    emitted = load_emitted(artifact)
    with torch.no_grad():
        found = emitted({name: torch.from_numpy(array) for name, array in inputs.items()})
    return {name: output.numpy() for name, output in found.items()}


def compare(what: str, found: dict[str, Array], expected: dict[str, Array]) -> None:
    assert found.keys() == expected.keys()
    for name, theirs in expected.items():
        scale = np.float32(100 if name == "flow" else 1)  # flow comes divided by 100
        agree(f"{what}, {name}", scale * found[name].reshape(theirs.shape), scale * theirs)
