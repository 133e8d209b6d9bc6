"""The graph as text after every pass, in a folder, for people to read.

A list of the files with their digests lies beside them, so that a later dump can replace them and
nothing else: a file that somebody has changed, or has written, is theirs.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from perceiver_graph import storage
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.ir.text import print_graph
from perceiver_graph.diagnostics import DiagnosticError, escape, quote
from perceiver_graph.diagnostics.commands import named

LIST = "ir.json"
NOTES = "notes.txt"
_NAME = re.compile(rf"\d\d+-[\w-]+\.ir\.txt|{re.escape(NOTES)}", re.ASCII)
_KEY = "written by perceiver-graph --dump-ir"

Dump = Callable[[int, str, Graph, Sequence[str]], None]
"""Takes the number of a step, the name of its pass, the graph after it, and the notes of the pass."""


@contextmanager
def dumping(folder: Path | None) -> Iterator[Dump]:
    """What writes `00-lowered.ir.txt`, `01-<pass>.ir.txt` and so on to a folder, made where it is
    missing, and the notes of all passes to `notes.txt`; nothing, if there is no folder.

    The files of a former dump go. What is written before a pass fails is kept. Raises DiagnosticError
    (PG511) where a file is in the way that no dump wrote.
    """
    if folder is None:
        yield lambda index, name, graph, notes: None
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with storage.staged_group(folder, folder.name) as group:

            def write(index: int, name: str, graph: Graph, notes: Sequence[str]) -> None:
                step = f"{index:02d}-{name}"
                (group.stage / f"{step}.ir.txt").write_text(print_graph(graph), encoding="utf-8")
                with (group.stage / NOTES).open("a", encoding="utf-8") as told:
                    told.writelines(f"{step}: {note}\n" for note in notes)

            try:
                yield write
            finally:
                _publish(folder, group)
    except OSError as error:
        raise storage.unwritable(folder, error) from error


def refuse_inside(folder: Path | None, artifact: Path) -> None:
    """PG511 for a dump into the folder of an artifact, in which no manifest would list it."""
    if folder is None:
        return
    place, whole = (Path(os.path.realpath(path)) for path in (folder, artifact))
    if place.is_relative_to(whole):
        fault = f"it lies in the folder of the artifact, {quote(artifact, 200)}"
        help = f"choose a folder outside of it with {named('--dump-ir')}"
        raise storage.unwritable(folder, fault, help=help)


def _publish(folder: Path, group: storage.Group) -> None:
    files = {path.name: storage.digest(path) for path in sorted(group.stage.iterdir())}
    (group.stage / LIST).write_text(_text(files), encoding="utf-8")
    for name in group.publish(_former(folder), LIST, keep=False):
        raise _not_ours(folder / name)


def _former(folder: Path) -> storage.Former:
    """What a former dump wrote and nobody has changed since. Raises OSError."""
    path = folder / LIST
    if not path.is_file():
        return storage.Former()
    try:
        text = path.read_text(encoding="utf-8")
        files: dict[str, Any] = dict(json.loads(text)[_KEY])
        ours = text == _text(files) and all(map(_NAME.fullmatch, files))
    except (ValueError, TypeError, KeyError, RecursionError):
        ours = False
    if not ours:
        return storage.Former()
    return storage.Former({**files, LIST: storage.digest(path)})


def _text(files: dict[str, Any]) -> str:
    return escape.json({_KEY: files}, indent=1)


def _not_ours(path: Path) -> DiagnosticError:
    fault = f"there is a file {quote(path.name)} that no dump wrote, or that was changed since"
    help = f"choose another folder with {named('--dump-ir')}, or move the file"
    return storage.unwritable(path.parent, fault, help=help)
