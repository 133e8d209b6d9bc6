"""What is said to who typed a command and to who called from Python: each in words that work there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import perceiver_graph as pg
from perceiver_graph.cli.batch import _tell
from perceiver_graph.cluster.batch import Totals
from perceiver_graph.cluster.job import Outcome
from perceiver_graph.diagnostics import DiagnosticError, commands
from perceiver_graph.runtime import load
from perceiver_graph.runtime.queries import parse_decode
from perceiver_graph.spec.manifest import Dimension
from tests.batch_support import compiled
from tests.cli.support import ROOT, TINY, Command
from tests.tiny import fault

OPTION = re.compile(r"(?<![\w-])--[a-z]")
NO_ADVICE = "written by perceiver-graph --dump-ir"
SIZED = """
perceiver: 1
name: sized
dims: {k: {max: 4}}
inputs:
  x: {shape: {place: 6, channel: 3}, steps: [{fourier: {bands: 2, max_resolution: 8}}]}
latents: {count: 4, width: 8}
process: {layers: 1, heads: 2}
outputs:
  y: {query: {grid: {time: k}, position: {learned: {width: 8}}}, head: {linear: 2}}
  label: {query: {learned: {}}, head: {linear: 2}}
"""


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"min": 24, "max": 24}, "24"),
        ({"min": 8, "max": 15, "multiple_of": 8}, "8"),
        ({"min": 8, "max": 16, "multiple_of": 8}, "a multiple of 8, 8 to 16"),
        ({"min": 2}, "at least 2"),
    ],
)
def test_a_range_of_one_size_is_that_size(sizes: dict[str, int], words: str) -> None:
    assert Dimension(**sizes).in_words == words


def test_help_in_python_has_no_options(tmp_path: Path) -> None:
    pg.compile(TINY).save(tmp_path / "tiny")
    tiny = pg.load(tmp_path / "tiny", device="cpu")
    state = tiny.encode({"x": np.zeros((1, 4, 3))})
    told = fault(lambda: tiny.decode(state, {"y": slice(9, 3)}))
    assert "for example `{'y': slice(0, 8)}`" in str(told.help)
    assert "`{'label': None}`" in str(fault(lambda: tiny.decode(state, {"label": [0]})).help)
    assert "--decode" not in str(fault(lambda: parse_decode(["y=3"])).help)
    net = pg.compile(TINY)
    broken: dict[str, Any] = {**net.weights(), "latents": np.full((4, 8), np.nan)}
    found = fault(lambda: net.weights(broken))
    assert "in the arrays given: `latents`" in found.message


def _of_the_command_line(path: Path) -> Iterator[str]:
    """Texts that hold an option as it is typed, and are not one of two ways to say it."""
    ways = {"setting", "named", "either", "command", "shell", "pipe"}

    def walk(node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ways:
            return
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):  # a docstring
            return
        if isinstance(node, ast.Constant) and OPTION.search(text := str(node.value)):
            alone = " " not in text.strip()  # one of a command
            yield from [] if alone else [f"{path.relative_to(ROOT)}:{node.lineno}: {text}"]
        for child in ast.iter_child_nodes(node):
            yield from walk(child)

    yield from walk(ast.parse(path.read_text("utf-8")))


def test_options_are_said_as_they_are_given_by_who_reads_it() -> None:
    """What Python can call says `device="cpu"` to who does, and `--device cpu` to who types."""
    other = ("cli", "serving", "looking", "diagnostics/codes")  # which nobody calls
    files = (
        path
        for path in sorted((ROOT / "perceiver_graph").rglob("*.py"))
        if not any(path.is_relative_to(ROOT / "perceiver_graph" / one) for one in other)
    )
    found = [text for path in files for text in _of_the_command_line(path)]
    assert [text for text in found if not text.endswith(NO_ADVICE)] == []


def test_a_setting_in_the_words_of_each() -> None:
    for flag, value, called, python in [
        ("--device", "cpu", "", '`device="cpu"`'),
        ("--seed", 0, "", "`seed=0`"),
        ("--model-class", "CLASS", "", "`model_class=CLASS`"),
        ("--memory", "3MiB", "memory=3 * 2**20", "`memory=3 * 2**20`"),
    ]:
        assert commands.setting(flag, value, called) == python
        with commands.typed():
            assert commands.setting(flag, value, called) == f"`{flag} {value}`"


def test_who_calls_is_told_of_arguments(tmp_path: Path) -> None:
    tiny = tmp_path / "tiny"
    pg.compile(TINY).save(tiny)
    with pytest.raises(DiagnosticError) as small:
        pg.compile(TINY, memory=2**20)
    told = [
        small.value.diagnostics[0],
        fault(lambda: pg.compile(TINY, overrides=["latents"])),
        fault(lambda: pg.compile(TINY, precision="bf16")),
        fault(lambda: pg.compile(TINY, overrides=["latents.count=x"])),
    ]
    for one, wanted in zip(
        told, ["`memory=", '`overrides=["latents', '`precision="', "override latents"], strict=True
    ):
        assert wanted in str(DiagnosticError(one))
        assert not OPTION.search(str(DiagnosticError(one)))


def test_sizes_are_whole_numbers_and_random_inputs_need_no_note(
    tmp_path: Path, command: Command
) -> None:
    pg.compile(SIZED).save(tmp_path / "sized")
    sized: Any = load(tmp_path / "sized", device="cpu")
    found = fault(lambda: sized.run({"x": np.zeros((1, 6, 3))}, sizes={"k": "4"}))
    assert (found.message, found.help) == (
        "the size `k` is '4', which is no whole number",
        "give an int: it is 1 to 4",
    )
    done = command("run", tmp_path / "sized", "--random", "-o", tmp_path / "out.npz")
    assert (done.code, done.err) == (0, "")


def test_of_texts_the_artifact_and_the_input_are_named(tmp_path: Path, command: Command) -> None:
    artifact = compiled(tmp_path / "reader")
    done = command("run", artifact, "txt=Hello", "-o", tmp_path / "out")
    assert (done.code, "did you mean `text`?" in done.err) == (1, True), done.err
    done = command("run", artifact, "test=1", "-o", tmp_path / "out")
    assert (done.code, "`test=1` was read as a text" in done.err) == (0, True), done.err
    done = command("run", artifact, "no/such.txt", "-o", tmp_path / "out")
    assert f"perceiver-graph run {artifact} text=-`" in done.err
    done = command("run", artifact, "a=b", "-o", tmp_path / "out")
    assert done.code == 0, done.err


@pytest.mark.parametrize("words", [["compile", "kinetics"], ["run", "art", "--random"]])
def test_standard_output_is_no_place_for_results(words: list[str], command: Command) -> None:
    done = command(*words, "-o", "-")
    assert (done.code, "standard output (`-`) is not" in done.err) == (2, True), done.err


def test_what_failed_is_told_by_name(tmp_path: Path) -> None:
    totals = Totals(3, failed=3)
    totals.failures = [
        Outcome(n, "", "failed", code="PG507", message="it") for n in ("b", "c", "a")
    ]
    with pytest.raises(DiagnosticError) as caught:
        _tell(totals, tmp_path)
    assert [note[0] for note in caught.value.diagnostics[0].notes] == ["a", "b", "c"]
