"""Attention as one operator of onnxruntime, for targets where its kernel wins.

The operator is not of ai.onnx, so that a model which holds it also holds a function of the same name
in standard operators: onnxruntime takes its kernel, whoever has none the function.
"""

from __future__ import annotations

import onnx_ir as ir

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.onnx.attention import attention
from perceiver_graph.compiler.backends.onnx.emitter import OPSET
from perceiver_graph.compiler.backends.onnx.node_builder import Lowering, NodeBuilder
from perceiver_graph.compiler.backends.unread import lowered

FUSED = "com.microsoft.MultiHeadAttention"


def fused_up_to(channels: int, *, one_head: bool) -> Lowering:
    """Fused for heads of at most so many channels, written out for wider ones.

    Masks leave the fast path of the kernel, on CPU and on CUDA: they are written out too, as is what
    the operator says in its own way.
    """

    def lowering(op: ops.Attention, b: NodeBuilder) -> ir.Value:
        if not op.fits_kernel(b.types, channels, one_head=one_head):
            return lowered(attention, op, b)
        b.emitter.define(FUSED, _function)
        return b.result(FUSED, *b.inputs, num_heads=op.heads)

    return lowering


def _function() -> ir.Function:
    """q [b, n, h * d], k [b, m, h * d], v [b, m, h * e] -> [b, n, h * e] in standard operators."""
    query, key, value = (ir.val(name) for name in ("query", "key", "value"))
    nodes: list[ir.Node] = []

    def node(op_type: str, *inputs: ir.Value, **attributes: int | list[int]) -> ir.Value:
        made = ir.node(op_type, inputs, attributes)
        nodes.append(made)
        return made.outputs[0]

    def ints(*numbers: int) -> ir.Value:
        return node("Constant", value_ints=list(numbers))

    reference = ir.RefAttr("value_int", "num_heads", ir.AttributeType.INT)
    constant = ir.Node("", "Constant", [], [reference])
    nodes.append(constant)
    heads = node("Reshape", constant.outputs[0], ints(1))
    apart = node("Concat", ints(0, 0), heads, ints(-1), axis=0)
    q, k, v = (node("Reshape", x, apart) for x in (query, key, value))
    root = node("Sqrt", node("CastLike", node("Shape", q, start=3), query))
    q = node("Transpose", q, perm=[0, 2, 1, 3])
    scores = node("MatMul", q, node("Transpose", k, perm=[0, 2, 3, 1]))
    weights = node("Softmax", node("Div", scores, root), axis=-1)
    found = node("MatMul", weights, node("Transpose", v, perm=[0, 2, 1, 3]))
    joined = node("Transpose", found, perm=[0, 2, 1, 3])
    result = node("Reshape", joined, ints(0, 0, -1))
    result.name = "output"
    domain, _, name = FUSED.rpartition(".")
    graph = ir.Graph([query, key, value], [result], nodes=nodes, opset_imports={"": OPSET})
    attribute = ir.Attr("num_heads", ir.AttributeType.INT, None)
    return ir.Function(domain, name, "", graph=graph, attributes=[attribute])
