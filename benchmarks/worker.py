"""The process of one contender: JSON lines in, JSON lines out. `python -m benchmarks.worker TASK`

It has no except: whatever goes wrong ends it, and the traceback in its log says why.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any, TextIO

import numpy as np

from benchmarks import contenders
from benchmarks.processes import peak_bytes
from benchmarks.tasks import Task
from benchmarks.works import comparable


def main() -> None:
    """Load the task of the argument, then run it whenever it is told to."""
    replies = _private_stdout()
    task = Task.loads(sys.argv[1])
    began = time.perf_counter()
    loaded = contenders.load(task)
    _reply(replies, seconds=time.perf_counter() - began, peak_bytes=peak_bytes())
    for line in sys.stdin:
        command = json.loads(line)
        began = time.perf_counter()
        outputs = loaded.run()
        seconds = time.perf_counter() - began
        _reply(replies, seconds=seconds, parts=loaded.parts, peak_bytes=peak_bytes())
        if "save" in command:
            kept: dict[str, Any] = comparable(task.work, outputs, ours=task.ours)
            np.savez(command["save"], **kept)
            _reply(replies, saved=command["save"])
        del outputs  # the next run must not find them in memory


def _private_stdout() -> TextIO:
    """The pipe to whoever started this; what libraries print goes to standard error instead."""
    pipe = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return pipe


def _reply(pipe: TextIO, **values: Any) -> None:
    pipe.write(json.dumps(values) + "\n")
    pipe.flush()


if __name__ == "__main__":
    main()
