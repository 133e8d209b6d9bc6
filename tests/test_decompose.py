"""A primitive that says itself in others: they give what it gives, and a backend computes them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.decompose import decomposed
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ops import PRIMITIVES, Array, Op
from perceiver_graph.diagnostics import DiagnosticError
from tests.primitive_case import BATCH, Case, f32
from tests.primitive_cases import CASES

DECOMPOSED = [name for name, op in PRIMITIVES.items() if op.decompose is not Op.decompose]


def make(op: Op, *operands: Array) -> Array:
    return op.evaluate(*operands)


@pytest.mark.parametrize("name", DECOMPOSED)
@given(data=st.data())
def test_the_parts_give_what_the_reference_gives(name: str, data: st.DataObject) -> None:
    case = data.draw(CASES[name])
    graph, inputs = case.graph(constant=False), case.arrays()
    found = decomposed(graph, set(PRIMITIVES.values()) - {PRIMITIVES[name]}, "none")
    assert all(node.op.name != name for node in found.nodes)
    wanted = evaluate(graph, inputs, {})["result"]
    np.testing.assert_allclose(evaluate(found, inputs, {})["result"], wanted, 1e-5, 1e-6)
    (node,) = graph.nodes
    parts = node.op.decompose(make, *(inputs[value.name] for value in node.inputs))
    assert parts is not None
    np.testing.assert_allclose(parts, wanted, 1e-5, 1e-6)


def test_parts_are_called_after_the_primitive_and_themselves() -> None:
    graph = Case(ops.Silu(), f32(BATCH, 2)).graph(constant=False)
    found = decomposed(graph, {ops.Mul, ops.Sigmoid}, "none")
    assert [node.name for node in found.nodes] == ["scope/silu/sigmoid", "scope/silu"]
    assert found.outputs == graph.outputs
    assert {node.scope for node in found.nodes} == {("scope",)}


def test_a_graph_of_known_primitives_stays_as_it_is() -> None:
    graph = Case(ops.Silu(), f32(2)).graph(constant=False)
    assert decomposed(graph, {ops.Silu}, "none") is graph


def test_a_primitive_without_parts_is_named() -> None:
    graph = Case(ops.Tanh(), f32(2)).graph(constant=False)
    with pytest.raises(DiagnosticError, match=r"PG703.*the none backend .* `tanh`"):
        decomposed(graph, {ops.Mul}, "none")
