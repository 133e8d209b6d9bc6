"""Which file is for which input, told to who calls from Python: in calls that can be written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import perceiver_graph as pg
from perceiver_graph.diagnostics.commands import typed
from perceiver_graph.runtime.inputs import read_arrays
from tests.tiny import fault

SPEC = """
perceiver: 1
name: two
dims: {length: {max: 12}}
inputs:
  left: {shape: {height: 4, width: 6, channel: 3}, media: {image: {}}}
  right: {shape: {height: 4, width: 6, channel: 3}, media: {image: {}}}
  text:
    shape: {length: length}
    steps: [{embedding: {vocabulary: 262, width: 4}}]
    position: {learned: {}, combine: add}
    media: {text: {}}
join: {padding: {min: 0}}
latents: {count: 2, width: 4}
process: {layers: 1, heads: 1}
outputs:
  label: {query: {learned: {}}, head: {linear: 2}}
"""
PLAIN = """
perceiver: 1
name: plain
inputs: {sensor: {shape: {time: 3, channel: 2}}}
latents: {count: 2, width: 4}
process: {layers: 1, heads: 1}
outputs: {label: {query: {learned: {}}, head: {linear: 2}}}
"""


def load(spec: str, folder: Path) -> Any:
    pg.compile(spec).save(folder / "artifact")
    return pg.load(folder / "artifact", device="cpu")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load(SPEC, tmp_path_factory.mktemp("two"))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in "abc":
        Image.new("RGB", (6, 4), "red").save(f"{name}.png")
    np.save("x.npy", np.zeros((1, 3, 2), np.float32))
    np.savez("x.npz", sensor=np.zeros((1, 3, 2), np.float32))
    return tmp_path


def followed(help: str | None, **known: Any) -> Any:
    """What the call gives that stands in backquotes."""
    found = re.search("`(program.*?)`", str(help))
    assert found, help
    return eval(found[1], known)


@pytest.mark.parametrize("files", [["a.png"], ["a.png", "b.png"], ["a.png", "b.png", "c.png"]])
def test_pictures_that_could_be_for_either_input(
    files: list[str], program: Any, here: Path
) -> None:
    found = fault(lambda: program.read(*files))
    assert found.code == "PG512"
    read = followed(found.help, program=program)
    assert [*read] == ["left", "right"][: len(files)]
    program.run(read)
    assert ("the others in a call of their own" in str(found.help)) == (len(files) > 2)


def test_a_picture_that_is_read_as_a_text(program: Any, here: Path) -> None:
    help = str(fault(lambda: program.read(text="a.png")).help)
    assert "`program.read(INPUT=FILE)`" in help
    with typed():
        assert "`INPUT=FILE`" in str(fault(lambda: program.read(text="a.png")).help)


@pytest.mark.parametrize("given", ["x.npy", "x.npz", "a.png"])
def test_arrays_are_given_to_run(given: str, here: Path) -> None:
    program = load(PLAIN, here)
    help = str(fault(lambda: program.read(given)).help)
    assert "=FILE" not in help
    x = np.zeros((1, 3, 2), np.float32)
    assert followed(help, program=program, ARRAY=x)["label"].shape == (1, 2)


def test_an_input_that_is_no_file_is_added_to_what_is_read(here: Path) -> None:
    spec = SPEC.replace("channel: 3}, media: {image: {}}}\n  text", "channel: 3}}\n  text")
    program = load(spec, here)
    found = fault(lambda: program.read("a.png", right="right.npy"))
    assert found.code == "PG502"
    read, x = program.read(left="a.png"), np.zeros((1, 4, 6, 3), np.float32)
    assert followed(found.help, program=program, READ=read, ARRAY=x)["label"].shape == (1, 2)
    slip = fault(lambda: program.read("a.png", lft="a.png"))
    assert slip.help == "did you mean `left`?"


def test_an_archive_is_given_to_run(program: Any, here: Path) -> None:
    np.savez("two.npz", left=np.zeros((1, 4, 6, 3), np.float32))
    help = fault(lambda: program.read("two.npz")).help
    assert followed(help, program=program, numpy=np)["label"].shape == (1, 2)


BOTH = PLAIN.replace("inputs: {", "inputs: {other: {shape: {n: 1, channel: 2}}, ")
BOTH = BOTH.replace("latents", "join: {padding: {min: 0}}\nlatents")


@pytest.mark.parametrize("spec", [PLAIN, BOTH])
@pytest.mark.parametrize("given", ["sensor=x.npy", "x.npy"])
def test_a_single_array_is_put_into_an_archive(spec: str, given: str, here: Path) -> None:
    manifest = load(spec, here).manifest
    Path("x.npz").unlink()
    found = fault(lambda: read_arrays(given, manifest))
    call, _, _ = str(found.help).partition(" writes one")
    eval(call, {"numpy": np, "ARRAY": np.zeros((1, 1, 2), np.float32)})
    assert found.code == "PG513"
    if given != "x.npy" or spec == PLAIN:
        assert read_arrays("x.npz", manifest)["sensor"].shape == (1, 3, 2)
    else:
        assert "NAME=" in call  # of two inputs, nothing says which


def test_an_array_that_is_not_there_is_not_put_into_an_archive(here: Path) -> None:
    manifest = load(PLAIN, here).manifest
    for given in ("nope.npy", "sensor=nope.npy"):
        found = fault(lambda given=given: read_arrays(given, manifest))  # type: ignore[misc]
        assert (found.code, found.help) == ("PG513", "check the path")
        assert "nope.npy does not exist" in found.message
