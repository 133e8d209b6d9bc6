"""The parts of the runtime by themselves: sizes, chunks, requests, devices, failures, archives."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.runtime import Program, devices, errors, open_artifact
from perceiver_graph.runtime.chunks import chunk_limit, fewest, parse_size
from perceiver_graph.runtime.inputs import read_arrays, write_arrays
from perceiver_graph.runtime.queries import parse_decode
from perceiver_graph.runtime.sizes import evaluate as evaluate_size
from perceiver_graph.spec.manifest import CACHED_MEMORY, FEWEST_QUERIES, USUAL_MEMORY, Memory
from tests.tiny import fault, faults, write_artifact

CALL: dict[str, NDArray[Any]] = {
    "points": np.zeros((1, 2, 2), np.float32),
    "ids": np.zeros(1, np.int64),
}


def test_decode_texts() -> None:
    assert parse_decode([]) is None
    assert parse_decode(["a=0:5", "b", "c=3:", "d=:4"]) == {
        "a": slice(0, 5),
        "b": None,
        "c": slice(3, None),
        "d": slice(None, 4),
    }
    bad = ["a=", "=0:1", "", "a=1", "a=1:2:3", "a=-1:2", "a=x:y", "a=:"]
    assert [d.code for d in faults(lambda: parse_decode(bad))] == ["PG506"] * len(bad)
    assert "asked for twice" in fault(lambda: parse_decode(["a", "a=0:1"])).message
    assert fault(lambda: parse_decode(["a=2"])).help == "for example `a=2:3`"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("7B", 7),
        ("1048576", 2**20),
        ("2GiB", 2**31),
        ("1.5 MB", 1_500_000),
        ("3k", 3000),
        ("1tib", 2**40),
    ],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "-1", "2 apples", "1e9", "inf"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="for example 2GiB"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [("20", "20GB"), ("1.5", "1.5GB"), ("2048", "2048MB"), (" 999999", "999999MB")],
)
def test_a_number_without_a_unit_is_no_number_of_bytes(text: str, meant: str) -> None:
    with pytest.raises(ValueError, match=rf"of what\? Write for example {meant}$"):
        parse_size(text)


@pytest.mark.parametrize("limit", [2, 3, 4, 7, 26, 27, 1000])
def test_a_plan_holds_every_query_once_within_the_limit(limit: int) -> None:
    counts = {"a": 23, "b": 4}
    made = fewest(counts, limit)
    assert sum(made.sizes.values()) <= limit
    for name, count in counts.items():
        spans = [parts[name] for parts in made if name in parts]
        assert [i for start, stop in spans for i in range(start, stop)] == list(range(count))


def test_unasked_decoding_takes_no_more_than_usual_memory(tmp_path: Path) -> None:
    manifest = open_artifact(write_artifact(tmp_path / "tiny")).manifest
    counts = {"dense": 10, "sparse": 4}
    assert chunk_limit(manifest, {"batch": 1}, counts, None) == 4 + 2  # a third of each
    assert chunk_limit(manifest, {"batch": 1}, counts, 2000) == 10

    def with_cost(fixed: int, per_query: int, *, cached: bool = False) -> int:
        memory = Memory(fixed=fixed, per_query=per_query)
        entry = manifest.outputs["dense"].model_copy(update={"shape": ["batch", 400, 500, 3]})
        changed = manifest.model_copy(
            update={"decode_memory": memory, "outputs": {"dense": entry}, "chunks": 1}
        )
        return chunk_limit(changed, {"batch": 1}, {"dense": 200_000}, None, cached=cached)

    assert with_cost(0, 100) == 200_000
    assert with_cost(2**20, 2**15) == (USUAL_MEMORY - 2**20) // 2**15
    assert with_cost(2**31, 2**15) == FEWEST_QUERIES
    assert with_cost(2**20, 2**15, cached=True) == CACHED_MEMORY // 2**15
    assert with_cost(2**20, 2**17, cached=True) == FEWEST_QUERIES


def test_sizes_of_the_manifest_are_evaluated() -> None:
    values = {"time": 32, "batch": 3}
    assert [evaluate_size(s, values) for s in (7, "batch", "3*time/16 + 1", "-1 + batch")] == [
        *(7, 3, 7, 2)
    ]
    for bad in ("time/0", "time/5", "length", "time**2", "__import__('os')", ""):
        assert fault(lambda bad=bad: evaluate_size(bad, values)).code == "PG403"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "share"), [("max 100000", None), ("250000 100000", 2), ("50000 100000", 1), ("", None)]
)
def test_a_container_may_have_a_share_of_the_machine(
    tmp_path: Path, text: str, share: int | None
) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert devices.cpu_share(tmp_path / "cpu.max") == share
    assert devices.cpu_share(tmp_path / "none") is None


def test_devices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    reason = ("there is no GPU", "install one")
    monkeypatch.setattr(devices, "_cuda_fault", lambda: reason)
    assert devices.choose("auto").name == "cpu"
    found = fault(lambda: devices.choose("cuda"))
    assert (found.code, "there is no GPU" in found.message) == ("PG601", True)
    monkeypatch.setattr(devices, "_cuda_fault", lambda: None)
    assert devices.choose("auto").name == "cuda"
    assert devices.choose("cuda").providers[0][1]["use_tf32"] == "0"
    assert devices.choose("cpu").threads >= 1
    with pytest.raises(ValueError, match="not one of auto, cpu, cuda"):
        devices.choose("tpu")  # type: ignore[arg-type]
    # onnxruntime falls back to the CPU silently; asked for by name, CUDA must not.
    unusable = Program(open_artifact(write_artifact(tmp_path / "tiny")), devices.Device("cuda", 1))
    with pytest.warns(UserWarning, match="CUDAExecutionProvider"):
        assert fault(lambda: unusable.encode(CALL)).code == "PG601"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RuntimeError("Failed to allocate memory for requested buffer of size 99"), "PG603"),
        (ort.RuntimeException("CUDA failure 2: out of memory"), "PG603"),
        (ort.NotImplemented("Could not find an implementation for MatMul(13)"), "PG602"),
        (ort.Fail("std::bad_alloc"), "PG603"),
        (ort.InvalidGraph("opset 99 is not known"), "PG406"),
    ],
)
def test_failures_of_onnxruntime_are_translated(error: Exception, code: str) -> None:
    def failing() -> None:
        with errors.loading(Path("encode.onnx"), "cpu", "bf16"):
            raise error

    found = fault(failing)
    assert found.code == code
    assert str(error) in found.notes[0]
    if code == "PG603":
        running = errors.running("cuda", "", Path("encode.onnx"))
        with pytest.raises(DiagnosticError, match="memory of cuda"), running:
            raise error


def test_other_failures_of_a_run_blame_the_program() -> None:
    def failing(ids: str) -> None:
        with errors.running("cpu", ids, Path("encode.onnx")):
            raise RuntimeError("idx=7 must be within the inclusive range [-6,5]")

    assert fault(lambda: failing("input `ids`")).code == "PG514"
    found = fault(lambda: failing(""))
    assert (found.code, "idx=7" in found.notes[0]) == ("PG413", True)


def test_archives_are_written_and_read(tmp_path: Path) -> None:
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b/c": np.array(True)}
    write_arrays(tmp_path / "out.npz", arrays)
    found = read_arrays(tmp_path / "out.npz")
    assert list(found) == ["a", "b/c"]
    for name, array in found.items():
        np.testing.assert_array_equal(array, arrays[name], strict=True)
    assert fault(lambda: write_arrays(tmp_path / "no" / "out.npz", {})).code == "PG511"
    assert fault(lambda: write_arrays(tmp_path, {})).code == "PG511"
    assert [path.name for path in tmp_path.iterdir()] == ["out.npz"]


def test_an_interrupted_write_leaves_the_old_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(file: Any, array: Any, **options: Any) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    write_arrays(tmp_path / "out.npz", {"a": np.zeros(3)})
    monkeypatch.setattr(np.lib.format, "write_array", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_arrays(tmp_path / "out.npz", {"a": np.zeros(10)})
    assert read_arrays(tmp_path / "out.npz")["a"].shape == (3,)
    assert [path.name for path in tmp_path.iterdir()] == ["out.npz"]


def test_what_cannot_be_read_as_arrays_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "in.npz"
    assert "does not exist" in fault(lambda: read_arrays(path)).message
    assert "is a folder" in fault(lambda: read_arrays(tmp_path)).message
    path.write_bytes(b"\x80\x04pickle?")
    assert "not an .npz archive" in fault(lambda: read_arrays(path)).message
    np.save(tmp_path / "one.npy", np.zeros(3))
    assert "a single array" in fault(lambda: read_arrays(tmp_path / "one.npy")).message
    np.savez(path, good=np.zeros(3), bad=np.array([{}, []], object), worse=np.array([None]))
    found = faults(lambda: read_arrays(path))
    assert [d.code for d in found] == ["PG513", "PG513"]
    assert "array `bad`" in found[0].message
    assert "holds Python objects" in found[0].message
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert fault(lambda: read_arrays(path)).code == "PG513"
    np.savez(path, a=np.arange(1000))
    damaged = bytearray(path.read_bytes())
    damaged[500] ^= 255
    path.write_bytes(damaged)
    with pytest.raises(DiagnosticError, match="damaged"):
        read_arrays(path)


def test_a_file_of_pytorch_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, held, line in (("one.pt", torch.ones(2), 0), ("two.pt", {"x": torch.ones(2)}, 1)):
        torch.save(held, name)
        found = fault(lambda name=name: read_arrays(name))  # type: ignore[misc]
        assert (found.code, "a file of PyTorch" in found.message) == ("PG513", True)
        lines = re.findall(r"numpy\.savez\(.*?\)\)", str(found.help))
        exec(lines[line], {"numpy": np, "torch": torch})
        (read,) = read_arrays(Path(name).with_suffix(".npz")).values()
        assert read.tolist() == [1, 1]


def test_damaged_archives_never_do_more_than_fail(tmp_path: Path) -> None:
    """Every byte of the headers changed in turn, encryption flags and compression methods included."""
    path = tmp_path / "in.npz"
    write_arrays(path, {"a": np.arange(3.0)})
    whole = path.read_bytes()
    for position in range(len(whole)):
        for value in (0x00, 0x01, 0x28, 0x7F, 0xFF):
            path.write_bytes(whole[:position] + bytes([value]) + whole[position + 1 :])
            try:
                read_arrays(path)
            except DiagnosticError as error:
                assert {d.code for d in error.diagnostics} == {"PG513"}  # noqa: PT017
