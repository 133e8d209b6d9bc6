"""Signals wait while something is done that must not be cut in two: a swap, a clean-up."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

ENDING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""The signals that ask a process to end and that it may answer in its own time."""


class Shield:
    """Holds back the signals of `ENDING` while it is closed; what came is delivered when it opens.

    As a context manager it is closed from the beginning to the end, but for `opened` blocks. Only
    the main thread of a process is ever interrupted by a signal: in any other it does nothing.
    """

    def __init__(self) -> None:
        self._handlers: dict[signal.Signals, Any] = {}
        self._came: list[int] = []

    def __enter__(self) -> Self:
        self.close()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.open()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """A block in which signals arrive as usual."""
        self.open()
        yield
        self.close()

    def close(self) -> None:
        """Hold signals back from now on."""
        if self._handlers or threading.current_thread() is not threading.main_thread():
            return
        for number in ENDING:
            # None: a handler of C code, which cannot be put back. An ignored signal stays ignored.
            if signal.getsignal(number) not in (None, signal.SIG_IGN):
                self._handlers[number] = signal.signal(number, self._record)

    def open(self) -> None:
        """Let signals through again, first of all the one that was held back."""
        while self._handlers:
            signal.signal(*self._handlers.popitem())
        if self._came:
            number = self._came[0]
            self._came.clear()
            signal.raise_signal(number)

    def _record(self, number: int, frame: FrameType | None) -> None:
        self._came.append(number)
