"""Checkpoints by name, from a hub on this machine: what is downloaded, kept, and said where it fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import perceiver_graph as pg
from perceiver_graph.compiler.importing import Snapshot, download, import_checkpoint
from perceiver_graph.compiler.importing.classes import PUBLISHED
from perceiver_graph.diagnostics import DiagnosticError, render
from tests.cli.support import ROOT, Command
from tests.import_checks import same
from tests.import_support import CLASSES, model, save
from tests.local_hub import TOKEN, LocalHub, Repository, be_the_hub, served
from tests.test_torch_files import as_pickle

NAME = "deepmind/vision-perceiver-fourier"


@pytest.fixture(scope="module")
def hub(checkpoints: Any) -> Iterator[LocalHub]:
    with served() as found:
        for short_class, folder in checkpoints.items():
            found.repositories[f"tests/{short_class}"] = Repository(folder)
        yield found


@pytest.fixture
def cache(hub: LocalHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, beside which there is nothing in the working folder."""
    be_the_hub(hub, tmp_path / "cache", monkeypatch)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    hub.asked.clear()
    hub.status, hub.bytes_at_once, hub.silent = 0, 0, False
    return tmp_path / "cache"


@pytest.fixture
def fourier(hub: LocalHub, checkpoint: Path) -> Repository:
    """A model that a test may change."""
    hub.repositories[NAME] = Repository(checkpoint)
    return hub.repositories[NAME]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


def refused(name: str, **options: Any) -> tuple[str, str]:
    """The code and the text of what is wrong."""
    with pytest.raises(DiagnosticError) as caught:
        download(name, **options)
    return caught.value.diagnostics[0].code, render(caught.value.diagnostics)


# What is downloaded


@pytest.mark.parametrize("short_class", CLASSES)
def test_a_model_of_each_class(
    short_class: str, hub: LocalHub, cache: Path, checkpoints: Any, command: Command
) -> None:
    done = command("import", f"tests/{short_class}")
    assert done.code == 0, done.err
    found = download(f"tests/{short_class}")
    assert same(import_checkpoint(found), import_checkpoint(checkpoints[short_class]))
    commit = hub.repositories[f"tests/{short_class}"].commit
    assert found == Snapshot(f"tests/{short_class}", commit, found.folder)
    (folder,) = Path("imported").iterdir()
    assert f"Imported from tests/{short_class}@{commit[:12]}" in (folder / "spec.yaml").read_text()
    assert sorted(hub.got()) == ["config.json", "model.safetensors"]


def test_shards_and_pickles(hub: LocalHub, cache: Path, checkpoint: Path, tmp_path: Path) -> None:
    made, expected = model("ImageClassificationFourier"), import_checkpoint(checkpoint)
    sharded = save(made, tmp_path / "sharded", max_shard_size="40KB")
    whole = as_pickle(checkpoint, tmp_path / "whole")
    pieces = as_pickle(checkpoint, tmp_path / "pieces", 3)
    for number, folder in enumerate((sharded, whole, pieces)):
        hub.repositories[f"tests/{number}"] = Repository(folder)
        assert same(import_checkpoint(download(f"tests/{number}")), expected)


def test_only_what_is_needed_is_downloaded_and_only_once(
    hub: LocalHub, cache: Path, fourier: Repository
) -> None:
    for name in (
        "README.md",
        "flax_model.msgpack",
        "pytorch_model.bin",
        "preprocessor_config.json",
    ):
        (fourier.folder / name).write_text("{}")
    download(NAME)
    assert sorted(hub.got()) == ["config.json", "model.safetensors", "preprocessor_config.json"]
    hub.asked.clear()
    download(NAME)
    assert hub.got() == []
    assert len(hub.asked) <= 5


def test_revisions(hub: LocalHub, cache: Path, fourier: Repository) -> None:
    first = download(NAME, revision="v1")
    assert first.commit == fourier.commit
    shutil.copy(fourier.folder / "config.json", fourier.folder / "README.md")
    assert download(NAME).commit == fourier.commit != first.commit
    assert download(f"hf://{NAME}@v1").repository == NAME
    code, text = refused(NAME, revision="v2")
    assert (code, "has no revision `v2`" in text) == ("PG314", True)
    assert refused(f"{NAME}", revision="refs/pr/1")[0] == "PG314"
    assert refused(f"hf://{NAME}@v1", revision="main")[0] == "PG314"


def test_a_cache_of_ones_own(cache: Path, fourier: Repository, tmp_path: Path) -> None:
    found = download(NAME, cache=tmp_path / "mine")
    assert found.folder.is_relative_to(tmp_path / "mine")
    assert not cache.exists()


# Without a network


def test_what_was_downloaded_is_read_offline(
    hub: LocalHub, cache: Path, fourier: Repository, command: Command
) -> None:
    code, text = refused(NAME, offline=True)
    assert code == "PG316"
    assert "is not in the cache" in text
    first = download(NAME)
    hub.asked.clear()
    done = command("import", NAME, "--offline")
    assert done.code == 0, done.err
    assert done.err == ""  # that there are no settings for pictures is known
    assert hub.asked == []
    assert download(NAME, offline=True).folder == first.folder


def test_settings_for_pictures_that_nobody_has_asked_for(cache: Path, fourier: Repository) -> None:
    found = download(NAME)
    shutil.rmtree(cache / "models--deepmind--vision-perceiver-fourier" / ".no_exist")
    (note,) = download(NAME, offline=True).notes
    assert "preprocessor_config.json was never asked" in note
    assert found.notes == ()


def test_a_hub_that_is_away(
    hub: LocalHub, cache: Path, fourier: Repository, monkeypatch: Any
) -> None:
    first = download(NAME)
    hub.status = 503
    (note,) = download(NAME).notes
    assert "answers with an error (503): what an earlier download has left was read" in note
    code, text = refused("tests/MaskedLM")
    assert (code, "(503)" in text) == ("PG316", True)
    with served() as other:
        be_the_hub(other, cache, monkeypatch)
    found = download(NAME)
    assert found.folder == first.folder
    assert "cannot be reached: what an earlier download has left was read" in found.notes[0]
    code, text = refused("tests/MaskedLM")
    assert code == "PG316"
    assert "cannot be reached" in text
    assert "hf download tests/MaskedLM --local-dir DIR" in text


def test_a_download_that_is_cut_off_goes_on(
    hub: LocalHub, cache: Path, fourier: Repository
) -> None:
    hub.bytes_at_once = 1000
    code, text = refused(NAME)
    assert code == "PG316"
    assert "was interrupted" in text
    code, text = refused(NAME, offline=True)
    assert (code, "was not finished" in text) == ("PG316", True)
    hub.bytes_at_once = 0
    hub.asked.clear()
    found = download(NAME)
    assert same(import_checkpoint(found), import_checkpoint(fourier.folder))


def test_what_is_no_hub(hub: LocalHub, cache: Path, fourier: Repository) -> None:
    hub.silent = True
    code, text = refused(NAME)
    assert (code, "answers, but not as a hub does" in text) == ("PG316", True)


# Who may have it


def test_models_that_are_not_for_everybody(hub: LocalHub, cache: Path, fourier: Repository) -> None:
    fourier.gated = True
    code, text = refused(NAME)
    assert code == "PG315"
    assert f"ask at {hub.url}/{NAME}" in text
    assert "hf auth login" in text
    code, text = refused(NAME, token="hf_of_nobody")
    assert (code, "does not accept the token (401)" in text) == ("PG315", True)
    assert "hf_of_nobody" not in text
    assert download(NAME, token=TOKEN).repository == NAME
    fourier.gated, fourier.private = False, True
    code, text = refused("deepmind/language_perceiver")
    assert code == "PG314"
    assert "did you mean `deepmind/language-perceiver`?" in text
    for token in (None, TOKEN):
        code, text = refused("nobody/nothing", token=token)
        assert code == "PG314"
        assert "if it is private" in text


def test_no_other_host_gets_the_token(hub: LocalHub, cache: Path, fourier: Repository) -> None:
    assert download(NAME, token=TOKEN).repository == NAME
    assert hub.strangers == []


# What is no Perceiver


def test_models_of_other_types(hub: LocalHub, cache: Path, fourier: Repository) -> None:
    config = fourier.folder / "config.json"
    config.write_text('{"model_type": "bert"}')
    code, text = refused(NAME)
    assert code == "PG306"
    assert "of the type `bert`" in text
    assert hub.got() == ["config.json"]  # before gigabytes are downloaded
    assert download(NAME, whatever=True).repository == NAME
    config.write_text("[")
    assert refused(NAME)[0] == "PG301"
    config.unlink()
    code, text = refused(NAME)
    assert (code, "has no config.json" in text) == ("PG306", True)


def test_models_without_weights(cache: Path, fourier: Repository) -> None:
    (fourier.folder / "model.safetensors").unlink()
    code, text = refused(NAME)
    assert (code, "has no model.safetensors" in text) == ("PG306", True)
    (fourier.folder / "model.safetensors.index.json").write_text(
        '{"weight_map": {"a": "b.safetensors"}}'
    )
    assert "has no b.safetensors" in refused(NAME)[1]


def test_a_cache_that_is_a_file_and_a_hub_that_is_no_address(
    tmp_path: Path, monkeypatch: Any
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        DiagnosticError, match="is a file, and what is downloaded is kept in a folder"
    ):
        download("tests/fourier", cache=tmp_path / "file", offline=True)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "not a url")
    with pytest.raises(DiagnosticError, match="HF_ENDPOINT is `not a url`, and no address"):
        download("tests/fourier", cache=tmp_path)


def test_names_that_cannot_be(cache: Path) -> None:
    for name in ("hf://x", "hf://a/b/c", "hf://a/../b", "hf://-/x", "hf://", "hf://a--b/c"):
        assert refused(name)[0] == "PG314", name


# Names and paths


def test_what_is_here_goes_first(
    hub: LocalHub, cache: Path, fourier: Repository, command: Command, checkpoints: Any
) -> None:
    shutil.copytree(checkpoints["OpticalFlow"], NAME)
    done = command("import", NAME)
    assert done.code == 0, done.err
    assert f"note: {NAME} is a folder here, and was read" in done.err
    assert hub.asked == []
    done = command("import", NAME, "--revision", "main")
    assert done.code == 2
    assert f"hf://{NAME}" in done.err
    done = command("import", f"hf://{NAME}", "-o", "of-the-hub")
    assert done.code == 0, done.err
    assert "PerceiverForImageClassificationFourier" in done.out
    shutil.rmtree(NAME)
    Path(NAME).mkdir()
    done = command("import", NAME)
    assert done.code == 1
    assert "is empty" in done.err
    assert f"for the hub's model of this name, write `hf://{NAME}`" in done.err


def test_what_is_nowhere(cache: Path, command: Command) -> None:
    done = command("import", "checkpoints/mine")
    assert done.code == 1
    assert "PG314" in done.err
    assert "there is no file or folder `checkpoints/mine` here, either" in done.err
    done = command("import", "language-perceiver")
    assert "did you mean `deepmind/language-perceiver`, a model of the hub?" in done.err
    Path("here").mkdir()
    for path in ("models/model.safetensors", "a/b/c", "./a", "here/model"):
        done = command("import", path)
        assert (done.code, "PG301" in done.err) == (1, True), path


def test_a_name_will_do_from_python(cache: Path, fourier: Repository, checkpoint: Path) -> None:
    """What is here goes first, as on the command line."""
    found = pg.import_checkpoint(NAME, replace_heads={"label": 3})
    heads = {
        name: value for name, value in found.weights.items() if name.startswith("heads.label.")
    }
    assert {value.shape[0] for value in heads.values()} == {3}
    assert same(found, import_checkpoint(download(NAME), replace_heads={"label": 3}))
    with pytest.raises(DiagnosticError, match="there is no file or folder `somebody/else` here"):
        import_checkpoint("somebody/else")
    shutil.copytree(checkpoint, NAME)
    assert f"{NAME}@" in found.spec_text
    assert f"{NAME}@" not in import_checkpoint(NAME).spec_text


def test_without_the_package(cache: Path, command: Command, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    done = command("import", NAME)
    assert done.code == 1
    assert "PG509" in done.err
    assert "pip install 'perceiver-graph[hub]'" in done.err


@pytest.mark.parametrize("offline", [False, True])
def test_the_environment_of_the_hub(
    offline: bool, hub: LocalHub, cache: Path, fourier: Repository
) -> None:
    """HF_ENDPOINT names a mirror, HF_HOME the cache, HF_HUB_OFFLINE keeps from asking."""
    words = [sys.executable, "-m", "perceiver_graph", "import", NAME]
    settings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(cache), "PYTHONPATH": str(ROOT)}
    if offline:
        settings["HF_HUB_OFFLINE"] = "1"
    done = subprocess.run(
        words, env=os.environ | settings, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == int(offline), done.stderr
    if offline:
        assert "`HF_HUB_OFFLINE` keeps from asking" in done.stderr
        assert hub.asked == []
    else:
        assert done.stderr == ""  # progress bars are for terminals
        assert "next: perceiver-graph compile" in done.stdout


def test_the_published_models_have_names_of_models() -> None:
    assert len(set(PUBLISHED)) == 6
