"""Weights as kernels want them, in a file that all processes of a machine map.

onnxruntime lays weights out anew for its kernels when it makes a session, in memory of the process. Where
several processes run one model, each has a copy. Here they are laid out once and kept beside the program,
in the cache of this user: what is mapped from there is in memory once. How they are laid out depends on the
processor and on the release of onnxruntime, so both are a part of the key.
"""

from __future__ import annotations

import hashlib
import platform
import re
from pathlib import Path
from typing import IO

from perceiver_graph.diagnostics import Report
from perceiver_graph.engine import onnxruntime
from perceiver_graph.runtime.artifact import Artifact
from perceiver_graph.runtime.contents import Contents
from perceiver_graph.runtime.cpu import processor_features
from perceiver_graph.runtime.devices import Device
from perceiver_graph.spec.manifest import FileEntry, ProgramEntry
from perceiver_graph.storage.kept_folders import KeptFolders

_PROGRAM, _WEIGHTS = "model.onnx", "weights.bin"
_FORM = "1"
"""To be another one when the settings of sessions are."""
_KEPT = KeptFolders("weights", most=2**35)
_LAID_OUT = "prepacked"
"""How the keys begin that say where in the file weights lie laid out: KERNEL+HASH|OFFSET;LENGTH;HASH|..."""
_BLOCK = re.compile(r"\|(\d+);(\d+);")
_ALIGNED = 4096
_ATTEMPTS = 2
_BESIDE = 2**26
"""Bytes beside the weights, which may be there twice: as they were, and laid out."""


def laid_out(artifact: Artifact, entry: ProgramEntry, device: Device) -> Path:
    """The program of an artifact with its weights laid out, written if it is not there.

    Raises DiagnosticError (PG402, PG406, PG511, PG602, PG603).
    """
    key, weights = _key(artifact, entry), sum(e.bytes for e in artifact.manifest.files.values())
    for _ in range(_ATTEMPTS):
        found = _KEPT.find(key)
        if found is None:
            room = 2 * weights + _BESIDE
            found = _KEPT.make(key, lambda to: _write(artifact, entry, device, to), room)
        entries = {n: FileEntry(sha256=digest, bytes=size) for n, (digest, size) in found.items()}
        report = Report()
        # Once for this user; from then on it is enough that the files are the same ones.
        Contents.check(_KEPT.place(key), entries, report, verify="once")
        if not report.has_errors:
            break
        _KEPT.drop(key)
    report.raise_if_errors()
    return _KEPT.place(key) / _PROGRAM


def _key(artifact: Artifact, entry: ProgramEntry) -> str:
    files = artifact.manifest.files
    made_of = [f"{name} {files[name].sha256}" for name in sorted(files)]
    made_of += [entry.file, onnxruntime().__version__, _FORM]
    made_of += sorted(processor_features()) or [platform.platform(), platform.node()]
    return hashlib.sha256("\n".join(made_of).encode()).hexdigest()


def _write(artifact: Artifact, entry: ProgramEntry, device: Device, folder: Path) -> None:
    options = device.session_options({})
    options.optimized_model_filepath = str(folder / _PROGRAM)
    for name, value in {
        "session.optimized_model_external_initializers_file_name": _WEIGHTS,
        "session.optimized_model_external_initializers_min_size_in_bytes": "1024",
        "session.save_external_prepacked_constant_initializers": "1",
    }.items():
        options.add_session_config_entry(name, value)
    artifact.require_unchanged()
    onnxruntime().InferenceSession(str(artifact.file(entry.file)), options, device.providers)
    artifact.require_unchanged()
    _align(folder)


def _align(folder: Path) -> None:
    """Begin every array of the file where vector instructions may read it: onnxruntime (1.31) puts them
    behind each other as they come, and its kernels read what is laid out there as if it were aligned."""
    import onnx

    program, weights = folder / _PROGRAM, folder / _WEIGHTS
    model = onnx.load(program, format="protobuf", load_external_data=False)
    aligned = folder / f"{_WEIGHTS}.new"
    with weights.open("rb") as source, aligned.open("wb") as target:

        def moved(offset: str, length: str) -> str:
            target.write(bytes(-target.tell() % _ALIGNED))
            place = target.tell()
            source.seek(int(offset))
            _copy(source, target, int(length))
            return str(place)

        for tensor in model.graph.initializer:
            said = {one.key: one for one in tensor.external_data}
            if "offset" in said:
                said["offset"].value = moved(said["offset"].value, said["length"].value)
            for key in (key for key in said if key.startswith(_LAID_OUT)):
                said[key].value = _BLOCK.sub(
                    lambda found: f"|{moved(found[1], found[2])};{found[2]};", said[key].value
                )
    aligned.replace(weights)
    program.write_bytes(model.SerializeToString(deterministic=True))


def _copy(source: IO[bytes], target: IO[bytes], count: int) -> None:
    """Copy so many bytes."""
    while count and (block := source.read(min(count, 2**24))):
        target.write(block)
        count -= len(block)
