"""What a name stands for, opened once: a file, a pipe (`<(...)`, a named one), standard input.

Every reader reads through a `Source`: it may look at the first bytes, begin again and seek, whatever
is behind the name. What comes from a pipe cannot be read again; it is kept as far as it was read, in
memory and then in a temporary file without a name. Nothing is read before it is asked for, so that a
pipe without an end does no harm to a reader that knows how much it takes.
"""

from __future__ import annotations

import io
import os
import re
import stat
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from tempfile import SpooledTemporaryFile, gettempdir
from typing import IO, BinaryIO, cast

from perceiver_graph import limits
from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.diagnostics.commands import command, is_typed, shell, the_artifact
from perceiver_graph.storage import descriptor

STANDARD_INPUT = "-"
"""The name of standard input."""

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_IN_MEMORY = 16 << 20
_BLOCK = 1 << 16
_PATIENCE = 2.0  # seconds until it is said what is waited for
_NOBODY = 15.0  # seconds until a named pipe that nobody has opened for writing is given up


class Source:
    """A file, a pipe or standard input to read from, as bytes that may be sought in.

    `path` is the name as it was given, `label` what it is called in front of people, `stem` what
    names the files of its results.
    """

    def __init__(self, path: Path, label: str, stem: str, kept: _Kept | None = None) -> None:
        self.path = path
        self.label = label
        self.stem = stem
        self._kept = kept

    @classmethod
    def of(
        cls,
        value: str | PathLike[str] | Source,
        *,
        noun: str = "file",
        most: int = limits.STREAM_BYTES,
    ) -> Source:
        """What stands behind a name; a pipe is not waited for yet.

        `noun` is what is wanted, for messages; `most` is the number of bytes that a pipe may have.
        Raises DiagnosticError: PG512 for what is not there, a folder, a socket or a device.
        """
        if isinstance(value, Source):
            return value
        name = os.fspath(value)
        path = Path(name)
        number = _inherited(name)
        label = str(path) if name else quote(name)
        if number == 0:
            return cls(
                path, "standard input", "stdin", _Kept(_standard_input, "standard input", most)
            )
        mode = _mode(name)
        fault = _KINDS.get(stat.S_IFMT(mode))
        if fault is not None and (number is None or stat.S_ISDIR(mode)):
            help = f"name a {noun} in it" if stat.S_ISDIR(mode) else f"name a {noun}"
            if stat.S_ISDIR(mode) and is_typed():
                help += f"; {command('batch', the_artifact(), Path(name), '-o', 'out')} takes all"
            raise DiagnosticError.of("PG512", f"{label} is {fault}", help=help)
        if number is not None:
            return cls(path, label, "pipe", _Kept(lambda: os.dup(number), label, most))
        if stat.S_ISFIFO(mode):
            return cls(path, label, path.stem, _Kept(lambda: _open_pipe(name), label, most))
        return cls(path, label, path.stem)

    @property
    def is_file(self) -> bool:
        """Whether it is a file on a disk, that may be opened again by its path."""
        return self._kept is None

    @property
    def file(self) -> Path | None:
        """Its path, None for a pipe."""
        return self.path if self.is_file else None

    def open(self) -> BinaryIO:
        """Its bytes from the beginning: readable and seekable, to be closed by the caller.

        May be called again: each has a place of its own. Raises DiagnosticError (PG507), of a pipe
        also while it is read.
        """
        if self._kept is not None:
            return cast(BinaryIO, io.BufferedReader(_View(self._kept), _BLOCK))
        with self._reading():
            return self.path.open("rb")

    def peek(self, count: int) -> bytes:
        """The first bytes, fewer only if there are no more. Raises DiagnosticError (PG507)."""
        with self.open() as stream, self._reading():
            return stream.read(count)

    def read(self, most: int | None = None) -> bytes:
        """All bytes, or the first `most`. Raises DiagnosticError (PG507)."""
        with self.open() as stream, self._reading():
            return stream.read(-1 if most is None else most)

    def size(self) -> int:
        """How many bytes there are; a pipe is read to its end. Raises DiagnosticError (PG507)."""
        with self.open() as stream, self._reading():
            return stream.seek(0, os.SEEK_END)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except PermissionError as error:
            help = f"chmod +r {self.path}"
            raise _unreadable(f"{self.label}: it may not be read", help) from error
        except OSError as error:
            raise _unreadable(f"{self.label}: {error.strerror or error}") from error

    def __str__(self) -> str:
        return self.label

    def __repr__(self) -> str:
        return f"Source({self.label!r})"


_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFSOCK: "a socket, and no file",
    stat.S_IFCHR: "a device, and no file",
    stat.S_IFBLK: "a device, and no file",
}


def stream_key(value: str) -> object | None:
    """What tells pipes apart, which can be read once only; None for everything else."""
    number = _inherited(value)
    if number == 0:
        return STANDARD_INPUT
    try:
        found = os.stat(value)  # noqa: PTH116 - of a text that may be no path
    except (OSError, ValueError):
        return None
    is_stream = number is not None or stat.S_ISFIFO(found.st_mode)
    return (found.st_dev, found.st_ino) if is_stream else None


def _inherited(name: str) -> int | None:
    """The number of an open descriptor of this process that a name stands for."""
    if name == STANDARD_INPUT:
        return 0
    return descriptor(name)


def _mode(name: str) -> int:
    try:
        return os.stat(name).st_mode  # noqa: PTH116 - keeps a name as it was given
    except (FileNotFoundError, NotADirectoryError, ValueError):
        fault = "does not exist"
    except OSError as error:
        fault = f"cannot be found: {error.strerror or error}"
    help = "check the path"
    if is_typed() and any(char in name for char in "*?["):
        made = command("batch", the_artifact(), name, "-o", "out")
        help = f"patterns are for many files, which `batch` takes: {made}"
    if _ADDRESS.match(name):
        help = f"files are read from disks alone; get it first: {shell('curl', '-LO', name)}"
    raise DiagnosticError.of("PG512", f"{name or quote(name)} {fault}", help=help)


def _unreadable(fault: str, help: str | None = None) -> DiagnosticError:
    return DiagnosticError.of("PG507", fault, help=help or "check the file and its permissions")


def _open_pipe(name: str) -> int:
    """A named pipe; opened so that it does not block until there is a writer."""
    return os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


def _standard_input() -> int:
    """A descriptor of standard input, -1 if it is a stream of Python alone. Raises PG512."""
    if sys.stdin is None:
        fault = "standard input is closed"
        raise DiagnosticError.of("PG512", fault, help="name a file, or pipe into this command")
    try:
        return os.dup(sys.stdin.fileno())
    except (OSError, ValueError, AttributeError):
        return -1


class _Kept:
    """What has been read of a stream, and the rest of it as it is asked for."""

    def __init__(self, open_: Callable[[], int], label: str, most: int) -> None:
        self._open = open_
        self._label = label
        self._most = most
        self._descriptor: int | None = None
        self._close: Callable[[], object] = bool
        self._store = _store()
        weakref.finalize(self, self._store.close)
        self._size = 0
        self._ended = False

    def fill(self, upto: int | None) -> int:
        """Read on until `upto` bytes are there, or all of them; how many there are."""
        while not self._ended and (upto is None or self._size < upto):
            block = self._next()
            self._store.seek(self._size)
            try:
                self._store.write(block)
            except OSError as error:
                fault = f"{self._label} is kept in {gettempdir()} while it is read, and "
                fault += error.strerror or str(error)
                raise _unreadable(fault, "save it to a file, and name that") from error
            self._size += len(block)
            if self._size > self._most:
                self._close()
                raise DiagnosticError.of(
                    "PG514",
                    f"{self._label} has more than {self._most:,} bytes, the most that is taken",
                    help="give less, or save it to a file and name that",
                )
            if not block:
                self._ended = True
                self._close()
        return self._size

    def read_at(self, place: int, count: int) -> bytes:
        """Bytes from a place on: what is there of them, none if there are no more."""
        self.fill(place + 1)
        self._store.seek(place)
        return self._store.read(count)

    def _next(self) -> bytes:
        """The next bytes, none at the end."""
        if self._descriptor is None:
            self._descriptor = self._opened()
        if self._descriptor < 0:
            stream = getattr(sys.stdin, "buffer", None)
            return stream.read(_BLOCK) if stream else sys.stdin.read(_BLOCK).encode()
        began, told = time.monotonic(), False
        while True:
            try:
                if _is_ready(self._descriptor):
                    return os.read(self._descriptor, _BLOCK)
                if not told and not self._size:
                    told = True
                    self._say_that_it_waits(self._descriptor)
                if time.monotonic() - began > _NOBODY and self._is_new_pipe(self._descriptor):
                    if block := os.read(self._descriptor, _BLOCK):
                        return block
                    raise _unreadable(
                        f"{self._label} is a pipe, and nobody writes to it (for {_NOBODY:g} seconds)",
                        "start what writes to it first",
                    )
            except BlockingIOError:  # somebody will write
                continue
            except OSError as error:
                raise _unreadable(f"{self._label}: {error.strerror or error}") from error

    def _opened(self) -> int:
        try:
            descriptor = self._open()
        except OSError as error:
            raise _unreadable(f"{self._label}: {error.strerror or error}") from error
        if descriptor >= 0:
            self._close = weakref.finalize(self, os.close, descriptor)
        return descriptor

    def _is_new_pipe(self, descriptor: int) -> bool:
        """Whether it is a named pipe that was opened here, of which nothing has come yet."""
        return not self._size and not os.get_blocking(descriptor)

    def _say_that_it_waits(self, descriptor: int) -> None:
        if sys.stderr is not None:
            end = " (end it with Ctrl-D)" if os.isatty(descriptor) else ""
            print(f"waiting for {self._label}{end}", file=sys.stderr, flush=True)


def _is_ready(descriptor: int) -> bool:
    """Whether reading would not wait; False after a while in which that has not changed."""
    try:
        from select import POLLIN, poll
    except ImportError:  # no such thing here: reading waits, without a word
        return True
    waiting = poll()
    waiting.register(descriptor, POLLIN)
    return bool(waiting.poll(_PATIENCE * 1000))


def _store() -> IO[bytes]:
    return SpooledTemporaryFile(max_size=_IN_MEMORY)


class _View(io.RawIOBase):
    """A place in a stream that is kept."""

    def __init__(self, kept: _Kept) -> None:
        super().__init__()
        self._kept = kept
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        into = memoryview(cast(bytearray, buffer)).cast("B")
        found = self._kept.read_at(self._place, len(into))
        into[: len(found)] = found
        self._place += len(found)
        return len(found)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_CUR:
            offset += self._place
        elif whence == os.SEEK_END:
            offset += self._kept.fill(None)
        if offset < 0:
            raise ValueError(f"there is no place {offset}")
        self._place = offset
        return offset

    def tell(self) -> int:
        return self._place


Named = str | PathLike[str] | Source
"""What readers take: a path, or what is opened already."""
