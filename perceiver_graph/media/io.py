"""What a kind of media is to the runtime: a reader that fills inputs, a writer that takes outputs.

A subject is what a model is run on, for example a clip. It comes in pieces, one for each call of
the program; a writer gets the results of piece after piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from numpy.typing import NDArray

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.media.base import settings_of
from perceiver_graph.media.names import type_of
from perceiver_graph.runtime.opening import Source
from perceiver_graph.spec.manifest import Dimension, InputEntry, Manifest, OutputEntry

Origin = TypeVar("Origin")
_MOST_SHOWN = 8
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Piece:
    """What one call of the program takes: `arrays` by input, with a batch axis of 1.

    `origins` is what the readers know of it, for writers that need it: the text behind the ids, the
    place of a tile. `about` goes into the JSON of the results (when a window begins). `part` is how much
    of it belongs to the subject, and is no padding: a mean over pieces weighs each by that.
    """

    arrays: Arrays
    origins: tuple[object, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    part: float = 1.0

    def origin(self, kind: type[Origin]) -> Origin | None:
        """What is known of the piece in a form that a writer understands."""
        return next((one for one in self.origins if isinstance(one, kind)), None)


@dataclass(frozen=True)
class Reading:
    """What a reader reads for one subject.

    `label` is shown to people, `stem` names the files of the results, `files` are those that are
    read, `expected` is the number of pieces (None if it is not known), `sources` are the files and
    texts as the summary lists them (by default, the files).
    """

    label: str
    stem: str
    files: tuple[Path, ...]
    pieces: Callable[[], Iterator[Piece]]
    expected: int | None = 1
    sources: tuple[str, ...] = ()


def reading(
    *sources: Source, pieces: Callable[[], Iterator[Piece]], expected: int | None = 1
) -> Reading:
    """What comes of files, pipes or standard input."""
    labels = tuple(source.label for source in sources)
    files = tuple(source.path for source in sources if source.is_file)
    return Reading(", ".join(labels), sources[0].stem, files, pieces, expected, labels)


class Reader:
    """Fills one or more inputs of a model from what the user names: files, or texts."""

    noun: ClassVar[str] = "a file"
    """What it takes, for messages."""
    streams: ClassVar[bool] = False
    """Whether a subject may come in several pieces."""
    media_types: ClassVar[tuple[str, ...]] = ()
    """How the MIME types begin that the names of its files usually say."""
    endings: ClassVar[tuple[str, ...]] = ()
    """How the names of its other files end, which have no such type: `.npy`. In small letters."""
    literal: ClassVar[bool] = False
    """Whether a value may be what is read itself, and not a file."""
    archives: ClassVar[bool] = False
    """Whether it reads arrays from .npz archives."""

    room: int | None = None
    """How many bytes reading a file may take; None: as many as it takes."""

    def __init__(self, name: str, entry: InputEntry, dims: Mapping[str, Dimension]) -> None:
        self.inputs: tuple[str, ...] = (name,)
        self._name, self._entry = name, entry
        self._form: Any = settings_of(entry.media) if entry.media else None

    @classmethod
    def of(cls, inputs: Mapping[str, InputEntry], manifest: Manifest) -> Sequence[Reader]:
        """The readers of all inputs that it reads: by default, one for each.

        Raises DiagnosticError (PG512) for what cannot be read together.
        """
        return [cls(name, entry, manifest.dims) for name, entry in inputs.items()]

    def reads(self, name: str) -> bool:
        """Whether a file is of a kind that it reads, as its name says."""
        return type_of(name).startswith(self.media_types) or name.casefold().endswith(self.endings)

    def split(self, values: Sequence[str]) -> list[list[str]]:
        """The values of each subject: by default, each is one. Raises DiagnosticError (PG512)."""
        return [[value] for value in values]

    def open(self, values: Sequence[str]) -> Reading:
        """Look at what is named for a subject, before any work begins.

        Raises DiagnosticError (PG507 to PG512, PG514) for what cannot be used.
        """
        raise NotImplementedError

    def of_texts(self, texts: Sequence[Sequence[str]]) -> Piece:
        """A batch of texts that are themselves what is read, never names of files; for readers that are
        `literal`. Raises DiagnosticError (PG507, PG512, PG514, PG603)."""
        raise NotImplementedError

    def input_for(self, value: str) -> str:
        """The input that a file of this name is most likely for."""
        return self.inputs[0]

    def open_named(self, named: Mapping[str, Sequence[str]]) -> Reading:
        """The same for values that were given as `INPUT=VALUE`."""
        (values,) = named.values()
        groups = self.split(values)
        if len(groups) != 1:
            (name,) = named
            raise DiagnosticError.of(
                "PG512", f"input `{name}` is given {len(groups)} times", help="give it once"
            )
        return self.open(groups[0])


@dataclass(frozen=True)
class Answer:
    """What an output says: `data` for the JSON, `line` for people (None: nothing to say), and `bars`, names
    with parts from 0 to 1, for pictures."""

    data: Any
    line: str | None = None
    bars: Sequence[tuple[str, float]] = ()


def some_of(texts: Sequence[str]) -> str:
    """Texts in a line for people, the first few of many."""
    more = len(texts) - _MOST_SHOWN
    return ", ".join([*texts[:_MOST_SHOWN], *[f"{more} more"] * (more > 0)])


@dataclass(frozen=True)
class Setting:
    """What writers are made for: the model, and the readers of its inputs."""

    manifest: Manifest
    readers: tuple[Reader, ...]
    whole: frozenset[str]
    """The outputs that are decoded whole."""


class Writer:
    """Takes the results of outputs, piece by piece, for one subject. A context manager."""

    suffixes: tuple[str, ...] = ()
    """What the names of the files that it writes have after the stem."""

    shows_others: ClassVar[bool] = False
    """Whether it shows what the others have to say, and is finished after them."""

    def __init__(self, name: str, form: Any) -> None:
        self.outputs: tuple[str, ...] = (name,)
        """The outputs that it takes care of."""
        self._name, self._form = name, form

    @classmethod
    def of(cls, outputs: Mapping[str, OutputEntry], setting: Setting) -> Sequence[Writer]:
        """The writers of all outputs that it writes: by default, one for each."""
        return [
            cls(name, settings_of(entry.media)) for name, entry in outputs.items() if entry.media
        ]

    def begin(self, folder: Path, stem: str, title: str) -> Self:
        """Say where to write, before anything else."""
        self.folder, self.stem, self.title = folder, stem, title
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        return None

    def add(self, piece: Piece, results: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """Take the results of a piece; what the JSON says of this piece by output, if anything."""
        raise NotImplementedError

    def finish(self, said: Mapping[str, Answer]) -> dict[str, Answer]:
        """Write the files, and answer for the whole subject by output.

        `said` is what the writers before this one have answered, by output.
        """
        raise NotImplementedError

    def path(self, suffix: str) -> Path:
        """The file of a suffix."""
        return self.folder / f"{self.stem}{suffix}"
