"""Batches on a Ray of this machine: `make test-cluster`. Alike in all that a batch promises."""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cluster import main as measure_engines
from perceiver_graph.cluster import run_batch
from perceiver_graph.cluster.items import find_items
from perceiver_graph.cluster.job import Item
from perceiver_graph.cluster.takes import Takes
from perceiver_graph.media.io import Reader
from tests.batch_support import TOO_LONG, compiled, lines, states, summary, texts
from tests.test_batch import POISON
from tests.tiny import fault

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """A Ray with two CPUs, whose processes find this package where it lies."""
    os.environ.setdefault("RAY_worker_niceness", "0")  # else they wait for all other processes
    found: Any = importlib.import_module("ray")
    environment = {"env_vars": {"PYTHONPATH": str(ROOT)}}
    found.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env=environment,
        object_store_memory=100 << 20,
    )
    yield found
    found.shutdown()


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("compiled") / "reader")


def test_ray_does_what_processes_do(ray: Any, reader: Path, tmp_path: Path) -> None:
    paths = texts(tmp_path / "in", 40)
    paths[7].write_text(TOO_LONG, encoding="utf-8")

    def run(engine: Any, out: Path) -> tuple[int, int, int]:
        found = run_batch(reader, [tmp_path / "in"], out, engine=engine, workers=2, threads=1)
        return found.done, found.before, found.failed

    assert run("ray", tmp_path / "ray") == (39, 0, 1)
    assert run("local", tmp_path / "local") == (39, 0, 1)
    for path in paths[:7]:
        assert summary(tmp_path / "ray" / path.name) == summary(tmp_path / "local" / path.name)
    wrong = {line["name"]: line for line in lines(tmp_path / "ray")}["007.txt"]
    assert (wrong["state"], wrong["code"]) == ("failed", "PG514")
    assert run("ray", tmp_path / "local") == (0, 39, 1)
    paths[7].write_text("short", encoding="utf-8")
    assert run("ray", tmp_path / "ray") == (1, 39, 0)


def test_an_actor_that_is_killed_loses_nothing_and_doubles_nothing(
    ray: Any, reader: Path, tmp_path: Path
) -> None:
    paths, out, killed = texts(tmp_path / "in", 60), tmp_path / "out", 0

    def kill(*_: object) -> None:
        nonlocal killed
        if killed < 1:
            running = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal())
            actors = [pid for pid in running if is_actor(pid)]
            os.kill(actors[0], signal.SIGKILL)
            killed += 1

    found = run_batch(
        reader, [tmp_path / "in"], out, engine="ray", workers=2, threads=1, progress=kill
    )
    assert killed == 1
    assert (found.done + found.before, found.failed) == (60, 0)
    assert all(len(said) == 1 for said in states(out).values())
    assert states(out).keys() == {path.name for path in paths}


def is_actor(pid: int) -> bool:
    """Whether a process of this user is an actor of Ray Data."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return words.startswith(b"ray::") and b"MapWorker" in words


def test_a_file_that_kills_its_workers_is_left_out(ray: Any, reader: Path, tmp_path: Path) -> None:
    texts(tmp_path / "in", 5)
    (tmp_path / "in" / "003poison.txt").write_text("deadly", encoding="utf-8")
    (tmp_path / "deadly.py").write_text(POISON, encoding="utf-8")
    found = run_batch(
        reader,
        [tmp_path / "in"],
        tmp_path / "out",
        engine="ray",
        workers=1,
        threads=1,
        extensions=[tmp_path / "deadly.py"],
    )
    assert (found.done, [one.code for one in found.failures]) == (5, ["PG522"])


def test_what_is_wrong_for_all_is_told_once(ray: Any, reader: Path, tmp_path: Path) -> None:
    texts(tmp_path / "in", 4)
    words: Any = {"engine": "ray", "workers": 2, "threads": 1, "decode": ["labels"]}
    told = fault(lambda: run_batch(reader, [tmp_path / "in"], tmp_path / "out", **words))
    assert told.code == "PG506"


class Texts(Reader):
    inputs = ("text",)
    literal = True

    def __init__(self) -> None:
        pass


def test_rows_of_a_parquet_are_items(tmp_path: Path) -> None:
    arrow: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    (tmp_path / "a.txt").touch()
    columns = {"text": ["a.txt", "as it is"], "name": [None, "second"]}
    parquet.write_table(arrow.table(columns), tmp_path / "t.parquet")
    found = find_items([str(tmp_path / "t.parquet")], Takes((Texts(),)), tmp_path / "out").items
    assert found == [
        Item("a.txt", (f"text={tmp_path}/a.txt",)),
        Item("second", ("text=as it is",)),
    ]
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and nothing more")
    told = fault(
        lambda: find_items([str(tmp_path / "t.parquet")], Takes((Texts(),)), tmp_path / "out")
    )
    assert (told.code, "no table in Parquet" in told.message) == ("PG520", True)


def test_what_ray_adds_is_measured(ray: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Items that sleep: none is quicker than that, and what is added is less than the item."""
    arguments = ["cluster", "--seconds", "0.3", "--items", "4", "--rounds", "1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", arguments)
        measure_engines()
    *_, local, of_ray = capsys.readouterr().out.splitlines()
    for said, engine in ((local, "local"), (of_ray, "ray")):
        name, _, figure = said.partition(": ")
        assert name == engine
        assert -1 < float(figure.split(" %")[0]) < 100
