"""An artifact appears whole or not at all, and replaces nothing that is not proven to be one."""

from __future__ import annotations

import errno
import json
import os
import py_compile
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

import perceiver_graph as pg
from perceiver_graph.compiler.artifact.folder import ARTIFACT
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.runtime import open_artifact
from perceiver_graph.spec.loader import parse_spec
from perceiver_graph.spec.manifest import MANIFEST_NAME
from perceiver_graph.storage import exchange, staged_folder
from tests.cli.support import TINY
from tests.faults import ROOT, Trial, below, tree, trials

NAMES = ["constants.safetensors", "decode.onnx", "encode.onnx", MANIFEST_NAME, "spec.yaml"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a spec and its artifact, and files of a user in it."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "tiny.yaml").write_text(TINY, encoding="utf-8")
    pg.compile(folder / "tiny.yaml").save(folder / "art")
    add_own_files(folder / "art")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "work", symlinks=True))


def add_own_files(artifact: Path) -> None:
    (artifact / "trained.safetensors").write_bytes(b"weeks of work")
    (artifact / ".git" / "refs").mkdir(parents=True)
    (artifact / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (artifact / "latest").symlink_to("trained.safetensors")


def own_files(found: dict[str, str]) -> dict[str, str]:
    return {name: x for name, x in found.items() if name not in NAMES}


def save(folder: Path, seed: int = 1, **options: object) -> None:
    pg.compile(parse_spec(TINY)).save(folder, seed=seed)


def refused(folder: Path) -> str:
    before = tree(folder)
    with pytest.raises(DiagnosticError) as caught:
        save(folder)
    (found,) = caught.value.diagnostics
    assert found.code == "PG407"
    assert tree(folder) == before
    assert tree(folder.parent).keys() == {f"{folder.name}/{n}" for n in before} | {
        name for name in tree(folder.parent) if not name.startswith(f"{folder.name}/")
    }
    return found.message


def seed_of(folder: Path) -> str:
    return open_artifact(folder).manifest.weights


# What is replaced and what is kept ----------------------------------------------------------------


def test_a_former_artifact_is_replaced_and_files_of_others_are_kept(folder: Path) -> None:
    artifact = folder / "art"
    kept = own_files(tree(artifact))
    inode = (artifact / "trained.safetensors").stat().st_ino
    artifact.chmod(0o750)
    save(artifact)
    assert seed_of(artifact) == "seed 1"
    assert own_files(tree(artifact)) == kept
    assert (artifact / "trained.safetensors").stat().st_ino == inode
    assert artifact.stat().st_mode & 0o777 == 0o750
    assert sorted(path.name for path in folder.iterdir()) == ["art", "tiny.yaml"]


def test_without_exchange_the_files_are_replaced_where_they_are(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "_system_call", lambda: None)
    test_a_former_artifact_is_replaced_and_files_of_others_are_kept(folder)


def test_files_that_are_no_longer_part_of_it_go(folder: Path) -> None:
    artifact = folder / "both"
    pg.compile(parse_spec(TINY)).save(artifact, backends=["onnx", "torch"])
    assert (artifact / "model.py").exists()
    save(artifact)
    assert sorted(path.name for path in artifact.iterdir()) == NAMES


@pytest.mark.parametrize("exchanged", [True, False])
def test_a_module_is_never_run_from_the_bytecode_of_the_one_before(
    exchanged: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python takes bytecode for that of a module of the same second and size."""
    if not exchanged:
        monkeypatch.setattr(exchange, "_system_call", lambda: None)
    artifact = folder / "torch"
    for count in (4, 5):
        document = parse_spec(TINY, overrides=[f"latents.count={count}"])
        pg.compile(document).save(artifact, backends=["torch"])
        os.utime(artifact / "model.py", (1_800_000_000, 1_800_000_000))
        source = (artifact / "model.py").read_text(encoding="utf-8")
        module = SourceFileLoader("model", str(artifact / "model.py")).get_code("model")
        assert module is not None
        assert module.co_consts == compile(source, str(artifact / "model.py"), "exec").co_consts
        cached = artifact / "__pycache__"
        py_compile.compile(str(artifact / "model.py"))
        (cached / "trained.cpython-311.pyc").write_bytes(b"of a module of somebody else")
    save(artifact)
    assert list(cached.iterdir()) == [cached / "trained.cpython-311.pyc"]


def web_project(folder: Path) -> None:
    folder.mkdir()
    (folder / MANIFEST_NAME).write_text('{"name": "My PWA", "start_url": "/"}')
    (folder / "app.js").write_text("precious")


def thesis(folder: Path) -> None:
    folder.mkdir()
    (folder / "thesis.tex").write_text("precious")


def no_json(folder: Path) -> None:
    folder.mkdir()
    (folder / MANIFEST_NAME).write_text("[" * 100_000)


def pretender(folder: Path) -> None:
    """A manifest that lists a file under a digest that it has not."""
    folder.mkdir()
    (folder / "mine").write_text("precious")
    entry = {"sha256": "0" * 64, "bytes": 8}
    data = {"format": 1, "tool": "perceiver-graph 0.1", "files": {"mine": entry}}
    (folder / MANIFEST_NAME).write_text(json.dumps(data, indent=1) + "\n")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (web_project, "is not that of an artifact"),
        (thesis, "holds no artifact"),
        (no_json, "is not that of an artifact"),
        (pretender, "`mine` in it has changed"),
        (lambda path: path.write_text("a file"), "is a file"),
    ],
)
def test_what_is_no_artifact_is_not_replaced(
    tmp_path: Path, make: Callable[[Path], object], told: str
) -> None:
    make(tmp_path / "theirs")
    assert told in refused(tmp_path / "theirs")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_was_changed_since_is_not_replaced(folder: Path, name: str) -> None:
    path = folder / "art" / name
    path.write_bytes(path.read_bytes() + b"\n")
    assert f"`{name}` in it has changed" in refused(folder / "art")


def test_a_file_of_others_in_the_way_is_not_replaced(folder: Path) -> None:
    (folder / "art" / "model.py").write_text("mine")
    before = tree(folder)
    with pytest.raises(DiagnosticError, match=r"`model\.py` in it would be replaced"):
        pg.compile(parse_spec(TINY)).save(folder / "art", backends=["onnx", "torch"])
    assert tree(folder) == before


def test_a_file_that_comes_while_it_is_written_is_kept(folder: Path) -> None:
    with staged_folder(folder / "art", ARTIFACT) as stage:
        (stage / MANIFEST_NAME).write_text("{}")
        (folder / "art" / "late.txt").write_text("mine")
    assert (folder / "art" / "late.txt").read_text() == "mine"
    assert sorted(path.name for path in folder.iterdir()) == ["art", "tiny.yaml"]


def test_a_file_that_comes_into_the_way_ends_it(folder: Path) -> None:
    before = tree(folder)

    def write() -> None:
        with staged_folder(folder / "art", ARTIFACT) as stage:
            (stage / "late.txt").write_text("ours")
            (folder / "art" / "late.txt").write_text("mine")

    with pytest.raises(DiagnosticError, match=r"`late\.txt` in it would be replaced"):
        write()
    assert (folder / "art" / "late.txt").read_text() == "mine"
    (folder / "art" / "late.txt").unlink()
    assert tree(folder) == before


# Places -------------------------------------------------------------------------------------------


def test_a_link_to_an_artifact_stays_a_link(folder: Path) -> None:
    (folder / "link").symlink_to("art")
    save(folder / "link")
    assert (folder / "link").is_symlink()
    assert seed_of(folder / "art") == "seed 1"
    assert sorted(path.name for path in folder.iterdir()) == ["art", "link", "tiny.yaml"]


@pytest.mark.parametrize("there", [False, True])
def test_the_current_folder_stays_where_it_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    place = folder / ("art" if there else "empty")
    place.mkdir(exist_ok=True)
    kept, inode = own_files(tree(place)), place.stat().st_ino
    monkeypatch.chdir(place)
    save(Path())
    assert seed_of(Path()) == "seed 1"
    assert Path().stat().st_ino == inode
    assert own_files(tree(place)) == kept
    assert sorted(path.name for path in place.iterdir() if path.name in NAMES) == NAMES


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    save(tmp_path / "empty")
    assert tree(tmp_path).keys() == {"empty", *(f"empty/{name}" for name in NAMES)}


@pytest.mark.parametrize("exchanged", [True, False])
def test_several_at_once_leave_one_of_them(
    folder: Path, exchanged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = own_files(tree(folder / "art"))
    program = (
        "import sys, perceiver_graph as pg\n"
        "from perceiver_graph.storage import exchange\n"
        "if sys.argv[1] == 'False': exchange._system_call = lambda: None\n"
        "compiled = pg.compile('tiny.yaml')\n"
        "for seed in range(3, 6): compiled.save('art', seed=seed)\n"
    )
    command = [sys.executable, "-c", program, str(exchanged)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = [
        subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    for one in running:
        _, told = one.communicate(timeout=300)
        assert one.returncode == 0, told.decode()
    assert seed_of(folder / "art").startswith("seed ")
    assert own_files(tree(folder / "art")) == kept
    assert sorted(path.name for path in folder.iterdir()) == ["art", "tiny.yaml"]


def test_the_same_spec_gives_the_same_bytes_wherever_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = ("qzx7.yaml", "specs/private/tiny.yaml", "qzx 8.yml")
    found = []
    for index, name in enumerate(places):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(TINY, encoding="utf-8")
        monkeypatch.chdir(path.parent if index else tmp_path)
        given = path if index == 1 else Path(path.name)
        pg.compile(given).save(tmp_path / f"art{index}", backends=["onnx", "torch"])
        found.append(tree(tmp_path / f"art{index}"))
        for file in (tmp_path / f"art{index}").iterdir():
            assert str(tmp_path).encode() not in file.read_bytes()
            assert path.stem.encode() not in file.read_bytes() or path.stem == "tiny"
    assert found[0] == found[1] == found[2]


# Ends -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt(), RuntimeError("a defect"), SystemExit(143), OSError(errno.ENOSPC, "full")],
    ids=repr,
)
def test_whatever_ends_the_writing_leaves_no_trace(
    folder: Path, error: BaseException, there: bool
) -> None:
    before = tree(folder)
    expected = DiagnosticError if isinstance(error, OSError) else type(error)

    def write() -> None:
        with staged_folder(folder / ("art" if there else "new/deep"), ARTIFACT) as stage:
            (stage / "half").write_text("half", encoding="utf-8")
            raise error

    with pytest.raises(expected) as caught:
        write()
    assert tree(folder) == before
    if isinstance(caught.value, DiagnosticError):
        (found,) = caught.value.diagnostics
        assert (found.code, "cannot be written: full" in found.message) == ("PG407", True)


COMMAND = ["compile", "tiny.yaml", "--seed", "1", "-o", "art"]


def judge(trial: Trial, made: Path) -> None:
    """At its path lies the old artifact or the new one, with all files of others; the next run
    puts the rest right, and says so."""
    own = own_files(tree(made / "art"))
    found, after = below(trial.left, "art"), below(trial.after, "art")
    claims = {name for name in trial.left if ".perceiver-graph" in name}
    assert trial.holds in ("seed 0", "seed 1"), trial
    assert {name: x for name, x in found.items() if name in own} == own, trial
    if trial.signal != signal.SIGKILL:
        assert not claims, trial
        assert trial.code in (0, 128 + trial.signal), trial
    assert trial.healed == "seed 1", trial
    assert {name: x for name, x in after.items() if name not in NAMES} == own, trial
    assert not any(".perceiver-graph" in name for name in trial.after), trial
    if any(name.endswith("/owner.json") for name in claims):
        assert "which a run that was killed has left, was " in trial.told, trial


@pytest.mark.parametrize("exchanged", [True, False])
def test_a_kill_at_any_operation_leaves_the_old_or_the_new(made: Path, exchanged: bool) -> None:
    found = trials(
        made, COMMAND, [signal.SIGKILL], exchange=exchanged, every=5, holds="tests.faults:weights"
    )
    assert len(found) > 5
    for trial in found:
        judge(trial, made)
    assert {trial.holds for trial in found} == {"seed 0", "seed 1"}
    assert sum(bool(trial.told) for trial in found) > 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_at_any_operation_leaves_no_trace(made: Path, number: signal.Signals) -> None:
    for trial in trials(made, COMMAND, [number], every=9, holds="tests.faults:weights"):
        judge(trial, made)
