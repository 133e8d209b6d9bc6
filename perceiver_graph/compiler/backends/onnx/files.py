"""The files of the programs of a model, all of which share their weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import onnx_ir as ir

from perceiver_graph.compiler.backends.onnx.emit import emit
from perceiver_graph.compiler.backends.onnx.node_builder import Lowering
from perceiver_graph.compiler.backends.onnx.precision import refusal, refuses
from perceiver_graph.compiler.backends.onnx.tensors import CONSTANTS, TensorStore
from perceiver_graph.compiler.ops import Array, Op
from perceiver_graph.compiler.programs.int8 import NOTHING, Rounding
from perceiver_graph.compiler.programs.target import DEFAULT, Target
from perceiver_graph.diagnostics import Report

if TYPE_CHECKING:
    from perceiver_graph.compiler.programs.phases import Programs


def write(
    programs: Programs,
    parameters: Mapping[str, Array],
    directory: Path,
    metadata: Mapping[str, str] | None = None,
    *,
    target: Target = DEFAULT,
    int8: Rounding = NOTHING,
    lowerings: Mapping[type[Op], Lowering] | None = None,
    report: Report | None = None,
) -> list[str]:
    """Write a file for each program, say encode.onnx, and constants.safetensors into a folder that
    exists.

    Returns their names. The same input gives the same bytes. `metadata` (say the digest of the
    spec) goes into all models as `perceiver_graph.<key>`. `int8` and `lowerings` as in `emit`,
    and `ValueError` likewise, before any file exists. `report` is told what the target will refuse.
    """
    store = TensorStore()
    models = {
        f"{name}.onnx": emit(
            program,
            parameters,
            store,
            metadata=metadata,
            target=target,
            int8=int8,
            lowerings=lowerings,
        )
        for name, program in programs.items()
    }
    if report is not None and (
        refused := [file for file in models if refuses(models[file], target)]
    ):
        report.add(refusal(refused))
    store.write(directory / CONSTANTS)
    for file, model in models.items():
        proto = ir.to_proto(model)
        (directory / file).write_bytes(proto.SerializeToString(deterministic=True))
    return [*models, CONSTANTS]
