"""Ends commands at random moments, fills disks, forbids writing, lets two write at once.

After each, what must hold: at the path of the result stands the old one or the new one, whole; what the
user has put beside it is there; the same command then works, and leaves nothing else behind.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.fuzz.judge import Finding
from tests.fuzz.targets.models import SPECS

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("kill", "kill", "kill", "two", "full", "read-only")
_STARTS = 0.2
"""Seconds in which Python itself has started: before, it ends as Python does."""
_SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
_LIMIT = 600.0
"""Seconds for a command, also where a machine has a dozen others to run."""
NOTES = "NOTES.md"


def trial(seed: int) -> tuple[str, Finding | None]:
    """Try the fault of a seed: its kind, and what did not hold."""
    chance = random.Random(f"faults {seed}")
    kind = chance.choice(KINDS if os.geteuid() == 0 else KINDS[:4])
    with tempfile.TemporaryDirectory(prefix="fault") as name:
        folder = Path(name)
        _prepare(folder)
        job = chance.choice(sorted(_JOBS))
        problem = {"kill": _killed, "two": _two, "full": _full, "read-only": _read_only}[kind](
            folder, job, chance
        )
    return f"{kind} {job}", Finding(f"{kind} {job}: {problem[:100]}", problem) if problem else None


_JOBS = {
    "compile": ["compile", "a.yaml", "--seed", "1", "--backend", "all", "-o", "art"],
    "import": ["import", "checkpoint", "-o", "art"],
    "run": ["run", "model", "a text", "-o", "art"],
}


def _prepare(folder: Path) -> None:
    """The inputs of all jobs, and nothing at the place of their results."""
    from perceiver_graph.cli import main
    from tests import import_support

    (folder / "a.yaml").write_text(SPECS["text"])
    with contextlib.chdir(folder), contextlib.redirect_stdout(None):
        main(["compile", "a.yaml", "-o", "model"])
    import_support.save(import_support.model("MaskedLM"), folder / "checkpoint")


def _start(folder: Path, words: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "perceiver_graph", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _done(process: subprocess.Popen[str]) -> tuple[int, str]:
    try:
        _, said = process.communicate(timeout=_LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return -1, f"not done within {_LIMIT:.0f} s"
    return process.returncode, said


def _killed(folder: Path, job: str, chance: random.Random) -> str:
    had = chance.random() < 0.6
    if had:
        code, said = _done(_start(folder, _JOBS[job]))
        if code:
            return f"the first run ended with {code}: {said}"
        (folder / "art" / NOTES).write_text("mine")
    began = time.monotonic()
    process = _start(folder, _JOBS[job])
    # Most of the time goes by before anything is written: half of the moments are the late ones.
    wait = chance.uniform(0, 1.5) if chance.random() < 0.5 else chance.uniform(0.5, 3.0)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(max(0.0, wait - (time.monotonic() - began)))
    process.send_signal(number := chance.choice(_SIGNALS))
    code, said = _done(process)
    if "PG90" in said:
        return said
    if wait > _STARTS and (code not in (0, -number, 128 + number) or "Traceback" in said):
        return f"after {number.name} it ended with {code}: {said}"
    if had and not (folder / "art" / NOTES).exists():
        return "what the user put into the folder is gone after the signal"
    if had and (problem := _whole(folder, job)):
        return f"after the signal: {problem}"
    return _heals(folder, job, had)


def _two(folder: Path, job: str, chance: random.Random) -> str:
    running = [_start(folder, _JOBS[job]) for _ in range(chance.choice((2, 2, 3)))]
    ends = [_done(process) for process in running]
    if all(code for code, _ in ends):
        return f"of those at once, none succeeded: {ends}"
    for code, said in ends:
        if code not in (0, 1) or "PG90" in said:
            return f"one of those at once ended with {code}: {said}"
    return _whole(folder, job) or _heals(folder, job, had=False)


@contextlib.contextmanager
def _mounted(folder: Path, options: str) -> Iterator[None]:
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def _full(folder: Path, job: str, chance: random.Random) -> str:
    size = chance.choice((4, 8, 16, 40, 80, 160, 320))
    words = [*_JOBS[job][:-1], "small/art"]
    with _mounted(folder / "small", f"size={size}k"):
        code, said = _done(_start(folder, words))
        left = sorted(path.name for path in (folder / "small").iterdir())
    if code not in (0, 1) or "PG90" in said or (code and "error[PG" not in said):
        return f"on a disk of {size} KiB it ended with {code}: {said}"
    if left != (["art"] if code == 0 else []):
        return f"on a disk of {size} KiB, with exit code {code}, it left {left}"
    return ""


def _read_only(folder: Path, job: str, chance: random.Random) -> str:
    words = [*_JOBS[job][:-1], "fixed/art"]
    with _mounted(folder / "fixed", "ro"):
        code, said = _done(_start(folder, words))
    if code != 1 or "error[PG" not in said or "PG90" in said:
        return f"where nothing can be written it ended with {code}: {said}"
    return ""


def _whole(folder: Path, job: str) -> str:
    """What is wrong with the result that stands there."""
    art = folder / "art"
    wanted = {
        "compile": ["inspect", "art/spec.yaml"],
        "import": ["compile", "art/spec.yaml", "--weights", "art/weights.safetensors", "-o", "x"],
        "run": [],
    }[job]
    if not art.is_dir():
        return "there is no result at its path"
    if job == "compile":
        wanted = ["run", "art", "--random", "-o", "x.npz"]
    if not wanted:
        return "" if (art / "text.json").exists() else "text.json is missing"
    code, said = _done(_start(folder, wanted))
    for name in ("x", "x.npz"):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return f"what stands at its path is not whole: {said}" if code else ""


def _heals(folder: Path, job: str, had: bool) -> str:
    """The same command works now, and nothing but its result is left."""
    code, said = _done(_start(folder, _JOBS[job]))
    if code:
        return f"the next run ended with {code}: {said}"
    left = {path.name for path in folder.iterdir()} - {"a.yaml", "model", "checkpoint", "art"}
    hidden = {path.name for path in (folder / "art").rglob("*") if path.name.startswith(".")}
    if left or hidden:
        return f"the next run left {sorted(left | hidden)}"
    if had and not (folder / "art" / NOTES).exists():
        return "what the user put into the folder is gone after the next run"
    return _whole(folder, job)
