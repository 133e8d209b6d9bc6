"""An artifact as a model repository of Triton: encode, decode, and both as one.

A program is a folder `model.onnx` with its main file and its data in it, since onnxruntime refuses data
that lies elsewhere. What tells whether an input is there is answered in the program: a server is given
all of them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perceiver_graph import storage
from perceiver_graph.choices import DeviceKind
from perceiver_graph.diagnostics import DiagnosticError, escape
from perceiver_graph.diagnostics.commands import command
from perceiver_graph.runtime.artifact import Artifact
from perceiver_graph.serving.present import without_present
from perceiver_graph.spec.manifest import SPEC_NAME, Port, ProgramEntry
from perceiver_graph.version import __version__

_PROGRAM = "model.onnx"
_VERSION = "1"
_TYPES = {"float32": "TYPE_FP32", "int64": "TYPE_INT64", "bool": "TYPE_BOOL"}
_OPEN = -1
"""A size that each request says."""


@dataclass(frozen=True)
class Served:
    """A model of the repository: its name, and what its tensors are."""

    name: str
    inputs: Sequence[Port]
    outputs: Sequence[Port]
    batch: int
    """The most batch elements that the server puts together; 0: requests are not put together."""


def export(
    artifact: Artifact,
    directory: str | Path,
    *,
    batch: int = 8,
    placement: DeviceKind = "cpu",
    instances: int = 1,
    threads: int | None = None,
) -> list[Served]:
    """Write a model repository, whole or not at all; one that an export wrote before is replaced.

    Encode takes batches of up to `batch`, which the server forms. Queries have no batch axis, so decode,
    and both as one, take requests as they come. Raises DiagnosticError (PG406, PG407).
    """
    name = artifact.manifest.name
    dimension = artifact.manifest.dims.get("batch")
    batch = min(batch, dimension.max) if dimension and dimension.max else batch
    found = served(artifact, batch)
    with storage.staged_folder(directory, REPOSITORY) as stage:
        for model, program in zip(found, ("encode", "decode"), strict=False):
            folder = stage / model.name
            _write_program(artifact, artifact.manifest.programs[program], folder, stage)
            text = _config(model, placement, instances, threads)
            (folder / "config.pbtxt").write_text(text, encoding="utf-8")
        if len(found) > 1:
            (stage / name / _VERSION).mkdir(parents=True)
            # Git and object stores keep no empty folder, and Triton asks for it.
            (stage / name / _VERSION / ".keep").touch()
            text = _ensemble(name, *found[:2])
            (stage / name / "config.pbtxt").write_text(text, encoding="utf-8")
            found.append(_whole(name, *found[:2]))
        storage.write_listing(stage, __version__)
    return found


def served(artifact: Artifact, batch: int) -> list[Served]:
    """The models of its programs. Raises DiagnosticError (PG406) for an artifact without."""
    manifest = artifact.manifest
    if "encode" not in manifest.programs:
        raise DiagnosticError.of(
            "PG406",
            f"{artifact.directory} has no ONNX programs to serve",
            help="write some of the same weights: "
            + command("compile", artifact.directory / SPEC_NAME, "--weights", "PATH", "-o", "DIR"),
        )
    found = []
    for name in ("encode", "decode"):
        entry = manifest.programs.get(name)
        if entry is not None:
            inputs = [port for port in entry.inputs if port.role != "present"]
            every = all(port.shape[:1] == ["batch"] for port in (*inputs, *entry.outputs))
            found.append(Served(f"{manifest.name}_{name}", inputs, entry.outputs, batch * every))
    if len(found) == 1:
        found = [Served(manifest.name, found[0].inputs, found[0].outputs, found[0].batch)]
    return found


def _write_program(artifact: Artifact, entry: ProgramEntry, folder: Path, stage: Path) -> None:
    import onnx

    place = folder / _VERSION / _PROGRAM
    place.mkdir(parents=True)
    model = onnx.load(artifact.file(entry.file), load_external_data=False)
    without_present(model, entry)
    for data in sorted(_locations(model)):
        first = next(stage.glob(f"*/{_VERSION}/{_PROGRAM}/{data}"), None)
        _copy(artifact.file(data) if first is None else first, place / data, link=first is not None)
    (place / _PROGRAM).write_bytes(model.SerializeToString(deterministic=True))


def _copy(source: Path, target: Path, *, link: bool) -> None:
    """A copy; within the repository it is another name of the same file, where there are such."""
    if link:
        try:
            os.link(source, target)
        except OSError:
            link = False
    if not link:
        shutil.copyfile(source, target)


def _locations(model: Any) -> set[str]:
    """The files that a program has its tensors in."""
    return {
        entry.value
        for tensor in model.graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    }


def _config(model: Served, placement: DeviceKind, instances: int, threads: int | None) -> str:
    kind = "KIND_GPU" if placement == "cuda" else "KIND_CPU"
    lines = [
        f"name: {_text(model.name)}",
        'backend: "onnxruntime"',
        f"max_batch_size: {model.batch}",
        *_tensors("input", model.inputs, bool(model.batch)),
        *_tensors("output", model.outputs, bool(model.batch)),
        f"instance_group [{{ kind: {kind}, count: {instances} }}]",
    ]
    if model.batch:
        lines.append("dynamic_batching { }")
    if threads is not None:
        value = f'{{ string_value: "{threads}" }}'
        lines.append(f'parameters {{ key: "intra_op_thread_count", value: {value} }}')
    return "\n".join(lines) + "\n"


def _whole(name: str, encode: Served, decode: Served) -> Served:
    """Both as one: what encode takes and decode asks, and all outputs."""
    states = {port.name for port in decode.inputs if port.role == "state"}
    asked = [port for port in decode.inputs if port.role != "state"]
    outputs = [port for port in encode.outputs if port.role == "output"]
    late = [port for port in decode.outputs if port.role == "output"]
    assert states <= {port.name for port in encode.outputs}
    return Served(name, [*encode.inputs, *asked], [*outputs, *late], 0)


def _ensemble(name: str, encode: Served, decode: Served) -> str:
    whole = _whole(name, encode, decode)
    steps = []
    for model in (encode, decode):
        lines = [f"model_name: {_text(model.name)}", "model_version: -1"]
        for side, ports in (("input_map", model.inputs), ("output_map", model.outputs)):
            maps = (f"{{ key: {_text(p.name)}, value: {_text(p.name)} }}" for p in ports)
            lines += [f"{side} {one}" for one in maps]
        steps.append(
            "  step [\n    {\n" + "".join(f"      {line}\n" for line in lines) + "    }\n  ]"
        )
    head = [
        f"name: {_text(name)}",
        'platform: "ensemble"',
        "max_batch_size: 0",
        *_tensors("input", whole.inputs, batched=False),
        *_tensors("output", whole.outputs, batched=False),
    ]
    return "\n".join([*head, "ensemble_scheduling {", *steps, "}"]) + "\n"


def _tensors(side: str, ports: Sequence[Port], batched: bool) -> list[str]:
    """Names, types and sizes; where the server forms batches, it adds that axis itself."""
    found = []
    for port in ports:
        sizes = [size if isinstance(size, int) else _OPEN for size in port.shape[batched:]]
        dims = ", ".join(map(str, sizes or [1]))
        reshape = "" if sizes else ", reshape: { shape: [ ] }"
        name, kind = _text(port.name), _TYPES[port.dtype]
        found.append(f"{side} [{{ name: {name}, data_type: {kind}, dims: [ {dims} ]{reshape} }}]")
    return found


def _text(value: str) -> str:
    return escape.json(value, indent=None, end="")


REPOSITORY = storage.listed_folder("model repository")
