"""What each primitive becomes: the table that the emitter works from, with the simple lowerings.

Only operators of ai.onnx, right on every device. What a target does better with others is in
`targets.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.onnx.attention import attention
from perceiver_graph.compiler.backends.onnx.emitter import Attribute
from perceiver_graph.compiler.backends.onnx.grids import (
    fourier_at,
    positions,
    regrid,
)
from perceiver_graph.compiler.backends.onnx.layout import reshape
from perceiver_graph.compiler.backends.onnx.moments import (
    inverse_norm,
    merge_moments,
    moments,
    rms_norm,
)
from perceiver_graph.compiler.backends.onnx.node_builder import Lowering, NodeBuilder
from perceiver_graph.compiler.backends.onnx.positions import (
    fourier_features,
    fourier_table,
    interpolate,
    trim,
)
from perceiver_graph.compiler.backends.onnx.products import (
    batch_norm,
    conv,
    layer_norm,
    linear,
    matmul,
    max_pool,
)
from perceiver_graph.compiler.backends.onnx.rotary import rotary
from perceiver_graph.compiler.backends.onnx.segmented_attention import segmented_attention
from perceiver_graph.compiler.backends.onnx.sizes import vector
from perceiver_graph.compiler.backends.onnx.table_attention import table_attention
from perceiver_graph.compiler.backends.onnx.tensors import DATA_TYPES
from perceiver_graph.compiler.ir.dims import Dim
from perceiver_graph.compiler.ops import Op, TensorType

_END = 2**63 - 1


def _as(op_type: str, settings: Callable[[Any], dict[str, Attribute]] = lambda _: {}) -> Lowering:
    """The operator of ONNX that does the same with all that the node reads."""

    def lowering(op: Any, b: NodeBuilder) -> ir.Value:
        return b.result(op_type, *b.inputs, **settings(op))

    return lowering


def _scale(op: ops.Scale, b: NodeBuilder) -> ir.Value:
    return b.result("Mul", *b.inputs, b.scalar(op.factor, b.output))


def _dropout(op: ops.Dropout, b: NodeBuilder) -> ir.Value:
    """Nothing: whatever the rate, a program does not train."""
    assert 0 <= op.rate < 1
    return b.result("Identity", *b.inputs)


def _gaussian_sample(op: ops.GaussianSample, b: NodeBuilder) -> ir.Value:
    """The mean: a program does not train."""
    means = int(b.output.shape[-1])
    return b.result("Slice", *b.inputs, b.ints(0), b.ints(means), b.ints(-1))


def _mean(op: ops.Mean, b: NodeBuilder) -> ir.Value:
    return b.result("ReduceMean", *b.inputs, b.ints(op.axis), keepdims=0)


def _slice(op: ops.Slice, b: NodeBuilder) -> ir.Value:
    stop = _END if op.stop is None else op.stop
    bounds = (b.ints(op.start), b.ints(stop), b.ints(op.axis))
    return b.result("Slice", *b.inputs, *bounds)


def _flatten(op: ops.Flatten, b: NodeBuilder) -> ir.Value:
    return reshape(b, op.start, op.stop + 1, b.output.shape[op.start].value)


def _unflatten(op: ops.Unflatten, b: NodeBuilder) -> ir.Value:
    axis = op.axis % b.type("x").rank
    made = b.output.shape[axis : axis + len(op.sizes)]
    sizes = [
        size.value if held is None else held for held, size in zip(op.sizes, made, strict=True)
    ]
    return reshape(b, axis, axis + 1, *sizes)


def _broadcast(op: ops.Broadcast, b: NodeBuilder) -> ir.Value:
    ones = [1] * b.type("x").rank  # a size of 1 in the target leaves the value's own size
    return b.result("Expand", *b.inputs, vector(b, *op.sizes, *ones))


def _one_hot(op: ops.OneHot, b: NodeBuilder) -> ir.Value:
    """By comparison: ONNX's OneHot counts negative ids from the end."""
    (ids,) = b.types
    column = b.part(
        "column", ids.with_shape(*ids.shape, Dim.of(1)), "Unsqueeze", *b.inputs, b.ints(-1)
    )
    hit = TensorType(b.output.shape, "bool")
    classes = b.emitter.initializer(f"int64[0..{op.classes - 1}]", np.arange(op.classes))
    equal = b.part("equal", hit, "Equal", column, classes)
    return b.result("Cast", equal, to=DATA_TYPES[b.output.dtype].value)


def _choose(op: ops.Choose, b: NodeBuilder) -> ir.Value:
    x, chosen = b.inputs
    places = b.type("chosen").with_shape(*b.type("chosen").shape, Dim.of(1))
    column = b.part("places", places, "Unsqueeze", chosen, b.ints(-1))
    return b.result("GatherND", x, column, batch_dims=1)


def _coordinate(op: ops.Coordinate, b: NodeBuilder) -> ir.Value:
    (positions,) = b.inputs
    if op.stride != 1:  # positions are never negative, so that Div, which truncates, rounds down
        stride = b.scalar(op.stride, b.output)
        positions = b.part("quotient", b.output, "Div", positions, stride)
    return b.result("Mod", positions, b.scalar(op.size, b.output))


LOWERINGS: dict[type[Op], Lowering] = {
    ops.Add: _as("Add"),
    ops.Attention: attention,
    ops.BatchNorm: batch_norm,
    ops.Broadcast: _broadcast,
    ops.Choose: _choose,
    ops.Concat: _as("Concat", lambda op: {"axis": op.axis}),
    ops.Conv: conv,
    ops.Coordinate: _coordinate,
    ops.Dropout: _dropout,
    ops.GaussianSample: _gaussian_sample,
    ops.Flatten: _flatten,
    ops.FourierAt: fourier_at,
    ops.FourierFeatures: fourier_features,
    ops.FourierTable: fourier_table,
    ops.Gather: _as("Gather", lambda op: {"axis": op.axis}),
    ops.Gelu: _as("Gelu", lambda op: {"approximate": op.approximate}),
    ops.Interpolate: interpolate,
    ops.LayerNorm: layer_norm,
    ops.Linear: linear,
    ops.MatMul: matmul,
    ops.MaxPool: max_pool,
    ops.Mean: _mean,
    ops.InverseNorm: inverse_norm,
    ops.MergeMoments: merge_moments,
    ops.Moments: moments,
    ops.Mul: _as("Mul"),
    ops.OneHot: _one_hot,
    ops.Permute: _as("Transpose", lambda op: {"perm": list(op.order)}),
    ops.Positions: positions,
    ops.RMSNorm: rms_norm,
    ops.Regrid: regrid,
    ops.Relu: _as("Relu"),
    ops.Rotary: rotary,
    ops.Scale: _scale,
    ops.SegmentedAttention: segmented_attention,
    ops.Sigmoid: _as("Sigmoid"),
    ops.Slice: _slice,
    ops.TableAttention: table_attention,
    ops.Tanh: _as("Tanh"),
    ops.Trim: trim,
    ops.Unflatten: _unflatten,
    ops.Where: _as("Where"),
}
"""Every primitive with its lowering, but for those that are others: `Op.decompose`."""
