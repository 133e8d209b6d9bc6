"""Texts in: given on the command line, in a .txt file or on standard input."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from perceiver_graph.diagnostics import DiagnosticError, escape, quote
from perceiver_graph.diagnostics.commands import either, pipe, the_artifact
from perceiver_graph.diagnostics.encodings import as_utf8, other_unicode
from perceiver_graph.media.files.foreign import foreign
from perceiver_graph.media.io import Arrays, Piece, Reader, Reading
from perceiver_graph.media.lengths import Length
from perceiver_graph.media.text import tokens
from perceiver_graph.runtime.opening import STANDARD_INPUT, Source
from perceiver_graph.runtime.paths import is_path
from perceiver_graph.runtime.room import require_room
from perceiver_graph.spec.manifest import Dimension, InputEntry

_SHOWN = 40  # characters of a text that name it
_LONGEST_NAME = len("[MASK]")  # the most bytes that an id is written with
_AROUND = 1 << 12  # bytes of a file that may stand around the text, and make no ids
_MOST = 1 << 24  # ids, of a model that takes any number
_PATH = re.compile(r"(~|\.{1,2})?/.*|\S*/\S*|\S+\.[A-Za-z]\w{0,3}|.*\.txt", re.DOTALL)


class TextReader(Reader):
    """Reads a text, or two that are one input, as ids of bytes.

    A value that is no file is the text itself, unless it looks like the path of one; `-` is
    standard input. A file is one text: its last line end is left out.
    """

    noun = "a text or a .txt file"
    media_types = ("text/plain",)
    literal = True

    def __init__(self, name: str, entry: InputEntry, dims: Mapping[str, Dimension]) -> None:
        super().__init__(name, entry, dims)
        self._length = Length(entry, dims)

    def split(self, values: Sequence[str]) -> list[list[str]]:
        """Each value is a text; of a model that takes pairs, two are. Raises PG512."""
        if not self._form.pair or len(values) <= 1:
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
        found = [self._read(value) for value in values]
        texts = [tokens.expand_masks(text) for text, _ in found]
        files = [source for _, source in found if source is not None]
        paths = tuple(source.path for source in files if source.is_file)
        label = files[0].label if files else quote(texts[0], _SHOWN)
        piece = self._piece(tokens.encode(*texts), label)
        if not all(texts):
            which = "the text" if not any(texts) else "one of the two texts"
            note = f"{which} for `{self._name}` is empty: nothing is read of it but [CLS] and [SEP]"
            piece = replace(piece, notes=(note, *piece.notes))
        sources = tuple(
            str(source) if source is not None and source.is_file else text
            for text, (_, source) in zip(texts, found, strict=True)
        )
        stem = next((one.stem for one in files if one.is_file), "text")
        return Reading(label, stem, paths, lambda: iter([piece]), sources=sources)

    def of_texts(self, texts: Sequence[Sequence[str]]) -> Piece:
        """A batch of texts, each a row of one or of two; all become as long as the longest."""
        most = 2 if self._form.pair else 1
        if any(not 0 < len(row) <= most for row in texts):
            takes = "a text or two" if most == 2 else "one text"
            raise DiagnosticError.of(
                "PG512", f"`{self._name}` takes {takes} for each batch element", help="give so many"
            )
        rows = [tokens.encode(*map(self._alone, row)) for row in texts]
        labels = [quote(row[0], _SHOWN) for row in texts]
        longest = max(len(one.ids) for one in rows)
        length = self._length.at_least(longest) or longest
        require_room([len(rows), length], "int64", f"`{self._name}`", "fewer texts at a time")
        pieces = [self._piece(*one, longest) for one in zip(rows, labels, strict=True)]
        whole: Arrays = {}
        if any(len(piece.arrays) > 1 for piece in pieces):  # where one has a mask, all have
            whole = {f"{self._name}.attention_mask": self._length.tokens(np.ones(length, np.bool_))}
        each = [{**whole, **piece.arrays} for piece in pieces]
        arrays = {name: np.concatenate([one[name] for one in each]) for name in each[0]}
        notes = dict.fromkeys(note for piece in pieces for note in piece.notes)
        return Piece(arrays, notes=tuple(notes))

    def _alone(self, text: str) -> str:
        """A text that is no file, with its masks written out."""
        most = _LONGEST_NAME * (self._length.max or _MOST)
        if len(text) > most:
            raise self._too_long(quote(text, _SHOWN), f"more than {most:,} characters")
        self._refuse_masks(text, quote(text, _SHOWN))
        return tokens.expand_masks(text)

    def _read(self, value: str) -> tuple[str, Source | None]:
        """A text, and the file that it comes from."""
        if not _is_source(value):
            text, source = _literal(value, self._name), None
        else:
            most = _LONGEST_NAME * (self._length.max or _MOST) + _AROUND
            source = Source.of(value, noun="text file", most=most)
            content = source.read(most + 1)
            if len(content) > most:
                _refuse_foreign(content, source)
                raise self._too_long(source.label, f"more than {most:,} bytes")
            text = _decoded(content, source)
        self._refuse_masks(text, source.label if source else quote(text, _SHOWN))
        return text, source

    def _refuse_masks(self, text: str, label: str) -> None:
        masks = tokens.count_masks(text)
        if masks > (self._length.max or _MOST):
            times = f"{masks:,} times" if masks < tokens.UNCOUNTED else "a billion times and more"
            raise self._too_long(label, f"{times} [MASK] alone")

    def _too_long(self, label: str, fault: str) -> DiagnosticError:
        return DiagnosticError.of(
            "PG514",
            f"{label} is too long: {fault}, and `{self._name}` takes {self._length}",
            notes=["each byte of the text is an id; [CLS] and [SEP] are ids as well"],
            help="shorten the text, or run on its parts",
        )

    def _piece(self, encoded: tokens.Encoded, label: str, least: int = 0) -> Piece:
        """The ids, padded to a length of `least` or more that the model takes, int64 [1, length]."""
        count = len(encoded.ids)
        length = self._length.at_least(max(count, least))
        if length is None:
            raise self._too_long(label, f"{count} ids")
        padding = self._length.padding(length - count)
        encoded = encoded.behind(padding[0])
        ids = np.pad(np.array(encoded.ids, np.int64), (0, padding[1]), constant_values=tokens.PAD)
        arrays: Arrays = {self._name: ids[None]}
        notes: tuple[str, ...] = ()
        if length > count and self._entry.attention_mask is not None:
            mask = self._length.tokens(np.pad(np.ones(count, np.bool_), padding))
            arrays[f"{self._name}.attention_mask"] = mask
        elif length > count:
            notes = (f"{length - count} [PAD] were added, and the model cannot tell them apart",)
        return Piece(arrays, (encoded,), notes=notes)


def _is_source(value: str) -> bool:
    """Whether a value names a file, a pipe or standard input."""
    return value == STANDARD_INPUT or (is_path(value) and not Path(value).is_dir())


def _literal(value: str, name: str) -> str:
    """A text that is given as itself. Raises DiagnosticError (PG507, PG512)."""
    text = _unescaped(value)
    if _PATH.fullmatch(text):
        fault = "is a folder" if is_path(value) else "looks like a file, and there is none"
        raise DiagnosticError.of(
            "PG512",
            f"{quote(text)} {fault}",
            help="check the path; to give it as a text: "
            + either(
                pipe(text, "run", the_artifact(), f"{name}={STANDARD_INPUT}"),
                "save it to a file, and name that",
            ),
            notes=[
                either(
                    f"bash and zsh take it in place of a file, too: <(printf %s {escape.shell(text)})",
                    "texts are read as they stand, but for what looks like a path",
                )
            ],
        )
    return text


def _unescaped(value: str) -> str:
    """An argument as it was typed: what Python could not decode stands in it as halves of surrogate
    pairs, in a locale that is not UTF-8 all but ASCII. Raises DiagnosticError (PG507)."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as broken:
        try:
            return os.fsencode(value).decode("utf-8")
        except (UnicodeEncodeError, UnicodeDecodeError) as error:
            raise DiagnosticError.of(
                "PG507",
                f"the text {quote(value, _SHOWN)} is not UTF-8",
                notes=[f"{error.reason}, in character {broken.start}"],
                help="give the text in UTF-8, or in a text file",
            ) from error
    return value


def _refuse_foreign(content: bytes, source: Source) -> None:
    """Raises DiagnosticError (PG507) for what begins as pictures, sound and archives do."""
    if known := foreign(content[:4096]):
        other = either("write `INPUT=FILE`", "`program.read(INPUT=FILE)`")
        help = f"name a text file, or {other} for another input"
        raise DiagnosticError.of("PG507", f"{source} is {known}, and no text", help=help)


def _decoded(content: bytes, source: Source) -> str:
    if encoding := other_unicode(content[:4096]):
        raise DiagnosticError.of(
            "PG507",
            f"{source} is a text in {encoding}, and texts are read in UTF-8",
            help=as_utf8(content, source.file),
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        _refuse_foreign(content, source)
        raise DiagnosticError.of(
            "PG507",
            f"{source} is not UTF-8 text",
            notes=[f"{error.reason} at byte {error.start}"],
            help=as_utf8(content, source.file),
        ) from error
    return text.removesuffix("\n").removesuffix("\r")
