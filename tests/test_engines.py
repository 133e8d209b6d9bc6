"""Engines: which one runs what and why, and what is the same of each of them whatever happens."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import os
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

import perceiver_graph as pg
from perceiver_graph.cli.run import run_command
from perceiver_graph.runtime import Program, devices, load
from perceiver_graph.runtime.engines import ENGINES, choice, choose, measured
from perceiver_graph.runtime.engines.openvino import Compiled
from perceiver_graph.storage import caches
from tests.test_hostile_artifacts import MEDIA_SPEC, rewrite
from tests.tiny import D, W, expected, fault, faults, write_artifact

ROOT = Path(__file__).resolve().parent.parent
ZEN_4 = frozenset({"avx512f", "avx512_vnni", "avx512_bf16"})
Inputs = dict[str, NDArray[Any]]


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("PERCEIVER_GRAPH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "openvino"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_artifact(tmp_path / "tiny")


@pytest.fixture(params=list(ENGINES))
def program(request: pytest.FixtureRequest, folder: Path) -> Program:
    return load(folder, device="cpu", engine=request.param)


def some(length: int = 6) -> Inputs:
    points = np.random.default_rng(length).standard_normal((2, length, 2), np.float32)
    return {"points": points, "ids": np.arange(2)}


def runner(program: Program) -> Compiled:
    found = program._programs.sessions["encode"]
    assert isinstance(found, Compiled)
    return found


# The table, and what is chosen


def test_the_command_line_offers_every_engine() -> None:
    kind = get_type_hints(run_command)["engine"]
    assert list(get_args(kind)) == ["auto", *ENGINES]


def test_where_nothing_was_measured_it_is_onnxruntime(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "processor_features", lambda: frozenset({"avx2"}))
    found = choose("auto", program.artifact, "cpu")
    assert (found.engine.name, "nobody has measured" in found.why) == ("onnxruntime", True)


@pytest.mark.parametrize(("slowest", "engine"), [(0.97, "openvino"), (1.01, "onnxruntime")])
def test_one_that_is_faster_for_every_work_is_taken(
    slowest: float, engine: str, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = measured.Measured(
        "openvino", "fp32", "this", ZEN_4, frozenset({"amx_tile"}), {"a": 0.5, "b": slowest}
    )
    monkeypatch.setattr(measured, "TABLE", (row,))
    monkeypatch.setattr(choice, "processor_features", lambda: ZEN_4 | {"sse2"})
    found = choose("auto", program.artifact, "cpu")
    assert found.engine.name == engine
    assert f"a 0.50, b {slowest}" in found.why
    for other in (ZEN_4 | {"amx_tile"}, ZEN_4 - {"avx512_vnni"}):
        monkeypatch.setattr(choice, "processor_features", lambda other=other: other)
        assert choose("auto", program.artifact, "cpu").engine.name == "onnxruntime"
    monkeypatch.setattr(choice, "processor_features", lambda: ZEN_4)
    absent(monkeypatch)
    assert choose("auto", program.artifact, "cpu").engine.name == "onnxruntime"


def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if OpenVINO were not installed."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "openvino" else find(name)
    )


def test_bfloat16_on_a_cpu_is_openvinos(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = program.manifest.model_copy(update={"precision": "bf16"})
    artifact = replace(program.artifact, manifest=manifest)
    found = choose("auto", artifact, "cpu")
    assert (found.engine.name, found.why) == ("openvino", "no other has bf16 on cpu")
    absent(monkeypatch)
    missing = fault(lambda: choose("auto", artifact, "cpu"))
    assert (missing.code, "bf16" in missing.message) == ("PG608", True)
    assert "`pip install perceiver-graph[openvino]`" in (missing.help or "").replace("'", "")


def test_what_is_asked_for_is_there_or_missed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="engine 'tvm' is not one of auto, onnxruntime, openvino"):
        load(folder, engine="tvm")
    absent(monkeypatch)
    found = fault(lambda: load(folder, engine="openvino"))
    assert (found.code, "is not installed" in found.message) == ("PG608", True)
    assert "pip install" in (found.help or "")
    assert load(folder, device="cpu").engine.name == "onnxruntime"


def test_openvino_is_not_for_cuda(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_cuda_fault", lambda: None)
    assert load(folder, engine="openvino").device.name == "cpu"
    assert load(folder).engine.name == "onnxruntime"
    for fails in (None, ("there is no CUDA here", "run elsewhere")):
        monkeypatch.setattr(devices, "_cuda_fault", lambda fails=fails: fails)
        found = fault(lambda: load(folder, engine="openvino", device="cuda"))
        assert (found.code, '`device="cpu"`' in (found.help or "")) == ("PG608", True)


# What is the same of each


def test_it_runs(program: Program) -> None:
    given = some()
    found = program.run(given)
    for name, wanted in expected(given["points"], None).items():
        if name != "latents":
            np.testing.assert_allclose(found[name], wanted, rtol=1e-5, atol=1e-6)


def test_a_pickle_says_the_engine(program: Program) -> None:
    again = pickle.loads(pickle.dumps(program))
    assert again.engine is program.engine
    np.testing.assert_array_equal(again.run(some())["total"], program.run(some())["total"])
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.apply(program.run, (some(),))
    np.testing.assert_array_equal(found["total"], program.run(some())["total"])


def test_threads_share_it(program: Program) -> None:
    calls = [some(length) for length in (2, 4, 6, 8) * 8]
    with ThreadPoolExecutor(8) as pool:
        for given, found in zip(calls, pool.map(program.run, calls), strict=True):
            wanted = expected(given["points"], None)["total"]
            np.testing.assert_allclose(found["total"], wanted, rtol=1e-5, atol=1e-6)


def test_a_state_is_what_was_encoded(program: Program) -> None:
    """Whatever is encoded meanwhile, and whoever writes into what was handed out."""
    first, second = some(4), some(6)
    state = program.encode(first)
    latents = state.latents
    program.encode(second)
    np.testing.assert_array_equal(state.latents, latents)
    state.latents[:] = 0
    wanted = expected(first["points"], None)["dense"]
    np.testing.assert_allclose(program.decode(state)["dense"], wanted, rtol=1e-5, atol=1e-6)
    assert "tensor(float)" in repr(state)


@pytest.mark.parametrize(
    "call",
    [
        {"points": np.zeros((2, 6, 3), np.float32), "ids": np.arange(2)},
        {"points": np.zeros((2, 6, 2), np.float64), "ids": np.arange(3)},
        {"points": np.zeros((2, 6, 2), np.float32)},
        {},
    ],
)
def test_wrong_arrays_are_told_before_the_engine_sees_them(call: Inputs, folder: Path) -> None:
    programs = [load(folder, device="cpu", engine=name) for name in ENGINES]
    usual, *others = (faults(partial(program.run, call)) for program in programs)
    assert others == [usual]


def _of_encode(change: Callable[[onnx.ModelProto], bytes], folder: Path) -> None:
    """The program, changed, with a manifest that says so."""
    path, data = folder / "encode.onnx", json.loads((folder / "manifest.json").read_text())
    path.write_bytes(change(onnx.load(path, load_external_data=False)))
    rewrite(folder, data)


def _renamed(model: onnx.ModelProto) -> bytes:
    for node in model.graph.node:
        node.output[:] = ["sum_" if name == "total" else name for name in node.output]
    model.graph.output[2].name = "sum_"
    return bytes(model.SerializeToString())


def _unknown(model: onnx.ModelProto) -> bytes:
    model.graph.node[0].op_type = "Nonesuch"
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(("change", "code"), [(_renamed, "PG413"), (_unknown, "PG406")])
def test_programs_that_are_wrong(
    change: Callable[[onnx.ModelProto], bytes], code: str, program: Program, folder: Path
) -> None:
    _of_encode(change, folder)
    again = load(folder, engine=program.engine.name)
    found = fault(lambda: again.run(some()))
    assert (found.code, "\n" in found.message) == (code, False)
    assert program.engine.title in str(found) or code == "PG413"


def test_a_link_to_another_folder_is_copied(program: Program, tmp_path: Path) -> None:
    place = tmp_path / "a model"
    pg.compile(MEDIA_SPEC.replace("width: 8", "width: 64")).save(place)
    (place / "constants.safetensors").rename(tmp_path / "blob")
    (place / "constants.safetensors").symlink_to(tmp_path / "blob")
    found = fault(lambda: load(place, engine=program.engine.name).run({"text": np.full((1, 4), 7)}))
    assert (found.code, "cp -RL" in (found.help or "")) == ("PG406", True)


# OpenVINO


def test_threads_are_the_callers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def threads(program: Program) -> int:
        program.run(some())
        return int(runner(program)._program.get_property("INFERENCE_NUM_THREADS"))

    assert threads(load(folder, engine="openvino", threads=1)) == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert threads(load(folder, engine="openvino")) == 2


def test_what_is_float32_stays_so(folder: Path) -> None:
    program = load(folder, engine="openvino")
    program.run(some())
    hint = runner(program)._program.get_property("INFERENCE_PRECISION_HINT")
    assert hint.to_string() == "f32"


def test_what_was_compiled_is_kept_beside_nothing_of_the_artifact(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(folder.iterdir())
    wanted = load(folder, engine="openvino").run(some())["dense"]
    assert sorted(folder.iterdir()) == before
    kept = sorted(cache.iterdir())
    assert len(kept) == 2  # encode and decode

    def refuse(*_: object) -> None:
        raise AssertionError("it was compiled again")

    monkeypatch.setattr(Compiled, "_refuse_float64", refuse)
    np.testing.assert_array_equal(load(folder, engine="openvino").run(some())["dense"], wanted)
    monkeypatch.undo()
    monkeypatch.setenv("PERCEIVER_GRAPH_CACHE", str(cache.parent))
    damages: Sequence[Callable[[bytes], bytes]] = (
        lambda data: data[: len(data) // 2],
        lambda data: data.replace(W.tobytes(), bytes(W.nbytes)).replace(
            D.tobytes(), bytes(D.nbytes)
        ),
        lambda data: b"",
    )
    for damaged in damages:
        content = [path.read_bytes() for path in kept]
        for path, data in zip(kept, content, strict=True):
            path.write_bytes(damaged(data))
        np.testing.assert_array_equal(load(folder, engine="openvino").run(some())["dense"], wanted)
        assert sorted(cache.iterdir()) == kept
        assert all(path.stat().st_size > 1000 for path in kept)  # made anew


def test_what_has_the_name_of_another_is_made_anew(folder: Path, cache: Path) -> None:
    """And the artifact is not blamed for it."""
    wanted = load(folder, engine="openvino").run(some())["dense"]
    one, other = sorted(cache.iterdir())
    mine, others = one.read_bytes(), other.read_bytes()
    one.write_bytes(others)
    other.write_bytes(mine)
    np.testing.assert_array_equal(load(folder, engine="openvino").run(some())["dense"], wanted)
    assert [len(path.read_bytes()) for path in (one, other)] == [len(mine), len(others)]
    found = caches.Cache("some", most=10_000)
    found.keep("one", b"1")
    (cache.parent / "some" / "one").rename(cache.parent / "some" / "two")
    assert found.read("two") is None


def test_other_weights_are_another_program(tmp_path: Path, cache: Path) -> None:
    """The program files are the same: what differs is beside them."""
    spec = MEDIA_SPEC.replace("width: 8", "width: 64")
    call, found = {"text": np.full((1, 4), 7)}, []
    for seed in (1, 2):
        pg.compile(spec).save(tmp_path / "a", seed=seed)
        found.append(load(tmp_path / "a", engine="openvino").run(call))
        usual = load(tmp_path / "a", device="cpu", engine="onnxruntime").run(call)
        for name, wanted in usual.items():
            np.testing.assert_allclose(found[-1][name], wanted, rtol=1e-4, atol=1e-5)
    assert any(not np.array_equal(found[0][name], found[1][name]) for name in found[0])


def test_without_a_place_for_it_nothing_is_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PERCEIVER_GRAPH_CACHE", str(tmp_path / "file"))
    assert load(folder, engine="openvino").run(some())


def test_a_cache_has_room_for_so_much(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = caches.Cache("some", most=1000)
    kept.keep("large", bytes(300))
    assert kept.read("large") is None
    for number in range(6):
        kept.keep(str(number), bytes([number] * 200))
        os.utime(cache.parent / "some" / str(number), (number, number))
    kept.keep("last", bytes(200))
    assert [n for n in range(6) if kept.read(str(n)) is not None] == [3, 4, 5]
    assert kept.read("last") == bytes(200)


FORKED = """
    import multiprocessing, os, sys
    import numpy as np
    import perceiver_graph as pg

    program = pg.load(sys.argv[1], engine="openvino", threads=2)
    def total(length):
        given = {"points": np.full((2, length, 2), 0.5, np.float32), "ids": np.arange(2)}
        return program.run(given)["total"]
    wanted = [total(length) for length in (2, 4, 6)]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        found = pool.map(total, (2, 4, 6), chunksize=1)
    assert all(np.array_equal(a, b) for a, b in zip(wanted, found)), (wanted, found)
    assert np.array_equal(total(2), wanted[0])
    print("fine")
"""
SILENT = """
    import sys
    import perceiver_graph as pg
    assert "openvino" not in sys.modules
    given = {"points": [[[0.0, 0.0], [1.0, 1.0]]], "ids": [0]}
    pg.load(sys.argv[1], device="cpu").run(given)
    assert "openvino" not in sys.modules
    program = pg.load(sys.argv[1], engine="openvino")
    assert "openvino" not in sys.modules
    program.run(given)
    assert "openvino_telemetry" not in sys.modules
    import openvino_telemetry
    print("fine")
"""


@pytest.mark.parametrize("code", [FORKED, SILENT])
def test_in_processes_of_its_own(code: str, folder: Path, tmp_path: Path) -> None:
    """Forked ones go on; it is imported when it runs, and tells nobody that it was."""
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(folder)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(home)},
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", ""), done.stderr
    assert not [*home.iterdir()]


def test_a_program_says_who_runs_it(folder: Path) -> None:
    assert "on cpu by OpenVINO, from" in repr(load(folder, engine="openvino"))
    assert "on cpu, from" in repr(load(folder, device="cpu", engine="onnxruntime"))
    device = replace(load(folder, device="cpu").device, threads=1)
    assert load(folder, device="cpu", threads=1).device == device
