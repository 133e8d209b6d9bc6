"""The primitives of the IR: about thirty, each defined in one place."""

from perceiver_graph.compiler.ir.op import PRIMITIVES, Array, DType, Op, ShapeError, TensorType
from perceiver_graph.compiler.ops.attention import Attention
from perceiver_graph.compiler.ops.elementwise import (
    Add,
    Dropout,
    GaussianSample,
    Gelu,
    Mul,
    Relu,
    Scale,
    Sigmoid,
    Silu,
    Tanh,
    Where,
)
from perceiver_graph.compiler.ops.grid import FourierAt, Positions, Regrid
from perceiver_graph.compiler.ops.index import Choose, Coordinate, Gather, OneHot
from perceiver_graph.compiler.ops.linear import Conv, Linear, MatMul, TriangularFactor
from perceiver_graph.compiler.ops.normalize import (
    BatchNorm,
    InverseNorm,
    LayerNorm,
    MaxPool,
    Mean,
    MergeMoments,
    Moments,
    RMSNorm,
)
from perceiver_graph.compiler.ops.position import FourierFeatures, FourierTable
from perceiver_graph.compiler.ops.resample import Interpolate
from perceiver_graph.compiler.ops.rotary import Rotary
from perceiver_graph.compiler.ops.segmented_attention import SegmentedAttention
from perceiver_graph.compiler.ops.shape import (
    Broadcast,
    Concat,
    Flatten,
    Permute,
    Slice,
    Trim,
    Unflatten,
)
from perceiver_graph.compiler.ops.table_attention import TableAttention

__all__ = [
    "PRIMITIVES",
    "Add",
    "Array",
    "Attention",
    "BatchNorm",
    "Broadcast",
    "Choose",
    "Concat",
    "Conv",
    "Coordinate",
    "DType",
    "Dropout",
    "Flatten",
    "FourierAt",
    "FourierFeatures",
    "FourierTable",
    "Gather",
    "GaussianSample",
    "Gelu",
    "Interpolate",
    "InverseNorm",
    "LayerNorm",
    "Linear",
    "MatMul",
    "MaxPool",
    "Mean",
    "MergeMoments",
    "Moments",
    "Mul",
    "OneHot",
    "Op",
    "Permute",
    "Positions",
    "RMSNorm",
    "Regrid",
    "Relu",
    "Rotary",
    "Scale",
    "SegmentedAttention",
    "ShapeError",
    "Sigmoid",
    "Silu",
    "Slice",
    "TableAttention",
    "Tanh",
    "TensorType",
    "TriangularFactor",
    "Trim",
    "Unflatten",
    "Where",
]
