"""Text files that a command writes: whole or not at all, and over nothing that is not its own.

A file ends with a mark that has the digest of what is before it. One without it, or one that was
changed since, is somebody else's, and is not replaced.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Literal

from perceiver_graph.storage import descriptor, staged_file, unwritable

Syntax = Literal["dot", "html", "json", "mermaid", "text"]

_WORDS = "perceiver-graph wrote this, sha256 "
_COMMENTS: dict[Syntax, tuple[str, str]] = {
    "dot": ("// ", ""),
    "html": ("<!-- ", " -->"),
    "mermaid": ("%% ", ""),
    "text": ("# ", ""),
}
_LINE = re.compile(rf"[^\n]*{_WORDS}([0-9a-f]{{64}})[^\n]*\n\Z")
_ENTRY = re.compile(rf',\n( +)"\$comment": "{_WORDS}([0-9a-f]{{64}})"\n\}}\n\Z')


def write_text(path: Path, text: str, syntax: Syntax, instead: str = "") -> None:
    """Write a file, or replace one that was written here. Raises DiagnosticError (PG511), with what else
    may be done `instead`."""
    _refuse_others(path, text, instead)
    with staged_file(path) as temporary:
        temporary.write_text(_marked(text, syntax), encoding="utf-8")
        _refuse_others(path, text, instead)  # it may have come in the meantime


def create_text(path: Path, text: str) -> None:
    """Write a file that must not exist yet. Raises DiagnosticError (PG511)."""
    with staged_file(path, new=True) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _marked(text: str, syntax: Syntax) -> str:
    words = f"{_WORDS}{_digest(text)}"
    if syntax == "json":
        body = text.removesuffix("\n}\n")
        return f'{body},\n  "$comment": "{words}"\n}}\n'
    before, after = _COMMENTS[syntax]
    return f"{text}{before}{words}{after}\n"


def _is_ours(text: str) -> bool:
    if found := _ENTRY.search(text):
        return _digest(text[: found.start()] + "\n}\n") == found[2]
    start = text.rfind("\n", 0, len(text) - 1) + 1  # a search would try each place of a long line
    if found := _LINE.match(text, start):
        return _digest(text[:start]) == found[1]
    return False


def _refuse_others(path: Path, text: str, instead: str) -> None:
    try:
        if descriptor(path) is not None or not path.is_file():
            return  # into an open file is written, as a shell does
        present = path.read_text(encoding="utf-8")
    except PermissionError as error:
        raise unwritable(path, error) from error
    except (OSError, ValueError):
        present = ""
    if present != text and not _is_ours(present):
        raise unwritable(
            path,
            "there is a file that this command did not write, or that was changed since",
            f"choose another path, or move or remove the file first{instead}",
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
