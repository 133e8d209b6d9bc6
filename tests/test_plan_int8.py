"""The memory of int8 programs: weights of a byte a number are counted so, those that stay float are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

import perceiver_graph as pg
from perceiver_graph.compiler.backends.onnx import calibration
from perceiver_graph.compiler.driver import Compiled
from perceiver_graph.compiler.programs import cost, int8
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.spec.loader import parse_spec

SPEC = """\
perceiver: 1
name: heavy
inputs:
  x: {shape: {time: 40, channel: 64}}
latents: {count: 8, width: 768}
process: {layers: 6, heads: 8, widening: 4}
outputs:
  y: {query: {learned: {count: 4, width: 768}}, head: {linear: 10}}
"""
WEIGHTS = 4 * 6 * (4 * 768 * 768 + 2 * 4 * 768 * 768)
"""Bytes of the maps of the layers, in float32."""


def compiled(precision: Any, memory: int | None = None) -> Compiled:
    return pg.compile(parse_spec(SPEC), precision=precision, memory=memory)


def expected(model: Compiled) -> frozenset[str]:
    return int8.expected(model.optimized, model.target)


def test_products_that_gain_are_counted_in_8_bits() -> None:
    exact, rounded = compiled("fp32").plan.needs, compiled("int8").plan.needs
    assert exact.weights - rounded.weights > 0.95 * 0.75 * WEIGHTS
    assert rounded.weights > 0.25 * WEIGHTS
    names = expected(compiled("int8"))
    assert "process/layers.0/mlp/dense1" in names
    assert not any(name.startswith("heads/") for name in names)


def test_what_is_expected_is_what_is_written(tmp_path: Path) -> None:
    """Its weights are those of the file; a limit that float32 exceeds is kept."""
    model = compiled("int8")
    manifest = model.save(tmp_path / "artifact", seed=1)
    assert manifest.quantization is not None
    assert len(expected(model)) == manifest.quantization.int8
    arrays = load_file(tmp_path / "artifact/constants.safetensors")
    held = sum(array.nbytes for array in arrays.values())
    assert model.plan.needs.weights == pytest.approx(held, rel=0.02)
    exact = compiled("fp32").plan.peak
    limit = (exact + model.plan.peak) // 2
    with pytest.raises(DiagnosticError, match="PG604"):
        _ = compiled("fp32", limit).plan
    limited = compiled("int8", limit).save(tmp_path / "limited", seed=1)
    assert limited.memory is not None
    assert limited.memory.peak < limit
    assert (
        manifest.decode_memory.fixed < compiled("fp32").save(tmp_path / "fp32").decode_memory.fixed
    )


def test_products_that_stay_float_are_counted_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where none can be in 8 bits, what is planned for is exceeded, and said so before it is written."""
    monkeypatch.setattr(calibration, "LIMIT", 0.0)
    model = compiled("int8")
    limit = (compiled("fp32").plan.peak + model.plan.peak) // 2
    with pytest.raises(DiagnosticError, match="PG604"):
        compiled("int8", limit).save(tmp_path / "artifact", seed=1)
    assert not (tmp_path / "artifact").exists()
    manifest = compiled("int8", 2**40).save(tmp_path / "artifact", seed=1)
    assert manifest.memory is not None
    assert manifest.memory.peak == pytest.approx(compiled("fp32").plan.peak, rel=0.02)


def test_a_weight_is_a_byte_a_number_and_a_scale_a_channel() -> None:
    graph = compiled("fp32").optimized
    whole = cost.estimate(graph).phases["encode"].weight_bytes
    one = "process/layers.0/mlp/dense1"
    less = cost.estimate(graph, int8={one}).phases["encode"].weight_bytes
    assert whole - less == 3 * 768 * 4 * 768 - 4 * 4 * 768
