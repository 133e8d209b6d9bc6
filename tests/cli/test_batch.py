"""`batch` as a command: what it says, how it ends, and that it goes on where it was ended."""

from __future__ import annotations

import re
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.batch_support import TOO_LONG, compiled, lines, states, texts
from tests.cli.support import Command, process

SLOW = """
import time
from perceiver_graph.media.text.reader import TextReader
opened = TextReader.open

def slow(self, values):
    time.sleep(0.2)
    return opened(self, values)

TextReader.open = slow
"""


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("compiled") / "reader")


def test_what_is_said_of_a_batch(reader: Path, tmp_path: Path, command: Command) -> None:
    paths, out = texts(tmp_path / "in", 4), tmp_path / "out"
    paths[2].write_text(TOO_LONG, encoding="utf-8")
    (tmp_path / "in" / "sound.wav").touch()
    done = command("batch", reader, tmp_path / "in", "-o", out, "--workers", 1, "--batch", 2)
    assert (done.code, done.out) == (1, f"{out}: 3 of 4 done\n")
    assert "error[PG521]: 1 of 4 inputs could not be run on" in done.err
    assert "002.txt: PG514: " in done.err
    assert f"note: {tmp_path / 'in'}: left out what is not a text" in done.err
    assert ": sound.wav\n" in done.err
    paths[2].unlink()
    done = command("batch", reader, tmp_path / "in" / "*.txt", "-o", out)
    assert done == (0, f"{out}: 0 of 3 done, 3 were done before\n", "")


def test_workers_start_where_warnings_are_errors(
    reader: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    texts(tmp_path / "in", 1)
    done = command("batch", reader, tmp_path / "in", "-o", tmp_path / "out", "--workers", 1)
    assert done == (0, f"{tmp_path / 'out'}: 1 of 1 done\n", "")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--workers", "0"], 2, "--workers"),
        (["--on", "slurm"], 2, "`--on` takes `local` or `ray`"),
        (["--size", "n=3"], 1, "PG516"),
        (["--memory", "much"], 2, "--memory"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(
    words: list[str], code: int, told: str, reader: Path, tmp_path: Path, command: Command
) -> None:
    texts(tmp_path / "in", 1)
    done = command("batch", reader, tmp_path / "in", "-o", tmp_path / "out", *words)
    assert (done.code, told in done.err) == (code, True), done.err
    assert not (tmp_path / "out").exists()


def test_a_request_that_is_wrong_for_all_ends_the_batch(
    reader: Path, tmp_path: Path, command: Command
) -> None:
    texts(tmp_path / "in", 3)
    done = command("batch", reader, tmp_path / "in", "-o", tmp_path / "out", "--decode", "labels")
    assert (done.code, re.findall(r"PG\d+", done.err)) == (1, ["PG506"])


def test_results_go_to_a_folder(reader: Path, tmp_path: Path, command: Command) -> None:
    (path,) = texts(tmp_path / "in", 1)
    done = command("batch", reader, path, "-o", path)
    assert (done.code, "`-o` names a file" in done.err) == (2, True)
    assert "PG520" in command("batch", reader, tmp_path / "*.none", "-o", tmp_path / "out").err


def test_without_ray_it_is_told_how_to_get_it(
    reader: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    (path,) = texts(tmp_path / "in", 1)
    done = command("batch", reader, path, "-o", tmp_path / "out", "--engine", "ray")
    assert (done.code, "error[PG509]: a batch on Ray needs ray[data]" in done.err) == (1, True)
    assert "`pip install 'perceiver-graph[ray]'`" in done.err


def lives(pid: str) -> bool:
    """Whether a process has not ended, as far as the system knows of it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="no /proc here")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_batch_that_is_ended_leaves_no_process_and_goes_on(
    number: signal.Signals, reader: Path, tmp_path: Path, command: Command
) -> None:
    paths, out = texts(tmp_path / "in", 24), tmp_path / "out"
    (tmp_path / "slow.py").write_text(SLOW, encoding="utf-8")
    words = ["batch", reader, tmp_path / "in", "-o", out, "--workers", 2]
    begun = process(*words, "--extension", tmp_path / "slow.py")
    ledger = out / "batch.jsonl"
    while not (ledger.exists() and ledger.read_bytes().count(b"\n") > 2):
        assert begun.poll() is None, begun.communicate()
        time.sleep(0.05)
    workers = Path(f"/proc/{begun.pid}/task/{begun.pid}/children").read_text("ascii").split()
    assert len(workers) == 2
    begun.send_signal(number)
    _, said = begun.communicate(timeout=60)
    assert begun.returncode == (-9 if number == signal.SIGKILL else 128 + number), said
    if number != signal.SIGKILL:
        assert re.fullmatch(r"interrupted\n|terminated\n", said)
        assert not any(map(lives, workers))
        assert not list(out.rglob("*.perceiver-graph"))
    deadline = time.monotonic() + 60
    while any(map(lives, workers)):  # nobody hears what they say any more
        assert time.monotonic() < deadline
        time.sleep(0.05)
    done = len(lines(out))
    assert 0 < done < len(paths)
    again = command(*words)
    assert again.code == 0, again.err
    assert states(out).keys() == {path.name for path in paths}
    assert all(len(found) == 1 for found in states(out).values())
    assert len(list(out.rglob("[0-9]*.json"))) == len(paths)
