"""The verifier: each rule has a graph that breaks it, and legal graphs break none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.builder import GraphBuilder
from perceiver_graph.compiler.ir.dims import Dim, Symbol, shape_of
from perceiver_graph.compiler.ir.graph import Constant, Graph, Input, Node, Value
from perceiver_graph.compiler.ir.op import TensorType
from perceiver_graph.compiler.ir.verify import FORMS, RULES, Form, VerificationError, verify
from perceiver_graph.compiler.passes.pipeline import optimize
from perceiver_graph.testing.graphs import graphs

ROW = Value("row", TensorType(shape_of(4)))


def _legal() -> Graph:
    """gelu(x W^T + b) + row."""
    b = GraphBuilder("legal", {"batch": Symbol("batch")})
    shape = shape_of(b.symbols["batch"], 3)
    x = b.input("x", "data", "x", ("batch", "channel"), shape, "float32")
    with b.block("encode", "Encode"):
        y = b(ops.Gelu(), b.linear(x, "dense", 4))
        with b.block("shift", "Shift"):
            y = b(ops.Add(), y, ROW)
    return replace(b.graph({"y": y}), constants=(Constant(ROW, np.zeros(4, np.float32)),))


def _change(index: int, **changes: object) -> Callable[[Graph], Graph]:
    """Change fields of the node at the index."""

    def apply(graph: Graph) -> Graph:
        nodes = list(graph.nodes)
        nodes[index] = replace(nodes[index], **changes)  # type: ignore[arg-type]
        return replace(graph, nodes=tuple(nodes))

    return apply


def _retype(index: int, type_: TensorType) -> Callable[[Graph], Graph]:
    """Record another type for the output of a node, where it is made and where it is read."""

    def apply(graph: Graph) -> Graph:
        old = graph.nodes[index].output
        new = replace(old, type=type_)
        graph = graph.substitute({old: new})
        return _change(index, output=new)(graph)

    return apply


def _with_input(role: str, type_: TensorType, axes: tuple[str, ...]) -> Callable[[Graph], Graph]:
    extra = Input(Value("extra", type_), role, "x", axes)  # type: ignore[arg-type]
    return lambda graph: replace(graph, inputs=(*graph.inputs, extra))


def _with_held(size: Symbol, *, declared: bool = True) -> Callable[[Graph], Graph]:
    """With a node that holds a symbol, which is declared or not and which no input says."""

    def apply(graph: Graph) -> Graph:
        op, row = ops.Trim(Dim.of(size)), graph.constants[0].value
        rows = Value("rows", op.infer(row.type))
        symbols = {**graph.symbols, size.name: size} if declared else graph.symbols
        nodes = (*graph.nodes, Node(op, (row,), rows))
        return replace(graph, symbols=symbols, nodes=nodes, outputs={**graph.outputs, "rows": rows})

    return apply


def _with_dead_node(graph: Graph) -> Graph:
    dead = Node(ops.Relu(), (ROW,), Value("dead", ROW.type))
    return replace(graph, nodes=(*graph.nodes, dead))


def _with_unregistered(graph: Graph) -> Graph:
    @dataclass(frozen=True)
    class Strange(ops.Gelu):
        """A gelu by another name."""

        name = "strange"

    del ops.PRIMITIVES["strange"]
    return _change(1, op=Strange())(graph)


def _with_integer_parameter(graph: Graph) -> Graph:
    leaf = graph.parameters[0]
    extra = replace(leaf, value=Value("steps", TensorType(shape_of(Symbol("batch")), "int64")))
    return replace(graph, parameters=(*graph.parameters, extra))


FOUR = TensorType(shape_of(4))
BATCH = TensorType(shape_of(Symbol("batch")), "bool")

BROKEN: list[tuple[str, Form, Callable[[Graph], Graph], str]] = [
    (
        "names are unique",
        "rewriting",
        lambda g: replace(g, constants=g.constants * 2),
        "%row is defined 2 times",
    ),
    ("names are plain", "rewriting", lambda g: replace(g, name="a b"), "`a b` does not match"),
    (
        "inputs of nodes are defined",
        "rewriting",
        lambda g: replace(g, constants=()),
        "%encode/shift/add reads %row, which nothing defines",
    ),
    (
        "nodes are in topological order",
        "rewriting",
        lambda g: replace(g, nodes=g.nodes[::-1]),
        "%encode/shift/add comes before %encode/gelu, which it reads",
    ),
    ("outputs are defined", "rewriting", lambda g: replace(g, outputs={}), "no outputs"),
    (
        "outputs are defined",
        "rewriting",
        lambda g: replace(g, outputs={"y": Value("z", FOUR)}),
        "output `y` is %z, which nothing defines",
    ),
    (
        "blocks exist for scopes",
        "rewriting",
        lambda g: replace(g, blocks={}),
        "scope `encode/shift` has nodes but no block",
    ),
    (
        "a name stands for one value",
        "rewriting",
        lambda g: replace(g, outputs={"y": replace(g.outputs["y"], type=FOUR)}),
        "output `y` takes %encode/shift/add: float32[4] but it is defined as float32[batch, 4]",
    ),
    (
        "a name stands for one value",
        "rewriting",
        lambda g: replace(g, outputs={"y": replace(g.outputs["y"])}),
        "output `y` takes a copy of %encode/shift/add: float32[batch, 4], not the value itself",
    ),
    (
        "inferred types are the recorded ones",
        "rewriting",
        _retype(2, FOUR),
        "%encode/shift/add = add gives float32[batch, 4], recorded is float32[4]",
    ),
    (
        "operands are those of the primitive",
        "rewriting",
        _change(0, inputs=()),
        "%encode/dense = linear is given nothing, it reads x, weight, bias?",
    ),
    (
        "symbols are declared",
        "rewriting",
        lambda g: replace(g, symbols={}),
        "%x: float32[batch, 3] uses ",
    ),
    (
        "symbols are declared",
        "rewriting",
        lambda g: replace(g, symbols={**g.symbols, "time": Symbol("length")}),
        "symbol `length` is declared as `time`",
    ),
    (
        "symbols are declared",
        "rewriting",
        _with_held(Symbol("n", max=4), declared=False),
        "%rows = trim(size='n') uses Symbol(name='n'",
    ),
    (
        "constants match their types",
        "rewriting",
        lambda g: replace(g, constants=(Constant(ROW, np.zeros(3, np.float32)),)),
        "%row: float32[4] holds float32[3]",
    ),
    (
        "constants match their types",
        "rewriting",
        lambda g: replace(g, constants=(Constant(ROW, np.zeros(4)),)),
        "%row: float32[4] holds float64[4]",
    ),
    (
        "parameters have fixed sizes",
        "rewriting",
        _with_integer_parameter,
        "%steps: int64[batch] has a size that is known only at run time",
    ),
    (
        "primitives are registered",
        "rewriting",
        _with_unregistered,
        "%encode/gelu is a `strange`, which is not a primitive",
    ),
    (
        "attributes are plain values",
        "rewriting",
        _change(1, op=ops.Scale(np.float64(2))),
        "of float64",
    ),
    (
        "attributes are plain values",
        "rewriting",
        _change(1, op=ops.Scale(Dim.of(2))),  # type: ignore[arg-type]
        "of Dim",
    ),
    (
        "inputs fit their roles",
        "rewriting",
        _with_input("data", FOUR, ()),
        "%extra: float32[4] has 1 axes but names []",
    ),
    (
        "inputs fit their roles",
        "rewriting",
        _with_input("queries", FOUR, ("n",)),
        "should be int64",
    ),
    ("inputs fit their roles", "rewriting", _with_input("present", FOUR, ("n",)), "should be bool"),
    (
        "inputs fit their roles",
        "rewriting",
        _with_input("size", FOUR, ("n",)),
        "should be int64[1]",
    ),
    (
        "sizes are said",
        "rewriting",
        _with_held(Symbol("n", max=4)),
        "no input says what `n` stands for: %n.size: int64[1] is missing",
    ),
    ("there is no state before the split", "lowered", _with_input("state", FOUR, ("n",)), "%extra"),
    ("nothing is dead", "optimized", _with_dead_node, "no output needs %dead"),
    (
        "nothing is unused",
        "program",
        _with_input("present", BATCH, ("batch",)),
        "no output needs %extra",
    ),
]


@pytest.mark.parametrize("form", sorted(FORMS))
def test_a_legal_graph_passes_every_form(form: Form) -> None:
    verify(_legal(), form)


@pytest.mark.parametrize(
    ("rule", "form", "change", "problem"),
    BROKEN,
    ids=[f"{i}-{case[0]}" for i, case in enumerate(BROKEN)],
)
def test_a_broken_rule_is_reported(
    rule: str, form: Form, change: Callable[[Graph], Graph], problem: str
) -> None:
    with pytest.raises(VerificationError) as caught:
        verify(change(_legal()), form)
    assert any(name == rule and problem in text for name, text in caught.value.broken), caught.value


def test_every_rule_is_broken_once() -> None:
    missing = {rule.name for rule in RULES} - {name for name, *_ in BROKEN}
    assert not missing, f"rules without a graph that breaks them: {', '.join(sorted(missing))}"


def test_all_broken_rules_are_listed() -> None:
    with pytest.raises(VerificationError) as caught:
        verify(replace(_legal(), name="a b", constants=(), blocks={}), "rewriting")
    names = [name for name, _ in caught.value.broken]
    assert names == ["names are plain", "inputs of nodes are defined", *names[2:-1], names[-1]]
    assert "blocks exist for scopes" in names
    assert str(caught.value).startswith(
        "graph `a b` is not legal (rewriting):\n  names are plain: "
    )


def test_rules_of_later_forms_do_not_apply_earlier() -> None:
    verify(_with_dead_node(_legal()), "lowered")
    verify(_with_input("state", FOUR, ("n",))(_legal()), "rewriting")
    verify(_with_input("present", BATCH, ("batch",))(_legal()), "optimized")


@given(graphs())
def test_random_graphs_are_legal(graph: Graph) -> None:
    verify(graph, "lowered")
    verify(optimize(graph, level=2), "optimized")
