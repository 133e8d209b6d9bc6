"""The weights file: streamed, readable by safetensors, every name once."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from perceiver_graph.compiler.backends.onnx.tensors import CONSTANTS, EMBED_BELOW, TensorStore


def test_writing_copies_one_tensor_at_a_time(tmp_path: Path) -> None:
    store = TensorStore()
    one = 256 * 1024 * 4
    for index in range(16):
        store.add(f"w{index}", np.full((256, 1024), index, np.float32).T, f"w{index}")
    tracemalloc.start()
    try:
        store.write(tmp_path / CONSTANTS)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * one
    assert load_file(tmp_path / CONSTANTS)["w3"].shape == (1024, 256)


def test_one_name_cannot_stand_for_two_tensors() -> None:
    store = TensorStore()
    ones = np.ones(1000, np.float32)
    store.add("w", ones, "w")
    store.add("w", ones.copy(), "w")
    with pytest.raises(ValueError, match="two different tensors are named `w`"):
        store.add("w", ones * 2, "w")


def test_small_tensors_stay_with_their_program(tmp_path: Path) -> None:
    store = TensorStore()
    values = [
        store.add("small", np.zeros(EMBED_BELOW // 4 - 1, np.float32), "a"),
        store.add("large", np.zeros(EMBED_BELOW // 4, np.float32), "b"),
    ]
    store.write(tmp_path / CONSTANTS)
    assert [type(value.const_value).__name__ for value in values] == ["Tensor", "ExternalTensor"]
    assert set(load_file(tmp_path / CONSTANTS)) == {"large"}


def test_a_file_without_tensors_can_be_read(tmp_path: Path) -> None:
    TensorStore().write(tmp_path / CONSTANTS)
    assert load_file(tmp_path / CONSTANTS) == {}


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "float16", "int64", "bool", ml_dtypes.bfloat16]
)
def test_element_types(tmp_path: Path, dtype: str) -> None:
    array = np.arange(2000).reshape(4, 500).astype(dtype)
    store = TensorStore()
    value = store.add("w", array[:, ::-1], "w")
    store.write(tmp_path / CONSTANTS)
    assert value.const_value is not None
    np.testing.assert_array_equal(value.const_value.numpy(), array[:, ::-1])
    with safe_open(tmp_path / CONSTANTS, "pt") as file:
        found = file.get_tensor("w").double().numpy()
    np.testing.assert_array_equal(found, array[:, ::-1].astype(np.float64))


def test_tensors_start_at_cache_lines_where_sizes_permit(tmp_path: Path) -> None:
    store = TensorStore()
    sizes = {"a": 3001, "b": 1024, "c": 3001, "d": 2048}
    values = {
        name: store.add(name, np.zeros(size, bool if name == "c" else np.float32), name)
        for name, size in sizes.items()
    }
    store.write(tmp_path / CONSTANTS)
    starts = {}
    for name, value in values.items():
        assert isinstance(value.const_value, ir.ExternalTensor)
        starts[name] = value.const_value.offset or 0
    assert sorted(starts, key=starts.__getitem__) == ["b", "d", "a", "c"]
    assert [starts[name] % 64 for name in "bda"] == [0, 0, 0]
