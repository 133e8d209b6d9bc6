"""Writes one text file, whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from perceiver_graph.diagnostics.model import DiagnosticError
from perceiver_graph.diagnostics.text import quote


def write_text(path: Path, text: str) -> None:
    """Write or replace a file. Raises DiagnosticError (PG511); what was there is kept then."""
    if path.is_dir():
        raise _unwritable(path, "it is a folder")
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(_mode(path))
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise _unwritable(path, error.strerror or str(error)) from error


def create_text(path: Path, text: str) -> None:
    """Write a file that must not exist yet. Raises DiagnosticError (PG511)."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise _unwritable(
            path, "it exists already", "choose another name, or remove the file first"
        ) from None
    except OSError as error:
        raise _unwritable(path, error.strerror or str(error)) from error


def _mode(path: Path) -> int:
    """The permissions of the file that is replaced, else those that a new file would get."""
    if path.exists():
        return path.stat().st_mode & 0o7777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _unwritable(path: Path, reason: str, help: str | None = None) -> DiagnosticError:
    return DiagnosticError.of(
        "PG511", f"{quote(path)} cannot be written: {reason}", help=help or "choose another path"
    )
