"""Products in 8 bits: what all tokens have in common is kept out of what is rounded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from perceiver_graph.compiler.backends.onnx import calibration
from perceiver_graph.compiler.ops import Array
from tests.test_quantized import saved, usual, wide


def with_means(change: Callable[[Array], Array], folder: Path) -> dict[str, float]:
    """The rms errors of outputs with other means than those of the sample."""
    found = calibration._means
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            calibration,
            "_means",
            lambda *given: {name: change(mean) for name, mean in found(*given).items()},
        )
        told = saved(usual(), folder).quantization
    assert told is not None
    assert told.int8 > 10
    return {name: error.rms or 0.0 for name, error in told.error.items()}


def test_what_all_tokens_have_in_common_is_not_rounded(tmp_path: Path) -> None:
    """It would be for all alike, and still be there in their sums."""
    found = with_means(lambda mean: mean, tmp_path / "mean")
    without = with_means(np.zeros_like, tmp_path / "zero")
    assert all(3 * found[name] < error for name, error in without.items())


def test_a_mean_of_other_inputs_is_no_error(tmp_path: Path) -> None:
    """What is left out of activations, the bias has; it is rounded less well, no more."""
    other = with_means(lambda mean: -mean, tmp_path / "other")
    assert max(other.values()) < 0.15


def test_the_bias_of_a_norm_leaves_the_mean_out(tmp_path: Path) -> None:
    """Nothing more is computed where products in 8 bits alone read it; behind attention it is."""
    saved(usual(), tmp_path / "int8")
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
