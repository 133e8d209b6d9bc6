"""The primitives of the IR: about twenty, each defined in one place."""

from perceiver_graph.compiler.ops.attention import Attention
from perceiver_graph.compiler.ops.base import PRIMITIVES, Array, DType, Op, ShapeError, TensorType
from perceiver_graph.compiler.ops.elementwise import Add, Gelu, Relu, Scale, Tanh, Where
from perceiver_graph.compiler.ops.index import Coordinate, Gather, OneHot
from perceiver_graph.compiler.ops.linear import Conv, Linear, MatMul
from perceiver_graph.compiler.ops.normalize import BatchNorm, LayerNorm, MaxPool
from perceiver_graph.compiler.ops.position import FourierTable
from perceiver_graph.compiler.ops.shape import (
    BroadcastLike,
    Concat,
    Flatten,
    Permute,
    Repeat,
    Slice,
    Unflatten,
)

__all__ = [
    "PRIMITIVES",
    "Add",
    "Array",
    "Attention",
    "BatchNorm",
    "BroadcastLike",
    "Concat",
    "Conv",
    "Coordinate",
    "DType",
    "Flatten",
    "FourierTable",
    "Gather",
    "Gelu",
    "LayerNorm",
    "Linear",
    "MatMul",
    "MaxPool",
    "OneHot",
    "Op",
    "Permute",
    "Relu",
    "Repeat",
    "Scale",
    "ShapeError",
    "Slice",
    "Tanh",
    "TensorType",
    "Unflatten",
    "Where",
]
