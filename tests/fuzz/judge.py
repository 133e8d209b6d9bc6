"""Runs a case in a folder of its own and says what is wrong with the answers, if anything.

Right is: exit code 0; or 1 with a diagnostic that is no internal error; or 2 with a word on usage. And
what `check` accepts, every command after it accepts as well, where the target says so.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.case import Case, Commands, Files, Target

PROMISED = "promised"
"""A first word for a command that must end with 0 where the command before it has: it is left out."""
FUZZER = "fuzzer"
_INTERNAL = re.compile(
    r"error\[PG90\d\]|\"code\": \"PG90|title=PG90|: error PG90|Traceback \(most recent call last\)"
)
_CODE = re.compile(r"\b(PG\d{3})\b")


@dataclass(frozen=True)
class Finding:
    """What is wrong: `signature` is equal for equal causes, `said` has everything that was printed."""

    signature: str
    said: str


def judge(case: Case, target: Target, verdicts: Counter[str] | None = None) -> Finding | None:
    """Build the files of a case and run its commands. `verdicts` counts how they ended."""
    try:
        files = case.files(target)
        commands = case.run(target, files)
    except Exception:  # noqa: BLE001 - a fault of the fuzzer is told as one
        return Finding(f"{FUZZER}: the case cannot be made", traceback.format_exc())
    with tempfile.TemporaryDirectory(prefix="fuzz") as folder, _inside(Path(folder)):
        write(Path(folder), files)
        return run(commands, verdicts)


def write(folder: Path, files: Files) -> None:
    """Write the files of a case."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def run(commands: Commands, verdicts: Counter[str] | None = None) -> Finding | None:
    """Run command lines in this folder, one after the other, until one is refused."""
    for words in commands:
        promised = words[0] == PROMISED
        code, said, failure = _called(words[1:] if promised else words)
        told = _CODE.search(said)
        if verdicts is not None:
            verdicts["accepted" if code == 0 else told[1] if told else f"exit {code}"] += 1
        shown = f"$ perceiver-graph {' '.join(map(repr, words))}\n{said}\n{failure}"
        internal = _INTERNAL.search(said)
        if failure:
            return Finding(f"{words[0]}: {failure.strip().splitlines()[-1][:120]}", shown)
        if internal:
            line = next(line for line in said.splitlines() if internal[0] in line)
            return Finding(f"{words[0]}: {line[:120]}", shown)
        if code not in (0, 1, 2):
            return Finding(f"{words[0]}: exit code {code}", shown)
        if code == 1 and not told:
            return Finding(f"{words[0]}: exit code 1 without a diagnostic", shown)
        if promised and code:
            reason = told[1] if told else f"exit code {code}"
            return Finding(f"{words[1]}: {reason} after check was fine", shown)
        if code:
            return None
    return None


def _called(words: object) -> tuple[int, str, str]:
    """The exit code of a command line, what it printed, and the traceback of what it let through."""
    from perceiver_graph.cli import main

    said = io.StringIO()
    code = -1
    try:
        with (
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter(
                "error", category=RuntimeWarning
            )  # numbers that went wrong unsaid
            code = main(list(map(str, words)))  # type: ignore[call-overload]
    except BaseException:  # noqa: BLE001 - that nothing gets through is what is tested
        return code, said.getvalue(), traceback.format_exc()
    return code, said.getvalue(), ""


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def minimised(case: Case, target: Target, finding: Finding) -> Case:
    """The case without the steps that the finding does not need."""
    if finding.signature.startswith(FUZZER):
        return case
    index = 0
    while index < len(case.steps):
        less = case.without(index)
        found = judge(less, target)
        if found is not None and found.signature == finding.signature:
            case = less
        else:
            index += 1
    return case
