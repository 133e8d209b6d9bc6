"""Arrays named beside files, `joints=j.npy`, and what is said where it cannot be told what is for what."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import perceiver_graph as pg
from perceiver_graph.cluster import run_batch
from perceiver_graph.cluster.items import find_items
from perceiver_graph.cluster.takes import Takes
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.runtime import load
from perceiver_graph.runtime.run import run_files
from tests.cli.support import Command

ARM = """
perceiver: 1
name: arm
inputs:
  front:
    shape: {height: 8, width: 8, channel: 3}
    steps: [{patch: {height: 4, width: 4}}]
    position: {learned: {width: 8}}
    media: {image: {}}
  rear: {like: front}
  joints: {shape: {channel: 7}, mask: never}
join: {padding: {min: 5}}
latents: {count: 4, width: 16}
process: {layers: 1, heads: 4}
outputs:
  move: {query: {learned: {}}, head: {linear: 3}}
"""
READER = """
perceiver: 1
name: reader
inputs:
  text:
    shape: {byte: 16}
    steps: [{embedding: {vocabulary: 262, width: 16}}]
    position: {learned: {}, combine: add}
    media: {text: {}}
  numbers:
    shape: {row: 4, channel: 5}
    position: {learned: {width: 4}}
    media: {table: {}}
    attention_mask: true
  angles: {shape: {channel: 2}}
join: {padding: {min: 4}}
latents: {count: 4, width: 16}
process: {layers: 1, heads: 4}
outputs:
  move: {query: {learned: {}}, head: {linear: 3}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("named")
    for name, text in (("arm", ARM), ("reader", READER)):
        pg.compile(text).save(path / name)
    for name, value in (("a.png", 10), ("b.png", 200)):
        Image.fromarray(np.full((8, 8, 3), value, np.uint8)).save(path / name)
    joints = np.linspace(-1, 1, 7, dtype=np.float32)
    np.save(path / "joints.npy", joints)
    np.savez(path / "joints.npz", anything=joints)
    np.savez(path / "in.npz", joints=joints[None])
    np.save(path / "two.npy", np.stack([joints, joints]))
    (path / "full.csv").write_text("a,b,c,d,e\n1,2,3,4,5\n2,3,4,5,6\n")
    return path


def moves(path: Path) -> np.ndarray:
    with np.load(path) as archive:
        return np.asarray(archive["move"])


@pytest.mark.parametrize("file", ["joints.npy", "joints.npz"])
def test_an_array_named_beside_pictures_is_that_of_an_archive(
    file: str, folder: Path, command: Command, tmp_path: Path
) -> None:
    pictures = [f"front={folder / 'a.png'}", f"rear={folder / 'b.png'}"]
    named = command(
        "run", folder / "arm", *pictures, f"joints={folder / file}", "-o", tmp_path / "a"
    )
    assert named.code == 0, named.err
    command("run", folder / "arm", *pictures, "--inputs", folder / "in.npz", "-o", tmp_path / "b")
    one, other = (moves(tmp_path / place / "a.npz") for place in "ab")
    assert np.array_equal(one, other)
    (source,) = [json.loads((tmp_path / "a" / "a.json").read_text())["source"]]
    assert str(folder / file) in source


@pytest.mark.parametrize("name", ["joints", "joints_of_the_arm"])
def test_the_command_that_compile_prints_runs(
    name: str, folder: Path, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An array by its name, or in an archive where its name is long."""
    monkeypatch.chdir(tmp_path)
    Path("arm.yaml").write_text(ARM.replace("joints", name), encoding="utf-8")
    last = command("compile", "arm.yaml", "-o", "built").out.splitlines()[-1]
    assert ("joints=FILE.npy" in last) == (name == "joints"), last
    joints = np.load(folder / "joints.npy")
    np.save("FILE.npy", joints)
    np.savez("REST.npz", **{name: joints[None]})
    Image.open(folder / "a.png").save("PICTURE.jpg")
    done = command(*shlex.split(last.removeprefix("next: perceiver-graph ")))
    assert done.code == 0, done.err
    assert moves(next(Path("out").glob("*.npz"))).shape == (1, 3)


def test_arrays_alone_are_run_on(folder: Path, tmp_path: Path) -> None:
    program = load(folder / "arm", device="cpu")
    run_files(program, [f"joints={folder / 'joints.npy'}"], tmp_path / "out")
    joints = np.load(folder / "joints.npy")[None]
    assert np.allclose(
        moves(tmp_path / "out" / "joints.npz"), program.run({"joints": joints})["move"]
    )


@pytest.mark.parametrize("flag", ["-f", "--file"])
def test_an_option_for_a_file_names_what_is_read_from_files(
    flag: str, folder: Path, command: Command, tmp_path: Path
) -> None:
    text = ARM.partition("  rear:")[0] + "  joints:" + ARM.partition("  joints:")[2]
    pg.compile(text).save(tmp_path / "one")
    told = command("run", tmp_path / "one", flag, "a.png").err
    assert f"perceiver-graph run {tmp_path / 'one'} a.png`" in told
    told = command("run", folder / "arm", flag, "a.png").err
    assert f"perceiver-graph run {folder / 'arm'} front=a.png`" in told


@pytest.mark.parametrize(
    ("values", "code", "told"),
    [
        (["joints=none.npy"], "PG512", "none.npy does not exist"),
        (["joints=3"], "PG512", "`joints=FILE.npy`"),
        (["joints=joints.npy", "joints=joints.npy"], "PG512", "is given twice"),
        (["front=a.png", "joint=joints.npy"], "PG512", "did you mean `joints`"),
        (["front=a.png", "zzz=joints.npy"], "PG512", "say it: `joints=joints.npy`"),
        (["front=a.png", "joints.npy"], "PG512", "`front=joints.npy`"),
        (["joints=two.npy"], "PG503", "has 2 batch elements"),
        (["front=a.png"], "PG501", "`joints=FILE.npy`, or `--inputs IN.npz`"),
        (["a.png", "b.png", "joints=joints.npy"], "PG512", "`front=a.png rear=b.png`"),
    ],
)
def test_what_is_no_array_is_told(
    values: list[str],
    code: str,
    told: str,
    folder: Path,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(folder)
    done = command("run", "arm", *values, "-o", tmp_path / "out")
    assert done.code == 1
    assert f"[{code}]" in done.err
    assert told in done.err


def test_an_array_is_no_text(folder: Path, tmp_path: Path) -> None:
    """In a model that takes texts, a text that names an input of arrays is none."""
    program = load(folder / "reader", device="cpu")
    np.save(tmp_path / "angles.npy", np.ones(2, np.float32))
    (found,) = run_files(
        program, ["text=hi", f"angles={tmp_path / 'angles.npy'}"], tmp_path / "out"
    )
    assert not [note for note in found.notes if "angles" in note]
    with pytest.raises(DiagnosticError, match="comes as an array"):
        run_files(program, ["angles=1"], tmp_path / "out")


def test_a_note_names_the_file_that_it_is_of(
    folder: Path, command: Command, tmp_path: Path
) -> None:
    """Not the text that is read with it."""
    table = folder / "full.csv"
    done = command(
        "run", folder / "reader", "text=hello", f"numbers={table}", "-o", tmp_path / "out"
    )
    (told,) = [one for one in done.err.splitlines() if "taken in their order" in one]
    assert told == f"note: {table}: the columns are taken in their order: a, b, c, d, e"
    (text,) = [one for one in done.err.splitlines() if "[PAD]" in one]
    assert text.startswith("note: `hello`: ")


def test_a_batch_is_told_by_a_table_what_is_for_what(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The row that is advised, written, is run on."""
    monkeypatch.chdir(tmp_path)
    program = load(folder / "reader", device="cpu")
    values = ["text=it's", f"numbers={folder / 'full.csv'}"]
    with pytest.raises(DiagnosticError) as caught:
        find_items(values, Takes.of(program.manifest), tmp_path / "out")
    (told,) = caught.value.diagnostics
    assert told.code == "PG520"
    line = re.search("`echo (.*?) >> rows.jsonl`", str(told.help))
    assert line
    (row,) = shlex.split(line[1])
    Path("rows.jsonl").write_text(row)
    assert run_batch(folder / "reader", ["rows.jsonl"], tmp_path / "out", workers=1).done == 1
