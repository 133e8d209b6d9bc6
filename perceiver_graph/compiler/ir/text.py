"""IR text: stable, readable, one line a thing; `parse` reads it back to an equal graph.

Every line is `name = what(settings) operands : type  # spec line`; sections come in a fixed order.
Spec lines are comments and are not read back. Small constants are written out, others are named by
the SHA-256 of their bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from perceiver_graph.compiler.ir.dims import Symbol
from perceiver_graph.compiler.ir.graph import (
    Block,
    Constant,
    Graph,
    Initializer,
    Input,
    Node,
    Parameter,
    Scope,
)
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.diagnostics import Span

INLINE_LIMIT = 16
"""Constants of up to so many elements are written out."""

NAME = r"[\w./~-]+"
"""What a value, an output, a scope or a graph may be called in IR text."""


def print_graph(graph: Graph) -> str:
    """The text of a graph. Names must match `NAME`, which the verifier sees to."""
    return "\n".join((f"graph {graph.name}", *_sections(graph))) + "\n"


def same_structure(left: Graph, right: Graph) -> bool:
    """Whether two graphs are equal apart from spec lines: names, types, order, constants' bytes."""
    if len({print_graph(graph.at(lambda _: None)) for graph in (left, right)}) > 1:
        return False
    pairs = zip(left.constants, right.constants, strict=True)
    return all(a.data.tobytes() == b.data.tobytes() for a, b in pairs)


def without_starts(graph: Graph) -> Graph:
    """The graph with parameters that all start, and learn, alike: what it computes of given weights."""
    zeros = Initializer("zeros")
    parameters = (replace(one, init=zeros, trainable=True) for one in graph.parameters)
    return replace(graph, parameters=tuple(parameters))


def _sections(graph: Graph) -> Iterator[str]:
    yield from _section("symbols", map(_symbol_line, graph.symbols.items()))
    yield from _section("inputs", map(_input_line, graph.inputs))
    yield from _section("parameters", map(_parameter_line, graph.parameters))
    yield from _section("constants", map(_constant_line, graph.constants))
    yield from _section("blocks", (_block_line(*item) for item in graph.blocks.items()))
    yield from _section("nodes", _node_lines(graph.nodes))
    outputs = (f"  {name} = %{value.name}" for name, value in graph.outputs.items())
    yield from _section("outputs", outputs)


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    lines = list(lines)
    if lines:
        yield from ("", f"{title}:", *lines)


def _symbol_line(item: tuple[str, Symbol]) -> str:
    name, symbol = item
    limits = {"min": symbol.min, "max": symbol.max, "multiple_of": symbol.multiple_of}
    settings = {key: limit for key, limit in limits.items() if limit != getattr(Symbol("_"), key)}
    return f"  {name} = {_call('symbol', settings)}"


def _input_line(leaf: Input) -> str:
    settings: dict[str, Any] = {"role": leaf.role, "of": leaf.of, "axes": leaf.axes}
    if leaf.beside:
        settings["beside"] = leaf.beside
    what = _call("input", settings)
    return f"  %{leaf.value.name} = {what} : {leaf.value.type}"


def _parameter_line(leaf: Parameter) -> str:
    settings: dict[str, Any] = {"init": leaf.init.kind}
    if leaf.init.scale != 1.0:
        settings["scale"] = leaf.init.scale
    if not leaf.trainable:
        settings["trainable"] = False
    what = _call("parameter", settings)
    return f"  %{leaf.value.name} = {what} : {leaf.value.type}{_comment(leaf.origin)}"


def _constant_line(leaf: Constant) -> str:
    if leaf.data.size <= INLINE_LIMIT:
        settings = {"values": " ".join(map(str, leaf.data.flat))}
    else:
        settings = {"sha256": digest(leaf.data)}
    return f"  %{leaf.value.name} = {_call('constant', settings)} : {leaf.value.type}"


def _block_line(scope: Scope, block: Block) -> str:
    settings: dict[str, Any] = {"module": block.module}
    for name in ("summary", "arguments"):
        if held := getattr(block, name):
            settings[name] = held
    return f"  {'/'.join(scope)} = {_call(block.kind, settings)}{_comment(block.origin)}"


def _node_lines(nodes: Iterable[Node]) -> Iterator[str]:
    scope: Scope = ()
    for node in nodes:
        if node.scope != scope and node.scope:
            yield f"  {'/'.join(node.scope)}:"
        scope = node.scope
        operands = ", ".join(f"%{value.name}" for value in node.inputs)
        what = f"{node.op} {operands}".rstrip()
        indent = "    " if scope else "  "
        yield f"{indent}%{node.name} = {what} : {node.output.type}{_comment(node.origin)}"


def _call(what: str, settings: Mapping[str, Any]) -> str:
    inside = ", ".join(f"{key}={value!r}" for key, value in settings.items())
    return f"{what}({inside})" if inside else what


def _comment(origin: Span | None) -> str:
    return f"  # {' '.join(str(origin).split())}" if origin else ""


def digest(data: Array) -> str:
    """What names the numbers of a constant."""
    import numpy as np  # a graph as it is lowered has few constants, and most commands none to name

    return hashlib.sha256(np.ascontiguousarray(data).tobytes()).hexdigest()
