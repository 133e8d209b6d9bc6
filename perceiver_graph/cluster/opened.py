"""An item as a worker opens it: what is read for it, and what takes the results."""

from __future__ import annotations

from perceiver_graph.cluster import arrays
from perceiver_graph.cluster.job import Item, Job
from perceiver_graph.cluster.takes import Takes
from perceiver_graph.media.io import Reader, Reading
from perceiver_graph.runtime.bindings import parse_sizes
from perceiver_graph.runtime.naming import with_names
from perceiver_graph.runtime.program import Program
from perceiver_graph.runtime.queries import parse_decode
from perceiver_graph.runtime.sources import Subject, file_readers, find_subjects
from perceiver_graph.runtime.work import Work, setting_of


class Opener:
    """Opens items for a program. Raises DiagnosticError (PG403, PG506, PG512, PG515, PG516)."""

    def __init__(self, program: Program, job: Job) -> None:
        self._manifest = program.manifest
        self._table = Takes.of(program.manifest).table()
        self._asked = parse_decode(job.decode), parse_sizes(job.sizes), job.memory
        self._named = with_names(program.manifest, job.names)
        self._program = program
        self._works: dict[tuple[bool, frozenset[str]], Work] = {}
        self.work = self._work(False, frozenset())
        """What calls the program, whatever the item is."""

    def open(self, item: Item) -> tuple[Work, Subject]:
        """What takes the results of an item, and what is read for it.

        Raises DiagnosticError as `find_subjects` does, and for arrays (PG501 to PG504, PG513, PG603).
        """
        given = arrays.read(item.arrays, self._manifest)
        key = bool(item.values), frozenset(given)
        if key not in self._works:
            self._works[key] = self._work(*key)
        work = self._works[key]
        readings: list[Reading] = []
        if item.values:
            (subject,) = find_subjects(item.values, work.setting.readers)
            readings += subject.readings
        if item.arrays:
            readings.append(arrays.read_as(item.arrays, given, item.name))
        return work, Subject(tuple(readings))

    def _work(self, reads_files: bool, given: frozenset[str]) -> Work:
        decode, sizes, memory = self._asked
        readers: tuple[Reader, ...] = ()
        if reads_files:
            readers = file_readers(self._manifest, memory, given, row=self._table)
        setting = setting_of(self._named, readers, decode, given)
        # Of thousands of pictures, nobody looks at a sheet for each.
        return Work(self._program, setting, {}, decode, sizes, memory, draws=False)
