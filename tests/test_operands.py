"""Operands have names: what is read under which, and that nothing in the compiler counts them instead."""

from __future__ import annotations

import ast
from dataclasses import dataclass

import pytest

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.ir.dims import shape_of
from perceiver_graph.compiler.ir.graph import Node, Value
from perceiver_graph.compiler.ops import PRIMITIVES, Op, TensorType
from tests.test_layers import PACKAGE

ROW = TensorType(shape_of(1, 2, 3))
Q, K, V, S, MASK, A, B = (Value(name, ROW) for name in ("q", "k", "v", "s", "mask", "a", "b"))


def test_a_mask_is_there_or_not() -> None:
    plain, masked = Node(ops.Attention(), (Q, K, V), B), Node(ops.Attention(), (Q, K, V, MASK), B)
    assert (plain["queries"], plain["keys"], plain["values"]) == (Q, K, V)
    assert masked["mask"] == MASK
    assert "mask" in masked
    assert "mask" not in plain
    assert [*plain.each("mask"), *masked.each("mask")] == [MASK]
    with pytest.raises(KeyError, match="mask"):
        plain["mask"]
    with pytest.raises(KeyError, match="bias"):
        plain["bias"]


def test_what_is_not_replaced_stays() -> None:
    masked = Node(ops.Attention(), (Q, K, V, MASK), B)
    assert masked.replaced(keys=A) == (Q, A, V, MASK)
    assert masked.replaced(mask=A, queries=B) == (B, K, V, A)
    with pytest.raises(KeyError, match="mask"):
        Node(ops.Attention(), (Q, K, V), B).replaced(mask=MASK)


def test_any_number_of_operands_of_a_name() -> None:
    assert Node(ops.Concat(0), (Q, K, V), B).each("parts") == (Q, K, V)
    tables = Node(ops.TableAttention(), (Q, K, V, S, A, B, MASK, Q), B)
    assert (tables.each("tables"), tables.each("places")) == ((A, MASK), (B, Q))
    assert tables["scale"] == S


@pytest.mark.parametrize(
    ("op", "counts"),
    [
        (ops.Positions(shape_of(2)), {0}),
        (ops.Add(), {2}),
        (ops.Linear(), {2, 3}),
        (ops.Attention(), {3, 4}),
        (ops.MergeMoments((1,)), {0, 1, 2, 3, 4, 5, 6, 7}),
        (ops.TableAttention(), {4, 6}),
    ],
)
def test_how_many_operands_an_operator_takes(op: Op, counts: set[int]) -> None:
    assert {count for count in range(8) if op.accepts([ROW] * count)} == counts


@pytest.mark.parametrize("names", [("mask?", "x"), ("parts*", "x"), ("mask?", "parts*")])
def test_names_are_no_riddle(names: tuple[str, ...]) -> None:
    with pytest.raises(TypeError, match="behind what it always reads"):

        @dataclass(frozen=True)
        class Strange(Op):
            name = "strange"
            operands = names

    assert "strange" not in PRIMITIVES


# The compiler

GRAPHS = {"graph", "new", "program", "ctx", "spec"}
"""What inputs are no operands of."""


def _counted(source: str, *, defines: bool) -> list[str]:
    """Places where operands are told by their number; `defines` for an operator's own checks."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Subscript(value=of, slice=ast.Slice() | ast.Constant(value=int())):
                wrong = _operands(of)
            case ast.Call(func=ast.Name(id="len"), args=[of]):
                wrong = _operands(of) and not defines
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=of):
                wrong = _operands(of) and any(isinstance(one, ast.Starred) for one in names)
            case _:
                wrong = False
        if wrong:
            found.append(ast.unparse(node))
    return found


def _operands(node: ast.expr) -> bool:
    match node:
        case ast.Name(id="inputs"):
            return True
        case ast.Attribute(value=of, attr="inputs" | "types" | "texts"):
            return not (isinstance(of, ast.Name) and of.id in GRAPHS)
    return False


@pytest.mark.parametrize(
    "source",
    [
        "node.inputs[0]",
        "self.node.inputs[1:]",
        "inputs[4::2]",
        "len(node.inputs) == 4",
        "len(site.types) == 4",
        "o.texts[1]",
        "q, k, v, *masks = node.inputs",
    ],
)
def test_counting_is_found(source: str) -> None:
    assert _counted(source, defines=False)


@pytest.mark.parametrize(
    "source", ['node["mask"]', "x, y = node.inputs", "len(graph.inputs)", "inputs[name]"]
)
def test_names_are_no_counting(source: str) -> None:
    assert not _counted(source, defines=False)


def test_operands_are_told_by_their_names() -> None:
    for path in sorted((PACKAGE / "compiler").rglob("*.py")):
        place = path.relative_to(PACKAGE / "compiler").parts
        found = _counted(path.read_text(), defines=place[0] == "ops")
        assert not found, f"{'/'.join(place)}: {found}"
