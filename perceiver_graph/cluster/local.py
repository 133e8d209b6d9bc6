"""The processes of this machine: items go to those that have room, and none is lost with a process.

An item that was in the hands of a process that died is given to another, by itself: should that one die
as well, it is the item that did it, and it is answered for.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Self

from perceiver_graph.cluster.job import Item, Job, Outcome, untold
from perceiver_graph.cluster.process import READY, WRONG, main
from perceiver_graph.diagnostics import DiagnosticError, quote

_BLOCK = 1 << 16
_PATIENCE = 10.0  # seconds that a process may take to end once it is told to
_STARTS = 3  # how often in succession a process may end before it is ready
_TAIL = 2000


class Processes:
    """So many workers, a context manager; `run` may be called again and again."""

    def __init__(self, job: Job, count: int) -> None:
        self._job = job
        self._count = count
        self._selector = selectors.DefaultSelector()
        self._all: list[_Process] = []
        self._starts = 0

    def __enter__(self) -> Self:
        try:
            for _ in range(self._count):
                self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is None:
            for process in self._all:
                process.end()
        self._stop()

    def _start(self) -> None:
        process = _Process(self._job)
        self._all.append(process)
        self._selector.register(process.answers, selectors.EVENT_READ, process)

    def _stop(self) -> None:
        for process in self._all:
            process.terminate()
        for process in self._all:
            process.wait()
        self._all.clear()
        self._selector.close()

    @property
    def pids(self) -> list[int]:
        """The ids of the processes that live."""
        return [process.pid for process in self._all]

    def run(self, items: Iterable[Item]) -> Iterator[Outcome]:
        """What becomes of each item, as it becomes so. Raises DiagnosticError for what is wrong
        with the artifact, and PG522 where processes end as they start."""
        todo, deaths = _Todo(items), Counter[str]()
        self._feed(todo)
        while todo or any(process.held for process in self._all):
            for key, _ in self._selector.select():
                process: _Process = key.data
                lines = process.read()
                if lines is None:
                    yield from self._died(process, todo, deaths)
                else:
                    yield from self._heard(process, lines)
            self._feed(todo)

    def _feed(self, todo: _Todo) -> None:
        for process in self._all:
            while process.has_room(self._job.batch + 1):
                if todo.suspects and not process.held:
                    process.give(todo.suspects.popleft(), alone=True)
                elif (item := todo.next()) is not None:
                    process.give(item)
                else:
                    break

    def _heard(self, process: _Process, lines: list[str]) -> Iterator[Outcome]:
        for line in lines:
            if line == READY:
                process.ready, self._starts = True, 0
            elif line.startswith(WRONG):
                raise untold(line.removeprefix(WRONG))
            else:
                outcome = Outcome.of(line)
                process.held.pop(outcome.name, None)
                process.alone = process.alone and bool(process.held)
                yield outcome

    def _died(self, process: _Process, todo: _Todo, deaths: Counter[str]) -> Iterator[Outcome]:
        how = process.buried()
        self._selector.unregister(process.answers)
        process.close()
        self._all.remove(process)
        self._starts += not process.ready
        if self._starts >= _STARTS:
            raise _ended(f"workers end as they start: {how}")
        for item in process.held.values():
            deaths[item.name] += 1
            if process.alone and deaths[item.name] > 1:
                message = f"the process that ran on it ended, and so did another after it: {how}"
                yield Outcome.failed(item, _ended(message))
            else:
                todo.suspects.append(item)
        self._start()


class _Todo:
    """What is to be given out: the next of the items, and those whose process has died."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._source = iter(items)
        self._next = next(self._source, None)
        self.suspects: deque[Item] = deque()

    def __bool__(self) -> bool:
        return bool(self.suspects) or self._next is not None

    def next(self) -> Item | None:
        """The next of those that are given out for the first time, None after the last."""
        item = self._next
        if item is not None:
            self._next = next(self._source, None)
        return item


class _Process:
    """A worker process, and the items that it has in hand."""

    def __init__(self, job: Job) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        # By import: `-m` would run a module anew that its package holds already, and Python warns of it.
        words = [
            sys.executable,
            "-c",
            f"import {main.__module__} as it; raise SystemExit(it.main())",
        ]
        # A session of its own: Ctrl-C at the terminal is for the one that started it.
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            start_new_session=True,
            env=_environment(),
        )
        assert self._process.stdin
        assert self._process.stdout
        self._items, self.answers = self._process.stdin.fileno(), self._process.stdout.fileno()
        self._rest = b""
        self.held: dict[str, Item] = {}
        self.ready = False
        self.alone = False
        """Whether it is to have no other item beside the one that it has."""
        self._send(job.text)

    @property
    def pid(self) -> int:
        """Its id."""
        return self._process.pid

    def has_room(self, most: int) -> bool:
        """Whether it may be given another item."""
        return self.ready and not self.alone and len(self.held) < most

    def give(self, item: Item, *, alone: bool = False) -> None:
        """Hand it an item."""
        self.held[item.name], self.alone = item, alone
        self._send(item.text)

    def _send(self, line: str) -> None:
        rest = f"{line}\n".encode()
        with suppress(BrokenPipeError):  # it has died, which its answers will tell
            while rest:
                rest = rest[os.write(self._items, rest) :]

    def read(self) -> list[str] | None:
        """The lines that came, None where none will come any more."""
        block = os.read(self.answers, _BLOCK)
        if not block:
            return None
        *lines, self._rest = (self._rest + block).split(b"\n")
        return [line.decode("utf-8") for line in lines]

    def buried(self) -> str:
        """How it ended, in words."""
        try:
            code = self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._said.seek(max(0, self._said.seek(0, os.SEEK_END) - _TAIL))
        last = self._said.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
        how = f"signal {-code} ({_signal(-code)})" if code < 0 else f"exit code {code}"
        if code == -signal.SIGKILL:
            how += ", which the system sends where memory runs out"
        return f"{how}; its last words: {quote(last)}" if last else how

    def end(self) -> None:
        """Let it end once all is done."""
        with suppress(OSError):
            assert self._process.stdin
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE)

    def terminate(self) -> None:
        """Tell it to end now."""
        if self._process.poll() is None:
            self._process.terminate()

    def wait(self) -> None:
        """Wait until it has ended, and see to it that it does."""
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.close()

    def close(self) -> None:
        """Give back what is left of it."""
        for stream in (self._process.stdin, self._process.stdout, self._said):
            with suppress(OSError):
                assert stream
                stream.close()


def _environment() -> dict[str, str]:
    """That of this process; the package is found where this one found it."""
    paths = dict.fromkeys(path for path in sys.path if path)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


def _ended(message: str) -> DiagnosticError:
    help = "try it alone with `run`, which says more; where memory is short, take fewer workers"
    return DiagnosticError.of("PG522", message, help=help)
