"""Batches in one process and in several: what is done, what is told, what a killed process leaves."""

from __future__ import annotations

import itertools
import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import perceiver_graph as pg
from perceiver_graph.cluster import run_batch
from perceiver_graph.cluster.ahead import Ahead
from perceiver_graph.cluster.batches import Batches, Waiting
from perceiver_graph.cluster.job import Item, Outcome
from perceiver_graph.cluster.ledger import Ledger
from perceiver_graph.cluster.local import Processes
from perceiver_graph.cluster.worker import Worker
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.media.io import Piece
from perceiver_graph.runtime import load
from perceiver_graph.runtime.run import run_files
from tests import test_run_files
from tests.batch_support import (
    TOO_LONG,
    compiled,
    items_of,
    job_of,
    lines,
    states,
    summary,
    texts,
)
from tests.tiny import fault

POISON = """
import os, signal
from perceiver_graph.media.text.reader import TextReader
opened = TextReader.open

def deadly(self, values):
    if values[0].endswith("poison.txt"):
        os.kill(os.getpid(), signal.SIGKILL)
    return opened(self, values)

TextReader.open = deadly
"""


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("compiled") / "reader")


def leftovers(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob("*.perceiver-graph")]


@pytest.mark.parametrize("batch", [1, 3])
def test_a_batch_says_of_each_file_what_a_run_says(
    artifact: Path, tmp_path: Path, batch: int
) -> None:
    paths, job = texts(tmp_path / "in", 9), job_of(artifact, tmp_path / "out", batch=batch)
    worker = Worker(job)
    found = {one.name: one for one in worker.run(items_of(job, paths))}
    assert {name: one.state for name, one in found.items()} == {path.name: "done" for path in paths}
    program = load(artifact, device="cpu")
    for path in paths:
        run_files(program, [path], tmp_path / "single")
        wanted = json.loads((tmp_path / "single" / f"{path.stem}.json").read_text("utf-8"))
        got = summary(tmp_path / "out" / path.name)
        for one, other in zip(wanted["outputs"]["label"], got["outputs"]["label"], strict=True):
            assert one["index"] == other["index"]
            assert one["probability"] == pytest.approx(other["probability"], abs=1e-6)
    assert not leftovers(tmp_path)


def test_pieces_of_several_clips_come_back_to_theirs_in_order(tmp_path: Path) -> None:
    pg.compile(test_run_files.SPEC).save(tmp_path / "watcher")
    clips = [test_run_files.make_clip(tmp_path / f"{frames}.mp4", frames) for frames in (10, 7, 13)]
    job = job_of(tmp_path / "watcher", tmp_path / "out", batch=4)
    found = list(Worker(job).run(items_of(job, clips)))
    assert {one.name: one.pieces for one in found} == {"10.mp4": 3, "7.mp4": 2, "13.mp4": 4}
    run_files(load(tmp_path / "watcher", device="cpu"), clips, tmp_path / "single")
    for clip in clips:
        wanted = json.loads((tmp_path / "single" / f"{clip.stem}.json").read_text("utf-8"))
        got = summary(tmp_path / "out" / clip.name)
        assert [w["start"] for w in got["windows"]] == [w["start"] for w in wanted["windows"]]
        for one, other in zip(got["windows"], wanted["windows"], strict=True):
            assert [c["index"] for c in one["label"]] == [c["index"] for c in other["label"]]


def test_what_fails_is_told_and_the_rest_is_done(artifact: Path, tmp_path: Path) -> None:
    paths = texts(tmp_path / "in", 5)
    paths[1].write_text(TOO_LONG, encoding="utf-8")
    paths[3].write_bytes(b"\xff\xfe\xfd")
    job = job_of(artifact, tmp_path / "out", batch=2)
    found = {one.name: one for one in Worker(job).run(items_of(job, paths))}
    assert [found[path.name].state for path in paths] == [
        "done",
        "failed",
        "done",
        "failed",
        "done",
    ]
    assert (found["001.txt"].code, found["003.txt"].code) == ("PG514", "PG507")
    assert "is too long" in found["001.txt"].message
    assert not (tmp_path / "out" / "001.txt").exists()


def test_results_that_are_not_ours_fail_alone(artifact: Path, tmp_path: Path) -> None:
    paths, out = texts(tmp_path / "in", 3), tmp_path / "out"
    (out / "001.txt").mkdir(parents=True)
    (out / "001.txt" / "001.json").write_text("mine", encoding="utf-8")
    job = job_of(artifact, out)
    found = {one.name: one for one in Worker(job).run(items_of(job, paths))}
    assert (found["001.txt"].state, found["001.txt"].code) == ("failed", "PG511")
    assert (out / "001.txt" / "001.json").read_text("utf-8") == "mine"
    assert [found[name].state for name in ("000.txt", "002.txt")] == ["done", "done"]


def test_what_is_wrong_with_the_artifact_ends_the_batch(artifact: Path, tmp_path: Path) -> None:
    paths, job = texts(tmp_path / "in", 3), job_of(artifact, tmp_path / "out")
    other = compiled(tmp_path / "other", seed=1)
    wrong = type(job)(str(other), job.digest, job.out, device="cpu", threads=1)
    assert fault(lambda: Worker(wrong)).code == "PG402"
    worker = Worker(type(job)(str(other), job_of(other, tmp_path).digest, job.out, device="cpu"))
    (other / "encode.onnx").write_bytes(b"")
    assert fault(lambda: list(worker.run(items_of(job, paths)))).code == "PG402"
    assert not leftovers(tmp_path)


def test_what_is_done_is_not_done_again(artifact: Path, tmp_path: Path) -> None:
    """But what has changed is, and what was taken away; what failed is tried again."""
    paths, out = texts(tmp_path / "in", 4), tmp_path / "out"
    paths[2].write_text(TOO_LONG, encoding="utf-8")

    def run(program: Path = artifact) -> tuple[int, int, int]:
        found = run_batch(program, [tmp_path / "in"], out, workers=1, device="cpu")
        return found.done, found.before, found.failed

    assert run() == (3, 0, 1)
    paths[2].write_text("short", encoding="utf-8")
    assert run() == (1, 3, 0)
    (out / "000.txt" / "000.json").unlink()
    paths[1].write_text("another", encoding="utf-8")
    paths += texts(tmp_path / "in" / "more", 1)
    assert run() == (3, 2, 0)
    assert run() == (0, 5, 0)
    assert sorted(states(out)) == ["000.txt", "001.txt", "002.txt", "003.txt", "more/000.txt"]
    before = summary(out / "003.txt")
    assert run(compiled(tmp_path / "other", seed=1)) == (5, 0, 0)
    assert summary(out / "003.txt") != before


def test_a_killed_worker_loses_nothing_and_doubles_nothing(artifact: Path, tmp_path: Path) -> None:
    paths, out = texts(tmp_path / "in", 40), tmp_path / "out"
    job, killed = job_of(artifact, out), 0
    found: list[Outcome] = []
    with Processes(job, 2) as processes:
        for outcome in processes.run(items_of(job, paths)):
            found.append(outcome)
            if len(found) in (2, 15):
                os.kill(processes.pids[killed], signal.SIGKILL)  # one that has begun
                killed += 1
    assert killed == 2
    assert sorted(one.name for one in found) == [path.name for path in paths]
    assert {one.state for one in found} <= {"done", "there"}
    again = list(Worker(job).run(items_of(job, paths)))
    assert {one.state for one in again} == {"there"}
    assert not [path for path in leftovers(out) if any(Path(path).glob("new/*"))]


def test_a_file_that_kills_its_workers_is_left_out(artifact: Path, tmp_path: Path) -> None:
    paths = texts(tmp_path / "in", 6)
    (tmp_path / "in" / "003poison.txt").write_text("deadly", encoding="utf-8")
    (tmp_path / "deadly.py").write_text(POISON, encoding="utf-8")
    job = job_of(artifact, tmp_path / "out", extensions=(str(tmp_path / "deadly.py"),))
    paths.insert(3, tmp_path / "in" / "003poison.txt")
    with Processes(job, 1) as processes:
        found = {one.name: one for one in processes.run(items_of(job, paths))}
    failed = [one for one in found.values() if one.state == "failed"]
    assert [(one.name, one.code) for one in failed] == [("003poison.txt", "PG522")]
    assert "SIGKILL" in failed[0].message
    assert len(found) == 7


def test_workers_that_cannot_begin_are_told_of_once(artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "deadly.py").write_text("import os\nos._exit(3)\n", encoding="utf-8")
    job = job_of(artifact, tmp_path / "out", extensions=(str(tmp_path / "deadly.py"),))
    with Processes(job, 1) as processes:
        found = fault(lambda: list(processes.run(items_of(job, texts(tmp_path / "in", 2)))))
    assert (found.code, "exit code 3" in found.message) == ("PG522", True)


def test_a_ledger_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    one, two = Item("a", ("a",), key="1"), Item("b", ("b",), key="2")
    for item in (one, two):
        (tmp_path / item.name).mkdir()
        (tmp_path / item.name / "x.json").touch()
    with Ledger(tmp_path) as ledger:
        ledger.write(Outcome("a", "1", "done"))
        ledger.write(Outcome("b", "2", "done", notes=("longer than what comes after it",)))
    path = tmp_path / "batch.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    with Ledger(tmp_path) as ledger:
        assert (ledger.has(one), ledger.has(two)) == (True, False)
        assert not ledger.has(Item("a", ("a",), key="another key"))
        ledger.write(Outcome("b", "2", "failed", code="PG507"))
        assert fault(lambda: Ledger(tmp_path).__enter__()).code == "PG511"  # it is being written
    assert [(line["name"], line["state"]) for line in lines(tmp_path)] == [
        ("a", "done"),
        ("b", "failed"),
    ]
    path.write_text("something else\n", encoding="utf-8")
    assert "no batch wrote" in fault(lambda: Ledger(tmp_path).__enter__()).message
    assert path.read_text("utf-8") == "something else\n"


@given(shapes=st.lists(st.integers(1, 3), max_size=30), most=st.integers(1, 5), data=st.data())
def test_every_piece_comes_out_once_in_batches_of_equal_shapes(
    shapes: list[int], most: int, data: st.DataObject
) -> None:
    batches, out, waits = Batches(most), [], 0
    for index, size in enumerate(shapes):
        piece = Piece({"x": np.zeros((1, size), np.float32)})
        batches.add(Waiting("owner", index, piece))
        waits += 1
        while group := batches.take(whole=data.draw(st.booleans()) if waits < 2 * most else True):
            assert len(group) <= most
            assert len({one.shape for one in group}) == 1
            out += [one.index for one in group]
            waits -= len(group)
        assert waits < 2 * most
    while group := batches.take(whole=False):
        out += [one.index for one in group]
    assert sorted(out) == [*range(len(shapes))]
    for size in set(shapes):
        same = [index for index in out if shapes[index] == size]
        assert same == sorted(same)


def test_what_is_read_ahead_is_bounded_and_ends_with_its_error() -> None:
    read: list[int] = []

    def source() -> Any:
        for number in itertools.count():
            if number == 9:
                raise DiagnosticError.of("PG507", "the end")
            read.append(number)
            yield number

    with Ahead(source(), 2) as ahead:
        assert [ahead.take(wait=True) for _ in range(3)] == [0, 1, 2]
        assert len(read) <= 7
        assert [ahead.take(wait=True) for _ in range(6)] == [*range(3, 9)]
        assert fault(lambda: ahead.take(wait=True)).message == "the end"
        assert ahead.take(wait=False) is None


@pytest.mark.parametrize(
    ("words", "kind", "text"),
    [
        ({"workers": 0}, ValueError, "workers must be a whole number, 1 or more, not 0"),
        ({"workers": "a"}, TypeError, "workers must be a whole number"),
        ({"batch": 0}, ValueError, "batch must be a whole number, 1 or more"),
        ({"threads": 1.5}, TypeError, "threads must be a whole number"),
        ({"inputs": [None]}, TypeError, "inputs must be a list of files"),
        ({"inputs": [b"x"]}, TypeError, "inputs must be a list of files"),
        ({"inputs": None}, TypeError, "inputs must be a list of files"),
        ({"inputs": 5}, TypeError, "inputs must be a list of files"),
    ],
)
def test_arguments_are_told_what_is_wanted(
    tmp_path: Path, words: dict[str, Any], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind, match=text):
        run_batch(tmp_path, **{"inputs": ["a.txt"], "out_dir": tmp_path / "out", **words})
