"""Writes what was exported: a folder for `from_pretrained`, whole or not at all, and known again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from perceiver_graph import storage
from perceiver_graph.compiler.exporting.exporter import Exported
from perceiver_graph.compiler.importing.preprocessing import PICTURES
from perceiver_graph.compiler.weights.folders import WEIGHTS
from perceiver_graph.compiler.weights.transformers import CONFIG
from perceiver_graph.diagnostics import escape
from perceiver_graph.version import __version__

LISTING = "perceiver-graph.json"
"""Which files this package wrote, with their digests; other libraries do not look at it."""
_NOT_EXPORTED = "it is not empty and holds no exported model"


def save(exported: Exported, directory: str | Path) -> None:
    """Write `config.json`, `model.safetensors` and, for pictures, `preprocessor_config.json`.

    What a former export wrote is replaced if nobody has changed it since; any other folder that is not
    empty is refused (PG407), as is a place that cannot be written to.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    with storage.staged_folder(directory, EXPORTED) as stage:
        texts = {CONFIG: exported.config, PICTURES: exported.picture}
        for name, content in texts.items():
            if content is not None:
                (stage / name).write_text(escape.json(content), encoding="utf-8")
        arrays = {name: np.ascontiguousarray(value) for name, value in exported.tensors.items()}
        arrays = {name: a.reshape(exported.tensors[name].shape) for name, a in arrays.items()}
        try:
            save_file(arrays, stage / WEIGHTS, {"format": "pt"})  # which transformers asks for
        except SafetensorError as error:  # what the operating system says, in other words
            raise OSError(str(error)) from error
        files = {path.name: storage.digest(path) for path in sorted(stage.iterdir())}
        listing = {"tool": f"perceiver-graph {__version__}", "files": files}
        (stage / LISTING).write_text(escape.json(listing), encoding="utf-8")


def owned_files(directory: Path) -> dict[str, str]:
    """The digests of the files of an export, as they were written. Raises `NotOurs` for other folders."""
    path = directory / LISTING
    if not path.is_file():
        raise storage.NotOurs(_NOT_EXPORTED)
    try:
        text = path.read_text(encoding="utf-8")
        data: Any = json.loads(text)
        files = {str(name): str(digest) for name, digest in data["files"].items()}
        ours = data["tool"].startswith("perceiver-graph ") and all(map(storage.is_plain, files))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise storage.NotOurs(f"its `{LISTING}` is not that of an export") from None
    if not ours or text != escape.json(data):
        raise storage.NotOurs(f"`{LISTING}` in it has changed since it was written")
    return {**files, LISTING: storage.digest(path)}


EXPORTED = storage.FolderKind(owned_files, LISTING)
