"""Runs a program on files and texts, and writes what it makes of them to a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from numpy.typing import ArrayLike

from perceiver_graph.diagnostics import DiagnosticError, Report, quote
from perceiver_graph.diagnostics.commands import either
from perceiver_graph.media.base import mismatch
from perceiver_graph.media.entries import make_writers, part_of, signature_of
from perceiver_graph.media.io import Answer, Reader, Setting, Writer, some_of
from perceiver_graph.runtime.bindings import refuse_unknown_sizes
from perceiver_graph.runtime.naming import Names, with_names
from perceiver_graph.runtime.paths import is_path
from perceiver_graph.runtime.program import Program
from perceiver_graph.runtime.queries import Selection
from perceiver_graph.runtime.results import ARRAYS, Results
from perceiver_graph.runtime.sources import Subject, file_readers, find_subjects
from perceiver_graph.runtime.written import SUMMARY, former_results, not_ours
from perceiver_graph.spec.manifest import Manifest
from perceiver_graph.storage import staged_group, sweep, unwritable

FileProgress = Callable[[str, float, int | None], None]
"""Called with what is being run on, the pieces done (a fraction while one is being decoded) and the
pieces expected, or None if that is not known."""

_ORDER = (".flo", ".mp4", ".png", SUMMARY, ARRAYS)


@dataclass(frozen=True)
class FileResult:
    """What became of a clip, a picture, a text.

    `pieces` counts the calls of the program, `answers` are what its outputs say, `notes` what was
    filled in.
    """

    source: str
    files: tuple[Path, ...]
    pieces: int
    answers: dict[str, Answer]
    notes: tuple[str, ...]


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
) -> list[FileResult]:
    """Run a program on files, or on texts, and write the results to a folder, made if need be.

    Which files it takes, the `media` of its inputs says; those written `INPUT=FILE` belong together.
    Of `clip.mp4` come `clip.json` (what the outputs say, and notes), the files that the `media` of
    its outputs stand for (`clip.mp4`, `clip.png`, `clip.flo`) and `clip.npz` (outputs without media
    and chosen queries, the pieces as first axis). The files of a subject appear when all of them are
    complete. `arrays` are inputs that do not come from files: they go with every piece, their batch is 1.
    `decode`, `sizes` and `memory` are those of `Program.run`; `names` are what the classes of an
    output are called. Raises DiagnosticError (PG403, PG501 to PG512, PG514 to PG516).
    """
    arrays = arrays or {}
    refuse_unknown_sizes(program.manifest, sizes, arrays)
    _refuse_both(files, arrays)
    readers = file_readers(program.manifest, memory, arrays, files)
    setting = _setting(with_names(program.manifest, names or {}), readers, decode, arrays)
    subjects = find_subjects(files, setting.readers)
    stems = _stems(subjects)
    out_dir = Path(out_dir)
    job = _Job(program, setting, arrays, decode, sizes, memory, progress)
    sweep(out_dir)  # what a killed run has half put in place is finished, and known again
    _refuse_overwriting(subjects, stems, job.writers(), out_dir)
    with _folder(out_dir):
        return _each(job, subjects, stems, out_dir)


def _each(
    job: _Job, subjects: Sequence[Subject], stems: Sequence[str], out_dir: Path
) -> list[FileResult]:
    """Run on one after the other. Where one cannot be run on, the rest is not, and the error says what
    of those before it lies in the folder."""
    results: list[FileResult] = []
    for subject, stem in zip(subjects, stems, strict=True):
        try:
            results.append(job.run(subject, stem, out_dir))
        except DiagnosticError as error:
            *others, last = error.diagnostics
            written = [str(path) for result in results for path in result.files]
            left = [one.label for one in subjects[len(results) + 1 :]]
            notes = [f"already written: {some_of(written)}"] if written else []
            notes += [f"not run any more: {some_of(left)}"] if left else []
            told = replace(last, notes=(*last.notes, *notes))
            raise DiagnosticError([*others, told]) from error
    return results


def _setting(
    manifest: Manifest,
    readers: tuple[Reader, ...],
    decode: Mapping[str, Selection] | None,
    arrays: Mapping[str, ArrayLike],
) -> Setting:
    # What an output says of a file (where in a text, in a picture) takes that it was read from one.
    inputs = {name: entry for name, entry in manifest.inputs.items() if name not in arrays}
    signature = signature_of(manifest.model_copy(update={"inputs": inputs}))
    whole = [
        name
        for name, entry in manifest.outputs.items()
        if (decode is None or (name in decode and decode[name] is None))
        and (not arrays or mismatch(part_of(name, entry), signature) is None)
    ]
    return Setting(manifest, readers, frozenset(whole))


def _refuse_both(files: Sequence[str | Path], arrays: Mapping[str, ArrayLike]) -> None:
    report = Report()
    for value in map(str, files):
        name, equals, _ = value.partition("=")
        if equals and name in arrays and not is_path(value):
            message = f"input {quote(name)} is given as a file and as an array"
            report.error("PG512", message, help="give it once")
    report.raise_if_errors()


@dataclass(frozen=True)
class _Job:
    """What is the same for all subjects."""

    program: Program
    setting: Setting
    arrays: Mapping[str, ArrayLike]
    decode: Mapping[str, Selection] | None
    sizes: Mapping[str, int] | None
    memory: int | None
    progress: FileProgress | None

    def writers(self) -> list[Writer]:
        """New writers for the outputs that are decoded whole."""
        outputs = self.setting.manifest.outputs
        whole = {name: entry for name, entry in outputs.items() if name in self.setting.whole}
        return make_writers(whole, self.setting)

    def run(self, subject: Subject, stem: str, out_dir: Path) -> FileResult:
        """Run on a subject. What it writes lies in a folder of its own until all is complete."""
        try:
            with staged_group(out_dir, stem) as group:
                results, notes = self._pieces(subject, stem, group.stage)
                about = {
                    "source": subject.sources,
                    "model": self.program.manifest.name,
                    "notes": notes,
                }
                results.write(about)
                names = sorted(
                    (path.name for path in group.stage.iterdir()),
                    key=lambda name: _ORDER.index(Path(name).suffix),
                )
                former = former_results(out_dir, stem)
                for name in group.publish(former, last=f"{stem}{SUMMARY}"):
                    raise not_ours(out_dir / name)  # it came in the meantime
        except OSError as error:
            raise unwritable(out_dir / stem, error) from error
        files = tuple(out_dir / name for name in names)
        return FileResult(subject.label, files, results.pieces, results.answers, tuple(notes))

    def _pieces(self, subject: Subject, stem: str, stage: Path) -> tuple[Results, list[str]]:
        notes: dict[str, None] = {}  # in order, each once
        total = subject.expected
        name = subject.files[0].name if subject.files else subject.label
        title = f"{name}: {self.program.manifest.name}"
        with Results(self.writers(), stage, stem, title) as results:
            for index, piece in enumerate(subject.pieces()):
                advance = self._advance(subject, index, total)
                notes |= dict.fromkeys(piece.notes)
                found = self.program.run(
                    {**piece.arrays, **self.arrays},
                    self.decode,
                    sizes=self.sizes,
                    memory=self.memory,
                    progress=advance,
                    note=notes.setdefault,
                )
                results.add(piece, found)
                advance(1, 1)
        return results, list(notes)

    def _advance(
        self, subject: Subject, index: int, total: int | None
    ) -> Callable[[int, int], None]:
        def advance(done: int, chunks: int) -> None:
            if self.progress is not None:
                expected = None if total is None else max(total, index + 1)
                self.progress(subject.label, index + done / chunks, expected)

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


def _refuse_overwriting(
    subjects: Sequence[Subject], stems: Sequence[str], writers: Sequence[Writer], out_dir: Path
) -> None:
    given = {path.resolve() for subject in subjects for path in subject.files}
    suffixes = dict.fromkeys(suffix for writer in writers for suffix in writer.suffixes)
    report = Report()
    for stem in stems:
        former = former_results(out_dir, stem)
        for path in (out_dir / f"{stem}{suffix}" for suffix in (*suffixes, SUMMARY, ARRAYS)):
            if path.resolve() in given:
                report.error(
                    "PG511",
                    f"{path} would overwrite an input",
                    help=f"choose another folder{either(': `-o DIR`', '')}",
                )
            elif path.exists() and not former.has(out_dir, path.name):
                report.extend(not_ours(path).diagnostics)
    report.raise_if_errors()


@contextmanager
def _folder(path: Path) -> Iterator[None]:
    """Make sure of a folder; one that was made here goes again if nothing comes to lie in it."""
    existed = path.exists()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if isinstance(error, FileExistsError):
            error.strerror = "it is a file, and results of files go to a folder"
        raise DiagnosticError.of(
            "PG511",
            f"the folder {path} cannot be made: {error.strerror or error}",
            help=f"choose another folder{either(': `-o DIR`', '')}",
        ) from error
    try:
        yield
    finally:
        if not existed and not any(path.iterdir()):
            path.rmdir()
