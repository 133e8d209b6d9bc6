"""Folders and files are written whole or not at all, whatever ends it, and what is left is cleared."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from perceiver_graph import storage
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.storage import exchange
from perceiver_graph.storage.claims import Claim
from tests.faults import ROOT, below, tree, trials
from tests.storage_support import KIND, LAST, PAIR, publish, said, write

WRITE = ["tests.storage_support:write", "art", "new", "d"]
OWN = {"notes.txt": "mine", "sub/mine.txt": "mine", "deep/er/x": "mine"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`art` of before, with files of a user in it."""
    place = tmp_path / "work"
    place.mkdir()
    write(str(place / "art"), "old", "e")
    for name, text in OWN.items():
        (place / "art" / name).parent.mkdir(parents=True, exist_ok=True)
        (place / "art" / name).write_text(text)
    return place


def claims(found: dict[str, str]) -> set[str]:
    return {name for name in found if ".perceiver-graph" in name}


# Folders ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exchanged", [True, False])
@pytest.mark.parametrize("cwd", [".", "art"])
def test_a_kill_at_any_operation_leaves_the_old_or_the_new(
    folder: Path, exchanged: bool, cwd: str
) -> None:
    command = [WRITE[0], "." if cwd == "art" else "art", *WRITE[2:]]
    own = {name: x for name, x in below(tree(folder), "art").items() if name in OWN}
    found = trials(
        folder,
        command,
        [signal.SIGKILL],
        exchange=exchanged,
        cwd=cwd,
        holds="tests.storage_support:said",
    )
    assert len(found) > 20
    for trial in found:
        assert trial.holds in ("old", "new"), trial
        kept = {name: x for name, x in below(trial.left, "art").items() if name in OWN}
        assert kept == own, trial
        assert trial.healed == "new", trial
        after = below(trial.after, "art")
        assert {name for name, x in after.items() if x} == {*OWN, "a", "b", "sub/c", "d", LAST}
        assert not claims(trial.after), trial
    assert {trial.holds for trial in found} == {"old", "new"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_leaves_no_trace(folder: Path, number: signal.Signals) -> None:
    for trial in trials(folder, WRITE, [number], holds="tests.storage_support:said"):
        assert trial.holds in ("old", "new"), trial
        if number is signal.SIGINT:  # without a handler, SIGTERM ends a process at once
            assert not claims(trial.left), trial
        assert trial.healed == "new"


def test_a_first_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    for trial in trials(tmp_path, WRITE, [signal.SIGKILL], holds="tests.storage_support:said"):
        assert trial.holds == "new" or "art" not in trial.left, trial
        assert trial.healed == "new"
        assert not claims(trial.after)


def test_a_folder_without_interim_is_refused_where_it_cannot_be_swapped(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "_system_call", lambda: None)
    before = tree(folder)

    def replace() -> None:
        with storage.staged_folder(folder / "art", PAIR) as stage:
            (stage / "a").write_text("new")

    with pytest.raises(DiagnosticError, match="cannot swap folders"):
        replace()
    assert tree(folder) == before


def test_a_mount_point_is_filled(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path).name == "art")
    inode = (folder / "art").stat().st_ino
    write(str(folder / "art"), "new")
    assert (said(folder), (folder / "art").stat().st_ino) == ("new", inode)


def test_links_that_cannot_be_made_are_no_hindrance(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    write(str(folder / "art"), "new")
    assert said(folder) == "new"
    assert {name for name in below(tree(folder), "art") if name in OWN} == set(OWN)


def test_folders_on_the_way_are_made_and_go_with_a_failure(tmp_path: Path) -> None:
    def fail() -> None:
        with storage.staged_folder(tmp_path / "a" / "b" / "c", KIND):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not list(tmp_path.iterdir())
    write(str(tmp_path / "a" / "b" / "art"), "new")
    assert said(tmp_path / "a" / "b") == "new"


@pytest.mark.parametrize("name", ["nul\0byte", "x" * 300, "file/below"])
def test_a_place_that_cannot_be_is_a_diagnostic(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DiagnosticError, match="cannot be written"):
        write(str(tmp_path / name), "new")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_files_that_belong_together_are_finished_by_the_next_run(tmp_path: Path) -> None:
    place = tmp_path / "art"
    place.mkdir()
    (place / "mine").write_text("mine")
    publish(str(place), "old")
    command = ["tests.storage_support:publish", "art", "new"]
    found = trials(tmp_path, command, [signal.SIGKILL], holds="tests.storage_support:said")
    assert {trial.healed for trial in found} == {"new"}
    for trial in found:
        assert below(trial.after, "art").keys() == {"mine", "a", "b", LAST}, trial
        assert trial.left["art/mine"] == trial.after["art/mine"]


# What is left behind ------------------------------------------------------------------------------


def killed(folder: Path, step: int = 7) -> Path:
    """A folder of a writer that was killed."""
    program = (
        "import signal, sys; from pathlib import Path; from tests import faults, storage_support\n"
        f"faults.strike(Path(sys.argv[1]), signal.SIGKILL, {step})\n"
        "storage_support.write(sys.argv[1] + '/art', 'new')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program, folder], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    (found,) = (path for path in folder.iterdir() if ".perceiver-graph" in path.name)
    return found


def test_what_a_dead_process_left_is_told_and_removed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    left = killed(tmp_path)
    write(str(tmp_path / "other"), "new")
    assert not left.exists()
    assert caplog.messages == [f"{left}, which a run that was killed has left, was removed"]


def test_what_a_living_process_prepares_is_left_alone(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from perceiver_graph.storage import Claim\n"
        "Claim.make(Path(sys.argv[1]), 'art'); print(flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdout.readline()
        (claim,) = tmp_path.iterdir()
        write(str(tmp_path / "art"), "new")
        assert claim.is_dir()
        other.stdin.close()
    write(str(tmp_path / "art"), "newer")
    assert [path.name for path in tmp_path.iterdir()] == ["art"]


@pytest.mark.parametrize(
    "owner",
    [
        None,
        "not json",
        '{"tool": "another", "host": "", "boot": ""}',
        '{"tool": "perceiver-graph", "host": "another machine", "boot": "another"}',
        '{"tool": "perceiver-graph"}',
    ],
)
def test_what_is_not_proven_to_be_left_behind_stays(tmp_path: Path, owner: str | None) -> None:
    theirs = tmp_path / ".art.0123abcd.perceiver-graph"
    (theirs / "new").mkdir(parents=True)
    (theirs / "new" / "precious").write_text("mine")
    if owner is not None:
        (theirs / "owner.json").write_text(owner)
    before = tree(theirs)
    write(str(tmp_path / "art"), "new")
    assert tree(theirs) == before


def test_a_journal_reaches_no_file_outside_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("mine")
    work = tmp_path / "work"
    work.mkdir()
    claim = Claim.make(work, "art")
    data = {"kind": "fill", "files": {}, "former": {"../secret": ""}, "last": "x", "interim": False}
    data["former"] = {"../secret": storage.digest(tmp_path / "secret")}
    claim.write_journal(data | {"obsolete": ["../secret"]})
    os.close(claim._handle)  # as if its process had died
    Claim.living.discard(claim)
    write(str(work / "art"), "new")
    assert (tmp_path / "secret").read_text() == "mine"


# Files --------------------------------------------------------------------------------------------


def put(path: Path, text: str = "new", *, new: bool = False) -> None:
    with storage.staged_file(path, new=new) as temporary:
        temporary.write_text(text)


def test_a_file_is_replaced_at_the_end_and_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    put(path, "old")
    path.chmod(0o640)
    with storage.staged_file(path) as temporary:
        assert temporary.name == path.name
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", 0o640)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["file", "folder", "filled"])
def test_what_is_replaced_keeps_its_group(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = other_group()
    path = tmp_path / "x"
    if kind == "file":
        put(path, "old")
    else:
        write(str(path), "old")
    for one in (path, *path.rglob("*")):
        os.chown(one, -1, group)
    path.chmod(path.stat().st_mode | stat.S_ISGID)
    mode = path.stat().st_mode
    if kind == "file":
        put(path)
    else:
        if kind == "filled":
            monkeypatch.setattr(exchange, "_system_call", lambda: None)
        write(str(path), "new")
    new = [path, *path.rglob("*")]
    assert {one.stat().st_gid for one in new} == {group}
    assert path.stat().st_mode == mode


def other_group() -> int:
    """A group that this user may give files to, and that new ones do not have."""
    mine = {os.getegid()}
    others = {1} if os.geteuid() == 0 else set(os.getgroups())
    if not others - mine:
        pytest.skip("this user is in one group only")
    return min(others - mine)


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real/x")
    put(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "x").read_text() == "new"


def test_a_device_is_written_into_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    heard: list[str] = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_text()))
    reader.start()
    put(pipe, "through it")
    reader.join(timeout=30)
    assert heard == ["through it"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    put(Path(os.devnull))
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)
    with pytest.raises(DiagnosticError, match="No space left"):
        put(Path("/dev/full"))


def test_a_new_file_takes_nobodys_place(tmp_path: Path) -> None:
    path = tmp_path / "x"
    put(path, "first", new=True)
    with pytest.raises(DiagnosticError, match="it exists already"):
        put(path, "second", new=True)

    def late() -> None:
        with storage.staged_file(tmp_path / "y", new=True) as temporary:
            temporary.write_text("ours")
            (tmp_path / "y").write_text("mine")

    with pytest.raises(DiagnosticError, match="it exists already"):
        late()
    assert (path.read_text(), (tmp_path / "y").read_text()) == ("first", "mine")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["x", "y"]


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), ValueError("x"), OSError(28, "full")], ids=repr
)
def test_an_error_leaves_the_file_of_before(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "x"
    path.write_text("old")

    def fail() -> None:
        with storage.staged_file(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(DiagnosticError if isinstance(error, OSError) else type(error)):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mode", ["ab", "wb"])
def test_an_open_file_is_written_into(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("before\n")
    with path.open(mode) as stream:
        for name in (f"/dev/fd/{stream.fileno()}", f"/proc/self/fd/{stream.fileno()}"):
            with storage.staged_file(name) as temporary:
                temporary.write_text("new\n")
    assert path.read_text() == ("before\n" if mode == "ab" else "") + "new\nnew\n"
    assert [one.name for one in tmp_path.iterdir()] == ["log"]


def test_a_pipe_is_written_into(tmp_path: Path) -> None:
    read, write = os.pipe()
    with storage.staged_file(f"/dev/fd/{write}") as temporary:
        temporary.write_text("new")
    os.close(write)
    with os.fdopen(read) as stream:
        assert stream.read() == "new"


@pytest.mark.parametrize(
    ("number", "help"),
    [
        (errno.EACCES, "let this user write there, or choose another place"),
        (errno.ENOSPC, "free space, or choose another place"),
        (errno.ENAMETOOLONG, "choose another place"),
    ],
)
def test_what_helps_is_what_the_reason_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, help: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("perceiver_graph.storage.folders.Claim.make", fail)
    with pytest.raises(DiagnosticError) as caught, storage.staged_folder(tmp_path / "a", KIND):
        pass
    (found,) = caught.value.diagnostics
    assert (found.help or "").startswith(help)
