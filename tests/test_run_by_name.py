"""`run NAME`: a published model is downloaded, compiled once and run; the next time it is there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.support import Command
from tests.import_support import model, save
from tests.local_hub import LocalHub, Repository, be_the_hub, served

NAME = "deepmind/language-perceiver"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """With a language model of bytes."""
    made = model("MaskedLM", vocab_size=262, max_position_embeddings=32)
    folder = save(made, tmp_path_factory.mktemp("hub") / "model")
    with served() as found:
        found.repositories[NAME] = Repository(folder)
        found.repositories["tests/mine"] = Repository(folder)
        yield found


@pytest.fixture
def compiled(hub: LocalHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where compiled models are kept, empty."""
    be_the_hub(hub, tmp_path / "downloads", monkeypatch)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("PERCEIVER_GRAPH_CACHE", str(tmp_path / "compiled"))
    return tmp_path / "compiled"


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


def test_one_line(hub: LocalHub, compiled: Path, command: Command) -> None:
    first = command("run", NAME, "This is a [MASK*4].")
    assert first.code == 0, first.err
    (folder,) = compiled.iterdir()
    assert (
        f"note: compiled into {folder}, for the next time; `rm -r {folder}` removes it" in first.err
    )
    manifest = json.loads((folder / "manifest.json").read_text())
    commit = hub.repositories[NAME].commit
    assert manifest["weights"] == f"{NAME}@{commit[:12]}"
    hub.asked.clear()
    again = command("run", NAME, "This is a [MASK*4].")
    assert (again.code, again.err) == (0, "")
    assert hub.got() == []
    assert again.out == first.out


def test_the_same_as_import_compile_and_run(compiled: Path, command: Command) -> None:
    words = ["--random", "--seed", "3", "--size", "length=12"]
    assert command("run", NAME, *words, "-o", "one.npz").code == 0
    assert command("import", NAME, "-o", "imported").code == 0
    weights = ["--weights", "imported/weights.safetensors"]
    assert command("compile", "imported/spec.yaml", *weights, "-o", "artifact").code == 0
    assert command("run", "artifact", *words, "-o", "steps.npz").code == 0
    with np.load("one.npz") as one, np.load("steps.npz") as steps:
        assert [*one] == [*steps]
        assert all(np.array_equal(one[name], steps[name]) for name in one)


def test_other_files_are_compiled_anew(
    hub: LocalHub, compiled: Path, command: Command, monkeypatch: Any
) -> None:
    words = ["run", NAME, "a"]
    assert command(*words).code == 0
    readme = hub.repositories[NAME].folder / "README.md"
    readme.write_text("another commit")
    assert command(*words).code == 0
    assert len([*compiled.iterdir()]) == 2
    readme.unlink()
    monkeypatch.setattr("perceiver_graph.version.__version__", "0.0.0")
    assert command(*words).code == 0
    assert len([*compiled.iterdir()]) == 3


def test_without_a_network(hub: LocalHub, compiled: Path, command: Command) -> None:
    assert command("run", NAME, "a").code == 0
    hub.status = 503
    try:
        done = command("run", NAME, "a")
        assert done.code == 0
        assert "what an earlier download has left was read" in done.err
        done = command("run", "hf://tests/mine", "a")
        assert (done.code, "PG316" in done.err) == (1, True)
    finally:
        hub.status = 0


def test_other_names(hub: LocalHub, compiled: Path, command: Command) -> None:
    """A word that is no published model is a folder, unless it says that it is none."""
    hub.asked.clear()
    done = command("run", "tests/mine", "a")
    assert done.code == 1
    assert "if a model of the hub is meant: `perceiver-graph run hf://tests/mine`" in done.err
    assert hub.asked == []
    assert command("run", "hf://tests/mine@v1", "a").code == 0
    done = command("run", "hf://tests/absent", "a")
    assert (done.code, "PG314" in done.err) == (1, True)


def test_beside_folders_no_hub_is_meant(hub: LocalHub, compiled: Path, command: Command) -> None:
    Path("models").mkdir(exist_ok=True)
    done = command("run", "models/mine", "a")
    assert done.code == 1
    assert "of the hub" not in done.err


def test_a_folder_here_goes_first(hub: LocalHub, compiled: Path, command: Command) -> None:
    Path(NAME).mkdir(parents=True)
    hub.asked.clear()
    done = command("run", NAME, "a")
    assert done.code == 1
    assert hub.asked == []


def test_where_compiled_models_are_kept(monkeypatch: Any, tmp_path: Path) -> None:
    from perceiver_graph.storage.caches import cache_folder

    monkeypatch.delenv("PERCEIVER_GRAPH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "perceiver-graph"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "perceiver-graph"
