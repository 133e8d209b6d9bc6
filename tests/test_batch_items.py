"""What the arguments of a batch stand for, and what the results of each are called."""

from __future__ import annotations

import json
import mimetypes
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from perceiver_graph.cluster.items import Found, find_items
from perceiver_graph.cluster.job import Item, Job
from perceiver_graph.cluster.takes import Takes
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.media.clip.reader import ClipReader
from perceiver_graph.media.image.reader import ImageReader
from perceiver_graph.media.io import Reader
from perceiver_graph.media.points.reader import PointsReader
from perceiver_graph.media.table.reader import TableReader
from tests.tiny import fault


class Pictures(Reader):
    noun = "a picture"
    media_types = ("image/",)

    def __init__(self, name: str = "image") -> None:
        self.inputs = (name,)


class Pairs(Pictures):
    def split(self, values: Sequence[str]) -> list[list[str]]:
        if len(values) % 2:
            raise DiagnosticError.of("PG501", "no second")
        return [list(values)]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a/1.png", "a/b/2.jpg", "a/.hidden.png", "a/notes.txt", "c/1.png", "c/.git/3.png"):
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def found(
    *inputs: str,
    out: str = "out",
    readers: tuple[Reader, ...] = (Pictures(),),
    arrays: tuple[str, ...] = (),
    needed: tuple[str, ...] = (),
) -> Found:
    return find_items(inputs, Takes(readers, arrays, needed), Path(out))


def named(*inputs: str, out: str = "out") -> list[str]:
    return [item.name for item in found(*inputs, out=out).items]


@pytest.mark.parametrize(
    ("inputs", "names"),
    [
        (["a/1.png"], ["1.png"]),
        (["a"], ["1.png", "b/2.jpg"]),
        ([".", "a"], ["a/1.png", "a/b/2.jpg", "c/1.png", "1.png", "b/2.jpg"]),
        (["*/1.png"], ["a/1.png", "c/1.png"]),
        (["a/**/*.jpg"], ["b/2.jpg"]),
        (["a/notes.txt"], ["notes.txt"]),
        (["a/1.png", "./a/1.png", "a/1.png"], ["1.png"]),
    ],
)
def test_names_are_those_below_what_was_named(
    here: Path, inputs: list[str], names: list[str]
) -> None:
    items = found(*inputs).items
    assert [item.name for item in items] == names
    assert all(Path(item.values[0]).is_absolute() for item in items)


def test_what_is_of_another_kind_in_a_folder_is_noted(here: Path) -> None:
    assert found("a").notes == ["a: left out what is not a picture: notes.txt"]
    assert found("a/notes.txt").notes == []


def test_results_are_never_inputs(here: Path) -> None:
    Path("a/out/1.png").mkdir(parents=True)
    Path("a/out/1.png/1.png").touch()
    assert named("a", out="a/out") == ["1.png", "b/2.jpg"]
    assert named("a/**/*.png", out="a/out") == [".hidden.png", "1.png"]


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        (["a/1.png", "c/1.png"], "would both go to 1.png"),
        (["*.gif"], "no file matches"),
        (["a/.none"], "does not exist"),
        ([], "no input is given"),
        (["a/1.png", "--out", "a"], "would go to a folder of that name"),
        (["a", "--out", "a"], "of the inputs and of the results"),
    ],
)
def test_what_cannot_be_told_apart_or_is_not_there(
    here: Path, inputs: list[str], told: str
) -> None:
    out = inputs[inputs.index("--out") + 1] if "--out" in inputs else "out"
    inputs = inputs[: inputs.index("--out")] if "--out" in inputs else inputs
    assert told in fault(lambda: found(*inputs, out=out)).message


def test_an_empty_folder_and_the_name_of_the_ledger(here: Path) -> None:
    Path("empty").mkdir()
    assert "nothing to run on in empty" in fault(lambda: found("empty")).message
    Path("batch.jsonl").mkdir()
    Path("batch.jsonl/x").mkdir()
    Path("d").mkdir()
    Path("d/batch.jsonl").write_text('{"path": "1.png", "name": "batch.jsonl"}', encoding="utf-8")
    assert "keeps its account" in fault(lambda: found("d/batch.jsonl")).message


def test_a_folder_that_cannot_be_looked_into_is_not_left_out(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = os.scandir

    def scandir(path: str) -> Any:
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    told = fault(lambda: found("a"))
    assert (told.code, told.message) == ("PG520", "a/b cannot be read: Permission denied")


def test_an_empty_text_in_a_table_is_told_as_such(here: Path) -> None:
    Path("t.jsonl").write_text('{"left": ""}', encoding="utf-8")
    told = fault(lambda: found("t.jsonl", readers=(Pictures("left"),)))
    assert "row 1: `left` is empty" in told.message
    assert "null leaves an input out" in str(told.help)


def test_files_for_several_inputs_or_in_pairs_take_a_table(here: Path) -> None:
    both = (Pictures("left"), Pictures("right"))
    told = fault(lambda: found("a", readers=both))
    assert told.code == "PG520"
    assert '{"left": "FILE", "right": "FILE"}' in str(told.help)
    told = fault(lambda: found("a", readers=(Pairs(),)))
    assert (told.code, '["FIRST", "SECOND"]' in str(told.help)) == ("PG520", True)
    rows = [{"left": "1.png", "right": "b/2.jpg"}, {"left": "1.png", "right": None, "name": "x/y"}]
    Path("a/t.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n\n", encoding="utf-8")
    items = found("a/t.jsonl", readers=both).items
    assert items == [
        Item("000001", (f"left={here}/a/1.png", f"right={here}/a/b/2.jpg")),
        Item("x/y", (f"left={here}/a/1.png",)),
    ]


def test_rows_of_one_file_or_of_a_text(here: Path) -> None:
    rows = [{"path": "1.png"}, {"image": "b/2.jpg"}, {"image": "a text, as it is"}]
    Path("a/t.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert found("a/t.jsonl").items == [
        Item("1.png", (f"{here}/a/1.png",)),
        Item("b/2.jpg", (f"image={here}/a/b/2.jpg",)),
        Item("000003", ("image=a text, as it is",)),
    ]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("[1]", "row 1: it is no object"),
        ("{", "t.jsonl:1 is not JSON"),
        ("{}", "names nothing to run on"),
        ('{"imag": "1.png"}', "`imag` is no input"),
        ('{"image": 3}', "is no path, no text and no list of numbers"),
        ('{"image": [1, "1.png"]}', "has no numbers"),
        ('{"image": [[1], [2, 3]]}', "lists of unequal length"),
        ('{"image": [1, null]}', "has no numbers"),
        ('{"image": "1.png", "name": "../x"}', "is not one of a folder"),
        ('{"image": "1.png", "name": "/x"}', "is not one of a folder"),
    ],
)
def test_rows_that_do_not_fit(here: Path, line: str, told: str) -> None:
    Path("a/t.jsonl").write_text(line, encoding="utf-8")
    found_fault = fault(lambda: found("a/t.jsonl"))
    assert (found_fault.code, told in found_fault.message) == ("PG520", True)
    assert found_fault.help


def test_a_key_changes_with_the_file_the_artifact_and_what_is_asked(here: Path) -> None:
    job, item = Job("art", "1", "out"), Item("1.png", (f"{here}/a/1.png",))
    key = item.keyed(job).key
    assert item.keyed(Job("elsewhere", "1", "there", threads=3, batch=2)).key == key
    others = [Job("art", "2", "out"), Job("art", "1", "out", decode=("label",))]
    keys = [item.keyed(one).key for one in others]
    Path("a/1.png").write_bytes(b"x")
    keys.append(item.keyed(job).key)
    assert len({key, *keys}) == 4
    named = Item("1.png", (f"image={here}/a/1.png",))
    before = named.keyed(job).key
    Path("a/1.png").write_bytes(b"xy")
    assert named.keyed(job).key != before


@pytest.mark.parametrize(
    ("reader", "names"),
    [
        (ImageReader, ["a.png", "a.WEBP", "a.tga", "a.jpeg"]),
        (ClipReader, ["a.mp4", "a.mkv", "a.ts", "a.flac", "a.ogg", "a.m4a", "a.wav"]),
        (TableReader, ["a.csv", "a.npy", "a.NPZ", "a.tsv"]),
        (PointsReader, ["a.csv", "a.npy", "a.npz", "a.ply", "a.off", "a.pcd", "a.xyz", "a.txt"]),
    ],
)
def test_a_folder_gives_every_kind_of_file_that_is_read(
    reader: type[Reader], names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the system's own table of types knows: here, none."""
    monkeypatch.setattr(mimetypes, "_db", mimetypes.MimeTypes())
    assert mimetypes.guess_type("a.mkv")[0] is None
    for name in (*names, "a.exe"):
        (tmp_path / name).touch()
    one = reader.__new__(reader)
    one.inputs = ("x",)
    told = found(str(tmp_path), readers=(one,))
    assert [item.name for item in told.items] == sorted(names)
    assert all(item.values or item.arrays for item in told.items)
    assert len(told.notes) == 1
    assert "a.exe" in told.notes[0]


def test_a_table_of_commas_is_no_picture(here: Path) -> None:
    """It becomes a table that is read by rows, by the command that is shown."""
    Path("t.csv").write_text("image,size\na/1.png,3\nc/1.png,4\n", encoding="utf-8")
    refusal = fault(lambda: found("t.csv"))
    assert refusal.code == "PG520"
    assert "tables of them are .jsonl or .parquet" in refusal.message
    assert refusal.help is not None
    made, _, _ = refusal.help.partition(", and name that;")
    subprocess.run(["bash", "-c", made], check=True)
    assert named("t.jsonl") == ["a/1.png", "c/1.png"]
    assert fault(lambda: found("t.csv", readers=(), arrays=("x",))).code == "PG520"


@pytest.mark.parametrize("pattern", ["a/**/*.png", "a/*/*.jpg", "a/b/*.jpg"])
def test_a_pattern_leaves_out_no_folder_that_cannot_be_read(
    here: Path, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    assert named("*/1.png") == ["a/1.png", "c/1.png"]
    monkeypatch.setattr(os, "access", lambda place, mode: Path(place).name != "b")
    refusal = fault(lambda: found(pattern))
    assert refusal.message == "a/b cannot be read: Permission denied"
    assert named("*/1.png") == ["a/1.png", "c/1.png"], "nothing of it is asked for"


@pytest.mark.parametrize(
    ("inputs", "row"),
    [
        (["a/1.png", "imu=imu.npy"], {"image": "a/1.png", "imu": "imu.npy"}),
        (["a", "imu=imu.npy"], {"image": "FILE", "imu": "imu.npy"}),
        (["image=a/1.png"], {"image": "a/1.png", "imu": "FILE.npy"}),
        (["imu.npy", "image=a/1.png"], {"image": "a/1.png", "imu": "imu.npy"}),
        (
            ["imu.npy", "image.mask=m.npy"],
            {"image": "FILE", "imu": "imu.npy", "image.mask": "m.npy"},
        ),
    ],
)
def test_a_row_for_what_is_named_has_all_that_an_item_needs(
    here: Path, inputs: list[str], row: dict[str, str]
) -> None:
    Path("imu.npy").touch()
    error = fault(lambda: found(*inputs, arrays=("imu", "image.mask"), needed=("imu",)))
    assert error.code == "PG520"
    assert f"echo '{json.dumps(row)}' >> rows.jsonl" in str(error.help)
