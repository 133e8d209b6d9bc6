"""A path that is of the wrong kind, or not there: what is named is what was meant, and it works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.cli.support import TINY, Command


@pytest.fixture
def place(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a spec, and the artifact made of it where `compile` puts it."""
    monkeypatch.chdir(tmp_path)
    Path("my spec.yaml").write_text(TINY, encoding="utf-8")
    assert command("compile", "my spec.yaml").code == 0
    return tmp_path


def named(said: str) -> list[str]:
    """What the help names: in backquotes, or at its end."""
    help = said.partition("= help: ")[2].splitlines()[0]
    return re.findall(r"`([^`]+)`", help) or [help.rpartition(": ")[2]]


@pytest.mark.parametrize(
    "given",
    ["tiny", "tny", "build", "build/tinny", "build/tiny/manifest.json", "build/tiny/encode.onnx"],
)
def test_an_artifact_that_was_meant(given: str, place: Path, command: Command) -> None:
    done = command("run", given, "--random")
    assert (done.code, "error[PG401]" in done.err) == (1, True)
    assert named(done.err) == ["build/tiny"]
    assert command("run", "build/tiny", "--random").code == 0


@pytest.mark.parametrize("given", ["my spec", "my spec.yaml", "."])
def test_an_artifact_that_is_not_made_yet(given: str, place: Path, command: Command) -> None:
    done = command("run", given, "--random")
    (made,) = named(done.err)
    assert command(*shlex.split(made)[1:]).code == 0
    assert command("run", shlex.split(made)[-1], "--random").code == 0


@pytest.mark.parametrize("given", ["nowhere", "build/tiny/../no/where", "x.npz"])
def test_nothing_is_named_that_is_not_there(given: str, place: Path, command: Command) -> None:
    Path("x.npz").touch()
    assert named(command("run", given, "--random").err) == [
        "perceiver-graph compile SPEC -o build/NAME"
    ]


@pytest.mark.parametrize("word", ["check", "inspect", "compile", "graph"])
def test_a_folder_is_no_spec(word: str, place: Path, command: Command) -> None:
    done = command(word, "build/tiny")
    assert (done.code, "error[PG002]" in done.err) == (1, True)
    (meant,) = named(done.err)
    assert command("check", meant).code == 0
    Path("empty").mkdir()
    (start,) = named(command(word, "empty").err)
    assert start == "perceiver-graph new NAME"


@pytest.mark.parametrize("words", [["import"], ["compile", "my spec.yaml", "--weights"]])
def test_an_artifact_and_a_spec_are_no_weights(
    words: list[str], place: Path, command: Command
) -> None:
    done = command(*words, "my spec.yaml")
    assert (done.code, "is YAML text, not weights" in done.err) == (1, True)
    done = command(*words, "build/tiny")
    assert (done.code, "is an artifact, and holds what its programs" in done.err) == (1, True)
    (anew,) = named(done.err)
    assert command(*shlex.split(anew.replace("DIR", "anew"))[1:]).code == 0
    assert command("compile", "my spec.yaml", "--weights", "anew").code == 0
    done = command("run", "anew", "--random")
    assert "error[PG406]" in done.err
    (runs,) = named(done.err)
    assert command(*shlex.split(runs.replace("DIR", "runs"))[1:]).code == 0
    assert command("run", "runs", "--random").code == 0
