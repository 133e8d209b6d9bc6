"""Writes an artifact: a folder that appears whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.spec.manifest import MANIFEST_NAME, FileEntry, Manifest


@contextmanager
def staged(directory: Path) -> Iterator[Path]:
    """A temporary folder beside `directory` that takes its place when the block ends well.

    An artifact that stood there before is replaced; any other folder that is not empty is refused
    (PG407), as is a place that cannot be written to. Whatever ends the block early (an error, a
    full disk, Ctrl-C) leaves what was there before and no trace of the attempt.
    """
    refuse_foreign(directory)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    except OSError as error:
        raise _not_written(directory, error) from error
    try:
        yield stage
        stage.chmod(0o777 & ~_umask())  # mkdtemp makes it private
        _replace(stage, directory)
    except OSError as error:
        raise _not_written(directory, error) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def refuse_foreign(directory: Path) -> None:
    """Raise PG407 where writing an artifact would destroy something that is none."""
    if not directory.exists():
        return
    if not directory.is_dir():
        problem = "is a file"
    elif any(directory.iterdir()) and not (directory / MANIFEST_NAME).is_file():
        problem = "is not empty and holds no artifact"
    else:
        return
    raise DiagnosticError.of(
        "PG407", f"{directory} {problem}", help="choose another place with `-o`, or remove it first"
    )


def _not_written(directory: Path, error: OSError) -> DiagnosticError:
    reason = error.strerror or str(error)
    return DiagnosticError.of(
        "PG407",
        f"the artifact could not be written to {directory}: {reason}",
        notes=["nothing was left behind"],
        help="free space or choose another place with `-o`",
    )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _replace(stage: Path, directory: Path) -> None:
    """Move the finished folder into place; a former artifact steps aside and back on failure."""
    if not directory.exists():
        stage.rename(directory)
        return
    former = Path(tempfile.mkdtemp(prefix=f".{directory.name}.old.", dir=directory.parent))
    directory.rename(former)  # onto an empty folder
    try:
        stage.rename(directory)
    except BaseException:
        former.rename(directory)
        raise
    shutil.rmtree(former, ignore_errors=True)


def file_entries(directory: Path) -> dict[str, FileEntry]:
    """Every file under a folder with its size and SHA-256, in order of name."""
    entries = {}
    for path in sorted(p for p in directory.rglob("*") if p.is_file()):
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        name = path.relative_to(directory).as_posix()
        entries[name] = FileEntry(sha256=digest, bytes=path.stat().st_size)
    return entries


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write manifest.json, the last file of an artifact."""
    text = json.dumps(manifest.model_dump(mode="json", exclude_none=True), indent=1)
    (directory / MANIFEST_NAME).write_text(text + "\n", encoding="utf-8")
