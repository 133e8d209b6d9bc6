"""Streams that are closed or full, and signals: an exit code that says it, and no traceback."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from perceiver_graph.cli import faults
from tests.cli.support import ROOT, process

CLOSED = {"stdout": ">&-", "stderr": "2>&-", "both": ">&- 2>&-", "all": "<&- >&- 2>&-"}


def shell(command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command line of a shell, in which `pg` stands for the program."""
    program = f"{shlex.quote(sys.executable)} -m perceiver_graph"
    return subprocess.run(
        ["bash", "-c", command.replace("pg ", f"{program} ")],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("closed", CLOSED)
def test_a_closed_stream_is_no_error(tiny: Path, tmp_path: Path, closed: str) -> None:
    done = shell(f"pg compile {tiny} -o art {CLOSED[closed]}", tmp_path)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    whole = shell(f"pg compile {tiny} -o other", tmp_path)
    assert whole.returncode == 0
    for path in (tmp_path / "other").iterdir():  # nothing was printed into a file
        assert (tmp_path / "art" / path.name).read_bytes() == path.read_bytes()
    assert shell(f"pg check absent.yaml {CLOSED[closed]}", tmp_path).returncode == 1


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "arguments",
    ["schema", "--help", "--version", "explain PG204", "check absent.yaml --format json"],
)
def test_a_full_disk_behind_stdout_is_told(arguments: str, unbuffered: str, tmp_path: Path) -> None:
    done = shell(f"pg {arguments} > /dev/full", tmp_path, PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 1
    assert "error[PG605]: standard output cannot be written: No space left" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_file_that_may_not_be_as_large_is_told(tiny: Path, tmp_path: Path) -> None:
    larger = "--set outputs.label.head.linear=4000"
    assert shell(f"pg compile {tiny} -o art {larger}", tmp_path).returncode == 0
    run = "ulimit -f 1; pg run art --random -o out.npz"
    done = shell(run, tmp_path, PYTHONDONTWRITEBYTECODE="1")  # Python leaves half of a file
    assert "error[PG511]: `out.npz` cannot be written: File too large" in done.stderr
    assert "help: free space, or name a place where a file may be as large" in done.stderr


def test_what_this_user_may_not_use_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert faults._told(PermissionError(13, "Permission denied", "far/off")) == 1
    assert "error[PG606]: `far/off`: Permission denied" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", ["list", "check kinetics", "graph kinetics"])
def test_a_current_folder_that_is_gone_is_told(arguments: str, tmp_path: Path) -> None:
    done = shell(f"mkdir x && cd x && rmdir ../x && pg {arguments}", tmp_path)
    assert done.returncode == 2
    assert "error[PG620]: the current folder was removed" in done.stderr
    assert shell("mkdir x && cd x && rmdir ../x && pg --version", tmp_path).returncode == 0


@pytest.mark.parametrize(("arguments", "code"), [("check absent.yaml", 1), ("chek x", 2)])
def test_a_full_disk_behind_stderr_leaves_the_exit_code(
    arguments: str, code: int, tmp_path: Path
) -> None:
    assert shell(f"pg {arguments} 2> /dev/full", tmp_path).returncode == code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_is_an_exit_code_and_leaves_nothing(
    number: signal.Signals, tmp_path: Path
) -> None:
    with process("compile", "imagenet_conv", "-o", "deep/art", cwd=tmp_path) as running:
        until = time.monotonic() + 60
        while not list(tmp_path.glob("deep/.art*/new/spec.yaml")) and time.monotonic() < until:
            time.sleep(0.01)
        running.send_signal(number)
        _, told = running.communicate(timeout=60)
    assert running.returncode == 128 + number
    assert told in ("terminated\n", "hung up\n", "interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_nohup_is_respected(tiny: Path, tmp_path: Path) -> None:
    done = shell(f"trap '' HUP; pg check {tiny} & sleep .05; kill -HUP $!; wait $!", tmp_path)
    assert done.returncode == 0, done.stderr
