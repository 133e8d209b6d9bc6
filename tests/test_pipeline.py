"""The pipeline: what each level does, its dumps and observers, and how a failing pass is reported."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.builder import GraphBuilder
from perceiver_graph.compiler.ir.dims import Symbol, shape_of
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ir.parse import parse_graph
from perceiver_graph.compiler.ir.text import print_graph, same_structure
from perceiver_graph.compiler.ir.verify import VerificationError
from perceiver_graph.compiler.passes import PASSES, CommonSubexpressions, DeadCode, Pass, PassResult
from perceiver_graph.compiler.passes.pipeline import (
    Level,
    PassError,
    PassManager,
    optimize,
    passes,
    rewrite,
)
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.runtime.written import former_results
from perceiver_graph.storage import Former
from perceiver_graph.testing.graphs import arrays, graphs
from tests.faults import tree


def _query_graph() -> Graph:
    """y = x + a table + a query of the latents."""
    b = GraphBuilder("test", {"batch": Symbol("batch")})
    shape = shape_of(b.symbols["batch"], 6, 3)
    x = b.input("x", "data", "x", ("batch", "n", "c"), shape, "float32")
    positioned = b(ops.Add(), x, b(ops.FourierTable(6, 0, 1, 1, 4.0)))
    latents = b.linear(b.parameter("latents", (6, 3)), "query", 3)
    return b.graph({"y": b(ops.Add(), positioned, latents, name="y")})


def _names(graph: Graph) -> list[str]:
    return [node.name for node in graph.nodes]


def test_level_0_evaluates_tables_and_leaves_parameters() -> None:
    _, parameters = arrays(_query_graph())
    assert _names(optimize(_query_graph(), level=0, parameters=parameters)) == ["add", "query", "y"]
    assert _names(optimize(_query_graph(), level=1, parameters=parameters)) == ["add", "y"]
    assert _names(optimize(_query_graph(), level=1)) == ["add", "query", "y"]


def test_every_step_is_written_out(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "ir"
    seen: list[tuple[str, PassResult]] = []
    graph = _query_graph()
    after = optimize(
        graph, level=0, dump=folder, observer=lambda name, result: seen.append((name, result))
    )
    names = sorted(path.name for path in folder.iterdir())
    assert names == [
        *("00-lowered.ir.txt", "01-fold-constants.ir.txt", "02-dead-code.ir.txt"),
        *("ir.json", "notes.txt"),
    ]
    texts = [(folder / name).read_text(encoding="utf-8") for name in names[:-2]]
    assert texts == [print_graph(g) for g in (graph, *(result.graph for _, result in seen))]
    constants = {constant.value.name: constant.data for constant in after.constants}
    assert same_structure(parse_graph(texts[-1], constants), after)
    assert [name for name, _ in seen] == ["fold-constants", "dead-code"]
    assert seen[-1][1].graph is after
    told = (folder / "notes.txt").read_text(encoding="utf-8").splitlines()
    steps = zip(("01-fold-constants", "02-dead-code"), seen, strict=True)
    assert told == [f"{step}: {note}" for step, (_, result) in steps for note in result.notes]


def test_a_dump_replaces_a_dump_and_nothing_else(tmp_path: Path) -> None:
    graph = _query_graph()
    optimize(graph, level=1, dump=tmp_path)
    assert len(list(tmp_path.iterdir())) > 4
    (tmp_path / "notes.md").write_text("mine")
    optimize(graph, level=0, dump=tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        *("00-lowered.ir.txt", "01-fold-constants.ir.txt", "02-dead-code.ir.txt"),
        *("ir.json", "notes.md", "notes.txt"),
    ]
    for name in ("00-lowered.ir.txt", "ir.json", "notes.txt"):
        before = (tmp_path / name).read_bytes()
        (tmp_path / name).write_text('{"mine": 1}')
        left = tree(tmp_path)
        with pytest.raises(DiagnosticError, match="that no dump wrote"):
            optimize(graph, level=1, dump=tmp_path)
        assert tree(tmp_path) == left
        (tmp_path / name).write_bytes(before)
    (tmp_path / "ir.json").unlink()
    with pytest.raises(DiagnosticError, match="PG511"):
        optimize(graph, level=1, dump=tmp_path)


def test_what_lists_former_files_is_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ir.json")
    with pytest.raises(DiagnosticError, match="that no dump wrote"):
        optimize(_query_graph(), level=0, dump=tmp_path)
    os.mkfifo(tmp_path / "a.json")
    assert former_results(tmp_path, "a") == Former()


def test_what_comes_before_a_failing_pass_is_dumped(tmp_path: Path) -> None:
    manager = PassManager([DeadCode(), _Failing(ValueError("no"))], dump=tmp_path)
    with pytest.raises(PassError):
        manager.run(_query_graph())
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["00-lowered.ir.txt", "01-dead-code.ir.txt", "ir.json", "notes.txt"]


@given(graph=graphs(), level=st.sampled_from([0, 1, 2]))
def test_rewriting_before_there_are_values_changes_nothing(graph: Graph, level: Level) -> None:
    _, parameters = arrays(graph)
    whole = optimize(graph, level=level, parameters=parameters)
    early = rewrite(graph, level=level, verify=True)
    late = optimize(early, level=level, parameters=parameters, verify=True, rewritten=True)
    assert same_structure(late, whole)


@dataclass(frozen=True)
class _Failing(Pass):
    error: Exception
    name = "failing"

    def run(self, graph: Graph) -> PassResult:
        raise self.error


class _Breaking(Pass):
    """Leaves a node that reads what is no longer there."""

    name = "breaking"

    def run(self, graph: Graph) -> PassResult:
        return PassResult(replace(graph, nodes=graph.nodes[1:]), True)


def test_a_failing_pass_is_named_with_those_before_it() -> None:
    error = ZeroDivisionError("of all things")
    with pytest.raises(PassError) as caught:
        PassManager([DeadCode(), CommonSubexpressions(), _Failing(error)]).run(_query_graph())
    assert str(caught.value) == (
        "pass 3 `failing` failed on graph `test` "
        "(passes before it: dead-code, common-subexpressions): of all things"
    )
    assert caught.value.__cause__ is error


def test_a_pass_that_breaks_the_graph_is_named_where_it_is_verified() -> None:
    assert PassManager([_Breaking()]).run(_query_graph()).nodes
    with pytest.raises(PassError, match=r"pass 1 `breaking` failed.*before it: none"):
        PassManager([_Breaking()], verify=True).run(_query_graph())


def test_a_graph_that_comes_broken_is_no_pass_fault() -> None:
    graph = replace(_query_graph(), outputs={})
    with pytest.raises(VerificationError, match="no outputs"):
        optimize(graph, level=2, verify=True)


@given(graph=graphs(), level=st.sampled_from([0, 1, 2]), weights=st.booleans())
def test_every_level_keeps_the_results(graph: Graph, level: Level, weights: bool) -> None:
    _, parameters = arrays(graph)
    after = optimize(graph, level=level, parameters=parameters if weights else None, verify=True)
    inputs, _ = arrays(graph)
    expected, got = (evaluate(g, inputs, parameters) for g in (graph, after))
    for name, array in expected.items():
        np.testing.assert_allclose(got[name], array, rtol=1e-5, atol=1e-6, err_msg=name)
    assert after.parameters == graph.parameters


def _defined(monkeypatch: pytest.MonkeyPatch, name: str, after: str) -> type[Pass]:
    """A pass that somebody defines, which is forgotten after the test."""
    monkeypatch.setitem(PASSES, name, DeadCode)
    del PASSES[name]
    return type(name, (_Breaking,), {"name": name, "after": after})


def _order(level: Level = 2) -> list[str]:
    return [step.name for step in passes(level, frozen=True)]


def test_a_pass_runs_where_it_says_once_it_is_defined(monkeypatch: pytest.MonkeyPatch) -> None:
    before = _order()
    _defined(monkeypatch, "first", "norm-of-linear")
    _defined(monkeypatch, "second", "norm-of-linear")
    _defined(monkeypatch, "behind-first", "first")
    _defined(monkeypatch, "last", "compose-linear")
    after = _order()
    place = after.index("norm-of-linear")
    assert after[place + 1 : place + 4] == ["second", "first", "behind-first"]
    assert after[after.index("last") - 1] == "compose-linear"
    new = {"first", "second", "behind-first", "last"}
    assert [name for name in after if name not in new] == before
    assert not new & {*_order(0), *_order(1)}


def test_each_pass_that_rewrites_has_a_place_of_its_own() -> None:
    """Or the order of imports would decide."""
    places = [found.after for found in PASSES.values() if found.after]
    assert len(places) == len(set(places)) > 10


def test_a_pass_behind_one_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    _defined(monkeypatch, "lost", "norm-of-linea")
    with pytest.raises(PassError, match="`lost` cannot run after `norm-of-linea`: it may name one"):
        passes(2, frozen=True)
    passes(1)


def test_two_passes_of_one_name_are_refused() -> None:
    with pytest.raises(TypeError, match="there is a pass `dead-code`"):
        type("Another", (DeadCode,), {"name": "dead-code"})
