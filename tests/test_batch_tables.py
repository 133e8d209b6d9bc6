"""Results of a batch as a table, and classes that are called as the command says."""

from __future__ import annotations

import importlib
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import perceiver_graph as pg
from perceiver_graph.cluster import Totals, run_batch
from perceiver_graph.cluster.items import find_items
from perceiver_graph.cluster.takes import Takes
from tests.batch_support import TOO_LONG, compiled, summary, texts
from tests.tiny import fault

ARRAYS = """
perceiver: 1
name: joints
inputs: {joints: {shape: {joint: 3, channel: 1}, steps: [{linear: 8}]}}
latents: {count: 4, width: 8}
process: {layers: 1, heads: 2}
outputs: {name: {query: {learned: {count: 2}}, head: {linear: 5}}}
"""


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("compiled") / "reader")


def run(artifact: Path, inputs: Path, out: Path, **settings: Any) -> Totals:
    return run_batch(artifact, [inputs], out, workers=1, threads=1, **settings)


def rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text("ascii").splitlines()]
    parquet: Any = importlib.import_module("pyarrow.parquet")
    found: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return found


def test_a_table_that_is_read_as_one_text_is_told_with_a_way(
    reader: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for suffix, mark in ((".csv", ","), (".tsv", "\t")):
        path = Path(f"it's here{suffix}")
        path.write_text(f"text{mark}label\nhello{mark}1\n'good bye'{mark}0\n", encoding="utf-8")
        takes = Takes.of(pg.load(reader, device="cpu").manifest)
        (note,) = find_items([str(path)], takes, tmp_path / "out").notes
        subprocess.run(["bash", "-c", note.partition("as a table: ")[2]], check=True)
        found = find_items(["it's here.jsonl"], takes, tmp_path / "out").items
        assert [one.values for one in found] == [("text=hello",), ("text='good bye'",)]


FORMATS = [".jsonl", pytest.param(".parquet", marks=pytest.mark.cluster)]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_table_has_all_results(suffix: str, reader: Path, tmp_path: Path) -> None:
    """Those that failed, with the reason, and those that an earlier run has done."""
    paths, table = texts(tmp_path / "in", 3), tmp_path / f"t{suffix}"
    paths[1].write_text(TOO_LONG, encoding="utf-8")
    assert run(reader, tmp_path / "in", tmp_path / "out", table=table).failed == 1
    first, second, third = rows(table)
    assert (first["name"], first["state"], first["source"]) == ("000.txt", "done", [str(paths[0])])
    assert first["label"] == summary(tmp_path / "out" / "000.txt")["outputs"]["label"]
    assert (second["state"], second["code"]) == ("failed", "PG514")
    assert not second.get("label")
    assert third["label"] != first["label"]
    paths[1].write_text("short", encoding="utf-8")
    assert run(reader, tmp_path / "in", tmp_path / "out", table=table).before == 2
    assert [row["state"] for row in rows(table)] == ["done"] * 3


@pytest.mark.parametrize("suffix", FORMATS)
def test_arrays_are_columns_with_their_sizes(suffix: str, tmp_path: Path) -> None:
    pg.compile(ARRAYS).save(tmp_path / "joints")
    for number in range(2):
        joints = np.full((3, 1), number, np.float32)
        (tmp_path / "in").mkdir(exist_ok=True)
        np.savez(tmp_path / "in" / f"{number}.npz", joints=joints)
    table = tmp_path / f"t{suffix}"
    run(tmp_path / "joints", tmp_path / "in", tmp_path / "out", table=table)
    program = pg.load(tmp_path / "joints", device="cpu", threads=1)
    for number, row in enumerate(rows(table)):
        wanted = program.run({"joints": np.full((1, 3, 1), number, np.float32)})["name"]
        assert row["name"] == f"{number}.npz"  # and not the output of that name
        shape = row["output.name.shape"]
        np.testing.assert_allclose(np.reshape(row["output.name"], shape), wanted, rtol=1e-6)


@pytest.mark.parametrize(("name", "code"), [("t.csv", "PG520"), ("none/t.jsonl", "PG511")])
def test_what_is_no_table_is_told_before(
    name: str, code: str, reader: Path, tmp_path: Path
) -> None:
    texts(tmp_path / "in", 1)
    words: Any = (reader, tmp_path / "in", tmp_path / "out")
    assert fault(lambda: run(*words, table=tmp_path / name)).code == code
    assert not (tmp_path / "out").exists()


def test_classes_are_called_as_a_file_says(reader: Path, tmp_path: Path) -> None:
    """Results under other names are other results."""
    texts(tmp_path / "in", 2)
    words: Any = (reader, tmp_path / "in", tmp_path / "out")
    for names in (["one", "two", "three"], ["a", "b", "c"]):
        (tmp_path / "names").write_text("\n".join(names), encoding="utf-8")
        assert run(*words, names=[str(tmp_path / "names")]).done == 2
        assert run(*words, names=[str(tmp_path / "names")]).before == 2
        told = json.dumps(summary(tmp_path / "out" / "000.txt")["outputs"]["label"])
        assert all(f'"{name}"' in told for name in names)
    (tmp_path / "names").write_text("one\ntwo\n", encoding="utf-8")
    assert fault(lambda: run(*words, names=[str(tmp_path / "names")])).code == "PG515"
