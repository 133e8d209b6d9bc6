"""Runs items one after the other in a process: reads ahead, forms batches, writes what comes out.

Reading and decoding of media goes on in a thread while the program runs. An item that cannot be run on
is answered for with its reason, and the others are done.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from perceiver_graph.cluster.ahead import Ahead
from perceiver_graph.cluster.batches import Batches, Waiting, split, stacked
from perceiver_graph.cluster.job import Item, Job, Outcome
from perceiver_graph.cluster.opened import Opener
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.diagnostics.commands import elsewhere
from perceiver_graph.extensions import extend
from perceiver_graph.media.io import Piece
from perceiver_graph.runtime.arrays import overflow_notes
from perceiver_graph.runtime.feeds import check_inputs
from perceiver_graph.runtime.program import load
from perceiver_graph.runtime.sources import Subject
from perceiver_graph.runtime.work import Work, made_folder, refuse_overwriting
from perceiver_graph.runtime.written import is_there
from perceiver_graph.storage import sweep

_OF_ALL = ("PG4", "PG506", "PG601", "PG607")
"""How the codes begin of what is wrong with the artifact, the machine or what is asked, whatever the item
is."""


@dataclass(frozen=True)
class _Opened:
    item: Item
    subject: Subject
    work: Work


@dataclass(frozen=True)
class _Closed:
    item: Item
    pieces: int


class Worker:
    """A program that is ready for items. Raises DiagnosticError as `load` and `run_files` do."""

    def __init__(self, job: Job) -> None:
        for file in job.extensions:
            extend(file)
        program = load(
            job.artifact, device=job.device, threads=job.threads, share_weights=job.shares
        )
        if program.artifact.digest != job.digest:
            message = (
                f"{job.artifact} is not the artifact that the batch began with: it was replaced"
            )
            raise DiagnosticError.of("PG402", message, help="run the batch again")
        self._opener = Opener(program, job)
        self._work = self._opener.work
        self._out = Path(job.out)
        dimension = program.manifest.dims.get("batch")
        limit = dimension.max if dimension and dimension.max else job.batch
        self._most = max(1, min(job.batch, limit))
        self._dropped: set[str] = set()
        self._current: dict[str, _Current] = {}
        self._batches = Batches(self._most)

    def run(self, items: Iterable[Item]) -> Iterator[Outcome]:
        """What becomes of each item, as it becomes so, not in their order."""
        with Ahead(self._read(items), 2 * self._most) as ahead:
            try:
                while not ahead.ended or self._batches:
                    event = ahead.take(wait=not self._batches)
                    if event is not None:
                        yield from self._told(event)
                    # Where nothing is there yet, the program does not wait for a batch to be whole.
                    if group := self._batches.take(whole=event is not None):
                        yield from self._ran(group)
            except BaseException as error:
                for current in self._current.values():
                    current.abandon(error)
                self._current.clear()
                raise

    def _read(self, items: Iterable[Item]) -> Iterator[_Opened | Waiting | _Closed | Outcome]:
        """Open and decode; in the thread that reads ahead."""
        for item in items:
            try:
                yield from self._pieces(item)
            except DiagnosticError as error:
                yield Outcome.failed(item, error)
            except Exception as error:  # noqa: BLE001 - one item is lost, not the batch
                yield Outcome.failed(item, _unforeseen(error))

    def _pieces(self, item: Item) -> Iterator[_Opened | Waiting | _Closed | Outcome]:
        work, subject = self._opener.open(item)
        if is_there(self._out / item.name, subject.stem, batch=item.key):
            yield Outcome(item.name, item.key, "there")
            return
        yield _Opened(item, subject, work)
        count = 0
        for index, piece in enumerate(subject.pieces()):
            if item.name in self._dropped:
                return
            notes: tuple[str, ...] = ()
            if self._most > 1:  # what is wrong with it is not to be wrong with the whole batch
                manifest = self._work.program.manifest
                notes = check_inputs(manifest, piece.arrays, self._work.sizes).notes
            yield Waiting(item.name, index, piece, notes)
            count = index + 1
        yield _Closed(item, count)

    def _told(self, event: _Opened | Waiting | _Closed | Outcome) -> Iterator[Outcome]:
        match event:
            case _Opened():
                try:
                    current = _Current(event.work, event.item, event.subject, self._out)
                except DiagnosticError as error:
                    yield self._failed(event.item, error)
                else:
                    self._current[event.item.name] = current
            case Waiting() if event.owner in self._current:
                self._batches.add(event)
            case _Closed() if event.item.name in self._current:
                self._current[event.item.name].pieces = event.pieces
                yield from self._finished(event.item.name)
            case Outcome() if event.name not in self._dropped:
                if event.name in self._current:
                    self._batches.drop(event.name)
                    self._current.pop(event.name).abandon(RuntimeError(event.message))
                yield event

    def _ran(self, group: list[Waiting]) -> Iterator[Outcome]:
        """Run the program on a batch; if that goes wrong, on each of it alone."""
        notes: list[str] = []
        try:
            found = self._work.call(stacked(group), note=notes.append)
        except DiagnosticError as error:
            if error.diagnostics[0].code.startswith(_OF_ALL):
                raise
            if len(group) == 1:
                yield self._failed(self._current[group[0].owner].item, error)
                return
            for one in group:
                if one.owner in self._current:
                    yield from self._ran([one])
            return
        for one, results in zip(group, split(found, len(group)), strict=True):
            if one.owner not in self._current:
                continue
            told = notes if len(group) == 1 else [*one.notes, *overflow_notes(results)]
            try:
                self._current[one.owner].take(one, results, told)
            except (DiagnosticError, OSError) as error:
                yield self._failed(self._current[one.owner].item, _of_writing(error, one.owner))
            else:
                yield from self._finished(one.owner)

    def _finished(self, name: str) -> Iterator[Outcome]:
        """Put the results of an item in place, if they are all there."""
        current = self._current[name]
        if current.pieces is None or current.taken < current.pieces:
            return
        try:
            yield current.publish()
        except DiagnosticError as error:
            yield Outcome.failed(current.item, error, current.seconds)
        del self._current[name]

    def _failed(self, item: Item, error: DiagnosticError) -> Outcome:
        seconds = 0.0
        self._dropped.add(item.name)
        self._batches.drop(item.name)
        if item.name in self._current:
            current = self._current.pop(item.name)
            seconds = current.seconds
            current.abandon(error)
        return Outcome.failed(item, error, seconds)


class _Current:
    """An item that is being run on. Raises DiagnosticError (PG511)."""

    def __init__(self, work: Work, item: Item, subject: Subject, out: Path) -> None:
        self.item = item
        self.pieces: int | None = None
        self.taken = 0
        self._began = time.monotonic()
        self._results: dict[int, tuple[Piece, dict[str, NDArray[Any]], list[str]]] = {}
        folder = out / item.name
        with ExitStack() as stack:
            stack.enter_context(made_folder(folder))
            sweep(folder)
            refuse_overwriting([subject], [subject.stem], work.writers(), folder)
            self._begun = stack.enter_context(work.begun(subject, subject.stem, folder))
            self._stack = stack.pop_all()
        self._begun.about["batch"] = item.key

    @property
    def seconds(self) -> float:
        """How long it has been."""
        return round(time.monotonic() - self._began, 3)

    def take(self, one: Waiting, results: dict[str, NDArray[Any]], notes: list[str]) -> None:
        """The results of a piece: they are added in the order of the pieces."""
        self._results[one.index] = one.piece, results, notes
        while self.taken in self._results:
            self._begun.add(*self._results.pop(self.taken))
            self.taken += 1

    def publish(self) -> Outcome:
        """Put all in place."""
        self._stack.close()
        assert self._begun.result is not None
        notes = self._begun.result.notes
        return Outcome(self.item.name, self.item.key, "done", self.taken, self.seconds, notes)

    def abandon(self, error: BaseException) -> None:
        """Leave nothing of it."""
        with suppress(DiagnosticError, type(error)):
            self._stack.__exit__(type(error), error, error.__traceback__)


def _of_writing(error: DiagnosticError | OSError, name: str) -> DiagnosticError:
    if isinstance(error, DiagnosticError):
        return error
    reason = f"the results of {name} cannot be written: {error.strerror or error}"
    return DiagnosticError.of("PG511", reason, help=f"free space, or {elsewhere()}")


def _unforeseen(error: Exception) -> DiagnosticError:
    what = f"internal error: {type(error).__name__}: {error}"
    note = "this is a defect of perceiver-graph, whatever the input was: please report it"
    return DiagnosticError.of("PG901", what, notes=[note])
