"""Runs a command to its end within a time limit: how long it took, its memory, and why it failed.

Peak memory is Linux's VmHWM where there is one: unlike ru_maxrss, it does not begin with the
memory of the process that started this one.
"""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
_POLL_SECONDS = 0.01
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024
_TRACEBACK = "Traceback (most recent call last):"
_CAUSE = "The above exception was the direct cause of the following exception:"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_LONGEST = 200
_WHERE = re.compile(r"(\S+: )?(Exception from |Check '|FrontEnd API failed)")
"""Lines of OpenVINO that say where something failed, and not what."""


class ProcessError(Exception):
    """A process failed, in one line."""


@dataclass(frozen=True)
class Finished:
    """A process that ended well."""

    seconds: float
    """Of the whole process, its start included."""
    peak_bytes: int
    """Most resident memory of the process, without others that it started."""


def run(
    command: Sequence[str], log: Path, limit: float, environment: Mapping[str, str] | None = None
) -> Finished:
    """Run a command with its output in a log. Raises ProcessError if it fails or takes too long."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that what it starts in turn can be ended with it
        )
        peak = None
        try:
            peak = _await(process, began + limit)
        finally:
            if peak is None:
                kill(process)
    if peak is None:
        raise ProcessError(f"not done within {limit:.0f} s")
    seconds = time.perf_counter() - began
    if process.returncode:
        raise ProcessError(why(process.returncode, log))
    return Finished(seconds, peak)


def _await(process: subprocess.Popen[bytes], deadline: float) -> int | None:
    """The most memory of a process, as seen until it ended; None if it has not by the deadline."""
    peak = 0
    while time.perf_counter() < deadline:
        peak = max(peak, _high_water(str(process.pid)) or 0)
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        if ended:
            process.returncode = os.waitstatus_to_exitcode(status)
            return peak or usage.ru_maxrss * _RSS_UNIT
        time.sleep(_POLL_SECONDS)
    return None


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads a session, and all that it has started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def why(returncode: int | None, log: Path) -> str:
    """One line on why a process failed: its exception, its diagnostic, or the signal that ended it."""
    if returncode is not None and returncode < 0:
        return f"ended by {signal.Signals(-returncode).name}"
    plain = _COLOUR.sub("", log.read_text("utf-8", "replace"))
    lines = [line for line in plain.splitlines() if line.strip()]
    raised = [_raised(lines)] if _TRACEBACK in lines else []
    diagnosed = [line for line in lines if line.startswith("error")]
    told = raised or diagnosed or lines[-1:]
    text = told[0] if told else f"ended with status {returncode}"
    return text if len(text) <= 3 * _LONGEST else f"{text[: 3 * _LONGEST]}..."


def _raised(lines: Sequence[str]) -> str:
    """The exception of the last traceback, and that which caused it if there is one before.

    An exception is the first line after a traceback that is not indented. Where that says only where it
    was found, as OpenVINO does, it is the last one that says what.
    """
    raised = []
    for number, line in enumerate(lines):
        if line == _TRACEBACK:
            after = [line for line in lines[number + 1 :] if not line.startswith(" ")]
            raised.append(_telling(after) if after else lines[-1])
    if _CAUSE in lines and len(raised) > 1:
        return f"{raised[-1][:_LONGEST]} (caused by {raised[-2][:_LONGEST]})"
    return raised[-1]


def _telling(lines: Sequence[str]) -> str:
    """The first of the lines from an exception on; behind its type the last that says what, where the
    first says only where."""
    if not _WHERE.match(lines[0]):
        return lines[0]
    ends = (n for n, line in enumerate(lines) if line in (_TRACEBACK, _CAUSE))
    own = lines[: next(ends, len(lines))]
    said = [line for line in own if not _WHERE.match(line)] or own
    return f"{lines[0].partition(': ')[0]}: {said[-1].strip()}"


def peak_bytes() -> int:
    """The most resident memory that this process has had."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return _high_water("self") or usage.ru_maxrss * _RSS_UNIT


def _high_water(process: str) -> int | None:
    """VmHWM of a process in bytes; None on other operating systems, or when it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    except OSError:
        return None
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else None
