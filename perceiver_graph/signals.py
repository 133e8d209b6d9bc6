"""Signals that ask a process to end: answered in order, and where it does no harm."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType, TracebackType
from typing import Any, Self, TypeVar

ENDING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""The signals that ask a process to end and that it may answer in its own time."""

LONGEST_IMPORT = 5.0
"""Seconds for which a signal waits at most, as until modules are imported."""

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

_LOSING: set[CodeType] = set()
_CATCHING: set[CodeType] = set()

_EVERY, _SAME = 0.01, 0.1
"""Seconds after which a signal that waits comes again, and in which two are taken for one."""


class _Asked:
    """What this process has been asked: the first signal that came, and whether it waits."""

    number: int | None = None
    until = 0.0
    waits: object = None
    raised = -_SAME
    reminding = _thread.allocate_lock()


@contextmanager
def answered() -> Iterator[None]:
    """In this block SIGINT is `KeyboardInterrupt`, and the others are `SystemExit(128 + signal)`.

    They are raised where Python code of ours or of a library can handle them: not while modules are
    imported. Extension modules call Python as they are initialised and do not expect it to fail;
    torch takes the process down, others lose the exception or turn it into an ImportError. Nor in
    functions that C code calls and that say so (`losing`).

    Not where somebody ignores a signal (`nohup`) or answers it already, and not in other threads than
    the main one.
    """
    changed = {}
    unraisable = sys.unraisablehook
    if threading.current_thread() is threading.main_thread():
        usual = (signal.SIG_DFL, signal.default_int_handler)
        for number in ENDING:
            if (handler := signal.getsignal(number)) in usual:
                changed[number] = handler
                signal.signal(number, _answer)
        sys.unraisablehook = _forgetting(unraisable)
    try:
        with warnings.catch_warnings():
            yield
    finally:
        with _Asked.reminding:
            _Asked.number, _Asked.waits = None, None
        for number, handler in changed.items():
            signal.signal(number, handler)
        sys.unraisablehook = unraisable


def _forgetting(
    told: Callable[[sys.UnraisableHookArgs], object],
) -> Callable[[sys.UnraisableHookArgs], object]:
    """Nothing is printed of a signal that was raised where no exception can leave: it is raised again."""

    def hook(lost: sys.UnraisableHookArgs) -> None:
        if _Asked.number is None or not isinstance(lost.exc_value, KeyboardInterrupt | SystemExit):
            told(lost)

    return hook


def losing(function: FunctionT) -> FunctionT:
    """A function that C code calls and whose exceptions get lost there: signals wait until it is left.

    What may take long, it calls as a function that is `caught`.
    """
    _LOSING.add(function.__code__)
    return function


def caught(function: FunctionT) -> FunctionT:
    """A function whose caller, which is `losing`, catches all exceptions: signals are raised in it."""
    _CATCHING.add(function.__code__)
    return function


def end_if_asked() -> None:
    """Raise once more what a signal raised in this `answered` block, if that got lost on its way."""
    if _Asked.number is not None:
        _raise(_Asked.number)


def _answer(number: int, frame: FrameType | None) -> None:
    now = time.monotonic()
    if _Asked.number is None:
        _Asked.number, _Asked.until = number, now + LONGEST_IMPORT
    if now < _Asked.until and _must_wait(frame):
        if not _Asked.waits:
            _Asked.waits = waits = object()
            # Not `threading`: the main thread may hold one of its locks right now.
            _thread.start_new_thread(_remind, (number, waits))
        return
    if now > _Asked.raised + _SAME:  # a reminder may have been on its way
        # What is interrupted may warn of what it could not do: pydantic does where it tries types in turn.
        warnings.simplefilter("ignore")
        _raise(number)


def _remind(number: int, waits: object) -> None:
    while _Asked.waits is waits:
        time.sleep(_EVERY)
        with _Asked.reminding:
            if _Asked.waits is waits:
                signal.raise_signal(number)


def _must_wait(frame: FrameType | None) -> bool:
    """Whether an exception in this frame would do harm, or be lost."""
    catching = losing = False
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        losing = losing or (frame.f_code in _LOSING and not catching)
        catching = catching or frame.f_code in _CATCHING
        frame = frame.f_back
    return losing


def _raise(number: int) -> None:
    _Asked.waits, _Asked.raised = None, time.monotonic()
    raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)


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
        """A block in which signals arrive as usual. One whose exception got lost ends it."""
        self.open()
        yield
        self.close()
        end_if_asked()

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
