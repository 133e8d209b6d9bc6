"""Reshapes and transposes around other operators, correct for sizes known only at run time."""

from __future__ import annotations

import onnx_ir as ir

from perceiver_graph.compiler.backends.onnx.node_builder import NodeBuilder
from perceiver_graph.compiler.backends.onnx.sizes import vector
from perceiver_graph.compiler.ir.dims import Dim
from perceiver_graph.compiler.ops import TensorType

_COPY, _REST = 0, -1  # what Reshape reads as: the input's size at this place, what is left over


def reshape(b: NodeBuilder, start: int, stop: int, *middle: int | Dim | None) -> ir.Value:
    """Replace the axes start..stop (stop excluded) of the node's input; at most one size is None.

    A constant target where one can say it: it needs no other node, and onnxruntime sees through it.
    """
    (x,) = b.inputs
    (type,) = b.types
    sizes = [_REST if size is None else size for size in middle]
    before = [_COPY if size.value is None else size.value for size in type.shape[:start]]
    after = [_REST if size.value is None else size.value for size in type.shape[stop:]]
    if stop - start == len(sizes):  # nothing moves
        after = [_COPY if size == _REST else size for size in after]
    target = [*before, *sizes, *after]
    if target.count(_REST) <= 1:
        return b.result("Reshape", x, vector(b, *target))
    front, length = vector(b, *before, *sizes), TensorType((Dim.of(len(after)),), "int64")
    behind = b.part("sizes", length, "Shape", x, start=stop)
    length = TensorType((Dim.of(len(target)),), "int64")
    return b.result("Reshape", x, b.part("shape", length, "Concat", front, behind, axis=0))


def channels_first(b: NodeBuilder, x: ir.Value, type: TensorType) -> tuple[ir.Value, TensorType]:
    """[batch, *spatial, c] -> [batch, c, *spatial]. Transposes that meet are cancelled."""
    type = first_of(type)
    order = [0, type.rank - 1, *range(1, type.rank - 1)]
    return b.part("channels_first", type, "Transpose", x, perm=order), type


def channels_last(b: NodeBuilder, x: ir.Value) -> ir.Value:
    """[batch, c, *spatial] -> [batch, *spatial, c], as the node's result."""
    return b.result("Transpose", x, perm=[0, *range(2, b.output.rank), 1])


def first_of(type: TensorType) -> TensorType:
    """The type with channels first of a type with channels last."""
    return type.with_shape(type.shape[0], type.shape[-1], *type.shape[1:-1])
