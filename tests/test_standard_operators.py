"""For targets without operators of onnxruntime, every program is of ai.onnx alone, and valid."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

import perceiver_graph as pg
from perceiver_graph.choices import Precision, TargetName
from tests.small import SMALL

PAIRS: list[tuple[TargetName, Precision]] = [
    ("openvino", "fp32"),
    ("openvino", "bf16"),
    ("onnx-standard", "fp32"),
]


def require_standard(path: Path) -> set[str]:
    """The operators of a model that has none of another domain, nor functions of its own."""
    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.load(path, load_external_data=False)
    assert [entry.domain for entry in model.opset_import] == [""]
    assert not model.functions
    nodes = [node for graph in graphs(model.graph) for node in graph.node]
    assert {node.domain for node in nodes} <= {"", "ai.onnx"}
    return {node.op_type for node in nodes}


def graphs(graph: onnx.GraphProto) -> list[onnx.GraphProto]:
    """A graph and those inside its nodes."""
    inner = (a.g for node in graph.node for a in node.attribute if a.HasField("g"))
    return [graph, *(found for one in inner for found in graphs(one))]


@pytest.mark.parametrize(("target", "precision"), PAIRS)
@pytest.mark.parametrize("name", SMALL)
def test_programs_hold_nothing_else(
    name: str, target: TargetName, precision: Precision, tmp_path: Path
) -> None:
    model = pg.compile(name, overrides=SMALL[name], target=target, precision=precision)
    if name == "poyo" and precision == "bf16":  # turns by coordinates count in float64
        with pytest.raises(pg.DiagnosticError, match="PG602"):
            model.save(tmp_path / "a")
        return
    model.save(tmp_path / "a")
    found = [require_standard(path) for path in sorted((tmp_path / "a").glob("*.onnx"))]
    assert any("MatMul" in operators for operators in found)


@pytest.mark.parametrize("name", ["text_classification", "imagenet_conv"])
def test_nor_in_8_bits(name: str, tmp_path: Path) -> None:
    wide = ("latents.width=128", "latents.count=64", "process.v_width=128", "process.qk_width=128")
    overrides = [*SMALL[name], *(wide if name == "text_classification" else wide[:2])]
    model = pg.compile(name, overrides=overrides, target="onnx-standard", precision="int8")
    model.save(tmp_path / "a")
    assert "MatMulInteger" in require_standard(tmp_path / "a" / "encode.onnx")


def test_the_target_for_onnxruntime_does_hold_others(tmp_path: Path) -> None:
    """What the tests above would see."""
    pg.compile("kinetics", overrides=SMALL["kinetics"]).save(tmp_path / "a")
    with pytest.raises(AssertionError):
        require_standard(tmp_path / "a" / "encode.onnx")
