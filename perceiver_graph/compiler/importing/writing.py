"""Writes what was imported: a folder with a spec and its weights, whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from perceiver_graph.compiler.importing.importer import Imported
from perceiver_graph.compiler.weights.assign import OWN_WEIGHTS
from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.spec.manifest import SPEC_NAME


def save(imported: Imported, directory: str | Path) -> None:
    """Write `spec.yaml` and `weights.safetensors`.

    A folder of a former import is replaced; any other that is not empty is refused (PG407), as is a
    place that cannot be written to. Whatever goes wrong, what was there before stays.
    """
    from safetensors.numpy import save_file

    directory = Path(directory)
    refuse_foreign(directory)
    stage = None
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
        (stage / SPEC_NAME).write_text(imported.spec_text, encoding="utf-8")
        arrays = {name: np.ascontiguousarray(value) for name, value in imported.weights.items()}
        save_file(arrays, stage / OWN_WEIGHTS)
        mask = os.umask(0)
        os.umask(mask)
        stage.chmod(0o777 & ~mask)  # mkdtemp makes it private
        _replace(stage, directory)
    except OSError as error:
        reason = error.strerror or str(error)
        raise _refused(f"{quote(directory)} could not be written: {reason}") from error
    finally:
        if stage is not None:
            shutil.rmtree(stage, ignore_errors=True)


def refuse_foreign(directory: Path) -> None:
    """Raise PG407 where writing would destroy something that was not imported."""
    try:
        if not directory.exists():
            return
        if not directory.is_dir():
            raise _refused(f"{quote(directory)} is a file")
        names = {path.name for path in directory.iterdir()}
    except (OSError, ValueError) as error:
        raise _refused(f"{quote(directory)} cannot be written to: {error}") from error
    if names and names != {SPEC_NAME, OWN_WEIGHTS}:
        raise _refused(f"{quote(directory)} is not empty and holds no imported model")


def _refused(message: str) -> DiagnosticError:
    return DiagnosticError.of(
        "PG407",
        message,
        notes=["nothing was written"],
        help="choose another place with `-o`, or remove it first",
    )


def _replace(stage: Path, directory: Path) -> None:
    """Move the finished folder into place; a former one steps aside, and back on failure."""
    if not directory.exists():
        stage.rename(directory)
        return
    former = Path(tempfile.mkdtemp(prefix=f".{directory.name}.old.", dir=directory.parent))
    directory.rename(former)
    try:
        stage.rename(directory)
    except BaseException:
        former.rename(directory)
        raise
    shutil.rmtree(former, ignore_errors=True)
