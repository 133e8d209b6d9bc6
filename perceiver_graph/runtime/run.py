"""Runs a program on files and texts, and writes what it makes of them to a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from numpy.typing import ArrayLike

from perceiver_graph.diagnostics import DiagnosticError, Report, quote
from perceiver_graph.diagnostics.arguments import as_list, wrong_kind
from perceiver_graph.media.io import Piece, some_of
from perceiver_graph.runtime.bindings import refuse_unknown_sizes
from perceiver_graph.runtime.named_arrays import take_arrays
from perceiver_graph.runtime.naming import Names, with_names
from perceiver_graph.runtime.paths import is_path
from perceiver_graph.runtime.program import Program
from perceiver_graph.runtime.queries import Selection
from perceiver_graph.runtime.sources import Subject, file_readers, find_subjects
from perceiver_graph.runtime.work import (
    FileResult,
    Work,
    made_folder,
    refuse_overwriting,
    setting_of,
)
from perceiver_graph.storage import sweep

__all__ = ["FileProgress", "FileResult", "run_files"]

FileProgress = Callable[[str, float, int | None], None]
"""Called with what is being run on, the pieces done (a fraction while one is being decoded) and the
pieces expected, or None if that is not known."""

Look = Callable[[str, Piece, FileResult], None]
"""Called with what the files of a subject are called, its first piece, and what became of it."""


def run_files(
    program: Program,
    files: Sequence[str | Path],
    out_dir: str | Path,
    decode: Mapping[str, Selection] | None = None,
    *,
    arrays: Mapping[str, ArrayLike] | None = None,
    sizes: Mapping[str, int] | None = None,
    memory: int | None = None,
    names: Names | None = None,
    progress: FileProgress | None = None,
    look: Look | None = None,
) -> list[FileResult]:
    """Run a program on files, or on texts, and write the results to a folder, made if need be.

    Which files it takes, the `media` of its inputs says; those written `INPUT=FILE` belong together.
    Of `clip.mp4` come `clip.json` (what the outputs say, and notes), the files that the `media` of
    its outputs stand for (`clip.mp4`, `clip.png`, `clip.flo`) and `clip.npz` (outputs without media
    and chosen queries, the pieces as first axis). The files of a subject appear when all of them are
    complete. `INPUT=FILE.npy` is an array for an input that is read from no media; `arrays` are inputs
    that do not come from files: they go with every piece, their batch is 1.
    `decode`, `sizes` and `memory` are those of `Program.run`; `names` are what the classes of an
    output are called; `look` is called for each subject, with its first piece. Raises
    DiagnosticError (PG403, PG501 to PG512, PG514 to PG516).
    """
    if not isinstance(program, Program):
        raise wrong_kind("program", "a Program, `pg.load(PATH)`", program)
    arrays = arrays or {}
    files = as_list("files", "a list of paths and texts", files)
    refuse_unknown_sizes(program.manifest, sizes, arrays)
    _refuse_both(files, arrays)
    values, named = take_arrays(files, program.manifest)
    given = {*arrays, *named.arrays} if named else {*arrays}
    readers = () if named and not values else file_readers(program.manifest, memory, given, values)
    setting = setting_of(with_names(program.manifest, names or {}), readers, decode, given)
    subjects = find_subjects(values, setting.readers) if readers else [Subject(())]
    if named:
        subjects = [replace(one, readings=(*one.readings, named.reading)) for one in subjects]
    stems = _stems(subjects)
    out_dir = Path(out_dir)
    work = Work(program, setting, arrays, decode, sizes, memory)
    sweep(out_dir)  # what a killed run has half put in place is finished, and known again
    refuse_overwriting(subjects, stems, work.writers(), out_dir)
    with made_folder(out_dir):
        return _each(work, subjects, stems, out_dir, progress, look)


def _each(
    work: Work,
    subjects: Sequence[Subject],
    stems: Sequence[str],
    out_dir: Path,
    progress: FileProgress | None,
    look: Look | None,
) -> list[FileResult]:
    """Run on one after the other. Where one cannot be run on, the rest is not, and the error says what
    of those before it lies in the folder."""
    results: list[FileResult] = []
    for subject, stem in zip(subjects, stems, strict=True):
        try:
            results.append(_run(work, subject, stem, out_dir, progress, look))
        except DiagnosticError as error:
            *others, last = error.diagnostics
            written = [str(path) for result in results for path in result.files]
            left = [one.label for one in subjects[len(results) + 1 :]]
            notes = [f"already written: {some_of(written)}"] if written else []
            notes += [f"not run any more: {some_of(left)}"] if left else []
            told = replace(last, notes=(*last.notes, *notes))
            raise DiagnosticError([*others, told]) from error
    return results


def _refuse_both(files: Sequence[str | Path], arrays: Mapping[str, ArrayLike]) -> None:
    report = Report()
    for value in map(str, files):
        name, equals, _ = value.partition("=")
        if equals and name in arrays and not is_path(value):
            message = f"input {quote(name)} is given as a file and as an array"
            report.error("PG512", message, help="give it once")
    report.raise_if_errors()


def _run(
    work: Work,
    subject: Subject,
    stem: str,
    out_dir: Path,
    progress: FileProgress | None,
    look: Look | None,
) -> FileResult:
    """Run on a subject, piece after piece."""
    total = subject.expected
    first: Piece | None = None
    with work.begun(subject, stem, out_dir) as begun:
        for index, piece in enumerate(subject.pieces()):
            first = first or piece
            advance = _advance(subject, index, total, progress)
            notes: list[str] = []
            found = work.call(piece.arrays, progress=advance, note=notes.append)
            begun.add(piece, found, notes)
            advance(1, 1)
    assert begun.result is not None
    if look is not None and first is not None:
        look(stem, first, begun.result)
    return begun.result


def _advance(
    subject: Subject, index: int, total: int | None, progress: FileProgress | None
) -> Callable[[int, int], None]:
    def advance(done: int, chunks: int) -> None:
        if progress is not None:
            expected = None if total is None else max(total, index + 1)
            progress(subject.label, index + done / chunks, expected)

    return advance


def _stems(subjects: Sequence[Subject]) -> list[str]:
    """A name for each subject's results, numbered where several are called alike."""
    stems: list[str] = []
    for subject in subjects:
        stem, number = subject.stem, 2
        while stem in stems:
            stem, number = f"{subject.stem}-{number}", number + 1
        stems.append(stem)
    return stems
