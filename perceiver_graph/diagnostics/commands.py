"""Commands and code in help texts: in one form, quoted for a shell, so that they run as printed.

Every help text that holds a command or a program makes it here; tests/test_advice.py runs them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from perceiver_graph.diagnostics import escape

PROGRAM = "perceiver-graph"


class _Reader:
    """Who reads what is told: somebody who typed a command, or who called from Python."""

    typed = False
    artifact: str | Path = "ARTIFACT"
    """The one that runs, as it was named."""
    many = False
    """Whether a batch of many items is run on."""


@contextmanager
def typed() -> Iterator[None]:
    """In this block help is for somebody who typed a command."""
    before = _Reader.typed, _Reader.artifact
    _Reader.typed = True
    try:
        yield
    finally:
        _Reader.typed, _Reader.artifact = before


def running(artifact: str | Path) -> None:
    """Help may name this artifact from now on, for who typed the command that runs it."""
    if _Reader.typed:
        _Reader.artifact = artifact


def the_artifact() -> str | Path:
    """The artifact that runs, as a word of a command."""
    return _Reader.artifact


def is_typed() -> bool:
    """Whether help is for somebody who typed a command."""
    return _Reader.typed


def setting(flag: str, value: object, called: str = "") -> str:
    """A setting as who reads it gives it: `--device cpu`, or `device="cpu"` in Python.

    `called` is what is written in Python where that is not the option's own name with its value.
    """
    return either(option(flag, str(value)), f"`{called or _argument(flag, value)}`")


def named(flag: str, called: str = "") -> str:
    """The name alone of a setting: `--memory`, or `memory` in Python."""
    return either(option(flag), f"`{called or _keyword(flag)}`")


@contextmanager
def of_many(typed: bool) -> Iterator[None]:
    """In this block help is about a batch of many items, for somebody who typed a command or not."""
    before = _Reader.typed, _Reader.many
    _Reader.typed, _Reader.many = typed, True
    try:
        yield
    finally:
        _Reader.typed, _Reader.many = before


def either(command_line: str, python: str) -> str:
    """The first for who typed a command, the second for who called from Python."""
    return command_line if _Reader.typed else python


def arrays(path: str | Path = "IN.npz") -> str:
    """How arrays are given instead of files, or beside them; `path` is the archive of a run."""
    if _Reader.many:
        return "an .npz file with them, or a table whose columns name .npy files"
    return either(option("--inputs", path), "`program.run({NAME: ARRAY})`")


def elsewhere() -> str:
    """How to have something written to another place."""
    return f"choose another place{either(' with `-o`', '')}"


def command(*words: str | Path) -> str:
    """A command of this package in backquotes: `perceiver-graph import 'my model.pickle' -o DIR`.

    Words in capitals stand for what the reader knows (`DIR`, `SPEC`). A path is given as `Path`, so
    that one that begins with a hyphen is not taken for an option.
    """
    return shell(PROGRAM, *words)


def shell(*words: str | Path) -> str:
    """A command of another program in backquotes: `python -m tarfile -e weights.tar DIR`."""
    return f"`{' '.join(map(_word, words))}`"


def option(*words: str | Path) -> str:
    """An option and its value, to be added to the command that was given: `--memory 300MB`."""
    return shell(*words)


def pipe(text: str, *words: str | Path) -> str:
    """A command of this package that gets a text on its standard input."""
    sent = f"printf %s {escape.shell(text)}"
    return f"`{sent} | {' '.join(map(_word, (PROGRAM, *words)))}`"


def code(introduction: str, lines: Sequence[str]) -> str:
    """A Python program of a few lines below the sentence that introduces it."""
    return "\n".join((f"{introduction}:", *lines))


def _keyword(flag: str) -> str:
    return flag.strip("-").replace("-", "_")


def _argument(flag: str, value: object) -> str:
    """A word in capitals stands for what the reader knows."""
    plain = not isinstance(value, str) or (value.isupper() and value.isalpha())
    return f"{_keyword(flag)}={value if plain else escape.json(value, indent=None, as_it_is=True, end='')}"


def _word(word: str | Path) -> str:
    return escape.shell_path(word) if isinstance(word, Path) else escape.shell(word)
