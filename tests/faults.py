"""Command lines that are ended at each of their file operations, and what lies on disk after that.

`trials` runs a command again and again in a copy of a folder, and sends it a signal at its first
file operation there, then at its second ... Each run is a fork of one process that has everything
imported already, so that a run takes some hundredths of a second.

A command may also be `tests.MODULE:FUNCTION`, which is then called with the other words.

    python -m tests.faults FOLDER '{"command": ["compile", "a.yaml", "-o", "a"], "signals": [9]}'
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_CHANGES = {
    *("os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.link", "os.symlink", "os.chmod"),
    *("os.truncate", "os.utime", "shutil.rmtree"),
}
_MOST = 400

Tree = dict[str, str]
"""The digest of every file, `link to ...` of every link and "" of every folder, by path."""


class Trial(NamedTuple):
    """What was left of a run that got a signal at an operation, and after the same run undisturbed."""

    signal: int
    step: int
    code: int
    """As of a shell: 128 + signal for a process that a signal has ended."""
    left: Tree
    after: Tree
    told: str
    """What the second run printed on stderr."""
    holds: str
    """What the folder held then, by the function that was named."""
    healed: str
    """The same after the second run."""


def tree(folder: Path) -> Tree:
    """What is in a folder."""
    found: Tree = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = f"link to {path.readlink()}"
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    return found


def below(found: Tree, name: str) -> Tree:
    """The part of a tree under a path."""
    return {
        path.removeprefix(f"{name}/"): x for path, x in found.items() if path.startswith(f"{name}/")
    }


def trials(
    folder: Path,
    command: Sequence[object],
    signals: Sequence[signal.Signals],
    *,
    exchange: bool = True,
    cwd: str = ".",
    every: int = 1,
    holds: str = "tests.faults:nothing",
) -> list[Trial]:
    """A trial for each signal and each operation of a command that is run in copies of a folder.

    `exchange`: whether the system can swap two folders. `every`: only each so-manieth operation.
    `cwd` is a path in the folder. `holds` is a function that says of a folder what it holds.
    """
    job = {
        "command": [str(word) for word in command],
        "signals": [int(number) for number in signals],
        "exchange": exchange,
        "cwd": cwd,
        "every": every,
        "holds": holds,
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", str(folder), json.dumps(job)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [Trial(*json.loads(line)) for line in done.stdout.splitlines()]


def strike(folder: Path, number: int, step: int) -> None:
    """Send this process a signal at its `step`-th operation that changes something in a folder."""
    count = 0
    root = os.path.realpath(folder)

    def inside(value: object) -> bool:
        if not isinstance(value, str | bytes | os.PathLike):
            return False
        return str(Path(os.fsdecode(value)).absolute()).startswith(root)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal count
        changes = event in _CHANGES or (event == "open" and bool((args[2] or 0) & _WRITING))
        if changes and any(inside(value) for value in args[:2]):
            count += 1
            if count == step:
                os.kill(os.getpid(), number)

    sys.addaudithook(hook)


def _trial(folder: Path, job: dict[str, Any], number: int, step: int) -> Trial:
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "copy"
        shutil.copytree(folder, copy, symlinks=True)
        code, _ = _forked(copy, job, number, step)
        left, holds = tree(copy), _called(job["holds"], copy)
        again, told = _forked(copy, job, 0, 0)
        told = told if again == 0 else f"exit code {again}: {told}"
        return Trial(number, step, code, left, tree(copy), told, holds, _called(job["holds"], copy))


def nothing(folder: Path) -> str:
    """Where nobody asks what a folder holds."""
    return ""


def weights(folder: Path) -> str:
    """The weights of the artifact `art`, or why it cannot be opened."""
    from perceiver_graph.diagnostics import DiagnosticError
    from perceiver_graph.runtime import open_artifact

    try:
        return open_artifact(folder / "art").manifest.weights
    except DiagnosticError as error:
        return str(error)


def imported(folder: Path) -> str:
    """The name of the imported spec in `new` and the digest of its weights, or why it is none."""
    from perceiver_graph.diagnostics import DiagnosticError
    from perceiver_graph.spec import load_spec

    new = folder / "new"
    try:
        name = load_spec(new / "spec.yaml").spec.name
    except DiagnosticError as error:
        return error.diagnostics[0].message
    weights = (new / "weights.safetensors").read_bytes()
    return f"{name} {hashlib.sha256(weights).hexdigest()}"


def _called(name: str, *arguments: object) -> Any:
    module, function = name.split(":")
    return getattr(importlib.import_module(module), function)(*arguments)


def _forked(copy: Path, job: dict[str, Any], number: int, step: int) -> tuple[int, str]:
    """Run the command in a child process; its exit code and what it wrote to stderr."""
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if child == 0:
            code = 70
            try:
                os.dup2(os.open(os.devnull, os.O_RDWR), 1)
                os.dup2(said.fileno(), 2)
                os.chdir(copy / job["cwd"])
                if step:
                    strike(copy, number, step)
                code = _main(job["command"])
                sys.stderr.flush()
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        said.seek(0)
        return (code if code >= 0 else 128 - code), said.read().decode("utf-8", "replace")


def _main(command: list[str]) -> int:
    if command[0].startswith("tests."):
        _called(*command)
        return 0
    from perceiver_graph.cli import main

    return main(command)


def _all(folder: Path, job: dict[str, Any]) -> Iterator[Trial]:
    from perceiver_graph.storage import exchange

    if not job.get("exchange", True):
        exchange._system_call = lambda: None  # type: ignore[assignment]
    job.setdefault("cwd", ".")
    with tempfile.TemporaryDirectory() as scratch:  # imports everything
        copy = Path(scratch) / "copy"
        shutil.copytree(folder, copy, symlinks=True)
        before = Path.cwd()
        os.chdir(copy / job["cwd"])
        with contextlib.redirect_stdout(io.StringIO()):
            code = _main(job["command"])
        os.chdir(before)
        assert code == 0, code
    for number in job["signals"]:
        for step in range(1, _MOST, job.get("every", 1)):
            trial = _trial(folder, job, number, step)
            yield trial
            if trial.code == 0:  # the command has fewer operations
                break


if __name__ == "__main__":
    for one in _all(Path(sys.argv[1]), json.loads(sys.argv[2])):
        print(json.dumps(one), flush=True)
