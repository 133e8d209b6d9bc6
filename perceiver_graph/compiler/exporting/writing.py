"""Writes what was exported: a folder for `from_pretrained`, whole or not at all, and known again."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from perceiver_graph import storage
from perceiver_graph.compiler.exporting.exporter import Exported
from perceiver_graph.compiler.importing.preprocessing import PICTURES
from perceiver_graph.compiler.weights.folders import WEIGHTS
from perceiver_graph.compiler.weights.transformers import CONFIG
from perceiver_graph.diagnostics import escape
from perceiver_graph.version import __version__


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
        storage.write_listing(stage, __version__)


EXPORTED = storage.listed_folder("exported model")
