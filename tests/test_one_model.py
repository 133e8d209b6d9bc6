"""The page on engines says how far each is off with one trained model; browsers are in tests/browser."""

from __future__ import annotations

from pathlib import Path

import pytest

import perceiver_graph as pg
from perceiver_graph.choices import Precision, TargetName
from tests import one_model

OF_ENGINES: list[tuple[str, str, TargetName, Precision]] = [
    ("onnxruntime", "onnxruntime", "onnx-standard", "fp32"),
    ("onnxruntime", "onnxruntime", "onnx-standard", "int8"),
    ("OpenVINO", "openvino", "onnx-standard", "fp32"),
    ("OpenVINO", "openvino", "openvino", "bf16"),
]


@pytest.mark.parametrize(("title", "engine", "target", "precision"), OF_ENGINES)
def test_it_is_as_far_off_as_the_page_says(
    title: str,
    engine: str,
    target: TargetName,
    precision: Precision,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PERCEIVER_GRAPH_CACHE", str(tmp_path / "cache"))
    one_model.save(tmp_path / "clips", target, precision)
    program = pg.load(tmp_path / "clips", device="cpu", engine=engine)
    one_model.agrees(title, precision, program.run(one_model.inputs()))


def test_the_table_has_no_other_rows() -> None:
    """What was not measured is said to be so, and nothing else stands there."""
    rows = [(title, precision) for title, _, _, precision in OF_ENGINES]
    rows += [("onnxruntime-web", precision) for precision in ("fp32", "int8")]
    assert sorted(one_model.rows()) == sorted(rows)
