"""ONNX models as text, one line a node: what tests/cases/emit shows."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir


def listing(model: ir.Model, under: str | None = None) -> str:
    """Inputs, initializers without their numbers, nodes with their attributes, outputs; or only the
    nodes whose results are named after a scope."""
    graph = model.graph
    if under is not None:
        found = [node for node in graph if (node.outputs[0].name or "").startswith(under)]
        return "".join(f"{_node(node)}\n" for node in found)
    versions = ", ".join(f"{d or 'ai.onnx'} {v}" for d, v in model.opset_imports.items())
    lines = [f"opset {versions}"]
    lines += [f"input {_typed(value)}" for value in graph.inputs]
    lines += [f"initializer {_typed(value)}" for value in graph.initializers.values()]
    lines += [_node(node) for node in graph]
    lines += [f"output {_typed(value)}" for value in graph.outputs]
    return "\n".join(lines) + "\n"


def _node(node: ir.Node) -> str:
    results = ", ".join(map(_typed, node.outputs))
    operands = ", ".join(value.name or "" if value is not None else "-" for value in node.inputs)
    settings = ", ".join(f"{a.name}={_plain(a)}" for a in node.attributes.values())
    name = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
    return f"{results} = {name}{f'[{settings}]' if settings else ''}({operands})"


def _plain(attribute: ir.Attr) -> Any:
    value: Any = attribute.value
    return list(value) if isinstance(value, tuple) else value


def _typed(value: ir.Value | None) -> str:
    if value is None:
        return "-"
    if value.shape is None or value.dtype is None:
        return str(value.name)
    sizes = ", ".join(str(size) for size in value.shape)
    return f"{value.name} {value.dtype.name.lower()}[{sizes}]"
