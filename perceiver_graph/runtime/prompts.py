"""What a model goes on with, from files and texts, or from arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.media.text.continuing import ENDS
from perceiver_graph.media.text.tokens import Encoded
from perceiver_graph.runtime.generation import (
    any_length,
    as_text,
    require_text,
    require_writing,
)
from perceiver_graph.runtime.program import Program
from perceiver_graph.runtime.sources import file_readers, find_subjects
from perceiver_graph.spec.manifest import Manifest


@dataclass(frozen=True)
class Prompt:
    """A text to go on with, its ids [1, length], and the other inputs of the model."""

    text: str
    ids: NDArray[np.int64]
    inputs: Mapping[str, ArrayLike]
    notes: tuple[str, ...] = ()

    def continued(self, program: Program, tokens: int, **settings: Any) -> Iterator[str]:
        """What a program writes behind it; settings are those of `Program.generate`."""
        ids = program.generate(self.ids, tokens, inputs=self.inputs, stop=ENDS, **settings)
        return as_text(ids)


def read_ids(
    manifest: Manifest, arrays: Mapping[str, NDArray[Any]]
) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    """The ids that are among arrays, and the other inputs.

    Raises DiagnosticError: PG518 for a model that does not write, PG501 where there are no ids.
    """
    text = require_writing(manifest).text
    if text not in arrays:
        raise DiagnosticError.of(
            "PG501",
            f"there are no ids to go on with: {manifest.name} reads them from `{text}`",
            help=f"give an array of this name, int64 [batch, length]: `{text}` of an .npz file",
        )
    return arrays[text], {name: array for name, array in arrays.items() if name != text}


def read_prompt(
    manifest: Manifest, files: Sequence[str | Path], arrays: Mapping[str, ArrayLike]
) -> Prompt:
    """What is named on a command line, for a model that writes.

    Raises DiagnosticError: PG518 for one that does not, and as `run_files` does.
    """
    known = require_writing(manifest)
    require_text(manifest, known)
    # What ends a text is read and left out again: there is room for it behind the longest one.
    manifest = any_length(manifest, known, more=1)
    subjects = find_subjects(files, file_readers(manifest, None, arrays, files))
    pieces = [piece for subject in subjects for piece in subject.pieces()]
    encoded = pieces[0].origin(Encoded) if pieces else None
    if len(pieces) != 1 or encoded is None:
        raise DiagnosticError.of(
            "PG512",
            f"{manifest.name} goes on with one text, and "
            + ("none is given" if encoded is None else f"{len(pieces)} are given"),
            help="give one text; other inputs as INPUT=FILE beside `" + known.text + "=TEXT`",
        )
    ids = np.array([encoded.ids[:-1]], np.int64)  # it is not to end here
    of_text = (known.text, f"{known.text}.attention_mask")
    others = {name: array for name, array in pieces[0].arrays.items() if name not in of_text}
    return Prompt(" ".join(encoded.texts), ids, {**others, **arrays}, pieces[0].notes)
