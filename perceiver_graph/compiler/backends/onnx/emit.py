"""One program of the IR to one ONNX model, without torch and without shape inference."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from perceiver_graph.compiler.backends.decompose import decomposed
from perceiver_graph.compiler.backends.onnx.emitter import NAMESPACE, Emitter
from perceiver_graph.compiler.backends.onnx.node_builder import Lowering, NodeBuilder
from perceiver_graph.compiler.backends.onnx.targets import lowerings_for
from perceiver_graph.compiler.backends.onnx.tensors import TensorStore
from perceiver_graph.compiler.backends.unread import lowered
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.ops import Array, Op
from perceiver_graph.compiler.programs.int8 import NOTHING, Rounding
from perceiver_graph.compiler.programs.target import DEFAULT, Target
from perceiver_graph.diagnostics import escape
from perceiver_graph.version import __version__

IR_VERSION = 10
"""The first with metadata on nodes."""


def emit(
    program: Graph,
    parameters: Mapping[str, Array],
    store: TensorStore,
    *,
    metadata: Mapping[str, str] | None = None,
    target: Target = DEFAULT,
    int8: Rounding = NOTHING,
    lowerings: Mapping[type[Op], Lowering] | None = None,
) -> ir.Model:
    """The program as a model that holds its tensors, views of `parameters`, in memory.

    `store` takes on its large tensors. `int8` says which products are computed in 8 bits; `lowerings`
    stands for the table of the target. `metadata` is kept under `perceiver_graph.<key>`. `ValueError`
    if a parameter is missing or does not fit, or if two things would have one name; DiagnosticError
    (PG703) for a primitive that nothing is known of.
    """
    lowerings = lowerings_for(target) if lowerings is None else lowerings
    program = decomposed(program, lowerings, "onnx")
    emitter = Emitter(program, parameters, store, target, int8)
    for node in program.nodes:
        builder = NodeBuilder(emitter, node, node.name)
        emitter.values[node.output] = lowered(lowerings[type(node.op)], node.op, builder)
    model = ir.Model(
        emitter.finish(),
        ir_version=IR_VERSION,
        producer_name="perceiver-graph",
        producer_version=__version__,
        functions=tuple(emitter.functions.values()),
    )
    about = {"version": __version__, "dims": _constraints(program), **(metadata or {})}
    model.metadata_props.update({f"{NAMESPACE}.{key}": text for key, text in about.items()})
    return model


def _constraints(program: Graph) -> str:
    """The sizes that inputs permit: `{"batch": {"min": 1, "max": null, "multiple_of": 1}}`."""
    sizes = [size for entry in program.inputs for size in entry.value.shape]
    symbols = {symbol.name: symbol for size in sizes for symbol in size.symbols}
    constraints = {
        name: {"min": symbol.min, "max": symbol.max, "multiple_of": symbol.multiple_of}
        for name, symbol in sorted(symbols.items())
    }
    return escape.json(constraints, indent=None, end="")
