"""A process that is told to end cleans up first: SIGTERM and SIGHUP, as Ctrl-C does."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

INTERRUPTED = 128 + signal.SIGINT
_WORDS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "hung up"}
_ANSWERED = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
WORDS = {
    128 + getattr(signal, name): word for name, word in _WORDS.items() if hasattr(signal, name)
}
"""What is said of an exit code that stands for a signal."""


@contextmanager
def orderly() -> Iterator[None]:
    """In this block the signals become `SystemExit(128 + signal)`.

    Not where somebody ignores them (`nohup`) or answers them already, and not in other threads than
    the main one. What processes have prepared and not put in place is removed at the end.
    """
    changed = []
    if threading.current_thread() is threading.main_thread():
        changed = [n for n in _ANSWERED if signal.getsignal(n) is signal.SIG_DFL]
        for number in changed:
            signal.signal(number, _end)
    try:
        yield
    finally:
        if storage := sys.modules.get("perceiver_graph.storage"):
            with storage.Shield():
                storage.abandon()
        for number in changed:
            signal.signal(number, signal.SIG_DFL)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
