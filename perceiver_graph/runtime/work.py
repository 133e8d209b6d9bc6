"""What a program makes of a subject: the results of piece after piece, whole in a folder at the end."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike, NDArray

from perceiver_graph.diagnostics import DiagnosticError, Report
from perceiver_graph.diagnostics.commands import either
from perceiver_graph.media.base import mismatch
from perceiver_graph.media.classes.sheet import label_sheets
from perceiver_graph.media.entries import make_writers, part_of, signature_of
from perceiver_graph.media.io import Answer, Piece, Reader, Setting, Writer
from perceiver_graph.runtime.contents import Progress
from perceiver_graph.runtime.program import Program
from perceiver_graph.runtime.queries import Selection
from perceiver_graph.runtime.results import ARRAYS, Results
from perceiver_graph.runtime.sources import Subject
from perceiver_graph.runtime.telling import Note
from perceiver_graph.runtime.written import SUMMARY, former_results, not_ours
from perceiver_graph.spec.manifest import Manifest
from perceiver_graph.storage import Group, staged_group, unwritable

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
    title: str = ""
    """What stands above a picture of it: its first file, and the model."""
    labels: tuple[str, ...] = ()
    """What is read together, as notes about one of several begin."""

    @property
    def told(self) -> list[str]:
        """The notes, each with what it is about."""
        parts = tuple(f"{label}: " for label in self.labels)
        return [note if note.startswith(parts) else f"{self.source}: {note}" for note in self.notes]


def setting_of(
    manifest: Manifest,
    readers: tuple[Reader, ...],
    decode: Mapping[str, Selection] | None,
    given: Collection[str] = (),
) -> Setting:
    """What writers are made for; the inputs `given` are arrays.

    What an output says of a file (where in a text, in a picture) takes that it was read from one.
    """
    inputs = {name: entry for name, entry in manifest.inputs.items() if name not in given}
    signature = signature_of(manifest.model_copy(update={"inputs": inputs}))
    whole = [
        name
        for name, entry in manifest.outputs.items()
        if (decode is None or (name in decode and decode[name] is None))
        and (not given or mismatch(part_of(name, entry), signature) is None)
    ]
    return Setting(manifest, readers, frozenset(whole))


@dataclass(frozen=True)
class Work:
    """What is the same for all subjects."""

    program: Program
    setting: Setting
    arrays: Mapping[str, ArrayLike]
    decode: Mapping[str, Selection] | None
    sizes: Mapping[str, int] | None
    memory: int | None
    draws: bool = True
    """Whether what is classified is drawn with its labels, where no output draws it."""

    def writers(self) -> list[Writer]:
        """New writers for the outputs that are decoded whole."""
        outputs = self.setting.manifest.outputs
        whole = {name: entry for name, entry in outputs.items() if name in self.setting.whole}
        made = make_writers(whole, self.setting)
        return [*made, *(label_sheets(made, self.setting) if self.draws else [])]

    def call(
        self,
        arrays: Mapping[str, ArrayLike],
        *,
        progress: Progress | None = None,
        note: Note | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Run the program on the arrays of a piece, or of several in one batch."""
        found: dict[str, NDArray[Any]] = {}
        found |= self.program.run(
            {**arrays, **self.arrays},
            self.decode,
            sizes=self.sizes,
            memory=self.memory,
            progress=progress,
            note=note,
        )
        return found

    @contextmanager
    def begun(self, subject: Subject, stem: str, out_dir: Path) -> Iterator[Begun]:
        """A subject that is being run on. What it writes lies in a folder of its own until all is
        complete; without `publish` nothing is left. Raises DiagnosticError (PG511)."""
        name = subject.files[0].name if subject.files else subject.label
        title = f"{name}: {self.program.manifest.name}"
        try:
            with staged_group(out_dir, stem) as group:
                with Results(self.writers(), group.stage, stem, title) as results:
                    begun = Begun(subject, stem, out_dir, group, results, title)
                    yield begun
                begun.write(self.program.manifest.name)
        except OSError as error:
            raise unwritable(out_dir / stem, error) from error


class Begun:
    """Takes the results of a subject, piece by piece."""

    def __init__(
        self,
        subject: Subject,
        stem: str,
        out_dir: Path,
        group: Group,
        results: Results,
        title: str,
    ) -> None:
        self.about: dict[str, Any] = {}
        """What else the summary says."""
        self.result: FileResult | None = None
        """What became of it, once all is written."""
        self._subject, self._stem, self._out_dir = subject, stem, out_dir
        self._group, self._results, self._title = group, results, title
        self._notes: dict[str, None] = {}  # in order, each once

    def add(self, piece: Piece, found: Mapping[str, NDArray[Any]], notes: Sequence[str]) -> None:
        """Take the results of a piece, and what is to be said of it."""
        self._notes |= dict.fromkeys((*piece.notes, *notes))
        self._results.add(piece, found)

    def write(self, model: str) -> None:
        """Write the summary, and put all files in place. Raises DiagnosticError (PG511) and OSError."""
        notes = list(self._notes)
        about = {"source": self._subject.sources, "model": model, "notes": notes, **self.about}
        self._results.write(about)
        names = sorted(
            (path.name for path in self._group.stage.iterdir()),
            key=lambda name: _ORDER.index(Path(name).suffix),
        )
        former = former_results(self._out_dir, self._stem)
        for name in self._group.publish(former, last=f"{self._stem}{SUMMARY}"):
            raise not_ours(self._out_dir / name)  # it came in the meantime
        files = tuple(self._out_dir / name for name in names)
        label, found = self._subject.label, self._results
        labels = tuple(one.label for one in self._subject.readings)
        self.result = FileResult(
            label, files, found.pieces, found.answers, tuple(notes), self._title, labels
        )


def refuse_overwriting(
    subjects: Sequence[Subject], stems: Sequence[str], writers: Sequence[Writer], out_dir: Path
) -> None:
    """Refuse before the work what may not be replaced after it. Raises DiagnosticError (PG511)."""
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
def made_folder(path: Path) -> Iterator[None]:
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
