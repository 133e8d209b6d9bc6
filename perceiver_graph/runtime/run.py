"""Runs a program on media files, window by window, and writes what it makes of them to a folder."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perceiver_graph.diagnostics import DiagnosticError, Report
from perceiver_graph.runtime.processors import AudioFormat, MediaFormat, media_formats, to_arrays
from perceiver_graph.runtime.processors.writer import unwritable
from perceiver_graph.runtime.program import Program
from perceiver_graph.runtime.queries import Selection
from perceiver_graph.runtime.results import ClipResults
from perceiver_graph.runtime.sources import (
    MediaInputs,
    Source,
    expected_windows,
    find_sources,
    media_inputs,
    windows,
)

Progress = Callable[[Path, float, int | None], None]
"""Called with the clip's file, the windows done (a fraction while one is being decoded) and the
windows expected, or None if that is not known."""

_SUFFIXES = (".mp4", ".png", ".json", ".npz")


@dataclass(frozen=True)
class ClipResult:
    """What became of a clip.

    `classes` has the best classes by output, over the whole clip; `notes` say what was filled in.
    """

    source: Path
    files: tuple[Path, ...]
    windows: int
    classes: dict[str, list[dict[str, Any]]]
    notes: tuple[str, ...]


def run_files(
    program: Program,
    files: Sequence[str | Path],
    out_dir: str | Path,
    decode: Mapping[str, Selection] | None = None,
    *,
    memory: int | None = None,
    progress: Progress | None = None,
) -> list[ClipResult]:
    """Run a program on clips of any length and write the results to a folder, made if need be.

    Each of `files` is a clip; those written `INPUT=FILE` make up one clip together. Of `clip.mp4`
    come `clip.mp4` (video and sound outputs), `clip.png` (a contact sheet), `clip.json` (the best
    classes of every window and over all, and notes) and `clip.npz` (outputs that are no media and
    chosen queries, the windows as first axis), as far as the model has such outputs. The files of a
    clip appear when all of them are complete. `decode` and `memory` are those of `Program.run`.
    Raises DiagnosticError (PG501, PG506 to PG512).
    """
    inputs = media_inputs(program.manifest)
    outputs = _output_formats(program, inputs, decode)
    sources = find_sources(files, inputs)
    stems = _stems(sources)
    out_dir = Path(out_dir)
    _refuse_overwriting(sources, stems, out_dir)
    found = []
    with _folder(out_dir):
        for source, stem in zip(sources, stems, strict=True):
            job = _Job(program, inputs, outputs, decode, memory, progress)
            found.append(job.run(source, stem, out_dir))
    return found


@dataclass(frozen=True)
class _Job:
    """What is the same for all clips."""

    program: Program
    inputs: MediaInputs
    outputs: dict[str, MediaFormat]
    decode: Mapping[str, Selection] | None
    memory: int | None
    progress: Progress | None

    def run(self, source: Source, stem: str, out_dir: Path) -> ClipResult:
        """Run on one clip. What it writes lies in a folder of its own until all is complete."""
        try:
            stage = Path(tempfile.mkdtemp(prefix=f".{stem}.", dir=out_dir))
        except OSError as error:
            raise unwritable(out_dir / stem, error.strerror or str(error)) from error
        try:
            results, notes = self._windows(source, stem, stage)
            about = {
                "clip": [str(path) for path in source.paths],
                "model": self._model,
                "notes": notes,
            }
            results.write(f"{source.path.name}: {self.program.manifest.name}", about)
            written = sorted(stage.iterdir(), key=lambda path: _SUFFIXES.index(path.suffix))
            moved = tuple(path.replace(out_dir / path.name) for path in written)
        except OSError as error:
            raise unwritable(out_dir / stem, error.strerror or str(error)) from error
        finally:
            shutil.rmtree(stage, ignore_errors=True)
        return ClipResult(source.path, moved, results.windows, results.classes(), tuple(notes))

    @property
    def _model(self) -> str:
        return self.program.manifest.name

    def _windows(self, source: Source, stem: str, stage: Path) -> tuple[ClipResults, list[str]]:
        notes: dict[str, None] = {}  # in order, each once
        total = expected_windows(source, self.inputs)
        with ClipResults(stage, stem, self.inputs, self.outputs) as results:
            for window in windows(source, self.inputs):
                advance = self._advance(source, window.index, total)
                found = self.program.run(
                    to_arrays(window, self.inputs.formats),
                    self.decode,
                    memory=self.memory,
                    progress=advance,
                    note=notes.setdefault,
                )
                results.add(window, found)
                advance(1, 1)
        return results, list(notes)

    def _advance(self, source: Source, index: int, total: int | None) -> Callable[[int, int], None]:
        def advance(done: int, chunks: int) -> None:
            if self.progress is not None:
                expected = None if total is None else max(total, index + 1)
                self.progress(source.path, index + done / chunks, expected)

        return advance


def _output_formats(
    program: Program, inputs: MediaInputs, decode: Mapping[str, Selection] | None
) -> dict[str, MediaFormat]:
    """The formats of the outputs that are decoded whole."""
    whole = {
        name: entry.model_dump(exclude_none=True)
        for name, entry in program.manifest.outputs.items()
        if decode is None or (name in decode and decode[name] is None)
    }
    sound = inputs.audio
    return media_formats(whole, channels=sound.channels if isinstance(sound, AudioFormat) else 1)


def _stems(sources: Sequence[Source]) -> list[str]:
    """A name for each clip's results: that of its file, numbered where several are called alike."""
    stems: list[str] = []
    for source in sources:
        stem, number = source.path.stem, 2
        while stem in stems:
            stem, number = f"{source.path.stem}-{number}", number + 1
        stems.append(stem)
    return stems


def _refuse_overwriting(sources: Sequence[Source], stems: Sequence[str], out_dir: Path) -> None:
    given = {path.resolve() for source in sources for path in source.paths}
    report = Report()
    for stem in stems:
        for path in (out_dir / f"{stem}{suffix}" for suffix in _SUFFIXES):
            if path.resolve() in given:
                report.error(
                    "PG511",
                    f"{path} would overwrite an input",
                    help="choose another folder: -o DIR",
                )
    report.raise_if_errors()


@contextmanager
def _folder(path: Path) -> Iterator[None]:
    """Make sure of a folder; one that was made here goes again if nothing comes to lie in it."""
    existed = path.exists()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DiagnosticError.of(
            "PG511",
            f"the folder {path} cannot be made: {error.strerror or error}",
            help="choose another folder: -o DIR",
        ) from error
    try:
        yield
    finally:
        if not existed and not any(path.iterdir()):
            path.rmdir()
