"""Batches of models whose inputs are arrays: archives, files that a table names, numbers in it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.main
from numpy.typing import NDArray
from PIL import Image

import perceiver_graph as pg
from perceiver_graph.cli.app import app
from perceiver_graph.cluster import run_batch
from perceiver_graph.cluster.items import find_items
from perceiver_graph.cluster.job import Item
from perceiver_graph.cluster.takes import Takes
from perceiver_graph.cluster.worker import Worker
from perceiver_graph.runtime import load
from tests.batch_support import job_of, lines
from tests.cli.support import Command
from tests.tiny import fault

CLOUD = """
perceiver: 1
name: cloud
dims: {points: {max: 16}}
inputs:
  cloud: {shape: {place: points, channel: 3}, mask: never}
  words: {shape: {word: 4}, steps: [{embedding: {vocabulary: 9, width: 8}}], mask: optional}
join: {padding: {min: 0}}
latents: {count: 4, width: 16}
process: {layers: 1, heads: 4}
outputs:
  label: {query: {learned: {}}, head: {linear: 3}, media: {classes: {}}}
  shape: {query: {learned: {count: 5}}, head: {linear: 2}}
"""
ARM = """
perceiver: 1
name: arm
inputs:
  image:
    shape: {height: 8, width: 8, channel: 3}
    steps: [{patch: {height: 4, width: 4}}]
    media: {image: {}}
  joints: {shape: {joint: 7, channel: 1}, mask: never}
join: {padding: {min: 0}}
latents: {count: 4, width: 16}
process: {layers: 1, heads: 4}
outputs:
  move: {query: {learned: {}}, head: {linear: 3}}
"""
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pg.compile(CLOUD).save(folder := tmp_path_factory.mktemp("compiled") / "cloud")
    return folder


@pytest.fixture(scope="module")
def arm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pg.compile(ARM).save(folder := tmp_path_factory.mktemp("compiled") / "arm")
    return folder


def points(count: int) -> NDArray[np.float32]:
    return RNG.standard_normal((count, 3), np.float32)


def table(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def test_archives_of_a_folder_are_run_as_a_run_does(cloud: Path, tmp_path: Path) -> None:
    """With the axis of the batch, and without; several in one call."""
    given = {f"{n}.npz": {"cloud": points(4 + n % 2)} for n in range(5)}
    given["3.npz"]["words"] = np.array([1, 2, 3, 4])
    (tmp_path / "in" / "more").mkdir(parents=True)
    for n, (name, arrays) in enumerate(given.items()):
        batched = arrays if n == 1 else {key: array[None] for key, array in arrays.items()}
        np.savez(tmp_path / "in" / name, **batched)  # type: ignore[arg-type]
    (tmp_path / "in" / "notes.txt").touch()
    found = run_batch(cloud, [tmp_path / "in"], tmp_path / "out", workers=1, batch=2, device="cpu")
    assert (found.done, found.failed) == (5, 0), found.failures
    assert found.notes == [
        f"{tmp_path / 'in'}: left out what is not an archive of arrays (.npz): notes.txt"
    ]
    program = load(cloud, device="cpu")
    for name, arrays in given.items():
        wanted = program.run({key: array[None] for key, array in arrays.items()})
        folder = tmp_path / "out" / name
        with np.load(folder / f"{name[0]}.npz") as results:
            assert results["shape"] == pytest.approx(wanted["shape"], abs=1e-5)
        said = json.loads((folder / f"{name[0]}.json").read_text("utf-8"))
        assert said["outputs"]["label"][0]["index"] == int(wanted["label"].argmax())
        assert said["source"] == [str(tmp_path / "in" / name)]
    again = run_batch(cloud, [tmp_path / "in" / "*.npz"], tmp_path / "out", workers=1, device="cpu")
    assert (again.done, again.before) == (0, 5)


def test_a_row_names_files_of_arrays_or_has_the_numbers(cloud: Path, tmp_path: Path) -> None:
    first, second = points(3), points(2)
    np.save(tmp_path / "first.npy", first)
    np.savez(tmp_path / "both.npz", cloud=second, words=[4, 3, 2, 1])
    rows = table(
        tmp_path / "t.jsonl",
        {"cloud": "first.npy", "words": None},
        {"cloud": first.tolist(), "words": [1, 2, 3, 4], "name": "numbers/one"},
        {"cloud": "both.npz", "words": "both.npz"},
        {"path": "both.npz"},
    )
    takes = Takes.of(load(cloud, device="cpu").manifest)
    items = find_items([str(rows)], takes, tmp_path / "out").items
    assert [item.name for item in items] == ["first.npy", "numbers/one", "000003", "both.npz"]
    assert items[0] == Item("first.npy", (), (f"cloud={tmp_path}/first.npy",))
    assert Item.of(items[1].text) == items[1]
    job = job_of(cloud, tmp_path / "out")
    found = list(Worker(job).run([item.keyed(job) for item in items]))
    assert {one.state for one in found} == {"done"}, found
    program = load(cloud, device="cpu")
    words = np.array([[1, 2, 3, 4]])
    for place, arrays in {
        "first.npy/first.npz": {"cloud": first[None]},
        "numbers/one/one.npz": {"cloud": first[None], "words": words},
        "000003/000003.npz": {"cloud": second[None], "words": words[:, ::-1]},
        "both.npz/both.npz": {"cloud": second[None], "words": words[:, ::-1]},
    }.items():
        with np.load(tmp_path / "out" / place) as results:
            assert results["shape"] == pytest.approx(program.run(arrays)["shape"], abs=1e-5)
    before = items[0].keyed(job).key
    np.save(tmp_path / "first.npy", points(4))
    assert items[0].keyed(job).key != before


def test_parquet_has_lists_of_numbers(cloud: Path, tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = {"cloud": [points(2).tolist(), points(3).tolist()], "words": [[1, 2, 3, 4], None]}
    parquet.write_table(arrow.table(rows), tmp_path / "t.parquet")
    found = run_batch(cloud, [tmp_path / "t.parquet"], tmp_path / "out", workers=1, device="cpu")
    assert (found.done, found.failed) == (2, 0), found.failures


def test_arrays_beside_files_and_instead_of_them(arm: Path, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), "red").save(tmp_path / "a.png")
    np.save(tmp_path / "a.npy", np.ones((8, 8, 3), np.float32))
    joints = [[0.5]] * 7
    rows = table(
        tmp_path / "t.jsonl",
        {"image": "a.png", "joints": joints, "name": "file"},
        {"image": "a.npy", "joints": joints, "name": "array"},
        {"image": "a.png", "name": "alone"},
    )
    found = run_batch(arm, [rows], tmp_path / "out", workers=1, device="cpu")
    assert (found.done, found.failed) == (2, 1)
    (failed,) = found.failures
    assert (failed.name, failed.code) == ("alone", "PG501")
    assert '{"image": "FILE", "joints": "FILE.npy"}' in failed.help
    said = json.loads((tmp_path / "out" / "file" / "a.json").read_text("utf-8"))
    assert said["source"] == [str(tmp_path / "a.png")]


@pytest.mark.parametrize(
    ("arrays", "code", "told"),
    [
        ({"cloud": np.zeros((2, 3, 3))}, "PG503", "2 batch elements"),
        ({"clouds": np.zeros((3, 3))}, "PG502", "no input `clouds`"),
        ({"cloud": np.zeros((3, 2))}, "PG503", "axis `channel`"),
        ({"words": np.zeros((1, 4), np.int64)}, "PG501", "`cloud` is missing"),
        ({"cloud": np.full((3, 3), np.nan)}, "PG505", "`cloud`"),
    ],
)
def test_arrays_that_do_not_fit_fail_alone(
    arrays: dict[str, Any], code: str, told: str, cloud: Path, tmp_path: Path
) -> None:
    np.savez(tmp_path / "wrong.npz", **arrays)
    np.savez(tmp_path / "right.npz", cloud=points(3))
    job = job_of(cloud, tmp_path / "out", batch=2)
    takes = Takes.of(load(cloud, device="cpu").manifest)
    items = find_items([str(tmp_path / "*.npz")], takes, tmp_path / "out").items
    found = {one.name: one for one in Worker(job).run([item.keyed(job) for item in items])}
    assert found["right.npz"].state == "done"
    assert (found["wrong.npz"].code, told in found["wrong.npz"].message) == (code, True)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"cloud": "a.txt"}, "`cloud` is an array, and `a.txt` is none"),
        ({"cloud": [[1, 2], [3]]}, "lists of unequal length"),
        ({"cloud": [["a"]]}, "no numbers"),
        ({"cloud": 3}, "no list of numbers"),
        ({"clouds": "a.npy"}, "`clouds` is no input"),
        ({"words": None, "cloud": []}, "names nothing to run on"),
    ],
)
def test_cells_that_are_no_arrays(
    row: dict[str, Any], told: str, cloud: Path, tmp_path: Path
) -> None:
    takes = Takes.of(load(cloud, device="cpu").manifest)
    rows = str(table(tmp_path / "t.jsonl", row))
    found = fault(lambda: find_items([rows], takes, tmp_path / "out"))
    assert (found.code, told in found.message) == ("PG520", True), found


def test_help_names_no_option_that_batch_has_not(
    arm: Path, cloud: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = Command(capsys)
    group: Any = typer.main.get_command(app)
    with typer.Context(group) as context:
        known = {o for p in group.get_command(context, "batch").params for o in p.opts}
    (tmp_path / "in").mkdir()
    Image.new("I;16", (8, 8)).convert("I").save(tmp_path / "in" / "a.tiff")
    Image.new("RGB", (8, 8)).save(tmp_path / "in" / "b.png")
    rows = table(
        tmp_path / "t.jsonl",
        *({"image": f"in/{name}", "joints": [[0.5]] * 7} for name in ("a.tiff", "b.png")),
        {"image": "in/b.png"},
    )
    out = tmp_path / "out"
    said = [
        command("batch", arm, tmp_path / "in" / "b.png", "-o", out).err,
        command("batch", cloud, tmp_path / "in" / "b.png", "-o", out).err,
        command("batch", cloud, tmp_path / "in", "-o", out).err,
        command("batch", arm, rows, "-o", out, "--workers", 1).err,
        *(line.get("help", "") for line in lines(out)),
    ]
    assert [re.findall(r"PG\d+", text)[:1] for text in said[:4]] == [
        ["PG501"],
        ["PG512"],
        ["PG520"],
        ["PG521"],
    ]
    assert '{"image": "FILE", "joints": "FILE.npy"}' in said[0]
    assert '{"cloud": "FILE.npy"}' in said[1]
    assert "name an archive of arrays (.npz)" in said[2]
    for text in said:
        assert set(re.findall(r"(?<![\w-])--[a-z-]+", text)) <= known, text
