"""Programs in other processes: forked, pickled, run from several threads, with onnxruntime silent."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import perceiver_graph as pg
from perceiver_graph.runtime import Program, load
from perceiver_graph.runtime.devices import Device, physical_cores
from perceiver_graph.runtime.sessions import Sessions
from tests.tiny import expected, fault, write_artifact

ROOT = Path(__file__).resolve().parent.parent
Inputs = dict[str, NDArray[Any]]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return load(write_artifact(tmp_path / "tiny"), device="cpu")


def some(length: int = 6) -> Inputs:
    points = np.random.default_rng(length).standard_normal((2, length, 2), np.float32)
    return {"points": points, "ids": np.arange(2)}


def test_a_program_is_pickled_by_its_path(program: Program) -> None:
    data = pickle.dumps(program)
    assert len(data) < 1000
    again = pickle.loads(data)
    assert again.device == program.device
    np.testing.assert_array_equal(again.run(some())["total"], program.run(some())["total"])
    assert copy.deepcopy(program).manifest == program.manifest


def test_a_pickled_program_is_checked_when_it_is_loaded(program: Program) -> None:
    data, folder = pickle.dumps(program), program.artifact.directory
    content = (folder / "encode.onnx").read_bytes()
    (folder / "encode.onnx").write_bytes(content[:-1] + b"!")
    assert fault(lambda: pickle.loads(data)).code == "PG402"
    (folder / "encode.onnx").write_bytes(content)
    manifest = (folder / "manifest.json").read_text(encoding="utf-8")
    (folder / "manifest.json").write_text(manifest.replace("seed 7", "seed 8"), encoding="utf-8")
    found = fault(lambda: pickle.loads(data))
    assert (found.code, "was replaced since" in found.message) == ("PG402", True)


def test_a_program_runs_what_was_loaded_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = pg.compile(
        {
            "perceiver": 1,
            "name": "small",
            "inputs": {"x": {"shape": {"time": 4, "channel": 2}}},
            "latents": {"count": 2, "width": 4},
            "process": {"layers": 1, "heads": 1},
            "outputs": {"y": {"query": {"learned": {"count": 3}}}},
        }
    )
    for seed in (1, 2):
        small.save(tmp_path / str(seed) / "art", seed=seed)
    given = {"x": np.ones((1, 4, 2), np.float32)}
    first = tmp_path / "1" / "art"
    wanted = load(first, device="cpu").run(given)["y"]

    # From another folder, the same relative path is another artifact.
    monkeypatch.chdir(tmp_path / "1")
    program, begun = load("art", device="cpu"), load("art", device="cpu")
    state = begun.encode(given)
    monkeypatch.chdir(tmp_path / "2")
    np.testing.assert_array_equal(program.run(given)["y"], wanted)

    # Replaced: of what lies there now, nothing runs for what was loaded before.
    untouched = load(first, device="cpu")
    shutil.copytree(first, tmp_path / "old")
    small.save(first, seed=2)
    for call in (lambda: begun.decode(state), lambda: untouched.run(given)):
        found = fault(call)
        assert (found.code, "has changed since" in found.message) == ("PG402", True)
    np.testing.assert_array_equal(program.run(given)["y"], wanted)  # its sessions are made

    # The same bytes in other files are the same program.
    shutil.rmtree(first)
    assert fault(lambda: untouched.run(given)).code == "PG402"
    shutil.copytree(tmp_path / "old", first)
    np.testing.assert_array_equal(untouched.run(given)["y"], wanted)


def test_how_many_threads_a_run_takes_may_be_said(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = program.artifact.directory
    monkeypatch.setenv("OMP_NUM_THREADS", "3,2")
    assert load(folder, device="cpu").device.threads == 3
    two = load(folder, device="cpu", threads=2)
    assert two.device.session_options({}).intra_op_num_threads == 2
    assert pickle.loads(pickle.dumps(two)).device.threads == 2
    for said in ("", "0", "many"):
        monkeypatch.setenv("OMP_NUM_THREADS", said)
        assert load(folder, device="cpu").device.threads == physical_cores()
    with pytest.raises(ValueError, match="at least 1"):
        load(folder, threads=0)
    with pytest.raises(TypeError, match="threads must be a whole number, not a str"):
        load(folder, threads="2")  # type: ignore[arg-type]


def test_a_state_stays_where_it_is(program: Program) -> None:
    state = program.encode(some())
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="a State cannot be pickled"):
            attempt(state)


# A forked process that waits for threads which it has not would wait for ever: hence the time limits.
FORKED = """
    import multiprocessing, os, sys
    import numpy as np
    import perceiver_graph as pg

    program = pg.load(sys.argv[1], device="cpu", threads=2)
    def total(length):
        given = {"points": np.full((2, length, 2), 0.5, np.float32), "ids": np.arange(2)}
        return program.run(given)["total"]
    state = program.encode({"points": np.ones((2, 4, 2), np.float32), "ids": np.arange(2)})
    wanted = [total(length) for length in (2, 4, 6)]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        found = pool.map(total, (2, 4, 6), chunksize=1)
    assert all(np.array_equal(a, b) for a, b in zip(wanted, found)), (wanted, found)
    child = os.fork()
    if child == 0:  # ends as a process ends of itself, destructors and all
        total(2)
        program.decode(state)
        sys.exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert np.array_equal(total(2), wanted[0])
    print("fine")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_runs_the_program_too(tmp_path: Path) -> None:
    folder = write_artifact(tmp_path / "tiny")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FORKED), str(folder)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "fine\n"), done.stderr


def test_a_fork_of_a_process_that_uses_cuda_is_told_what_to_do(program: Program) -> None:
    sessions = program._programs.sessions["encode"]
    assert isinstance(sessions, Sessions)
    sessions.device = replace(sessions.device, name="cuda")
    sessions._process -= 1  # as if made by a parent
    found = fault(lambda: program.encode(some()))
    assert (found.code, "spawn" in (found.help or "")) == ("PG607", True)


def test_spawned_processes_take_a_program_along(program: Program) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.apply(program.run, (some(),))
    np.testing.assert_array_equal(found["total"], program.run(some())["total"])


def test_threads_share_a_program(program: Program) -> None:
    calls = [some(length) for length in (2, 4, 6, 8) * 8]
    with ThreadPoolExecutor(8) as pool:
        for given, found in zip(calls, pool.map(program.run, calls), strict=True):
            wanted = expected(given["points"], None)["total"]
            np.testing.assert_allclose(found["total"], wanted, rtol=1e-5, atol=1e-6)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, int]]:
    """The sizes for which sessions are made, as they are."""
    sizes: list[dict[str, int]] = []
    load = Sessions._load

    def noted(self: Sessions, values: dict[str, int]) -> Any:
        sizes.append(dict(values))
        return load(self, values)

    monkeypatch.setattr(Sessions, "_load", noted)
    return sizes


def test_one_session_serves_every_shape(program: Program, made: list[dict[str, int]]) -> None:
    for length in (2, 4, 6, 64, 2, 2, 2):
        program.encode(some(length))
    assert made == [{}]


def test_where_it_is_quicker_sizes_that_come_again_get_a_session(
    program: Program, made: list[dict[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Device, "specializes", property(lambda self: True))
    six, four, any_size = {"batch": 2, "length": 6}, {"batch": 2, "length": 4}, dict[str, int]()

    def encode(length: int, times: int = 1) -> None:
        for _ in range(times):
            program.encode(some(length))

    encode(6, times=20)
    assert made == [six]
    encode(4)
    encode(6)
    assert made == [six, any_size]
    encode(4, times=15)
    assert made == [six, any_size]
    encode(4, times=9)
    assert made == [six, any_size, four]
    encode(6, times=17)  # twice as patient from now on
    assert made == [six, any_size, four, any_size]


SILENT = """
    import sys
    import perceiver_graph as pg
    program = pg.load(sys.argv[1], device="cpu")
    program.run({"points": [[[0.0, 0.0], [1.0, 1.0]]], "ids": [0]})
    import onnxruntime
"""


@pytest.mark.parametrize("writable", [True, False])
def test_onnxruntime_writes_nothing_of_what_it_sees(tmp_path: Path, writable: bool) -> None:
    folder = write_artifact(tmp_path / "tiny")
    home = tmp_path / "home" if writable else Path("/proc/no/such/home")
    if writable:
        home.mkdir()
    kept = {
        n: v for n, v in os.environ.items() if n not in {"ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"}
    }
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SILENT), str(folder)],
        capture_output=True,
        text=True,
        env={**kept, "PYTHONPATH": str(ROOT), "HOME": str(home)},
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not writable or not list(home.rglob("*"))
