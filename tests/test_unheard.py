"""An attribute of attention that nobody has heard of: passes keep their hands off it, and no backend
drops it.

Each golden case of a pass with attention in it is run with an attention that may turn queries and
keys by their positions, as rotary embeddings do. Where it does, almost nothing that passes do to
attention keeps the numbers.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perceiver_graph.compiler import ops, passes
from perceiver_graph.compiler.backends.onnx.emit import emit as onnx_model
from perceiver_graph.compiler.backends.onnx.fused_attention import fused_up_to
from perceiver_graph.compiler.backends.onnx.lowerings import LOWERINGS
from perceiver_graph.compiler.backends.onnx.targets import TARGETS
from perceiver_graph.compiler.backends.onnx.tensors import TensorStore
from perceiver_graph.compiler.backends.torch.lowerings import TABLE
from perceiver_graph.compiler.backends.torch.source import source
from perceiver_graph.compiler.backends.unread import lowered
from perceiver_graph.compiler.blocks.builder import GraphBuilder
from perceiver_graph.compiler.ir.dims import shape_of
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.ir.interpreter import bindings
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.ir.parse import parse_graph
from perceiver_graph.compiler.ir.text import print_graph
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.compiler.ops import PRIMITIVES, Attention, SegmentedAttention
from perceiver_graph.compiler.programs import incremental
from perceiver_graph.compiler.programs.generation import writing
from perceiver_graph.compiler.programs.incremental import HEARD
from perceiver_graph.spec.loader import load_spec
from perceiver_graph.spec.programs import STEP
from tests.case_kinds import rewritten
from tests.judge import judge
from tests.primitive_case import BATCH, f32
from tests.primitive_cases import CASES as PRIMITIVE_CASES
from tests.small import SMALL
from tests.test_cases import CASES, Case
from tests.test_layers import PACKAGE

ATTENDING = [
    case for case in CASES if case.path.parent.name == "passes" and "= attention" in case.input
]


@dataclass(frozen=True)
class Turning(Attention):
    """Attention whose queries and keys are perhaps turned by their positions."""

    name = "turning_attention"
    turned: bool = False

    def evaluate(self, *inputs: Array) -> Array:
        if not self.turned:
            return super().evaluate(*inputs)
        turned = {name: _turned(self.operand(name, inputs)) for name in ("queries", "keys")}
        return super().evaluate(*self.replaced(inputs, **turned))


del PRIMITIVES[Turning.name]


def _turned(x: Array) -> Array:
    """Each row is mixed with itself moved by a channel, by its position. Shape: [batch, n, width]."""
    angle = np.arange(x.shape[1], dtype=x.dtype)[:, None]
    turned: Array = x * np.cos(angle) + np.roll(x, 1, axis=-1) * np.sin(angle)
    return turned


def _add_attribute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let passes take it for the one attention that there is, to which an attribute was added."""
    monkeypatch.setitem(PRIMITIVES, Turning.name, Turning)
    for module in vars(passes).values():
        if getattr(module, "Attention", None) is Attention:
            monkeypatch.setattr(module, "Attention", Turning)


def _turning(graph: Graph, *, turned: bool) -> Graph:
    """With this attention in place of the plain one."""
    return graph.rewrite(
        lambda node: (
            replace(node, op=Turning(**node.op.attributes, turned=turned))
            if type(node.op) is Attention
            else None
        )
    )


def _attending(graph: Graph) -> Counter[str]:
    kinds = Turning | SegmentedAttention
    return Counter(str(node.op) for node in graph.nodes if isinstance(node.op, kinds))


each_case = pytest.mark.parametrize(
    "case", ATTENDING, ids=[f"{case.path.stem}-{case.number}" for case in ATTENDING]
)


@each_case
def test_what_a_pass_has_not_heard_of_stays(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    _add_attribute(monkeypatch)
    graph = _turning(parse_graph(case.input), turned=True)
    result, parameters = rewritten(graph, case.options)
    judge(graph, result.graph, parameters)
    assert _attending(result.graph) == _attending(graph)


@each_case
def test_as_usual_it_keeps_nothing_from_being_rewritten(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = parse_graph(case.input)
    expected, _ = rewritten(plain, case.options)
    _add_attribute(monkeypatch)
    result, _ = rewritten(_turning(plain, turned=False), case.options)
    text = print_graph(result.graph).replace(", turned=False", "")
    assert text.replace("turning_attention", "attention") == print_graph(expected.graph)


def test_every_pass_that_names_attention_is_tried() -> None:
    named = {
        path.stem.replace("_", "-")
        for path in (PACKAGE / "compiler" / "passes").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name) and node.id in ("Attention", "why_not_one_head")
    } - {"rewriter"}  # which has this question for others to ask
    assert named <= {case.path.stem for case in ATTENDING}
    assert len(named) >= 5


def test_passes_ask_for_attention_that_says_nothing_else() -> None:
    for path in sorted((PACKAGE / "compiler" / "passes").glob("*.py")):
        told = [ast.unparse(node) for node in _told_by_kind(ast.parse(path.read_text()))]
        assert not told, f"{path.name}: use `Node.only`"


READING = {
    "weights/configuration.py"
}  # what an attention says is read there, and nothing made of it


def test_whatever_tells_attention_by_its_kind_asks_what_else_it_says() -> None:
    """But for backends, whose lowerings are watched, and for numpy."""
    seen = set()
    for path in (PACKAGE / "compiler").rglob("*.py"):
        name = path.relative_to(PACKAGE / "compiler")
        if name.parts[0] in ("backends", "ops", "passes") or str(name) in READING:
            continue
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef) and any(_told_by_kind(function)):
                called = {
                    ast.unparse(x.func) for x in ast.walk(function) if isinstance(x, ast.Call)
                }
                asks = {one.rpartition(".")[2] for one in called} & {"only", "_require_heard"}
                assert asks, f"{name}: `{function.name}` has to ask `Node.only`"
                seen.add(str(name))
    assert seen == {"programs/attention.py", "programs/incremental.py"}


def _told_by_kind(tree: ast.AST) -> Iterator[ast.AST]:
    """Where the kind of an op is asked, and attention is among the answers."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="isinstance"), args=[_, kinds]):
                pass
            case ast.MatchClass(cls=kinds) | ast.Compare(comparators=[kinds], ops=[ast.Is()]):
                pass
            case _:
                continue
        if "Attention" in ast.unparse(kinds):
            yield node


# A model that writes, token by token

WRITER = "perceiver_ar"


@pytest.mark.parametrize("turned", [False, True])
def test_a_step_takes_no_attention_of_which_it_has_not_heard(
    turned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = lower(load_spec(WRITER, list(SMALL[WRITER])))
    heard = {kind: known for kind, known in HEARD.items() if kind is not Attention}
    monkeypatch.setattr(incremental, "HEARD", heard | {Turning: HEARD[Attention]})
    found = writing(replace(plain, graph=_turning(plain.graph, turned=turned)))
    assert found is not None
    if turned:
        assert "turned=True)` says more than a step knows of" in found.refused
        assert not found.programs
    else:
        assert found.refused == ""
        assert STEP in found.programs


def test_all_that_a_step_replaces_is_guarded() -> None:
    """It is told by its kind in one place, and refused there where it says more."""
    tree = ast.parse(Path(incremental.__file__).read_text())
    (rule,) = (x for x in ast.walk(tree) if isinstance(x, ast.FunctionDef) and x.name == "_rule")
    kinds = {ast.unparse(x.cls) for x in ast.walk(rule) if isinstance(x, ast.MatchClass)}
    assert kinds == {f"ops.{kind.__name__}" for kind in HEARD}


# Backends


def _attention(op: Attention, *, masked: bool = True) -> Graph:
    b = GraphBuilder("case", {"batch": BATCH})
    x = b.input("x", "data", "x", (), shape_of(BATCH, 4, 6), "float32")
    mask = b.input("mask", "data", "mask", (), shape_of(BATCH, 4), "bool")
    return b.graph({"found": b(op, x, x, x, *[mask] * masked)})


def _as_torch(graph: Graph) -> str:
    return source(graph, name="turning")


def _as_onnx(graph: Graph) -> str:
    return str(onnx_model(graph, {}, TensorStore()))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("emit", [_as_torch, _as_onnx])
def test_what_a_backend_has_not_heard_of_is_refused(
    emit: Callable[[Graph], str], fused: bool, masked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    attention = fused_up_to(128, one_head=True) if fused else LOWERINGS[Attention]
    monkeypatch.setitem(TABLE, Turning, TABLE[Attention])
    for table in (LOWERINGS, *TARGETS.values()):
        monkeypatch.setitem(table, Turning, attention)
    emit(_attention(Turning(2, "zero" if masked else "uniform"), masked=masked))
    with pytest.raises(NotImplementedError, match="reads `turned`, which is True"):
        emit(_attention(Turning(2, turned=True), masked=masked))


def test_what_is_read_by_a_property_or_a_method_is_read() -> None:
    op = ops.FourierFeatures(2, 5.0, 1, include_position=False)
    with pytest.raises(NotImplementedError, match="`include_position`, which is False"):
        lowered(lambda op: op.bands, op)
    assert lowered(lambda op: op.width, op) == op.width
    assert lowered(lambda op: op.infer(f32(2, 1)), op) == op.infer(f32(2, 1))
    assert lowered(lambda seen: isinstance(seen, ops.FourierFeatures) and seen == op, op)


def test_what_chose_a_lowering_is_not_yet_heard_by_it() -> None:
    """A lowering that looks at an attribute, and hands on to one that does not."""
    op = Turning(2, turned=True)

    def choosing(op: Turning, hand_on: Callable[..., str]) -> str:
        return hand_on(lambda op: op.masked_rows * op.heads, op) if op.turned else "plain"

    assert lowered(choosing, op, lambda lowering, op: lowering(op))  # nobody can see that
    with pytest.raises(NotImplementedError, match="reads `turned`, which is True"):
        lowered(choosing, op, lowered)


# Numpy


@pytest.mark.parametrize("name", sorted(PRIMITIVE_CASES))
@given(data=st.data())
def test_numpy_reads_all_that_a_primitive_says(name: str, data: st.DataObject) -> None:
    case = data.draw(PRIMITIVE_CASES[name])
    inputs = case.arrays()
    (node,) = case.graph(constant=False).nodes
    arrays = [inputs[value.name] for value in node.inputs]
    op = node.op.bound(bindings(case.graph(constant=False), inputs))
    lowered(lambda op: op.evaluate(*arrays), op)


def test_numpy_is_asked_whether_it_reads() -> None:
    class Deaf(Turning):
        name = "deaf_attention"
        evaluate = Attention.evaluate

    del PRIMITIVES[Deaf.name]
    arrays = [np.ones((1, 2, 2), np.float32)] * 3
    with pytest.raises(NotImplementedError, match="`deaf_attention` reads `turned`"):
        lowered(lambda op: op.evaluate(*arrays), Deaf(turned=True))
