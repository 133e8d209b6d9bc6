"""What is said to who typed a command and to who called from Python: each in words that work there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import perceiver_graph as pg
from perceiver_graph.cli.batch import _tell
from perceiver_graph.cluster.batch import Totals
from perceiver_graph.cluster.job import Outcome
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.runtime import load
from perceiver_graph.runtime.queries import parse_decode
from perceiver_graph.spec.manifest import Dimension
from tests.batch_support import compiled
from tests.cli.support import TINY, Command
from tests.tiny import fault

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
