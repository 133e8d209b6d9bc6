"""The other end of `benchmarks.worker`: a contender in its process."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks import processes
from benchmarks.processes import ProcessError


class Remote:
    """A contender in a process of its own. What it does not do within the limit is ProcessError."""

    def __init__(self, task: str, log: Path, environment: Mapping[str, str], limit: float) -> None:
        self._task, self._log, self._limit = task, log, limit
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = b""

    def load(self) -> dict[str, Any]:
        """Start the process and load the contender: `seconds` of loading and `peak_bytes`."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.worker", self._task],
                cwd=processes.ROOT,
                env={**os.environ, **self._environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        return self._answer(self._process)

    def run(self, save: Path | None = None) -> dict[str, Any]:
        """One run: its `seconds`, their `parts` and `peak_bytes`; with `save`, write its outputs."""
        assert self._process is not None
        assert self._process.stdin is not None
        command = {"save": str(save)} if save else {}
        try:
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise self._ended(self._process) from error
        found = self._answer(self._process)
        if save:
            self._answer(self._process)
        return found

    def close(self) -> None:
        """End the process, if it was started."""
        if self._process is None:
            return
        processes.kill(self._process)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            # What was to be written to a process that is gone is not written: it ended before.
            with suppress(BrokenPipeError):
                pipe.close()
        self._process = None

    def _answer(self, process: subprocess.Popen[bytes]) -> dict[str, Any]:
        assert process.stdout is not None
        deadline = time.monotonic() + self._limit
        while b"\n" not in self._buffer:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([process.stdout], [], [], left)[0]:
                raise ProcessError(f"not done within {self._limit:.0f} s")
            more = os.read(process.stdout.fileno(), 65536)
            if not more:
                raise self._ended(process)
            self._buffer += more
        line, self._buffer = self._buffer.split(b"\n", 1)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _ended(self, process: subprocess.Popen[bytes]) -> ProcessError:
        return ProcessError(processes.why(process.wait(), self._log))
