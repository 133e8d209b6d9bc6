"""What the tests of `import` share: checkpoints that are changed, and what is said of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from perceiver_graph.compiler.importing import Imported, import_checkpoint
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.diagnostics import DiagnosticError, render
from perceiver_graph.spec.loader import parse_spec
from perceiver_graph.spec.models import Spec

FOURIER = "ImageClassificationFourier"
CONV = "ImageClassificationConvProcessing"


def spec_of(imported: Imported) -> Spec:
    return parse_spec(imported.spec_text).spec


def same(ours: Imported, theirs: Imported) -> bool:
    return ours.weights.keys() == theirs.weights.keys() and all(
        np.array_equal(value, theirs.weights[name]) for name, value in ours.weights.items()
    )


def problems(path: str | Path, **options: Any) -> tuple[list[str], str]:
    with pytest.raises(DiagnosticError) as caught:
        import_checkpoint(path, **options)
    found = caught.value.diagnostics
    return [d.code for d in found], render(found)


def configure(path: Path, **settings: Any) -> Path:
    file = path / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))
    return path


def without(path: Path, *settings: str) -> Path:
    file = path / "config.json"
    left = {k: v for k, v in json.loads(file.read_text()).items() if k not in settings}
    file.write_text(json.dumps(left))
    return path


def tensors_of(path: Path) -> dict[str, Array]:
    return load_file(path / "model.safetensors")
