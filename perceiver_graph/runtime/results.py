"""What becomes of the results for a subject: files of each output's kind, a summary, arrays.

Everything is bounded in memory, however long a clip, but for arrays that have no media.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.media.io import Answer, Piece, Writer
from perceiver_graph.runtime.inputs import write_arrays
from perceiver_graph.runtime.written import SUMMARY, summary_bytes
from perceiver_graph.storage import digest

ARRAYS = ".npz"


class Results:
    """Takes the results of piece after piece and writes the files of a subject.

    A context manager: files that are written as results come are complete when it ends well.
    """

    def __init__(self, writers: Sequence[Writer], folder: Path, stem: str, title: str) -> None:
        self._writers = writers
        self._folder = folder
        self._stem = stem
        self._title = title
        self._claimed = {name for writer in writers for name in writer.outputs}
        self._arrays: dict[str, list[NDArray[Any]]] = {}
        self._windows: list[dict[str, Any]] = []
        self._order: list[str] = []
        self._stack = ExitStack()
        self.answers: dict[str, Answer] = {}
        """What each output says of the whole, once it is written."""
        self.pieces = 0
        """How many pieces there were."""

    def __enter__(self) -> Self:
        for writer in self._writers:
            self._stack.enter_context(writer.begin(self._folder, self._stem, self._title))
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def add(self, piece: Piece, results: Mapping[str, NDArray[Any]]) -> None:
        """Take the results of a piece, by output."""
        self.pieces += 1
        said: dict[str, Any] = {}
        with np.errstate(all="ignore"):  # of what is not finite: a note tells of it
            for writer in self._writers:
                said |= writer.add(piece, results)
        if piece.about:
            self._windows.append({**piece.about, **said})
        self._order = list(results)
        for name, array in results.items():
            if name not in self._claimed:
                self._arrays.setdefault(name, []).append(array)

    def write(self, about: Mapping[str, Any]) -> None:
        """Write what is not written as it comes, with the summary."""
        for writer in self._writers:
            with np.errstate(all="ignore"):
                self.answers |= writer.finish(self.answers)
        self.answers = {name: self.answers[name] for name in self._order if name in self.answers}
        if self._arrays:
            # A leading axis for the pieces takes the place of the batch of one.
            stacked = {name: np.concatenate(parts) for name, parts in self._arrays.items()}
            write_arrays(self._folder / f"{self._stem}{ARRAYS}", stacked)
        summary: dict[str, Any] = dict(about)
        summary["outputs"] = {name: one.data for name, one in self.answers.items()}
        if self._windows:
            summary["windows"] = self._windows
        files = {path.name: digest(path) for path in sorted(self._folder.iterdir())}
        path = self._folder / f"{self._stem}{SUMMARY}"
        path.write_bytes(summary_bytes(summary, files))
