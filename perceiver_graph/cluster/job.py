"""What is told to workers and what they answer: plain data, which any engine can carry."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Self

from perceiver_graph.choices import DeviceName
from perceiver_graph.diagnostics import Diagnostic, DiagnosticError, escape, make
from perceiver_graph.runtime.paths import is_path

_TEXT = 2000
"""The most characters of a message that are carried."""


@dataclass(frozen=True)
class Job:
    """What is the same for all items."""

    artifact: str
    digest: str
    """Of the artifact, so that no worker runs another one."""
    out: str
    device: DeviceName = "auto"
    threads: int | None = None
    batch: int = 1
    """The most pieces that go through the program in one call."""
    decode: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    memory: int | None = None
    extensions: tuple[str, ...] = ()
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What the classes of outputs are called, where others are given than the artifact has."""
    shares: bool = False
    """Whether the processes of a machine have the weights in memory once."""
    typed: bool = False
    """Whether help is for somebody who typed a command."""

    @property
    def text(self) -> str:
        """One line, which `of` understands."""
        return escape.json(asdict(self), indent=None, end="")

    @classmethod
    def of(cls, text: str) -> Self:
        """What `text` says."""
        found: dict[str, Any] = json.loads(text)
        lists = {name: tuple(value) for name, value in found.items() if isinstance(value, list)}
        return cls(**{**found, **lists})

    def key(self, item: Item) -> str:
        """What changes when the artifact, what is asked of it, or a file of an item does."""
        found = hashlib.sha256()
        names = [escape.json(self.names, indent=None)] if self.names else []
        asked = (*names, *self.decode, *self.sizes)
        for part in (self.digest, *asked, *item.given, *_stamps(item.given)):
            found.update(part.encode("utf-8", "surrogateescape") + b"\0")
        return found.hexdigest()


@dataclass(frozen=True)
class Item:
    """Something to run on. `name` is the folder of its results, `values` are those of `run`, and
    `arrays` those that `arrays.py` reads."""

    name: str
    values: tuple[str, ...]
    arrays: tuple[str, ...] = ()
    key: str = ""

    @property
    def given(self) -> tuple[str, ...]:
        """All that is read for it."""
        return self.values + self.arrays

    @property
    def is_plain(self) -> bool:
        """Whether it is a file of which nothing says what it is for."""
        return len(self.given) == len(self.values) == 1 and is_path(self.values[0])

    @property
    def text(self) -> str:
        """One line, which `of` understands."""
        return escape.json(asdict(self), indent=None, end="")

    @classmethod
    def of(cls, text: str) -> Self:
        """What `text` says."""
        found = json.loads(text)
        return cls(found["name"], tuple(found["values"]), tuple(found["arrays"]), found["key"])

    def keyed(self, job: Job) -> Item:
        """The same with its key."""
        return replace(self, key=job.key(self))


@dataclass(frozen=True)
class Outcome:
    """What became of an item. `there`: its results lay there already, whole and unchanged."""

    name: str
    key: str
    state: Literal["done", "there", "failed"]
    pieces: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    code: str = ""
    message: str = ""
    help: str = ""

    @property
    def text(self) -> str:
        """One line, which `of` understands."""
        told = {name: value for name, value in asdict(self).items() if value}
        return escape.json(told, indent=None, end="")

    @classmethod
    def of(cls, text: str) -> Self:
        """What `text` says. Raises ValueError, KeyError and TypeError for what is none."""
        found: dict[str, Any] = json.loads(text)
        return cls(**{**found, "notes": tuple(found.get("notes", ()))})

    @classmethod
    def failed(cls, item: Item, error: DiagnosticError, seconds: float = 0.0) -> Self:
        """An item that could not be run on, and why."""
        first, *others = error.diagnostics
        notes = (*first.notes, *(one.message for one in others))
        shown = tuple(note[:_TEXT] for note in notes[:8])
        message, help = first.message[:_TEXT], (first.help or "")[:_TEXT]
        return cls(item.name, item.key, "failed", 0, seconds, shown, first.code, message, help)


def told(error: DiagnosticError) -> str:
    """Diagnostics as a line of text, which `untold` understands."""
    lines = [
        {"code": one.code, "message": one.message, "notes": one.notes, "help": one.help}
        for one in error.diagnostics
    ]
    return escape.json(lines, indent=None, end="")


def untold(text: str) -> DiagnosticError:
    """The diagnostics of a worker."""
    return DiagnosticError([_made(found) for found in json.loads(text)])


def _made(found: dict[str, Any]) -> Diagnostic:
    return make(found["code"], found["message"], notes=found["notes"], help=found["help"])


def _stamps(values: Iterable[str]) -> list[str]:
    """Sizes and times of the files among the values of an item."""
    found = []
    for value in values:
        for path in (value, value.partition("=")[2]):
            try:
                status = os.stat(path)  # noqa: PTH116 - of a text that may be no path
            except (OSError, ValueError):
                continue
            found.append(f"{status.st_size} {status.st_mtime_ns}")
            break
    return found
