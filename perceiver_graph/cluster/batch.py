"""A batch from its arguments to its account: what there is to do, who does it, what became of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from perceiver_graph.choices import BatchEngine, DeviceName
from perceiver_graph.cluster.gathered import require_table, write_table
from perceiver_graph.cluster.items import find_items
from perceiver_graph.cluster.job import Item, Job, Outcome
from perceiver_graph.cluster.ledger import Ledger
from perceiver_graph.cluster.local import Processes
from perceiver_graph.cluster.takes import Takes
from perceiver_graph.diagnostics.arguments import as_list, as_path, one_of, whole
from perceiver_graph.diagnostics.commands import is_typed, of_many
from perceiver_graph.extensions import extend
from perceiver_graph.runtime.bindings import parse_sizes, refuse_unknown_sizes
from perceiver_graph.runtime.contents import Progress
from perceiver_graph.runtime.devices import physical_cores
from perceiver_graph.runtime.naming import read_names, with_names
from perceiver_graph.runtime.program import load
from perceiver_graph.runtime.queries import parse_decode
from perceiver_graph.runtime.sources import file_readers
from perceiver_graph.runtime.work import made_folder
from perceiver_graph.spec.manifest import Manifest

BatchProgress = Callable[[int, int, int], None]
"""Called with the items that are done with, how many there are, and how many of them failed."""
_ON_CUDA = 8
"""Pieces a call where it is not said."""
_PROCESS = 300 << 20
"""Bytes of a worker beside its weights, which are there twice while they are laid out."""
_SHOWN = 20


@dataclass
class Totals:
    """What became of a batch."""

    items: int = 0
    done: int = 0
    before: int = 0
    """Those that were done already."""
    failed: int = 0
    pieces: int = 0
    failures: list[Outcome] = field(default_factory=list)
    """The first of those that failed, with their reasons; `batch.jsonl` has all."""
    notes: list[str] = field(default_factory=list)

    def count(self, outcome: Outcome) -> None:
        """One more."""
        self.pieces += outcome.pieces
        if outcome.state == "failed":
            self.failed += 1
            self.failures += [outcome] if len(self.failures) < _SHOWN else []
        elif outcome.state == "there":
            self.before += 1
        else:
            self.done += 1


def run_batch(
    artifact: str | Path,
    inputs: Sequence[str | Path],
    out_dir: str | Path,
    *,
    engine: BatchEngine = "local",
    workers: int | None = None,
    threads: int | None = None,
    batch: int | None = None,
    decode: Sequence[str] = (),
    sizes: Sequence[str] = (),
    names: Sequence[str] = (),
    memory: int | None = None,
    device: DeviceName = "auto",
    extensions: Sequence[str | Path] = (),
    share_weights: bool = False,
    table: str | Path | None = None,
    checking: Progress | None = None,
    progress: BatchProgress | None = None,
) -> Totals:
    """Run a compiled program on many files, a folder of results for each in `out_dir`.

    `inputs` are files, folders of them, patterns (`clips/**/*.mp4`) and tables (.jsonl, .parquet); inputs
    that are arrays come from .npz files and from columns of tables. What `batch.jsonl` in that folder
    says is done, as artifact and file are now, is not done again. An item that cannot be run on is told
    with its reason, and the others are done. `workers` processes have `threads` threads each and put up
    to `batch` pieces of equal shapes into a call; by default, as many processes as there are cores and
    memory for. With `share_weights`, those of a machine have the weights in memory once, as `load` says.
    `table` (.parquet, .jsonl) gets a row for each item, with what its folder has.
    `decode`, `sizes`, `names` and `memory` are as on the command line. Raises DiagnosticError
    (PG401 to PG406, PG506, PG509, PG511, PG512, PG515, PG516, PG520, PG522, PG601).
    """
    one_of("engine", get_args(BatchEngine), engine)
    inputs = as_list("inputs", "a list of files, folders, patterns and tables", inputs)
    for value in inputs:
        as_path("inputs", "a list of files, folders, patterns and tables; one of them", value)
    for name, number in (("workers", workers), ("threads", threads), ("batch", batch)):
        if number is not None:
            whole(name, "a whole number, 1 or more", number, 1)
    decode = as_list("decode", 'a list such as ["image=0:1000"]', decode)
    sizes = as_list("sizes", 'a list such as ["n=30"]', sizes)
    names = as_list("names", 'a list such as ["OUTPUT=FILE"]', names)
    extensions = as_list("extensions", "a list of Python files", extensions)
    if table is not None:
        require_table(Path(table))
    for file in extensions:
        extend(file)
    program = load(artifact, device=device, threads=threads, progress=checking)
    manifest, takes = program.manifest, Takes.of(program.manifest)
    parse_decode(decode)
    refuse_unknown_sizes(manifest, parse_sizes(sizes), {})
    called = read_names(names, manifest)
    with_names(manifest, called)
    with of_many(is_typed()):
        found = find_items([os.fspath(value) for value in inputs], takes, Path(out_dir))
        if found.plain is not None:
            file_readers(manifest, memory, row=takes.table())
    cuda = program.device.name == "cuda"
    count = workers or (1 if cuda else _fitting(manifest, share_weights))
    count = min(count, len(found.items))
    job = Job(
        artifact=str(program.artifact.place),
        digest=program.artifact.digest,
        out=str(Path(out_dir).absolute()),
        device=program.device.name,
        threads=threads or max(1, physical_cores() // count),
        batch=batch or (_ON_CUDA if cuda else 1),
        decode=tuple(decode),
        sizes=tuple(sizes),
        memory=memory,
        extensions=tuple(str(Path(file).absolute()) for file in extensions),
        names=called,
        shares=share_weights,
        typed=is_typed(),
    )
    with made_folder(Path(job.out)):
        totals = _run(job, found.items, engine, count, found.notes, progress)
        if table is not None:
            write_table(Path(table), Path(job.out), (item.name for item in found.items))
        return totals


def _run(
    job: Job,
    items: Sequence[Item],
    engine: BatchEngine,
    count: int,
    notes: list[str],
    progress: BatchProgress | None,
) -> Totals:
    totals = Totals(items=len(items), notes=notes)
    with Ledger(Path(job.out)) as ledger:

        def left() -> Iterator[Item]:
            for item in items:
                keyed = item.keyed(job)
                if ledger.has(keyed):
                    totals.before += 1
                else:
                    yield keyed

        for outcome in _engine(engine)(job, left(), count):
            ledger.write(outcome)
            totals.count(outcome)
            if progress is not None:
                progress(totals.done + totals.before + totals.failed, totals.items, totals.failed)
    return totals


Engine = Callable[[Job, Iterable[Item], int], Iterator[Outcome]]


def _engine(name: BatchEngine) -> Engine:
    if name == "ray":
        from perceiver_graph.cluster.on_ray import run

        return run
    return _on_this_machine


def _on_this_machine(job: Job, items: Iterable[Item], count: int) -> Iterator[Outcome]:
    first = next(iterator := iter(items), None)
    if first is None:
        return
    with Processes(job, count) as processes:
        yield from processes.run(_chain(first, iterator))


def _chain(first: Item, others: Iterator[Item]) -> Iterator[Item]:
    yield first
    yield from others


def _fitting(manifest: Manifest, shares: bool) -> int:
    """A process a core, and no more than there is memory for."""
    weights = 2 * sum(entry.bytes for entry in manifest.files.values())
    once, each = (weights, _PROCESS) if shares else (0, _PROCESS + weights)
    return max(1, min(physical_cores(), (_available() - once) // each))


def _available() -> int:
    """The bytes that programs may take without swapping, where the system says so."""
    found = [1 << 62]
    with suppress(OSError, ValueError, KeyError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        values = dict(line.split(":", 1) for line in lines)
        found.append(int(values["MemAvailable"].split()[0]) * 1024)
    with suppress(OSError, ValueError):  # a container's share; `max` is no limit
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text(encoding="ascii"))
        found.append(limit - int((group / "memory.current").read_text(encoding="ascii")))
    return min(found)
