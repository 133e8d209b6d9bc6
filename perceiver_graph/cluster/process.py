"""A worker as a process of its own.

On its standard input come lines: the job, then items. On its standard output go lines: `ready`, then what
became of each item, or what is wrong with all of them. What libraries print goes to standard error.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import IO

from perceiver_graph.cluster.job import Item, Job, told
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.diagnostics.commands import of_many
from perceiver_graph.signals import Shield, answered

READY, WRONG = "ready", "wrong "
_BLOCK = 1 << 16


def main() -> int:
    """Work until the input ends. Whoever started this is gone where nobody reads the answers."""
    given, answers = os.dup(0), os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    with answered():
        try:
            return _work(_lines(given), answers)
        except BrokenPipeError:
            return 1
        finally:
            from perceiver_graph.storage import abandon

            with Shield():
                abandon()


def _work(lines: Iterator[str], answers: IO[str]) -> int:
    from perceiver_graph.cluster.worker import Worker

    job = Job.of(next(lines))
    with of_many(job.typed):
        try:
            worker = Worker(job)
            answers.write(f"{READY}\n")
            for outcome in worker.run(map(Item.of, lines)):
                answers.write(f"{outcome.text}\n")
        except DiagnosticError as error:
            answers.write(f"{WRONG}{told(error)}\n")
            return 1
    return 0


def _lines(handle: int) -> Iterator[str]:
    """The lines of a pipe, read without the lock of a stream: a thread may wait here at the very end."""
    rest = b""
    while block := os.read(handle, _BLOCK):
        *lines, rest = (rest + block).split(b"\n")
        yield from (line.decode("utf-8") for line in lines)
