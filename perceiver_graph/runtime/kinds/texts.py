"""Texts in: given on the command line, in a .txt file or on standard input."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.runtime.kinds.axes import length_of
from perceiver_graph.runtime.kinds.base import Arrays, Piece, Reader, Reading
from perceiver_graph.runtime.paths import is_file, is_path
from perceiver_graph.runtime.processors import text as tokens
from perceiver_graph.runtime.sizes import at_least, permitted
from perceiver_graph.spec.manifest import Dimension, InputEntry, Manifest
from perceiver_graph.spec.models.media import TextMedia, TextParameters

STANDARD_INPUT = "-"
_SHOWN = 40  # characters of a text that name it
_PATH = re.compile(r"(~|\.{1,2})?/.*|\S*/\S*|\S+\.[A-Za-z]\w{0,3}|.*\.txt", re.DOTALL)


def readers(inputs: Mapping[str, InputEntry], manifest: Manifest) -> list[Reader]:
    """A reader for each input that is a text."""
    return [
        TextReader(name, entry, entry.media.text, manifest.dims)
        for name, entry in inputs.items()
        if isinstance(entry.media, TextMedia)
    ]


class TextReader(Reader):
    """Reads a text, or two that are one input, as ids of bytes.

    A value that is no file is the text itself, unless it looks like the path of one; `-` is
    standard input. A file is one text: its last line end is left out.
    """

    noun = "a text or a .txt file"
    literal = True

    def __init__(
        self, name: str, entry: InputEntry, form: TextParameters, dims: Mapping[str, Dimension]
    ) -> None:
        super().__init__(name)
        self._name = name
        self._entry = entry
        self._pair = form.pair
        self._length = length_of(entry.shape[1], dims)

    def split(self, values: Sequence[str]) -> list[list[str]]:
        """Each value is a text; of a model that takes pairs, two are. Raises PG512."""
        if not self._pair or len(values) <= 1:
            return super().split(values)
        if len(values) % 2:
            raise DiagnosticError.of(
                "PG512",
                f"{len(values)} texts are given, and two are one input of the model",
                help="give a text, or pairs of texts: FIRST SECOND",
            )
        return [list(values[index : index + 2]) for index in range(0, len(values), 2)]

    def open(self, values: Sequence[str]) -> Reading:
        """Read the texts. Raises DiagnosticError (PG507, PG512, PG514)."""
        texts = [tokens.expand_masks(_text(value)) for value in values]
        encoded = tokens.encode(*texts)
        shown = texts[0] if len(texts[0]) <= _SHOWN else texts[0][: _SHOWN - 3] + "..."
        files = tuple(Path(value) for value in values if is_file(value))
        label = str(files[0]) if files else quote(shown)
        piece = self._piece(encoded, label)
        sources = tuple(v if is_file(v) else t for v, t in zip(values, texts, strict=True))
        stem = files[0].stem if files else "text"
        return Reading(label, stem, files, lambda: iter([piece]), sources=sources)

    def _piece(self, encoded: tokens.Encoded, label: str) -> Piece:
        """The ids, padded to a length that the model takes, int64 [1, length]."""
        count = len(encoded.ids)
        length = at_least(self._length, count)
        if length is None:
            raise DiagnosticError.of(
                "PG514",
                f"{label} is too long: {count} ids, and `{self._name}` takes "
                f"{permitted(self._length)}",
                notes=["each byte of the text is an id; [CLS] and [SEP] are ids as well"],
                help="shorten the text, or run on its parts",
            )
        ids = np.full((1, length), tokens.PAD, np.int64)
        ids[0, :count] = encoded.ids
        arrays: Arrays = {self._name: ids}
        notes: tuple[str, ...] = ()
        if length > count and self._entry.attention_mask is not None:
            mask = np.arange(length) < count
            arrays[f"{self._name}.attention_mask"] = mask[None]
        elif length > count:
            notes = (f"{length - count} [PAD] were added, and the model cannot tell them apart",)
        return Piece(arrays, (encoded,), notes=notes)


def _text(value: str) -> str:
    if value == STANDARD_INPUT:
        return _decoded(sys.stdin.buffer.read(), "standard input")
    if is_file(value):
        try:
            return _decoded(Path(value).read_bytes(), value)
        except OSError as error:
            raise DiagnosticError.of(
                "PG507", f"{value} cannot be read: {error.strerror or error}"
            ) from error
    if _PATH.fullmatch(value):
        fault = "is a folder" if is_path(value) else "looks like a file, and there is none"
        raise DiagnosticError.of(
            "PG512",
            f"{quote(value)} {fault}",
            help="check the path; to give it as a text: "
            f"echo '{value}' | perceiver-graph run ARTIFACT {STANDARD_INPUT}",
        )
    # What the shell passes on that is no UTF-8 has come as halves of surrogate pairs.
    return value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def _decoded(content: bytes, source: str) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DiagnosticError.of(
            "PG507",
            f"{source} is not UTF-8 text",
            notes=[f"{error.reason} at byte {error.start}"],
            help="give a text file in UTF-8",
        ) from error
    return text.removesuffix("\n").removesuffix("\r")
