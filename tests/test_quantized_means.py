"""Products in 8 bits: what all tokens have in common is kept out of what is rounded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from safetensors.numpy import save_file

import perceiver_graph as pg
from perceiver_graph.compiler.backends.onnx import calibration, trial
from perceiver_graph.compiler.ops import Array
from tests.test_quantized import saved, usual, wide


def sample(count: int, seed: int = 0) -> trial.Sample:
    """Inputs that are no normal numbers, as an array somebody has would not be."""
    rng = np.random.default_rng(seed)
    arrays = {
        "x": rng.uniform(0, 1, (count, 1024, 64)).astype(np.float32),
        "narrow": rng.uniform(-1, 3, (count, 100, 8)).astype(np.float32),
    }
    return trial.Sample(arrays, "in.npz")


def with_means(change: Callable[[Array], Array], folder: Path) -> dict[str, float]:
    """The rms errors of outputs with other means than those of the sample."""
    found = calibration._means
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            calibration,
            "_means",
            lambda *given: {name: change(mean) for name, mean in found(*given).items()},
        )
        told = saved(usual(), folder, sample=sample(8)).quantization
    assert told is not None
    assert told.int8 > 10
    return {name: error.rms or 0.0 for name, error in told.error.items()}


def test_what_all_tokens_have_in_common_is_not_rounded(tmp_path: Path) -> None:
    """It would be for all alike, and still be there in their sums."""
    found = with_means(lambda mean: mean, tmp_path / "mean")
    without = with_means(np.zeros_like, tmp_path / "zero")
    assert all(2 * found[name] < error for name, error in without.items())


def test_a_mean_of_other_inputs_is_no_error(tmp_path: Path) -> None:
    """What is left out of activations, the bias has; it is rounded less well, no more."""
    other = with_means(lambda mean: -mean, tmp_path / "other")
    without = with_means(np.zeros_like, tmp_path / "zero")
    assert all(error < 3 * without[name] for name, error in other.items())


@pytest.mark.parametrize("count", [0, 1, 8])
def test_the_error_that_is_told_is_that_of_other_inputs_too(count: int, tmp_path: Path) -> None:
    """Of one element means would be exact, and the figure of the program it is measured on alone."""
    given = sample(count) if count else None
    told = saved(usual(), tmp_path / "int8", sample=given).quantization
    saved(usual(), tmp_path / "fp32", precision="fp32")
    exact, rounded = (
        pg.load(tmp_path / name / "artifact", device="cpu") for name in ("fp32", "int8")
    )
    assert told is not None
    for seed in (5, 6, 7):
        inputs = sample(2, seed).arrays
        expected, found = exact.run(inputs), rounded.run(inputs)
        for name, error in told.error.items():
            rms = calibration.deviation(expected[name], found[name]).rms
            assert (rms or 0) < 3 * (error.rms or 0)


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_is_taken_for_common_that_nobody_has_shown(count: int, tmp_path: Path) -> None:
    """Random numbers, or one element, say nothing of what will come."""
    saved(usual(), tmp_path / "int8", sample=sample(count) if count else None)
    graph = onnx.load(tmp_path / "int8/artifact/encode.onnx", load_external_data=False).graph
    assert not [node.name for node in graph.node if node.name.endswith("/centred")]


def test_the_bias_of_a_norm_leaves_the_mean_out(tmp_path: Path) -> None:
    """Nothing more is computed where products in 8 bits alone read it; behind attention it is."""
    saved(usual(), tmp_path / "int8", sample=sample(8))
    nodes = onnx.load(tmp_path / "int8/artifact/encode.onnx", load_external_data=False).graph.node
    normed = {node.output[0] for node in nodes if node.op_type == "LayerNormalization"}
    centred = {node.input[0] for node in nodes if node.name.endswith("/centred")}
    assert "x" in centred
    assert any("attended" in name for name in centred)
    assert not normed & centred
    readers = {node.input[0] for node in nodes if node.name.endswith(("/most", "/least"))}
    assert len(normed & readers) >= 4


def test_what_every_query_reads_stays_float() -> None:
    programs = wide().programs(wide().weights())
    assert {name.partition("~")[0] for name in calibration.read_by_all(programs)} == {
        f"decode/y/cross_attend/attention/{part}" for part in ("key", "value", "output")
    }


def test_a_sample_is_measured_on(tmp_path: Path) -> None:
    """Ten times the numbers: the first product sees them, and the manifest says whose they are."""
    rng = np.random.default_rng(0)
    x = 10 * rng.standard_normal((3, 1024, 64), np.float32)
    arrays = {"x": x, "narrow": np.zeros((3, 100, 8), np.float32)}
    sample = trial.Sample(arrays, "in.npz")
    weights = usual()
    save_file(weights, tmp_path / "w.safetensors")
    found = wide().save(tmp_path / "a", weights=tmp_path / "w.safetensors", sample=sample)
    other = wide().save(tmp_path / "b", weights=tmp_path / "w.safetensors")
    assert found.quantization is not None
    assert other.quantization is not None
    assert found.quantization.input == "in.npz, its last 2 of 3"
    assert found.quantization.error != other.quantization.error
