"""Standard streams that are closed, full or broken: no reason to fail, and none for a traceback."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

from perceiver_graph.diagnostics import escape
from perceiver_graph.storage.notes import LOGGER

_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def provide() -> None:
    """Open what is closed, to nowhere.

    Otherwise the next file that is opened would get its number, and whatever a library prints
    there would go into that file.
    """
    for number, (name, mode) in enumerate(_STREAMS):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115


class OutputError(OSError):
    """Standard output cannot be written; its arguments are those of the error behind it."""


class _Output:
    """Standard output whose errors can be told from those of files."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with _translated():
            return self._stream.write(text)

    def flush(self) -> None:
        with _translated():
            self._stream.flush()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(error.errno, error.strerror) from error


@contextmanager
def watched() -> Iterator[None]:
    """A block in which a failure of standard output is an `OutputError`."""
    before = sys.stdout
    if isinstance(before, io.TextIOWrapper):
        before.reconfigure(
            errors="backslashreplace"
        )  # a name that a terminal cannot show is no error
        sys.stdout = cast(TextIO, _Output(before))
    try:
        yield
    finally:
        sys.stdout = before


def say(text: str) -> bool:
    """Print on stderr, if that can be; where not, the exit code has to say it."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError):
        silence(sys.stderr)
        return False
    return True


def silence(stream: TextIO) -> None:
    """Let what is still buffered, and all that follows, go nowhere."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class _Notes(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(f"note: {escape.line(record.getMessage())}\n")


@contextmanager
def notes() -> Iterator[None]:
    """What the package notes beside its work is printed during this block."""
    logger, handler = logging.getLogger(LOGGER), _Notes()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
