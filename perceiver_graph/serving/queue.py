"""Calls that wait for a thread: at most so many, for so long, and those that are alike as one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from concurrent.futures import Executor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from perceiver_graph.runtime.program import Program
from perceiver_graph.runtime.random_inputs import random_inputs
from perceiver_graph.serving.calls import Answer, Arrays, Call, busy, too_long
from perceiver_graph.serving.texts import has_texts, readers_of, with_ids
from perceiver_graph.serving.together import alone, checked, largest, together
from perceiver_graph.serving.watch import Watch

Known = tuple[int, tuple[str, ...]]
ValueT = TypeVar("ValueT")
_NOBODY = Watch()


@dataclass
class Room:
    """What all models of a server share: threads, and how many calls may be inside at once."""

    threads: Executor
    limit: int
    seconds: float
    """How long a call may take, waiting included."""
    inside: int = 0

    def start(
        self, work: Callable[[], ValueT], watch: Watch = _NOBODY, requests: int = 1
    ) -> asyncio.Future[ValueT]:
        """Do it in a thread. It counts as inside until it is done, whether or not anybody waits: a
        thread cannot be stopped. Raises RefusalError where too many are inside."""
        if self.inside >= self.limit:
            raise busy(self.limit)
        self.inside += 1

        def begun() -> ValueT:
            watch.waits(-requests)
            return work()

        watch.waits(requests)
        found = asyncio.get_running_loop().run_in_executor(self.threads, begun)
        found.add_done_callback(self._left)
        return found

    async def answer(self, work: Callable[[], ValueT]) -> ValueT:
        """What comes of it. Raises RefusalError where it takes too long, too, and as `start`."""
        async with self.patience():
            # Whoever stops to wait does not cancel what a thread has begun.
            return await asyncio.shield(self.start(work))

    @asynccontextmanager
    async def patience(self) -> AsyncIterator[None]:
        """A block that may take so long. Raises RefusalError where it takes longer."""
        try:
            async with asyncio.timeout(self.seconds):
                yield
        except TimeoutError:
            raise too_long(self.seconds) from None

    def _left(self, done: asyncio.Future[Any]) -> None:
        self.inside -= 1
        if not done.cancelled():
            done.exception()  # asked for, so that nobody logs that nobody did


@dataclass
class _Group:
    """Calls that are alike and wait for more of them."""

    calls: list[Call] = field(default_factory=list)
    known: list[Known] = field(default_factory=list)
    waiting: list[asyncio.Future[Answer]] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None

    @property
    def elements(self) -> int:
        return sum(batch for batch, _ in self.known)


class Queue:
    """Calls of one model, in one event loop."""

    def __init__(
        self,
        program: Program,
        room: Room,
        batch: int = 1,
        delay: float = 0.0,
        watch: Watch = _NOBODY,
    ) -> None:
        self.program = program
        self._room = room
        self._watch = watch
        self._most = largest(program.manifest, batch)
        self._delay = delay
        self._groups: dict[Hashable, _Group] = {}
        self._texts = readers_of(program.manifest)

    @property
    def batch(self) -> int:
        """The most batch elements that are put together; 1: calls go one by one."""
        return self._most

    async def answer(self, call: Call) -> Answer:
        """Raises DiagnosticError as `Program.run`, and RefusalError where it takes too long, or too many
        wait."""
        async with self._room.patience():
            if has_texts(call):
                work = partial(with_ids, self._texts, call)
                call = await asyncio.shield(self._room.start(work))
            if self._most == 1:
                return await self._alone(call)
            return await self._with_others(call)

    async def example(self, seed: int) -> Arrays:
        """Random arrays that the program takes. Raises RefusalError as `answer`."""
        return await self._room.answer(
            lambda: random_inputs(self.program.manifest, {}, seed).arrays
        )

    async def _alone(self, call: Call) -> Answer:
        running = self._room.start(partial(alone, self.program, call), self._watch)
        self._watch.goes(_elements(self.program, call))
        return await asyncio.shield(running)

    async def _with_others(self, call: Call) -> Answer:
        work = partial(checked, self.program, call)
        known = await asyncio.shield(self._room.start(work, self._watch))
        if known is None or known[0] >= self._most:
            return await self._alone(call)
        likeness = call.likeness()
        group = self._groups.get(likeness)
        if group is not None and group.elements + known[0] > self._most:
            self._go(likeness)
            group = None
        loop = asyncio.get_running_loop()
        if group is None:
            group = self._groups[likeness] = _Group()
            group.timer = loop.call_later(self._delay, self._go, likeness)
        future: asyncio.Future[Answer] = loop.create_future()
        group.calls.append(call)
        group.known.append(known)
        group.waiting.append(future)
        self._watch.waits(1)
        if group.elements >= self._most:
            self._go(likeness)
        return await future

    def _go(self, likeness: Hashable) -> None:
        """Run a group: it is whole, or has waited long enough."""
        group = self._groups.pop(likeness)
        if group.timer is not None:
            group.timer.cancel()
        self._watch.waits(-len(group.calls))
        there = [i for i, future in enumerate(group.waiting) if not future.done()]
        waiting = [group.waiting[i] for i in there]
        calls, known = [group.calls[i] for i in there], [group.known[i] for i in there]
        if not there:
            return
        try:
            work = partial(together, self.program, calls, known)
            running = self._room.start(work, self._watch, len(calls))
        except Exception as error:  # noqa: BLE001 - it is raised where the callers wait
            for future in waiting:
                future.set_exception(error)
            return
        self._watch.goes(sum(batch for batch, _ in known))
        running.add_done_callback(partial(_give, waiting))


def _elements(program: Program, call: Call) -> int:
    """The batch elements of a call that nobody has checked: points may be the same for all."""
    inputs = program.manifest.inputs
    arrays = (a for n, a in call.arrays.items() if n in inputs and a.ndim == len(inputs[n].shape))
    return max(map(len, arrays), default=1)


def _give(waiting: list[asyncio.Future[Answer]], done: asyncio.Future[Any]) -> None:
    """Hand out what became of a group to those who still wait."""
    error = asyncio.CancelledError() if done.cancelled() else done.exception()
    outcomes = [error] * len(waiting) if error is not None else done.result()
    for future, outcome in zip(waiting, outcomes, strict=True):
        if future.done():
            continue
        if isinstance(outcome, Answer):
            future.set_result(outcome)
        else:
            with suppress(asyncio.InvalidStateError):
                future.set_exception(outcome)
