"""What each primitive becomes: the table that the emitter works from, with the simple lowerings.

Only operators of ai.onnx, right on every device. What a target does better with others is in
`targets.py`.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.onnx.attention import attention
from perceiver_graph.compiler.backends.onnx.emitter import Lowering, Site
from perceiver_graph.compiler.backends.onnx.grids import (
    fourier_at,
    positions,
    regrid,
)
from perceiver_graph.compiler.backends.onnx.layout import reshape
from perceiver_graph.compiler.backends.onnx.moments import inverse_norm, merge_moments, moments
from perceiver_graph.compiler.backends.onnx.positions import (
    fourier_features,
    fourier_table,
    interpolate,
    trim,
)
from perceiver_graph.compiler.backends.onnx.products import (
    batch_norm,
    conv,
    linear,
    matmul,
    max_pool,
)
from perceiver_graph.compiler.backends.onnx.segmented_attention import segmented_attention
from perceiver_graph.compiler.backends.onnx.sizes import vector
from perceiver_graph.compiler.backends.onnx.table_attention import table_attention
from perceiver_graph.compiler.backends.onnx.tensors import DATA_TYPES
from perceiver_graph.compiler.ir.dims import Dim
from perceiver_graph.compiler.ops import Op, TensorType

_END = 2**63 - 1


def _add(op: ops.Add, site: Site) -> ir.Value:
    return site.result("Add", *site.inputs)


def _mul(op: ops.Mul, site: Site) -> ir.Value:
    return site.result("Mul", *site.inputs)


def _scale(op: ops.Scale, site: Site) -> ir.Value:
    return site.result("Mul", *site.inputs, site.scalar(op.factor, site.output))


def _where(op: ops.Where, site: Site) -> ir.Value:
    return site.result("Where", *site.inputs)


def _gelu(op: ops.Gelu, site: Site) -> ir.Value:
    return site.result("Gelu", *site.inputs, approximate=op.approximate)


def _relu(op: ops.Relu, site: Site) -> ir.Value:
    return site.result("Relu", *site.inputs)


def _tanh(op: ops.Tanh, site: Site) -> ir.Value:
    return site.result("Tanh", *site.inputs)


def _sigmoid(op: ops.Sigmoid, site: Site) -> ir.Value:
    return site.result("Sigmoid", *site.inputs)


def _silu(op: ops.Silu, site: Site) -> ir.Value:
    (x,) = site.inputs
    return site.result("Mul", x, site.part("sigmoid", site.output, "Sigmoid", x))


def _mean(op: ops.Mean, site: Site) -> ir.Value:
    return site.result("ReduceMean", *site.inputs, site.ints(op.axis), keepdims=0)


def _layer_norm(op: ops.LayerNorm, site: Site) -> ir.Value:
    return site.result("LayerNormalization", *site.inputs, axis=-1, epsilon=op.epsilon)


def _permute(op: ops.Permute, site: Site) -> ir.Value:
    return site.result("Transpose", *site.inputs, perm=list(op.order))


def _concat(op: ops.Concat, site: Site) -> ir.Value:
    return site.result("Concat", *site.inputs, axis=op.axis)


def _slice(op: ops.Slice, site: Site) -> ir.Value:
    stop = _END if op.stop is None else op.stop
    bounds = (site.ints(op.start), site.ints(stop), site.ints(op.axis))
    return site.result("Slice", *site.inputs, *bounds)


def _flatten(op: ops.Flatten, site: Site) -> ir.Value:
    return reshape(site, op.start, op.stop + 1, site.output.shape[op.start].value)


def _unflatten(op: ops.Unflatten, site: Site) -> ir.Value:
    axis = op.axis % site.type("x").rank
    made = site.output.shape[axis : axis + len(op.sizes)]
    sizes = [
        size.value if held is None else held for held, size in zip(op.sizes, made, strict=True)
    ]
    return reshape(site, axis, axis + 1, *sizes)


def _broadcast(op: ops.Broadcast, site: Site) -> ir.Value:
    ones = [1] * site.type("x").rank  # a size of 1 in the target leaves the value's own size
    return site.result("Expand", *site.inputs, vector(site, *op.sizes, *ones))


def _gather(op: ops.Gather, site: Site) -> ir.Value:
    return site.result("Gather", *site.inputs, axis=op.axis)


def _one_hot(op: ops.OneHot, site: Site) -> ir.Value:
    """By comparison: ONNX's OneHot counts negative ids from the end."""
    (ids,) = site.types
    column = site.part(
        "column", ids.with_shape(*ids.shape, Dim.of(1)), "Unsqueeze", *site.inputs, site.ints(-1)
    )
    hit = TensorType(site.output.shape, "bool")
    classes = site.emitter.initializer(f"int64[0..{op.classes - 1}]", np.arange(op.classes))
    equal = site.part("equal", hit, "Equal", column, classes)
    return site.result("Cast", equal, to=DATA_TYPES[site.output.dtype].value)


def _coordinate(op: ops.Coordinate, site: Site) -> ir.Value:
    (positions,) = site.inputs
    if op.stride != 1:  # positions are never negative, so that Div, which truncates, rounds down
        stride = site.scalar(op.stride, site.output)
        positions = site.part("quotient", site.output, "Div", positions, stride)
    return site.result("Mod", positions, site.scalar(op.size, site.output))


LOWERINGS: dict[type[Op], Lowering] = {
    ops.Add: _add,
    ops.Attention: attention,
    ops.BatchNorm: batch_norm,
    ops.Broadcast: _broadcast,
    ops.Concat: _concat,
    ops.Conv: conv,
    ops.Coordinate: _coordinate,
    ops.Flatten: _flatten,
    ops.FourierAt: fourier_at,
    ops.FourierFeatures: fourier_features,
    ops.FourierTable: fourier_table,
    ops.Gather: _gather,
    ops.Gelu: _gelu,
    ops.Interpolate: interpolate,
    ops.LayerNorm: _layer_norm,
    ops.Linear: linear,
    ops.MatMul: matmul,
    ops.MaxPool: max_pool,
    ops.Mean: _mean,
    ops.InverseNorm: inverse_norm,
    ops.MergeMoments: merge_moments,
    ops.Moments: moments,
    ops.Mul: _mul,
    ops.OneHot: _one_hot,
    ops.Permute: _permute,
    ops.Positions: positions,
    ops.Regrid: regrid,
    ops.Relu: _relu,
    ops.Scale: _scale,
    ops.SegmentedAttention: segmented_attention,
    ops.Sigmoid: _sigmoid,
    ops.Silu: _silu,
    ops.Slice: _slice,
    ops.TableAttention: table_attention,
    ops.Tanh: _tanh,
    ops.Trim: trim,
    ops.Unflatten: _unflatten,
    ops.Where: _where,
}
"""Every primitive with its lowering."""
