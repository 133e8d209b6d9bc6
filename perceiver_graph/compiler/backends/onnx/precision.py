"""In which element type each part of a program computes.

The graph says float32. A program in half precision keeps float32 where range or accuracy needs it;
the `Emitter` asks here for each node, and casts where the answers of neighbours differ.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from perceiver_graph.choices import Precision
from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.onnx.tensors import DATA_TYPES
from perceiver_graph.compiler.ops import Array, DType, Op, TensorType
from perceiver_graph.compiler.programs.target import Target
from perceiver_graph.diagnostics.commands import setting
from perceiver_graph.diagnostics.errors import DiagnosticError
from perceiver_graph.diagnostics.model import Diagnostic, Span, make
from perceiver_graph.diagnostics.words import joined

_ELEMENTS: dict[Precision, DType] = {"fp16": "float16", "bf16": "bfloat16"}

_WIDE: frozenset[type[Op]] = frozenset(
    {
        # The highest frequencies make hundreds of radians of a coordinate: their last bit is a
        # quarter of a radian in float16, and two radians in bfloat16.
        ops.FourierAt,
        ops.FourierFeatures,
        # Squares of what half precision holds leave its range, and sums over many positions lose
        # the small terms.
        ops.Mean,
        ops.Moments,
        ops.MergeMoments,
        ops.InverseNorm,
        ops.RMSNorm,
    }
)
"""Computed in float32 whatever the precision, for range or accuracy."""

_WITHOUT_BF16: frozenset[type[Op]] = frozenset({ops.BatchNorm, ops.Conv, ops.MaxPool})
"""In bfloat16, ai.onnx has no Conv at the opset that we write, and onnxruntime's CUDA provider no
kernel for the others."""


def element(target: Target) -> DType:
    """What weights and activations are stored in."""
    return _ELEMENTS.get(target.precision, "float32")


def element_of(op: type[Op], target: Target) -> DType:
    """What a primitive computes in, and gives its result in."""
    wide = op in _WIDE or (target.precision == "bf16" and op in _WITHOUT_BF16)
    return "float32" if wide else element(target)


def wide(type: TensorType) -> TensorType:
    """The type in float32 if it is in half precision."""
    half = type.dtype in _ELEMENTS.values()
    return TensorType(type.shape, "float32") if half else type


def in_element(type: TensorType, dtype: DType) -> TensorType:
    """The type with float32 replaced; other element types are not for the precision to choose."""
    return TensorType(type.shape, dtype) if type.dtype == "float32" else type


def require_kernels(type: TensorType, target: Target, span: Span | None) -> None:
    """Raise DiagnosticError (PG602) where a program in bf16 for OpenVINO would count in float64: OpenVINO
    makes float32 of it, which is refused when it runs, and no other engine has bf16 on a CPU."""
    if type.dtype == "float64" and (target.name, target.precision) == ("openvino", "bf16"):
        raise DiagnosticError.of(
            "PG602",
            "this is counted in float64, which OpenVINO does not have, and nothing else runs bf16 on a CPU",
            span,
            help=f"compile with {setting('--precision', 'fp32')}, which onnxruntime runs, or with "
            f"{setting('--target', 'cuda')}",
        )


def refuses(model: ir.Model, target: Target) -> bool:
    """Whether what a program is compiled for will not run it: OpenVINO, where it counts in float64."""
    values = (value for node in model.graph for value in node.outputs)
    return target.name == "openvino" and any(x.dtype == DATA_TYPES["float64"] for x in values)


def refusal(files: Sequence[str]) -> Diagnostic:
    """What is said of such programs as they are compiled: other engines run them."""
    runs = setting("--engine", "onnxruntime", 'load(PATH, engine="onnxruntime")')
    message = (
        f"{joined(files, 'and')} will not run on OpenVINO: turns of waves are counted in float64, "
    )
    message += f"of which it makes float32; onnxruntime runs them: {runs}"
    return make("PG602", message, severity="warning")


def converted(name: str, array: Array, dtype: DType) -> Array:
    """A tensor in an element type, itself if it has that already.

    Raises DiagnosticError (PG602) where a finite number would become infinite.
    """
    wanted = DATA_TYPES[dtype].numpy()
    if array.dtype == wanted:
        return array
    with np.errstate(over="ignore"):
        result = array.astype(wanted)
    if np.isfinite(array).all() and not np.isfinite(result).all():
        largest = float(np.abs(array).max())
        raise DiagnosticError.of(
            "PG602",
            f"`{name}` holds {largest:.3g}, and {dtype} ends at {float(DATA_TYPES[dtype].max):.3g}",
            help="bfloat16 has the range of float32: compile with "
            f"{setting('--precision', 'bf16')}, or fp32",
        )
    return result
