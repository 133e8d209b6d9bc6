"""Writes what was imported: a folder with a spec and its weights, whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from perceiver_graph import storage
from perceiver_graph.compiler.importing.importer import Imported
from perceiver_graph.compiler.ops import Array
from perceiver_graph.compiler.weights.folders import OWN_WEIGHTS
from perceiver_graph.diagnostics import escape
from perceiver_graph.spec.manifest import SPEC_NAME

_MARK = "perceiver_graph"
"""The only entry of the weights' metadata: of several, the order would be another in each run."""
_NOT_IMPORTED = "it is not empty and holds no imported model"


def save(imported: Imported, directory: str | Path) -> None:
    """Write `spec.yaml` and `weights.safetensors`.

    What a former import wrote is replaced if nobody has changed it since; other files are kept. Any
    other folder that is not empty is refused (PG407), as is a place that cannot be written to.
    Whatever goes wrong, what was there before stays.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    with storage.staged_folder(directory, IMPORTED) as stage:
        spec = stage / SPEC_NAME
        spec.write_text(imported.spec_text, encoding="utf-8")
        arrays = {name: np.ascontiguousarray(value) for name, value in imported.weights.items()}
        mark = {"spec": storage.digest(spec), "tensors": _tensors_digest(arrays.items())}
        try:
            save_file(arrays, stage / OWN_WEIGHTS, {_MARK: escape.json(mark, indent=None, end="")})
        except SafetensorError as error:  # what the operating system says, in other words
            raise OSError(str(error)) from error


def owned_files(directory: Path) -> dict[str, str]:
    """The digests of both files of an import, as they were written.

    The metadata of the weights have them: that of the spec, and that of the tensors. Raises
    `NotOurs` for a folder that was not imported, or whose weights are others now.
    """
    from safetensors import SafetensorError, safe_open

    weights = directory / OWN_WEIGHTS
    if not weights.is_file():
        raise storage.NotOurs(_NOT_IMPORTED)
    try:
        file: Any
        with safe_open(weights, framework="numpy") as file:
            mark = json.loads((file.metadata() or {})[_MARK])
            spec, tensors = str(mark["spec"]), mark["tensors"]
            names = sorted(file.keys())
            same = tensors == _tensors_digest((name, file.get_tensor(name)) for name in names)
    except (SafetensorError, ValueError, KeyError, TypeError):
        raise storage.NotOurs(
            f"{_NOT_IMPORTED} of this release: `{OWN_WEIGHTS}` does not say that it is one"
        ) from None
    if not same:
        raise storage.NotOurs(f"`{OWN_WEIGHTS}` in it has changed since it was written")
    return {SPEC_NAME: spec, OWN_WEIGHTS: storage.digest(weights)}


def _tensors_digest(tensors: Iterable[tuple[str, Array]]) -> str:
    """One SHA-256 of the names, types, shapes and numbers of tensors."""
    found = hashlib.sha256()
    for name, array in sorted(_known(tensors).items()):
        found.update(f"{name}\0{array}\0".encode())
    return found.hexdigest()


def _known(tensors: Iterable[tuple[str, Array]]) -> Mapping[str, str]:
    """What a tensor is, in short; only one of them needs to be in memory at a time."""
    return {
        name: f"{array.dtype.str} {list(array.shape)} "
        + hashlib.sha256(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data).hexdigest()
        for name, array in tensors
    }


_CUT_OFF = """\
# An import was killed while it replaced this spec and the weights beside it.
an import was cut off here, run it again: true
"""


def _interim(stage: Path, prefix: str) -> str:
    """The spec while files are replaced one by one: another one that goes with other weights is none
    for that time, so that nothing reads it together with the weights of the other."""
    new = (stage / SPEC_NAME).read_text(encoding="utf-8")
    old = stage.parents[len(Path(prefix).parts) - 1] / SPEC_NAME
    same = old.is_file() and old.read_text(encoding="utf-8") == new
    return new if same else _CUT_OFF


IMPORTED = storage.FolderKind(owned_files, SPEC_NAME, _interim)
