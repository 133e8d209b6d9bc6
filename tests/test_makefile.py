"""`make setup`: which build of torch it asks pip for; `.ci/run`: the same examples each time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

ROOT = Path(__file__).resolve().parent.parent


class _Index(BaseHTTPRequestHandler):
    """Has torch, and nothing else."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/whl/cpu/torch/" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def index() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Index) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/whl/cpu"
        server.shutdown()


def set_up(folder: Path, index: str) -> str:
    """What is said by a set-up whose pip only repeats what it was asked for."""
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to(sys.executable)
    words = ["make", "setup", f"VENV={folder}", "PIP=echo pip", f"TORCH_INDEX={index}"]
    done = subprocess.run(
        words,
        check=False,
        cwd=ROOT,
        env=os.environ | {"no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_torch_comes_from_the_index_of_cpu_builds(index: str, tmp_path: Path) -> None:
    assert f"pip torch --extra-index-url {index}\n" in set_up(tmp_path, index)


@pytest.mark.parametrize("end", ["absent", "whl/cpu"])
def test_an_index_that_cannot_be_reached_is_told(index: str, end: str, tmp_path: Path) -> None:
    base = index.removesuffix("/whl/cpu") if end == "absent" else "http://127.0.0.1:1"
    said = set_up(tmp_path, f"{base}/{end}")
    assert f"{base}/{end} cannot be reached: torch comes from where pip finds it" in said
    assert "\npip torch\n" in said


def test_without_an_index_pip_is_asked_for_its_own(tmp_path: Path) -> None:
    said = set_up(tmp_path, "")
    assert "pip torch\n" in said
    assert "cannot be reached" not in said


def test_the_index_is_that_of_cpu_builds_unless_asked_otherwise() -> None:
    words = ["make", "--dry-run", "--always-make", "setup"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert 'index="https://download.pytorch.org/whl/cpu"' in done.stdout


@pytest.mark.parametrize(("ci", "same"), [("1", True), ("", False)])
def test_examples_are_the_same_each_time_where_commits_are_judged(ci: str, same: bool) -> None:
    said = "from tests import conftest; print(conftest.settings.default.derandomize)"
    done = subprocess.run(
        [sys.executable, "-c", said],
        check=True,
        cwd=ROOT,
        env=os.environ | {"CI": ci, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"{same}\n"
    assert 'export CI="${CI:-1}"' in (ROOT / ".ci/run").read_text()


def test_running_takes_no_torch() -> None:
    words = ["make", "--dry-run", "--always-make", "run"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "pip install" in done.stdout
    assert "torch" not in done.stdout
