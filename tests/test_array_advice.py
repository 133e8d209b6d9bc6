"""Arrays whose axes do not fit: the help has the expression that makes them fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import perceiver_graph as pg
from perceiver_graph.diagnostics import Diagnostic, DiagnosticError
from perceiver_graph.runtime.program import Program
from perceiver_graph.spec.loader import parse_spec
from tests.test_generation import SPEC as WRITER

SPEC = """
perceiver: 1
name: sensors
dims: {seconds: {max: 4}, steps: {max: 500}}
inputs:
  radar: {shape: {range: 8, azimuth: 4, doppler: 2, channel: 3}}
  eeg: {shape: {electrode: 5, time: 16 * seconds, channel: 1}}
  joints: {shape: {joint: 7, channel: 1}}
  track: {shape: {time: steps, channel: 3}}
join: {padding: {min: 0}}
latents: {count: 2, width: 4}
process: {layers: 1, heads: 1}
outputs:
  label: {query: {learned: {}}, head: {linear: 2}}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    folder = tmp_path_factory.mktemp("sensors") / "artifact"
    pg.compile(parse_spec(SPEC)).save(folder)
    return pg.load(folder)


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("radar", (8, 4, 2, 3), "add the batch axis: "),
        ("radar", (2, 3, 8, 4, 2), ""),
        ("radar", (1, 8, 2, 4, 3), ""),
        ("eeg", (5, 32, 1), "add the batch axis: "),
        ("eeg", (2, 5, 32), "add the axis of the one channel: "),
        ("joints", (3, 7), "add the axis of the one channel: "),
        ("joints", (7, 1), "add the batch axis: "),
        ("joints", (3, 1, 7), ""),
        ("joints", (7,), "add the axes of the batch and of the one channel: "),
        ("joints", (1, 1, 7, 1), "take out an axis of size 1: "),
        ("joints", (1, 7, 1, 1), "take out an axis of size 1: "),
        ("radar", (3, 8, 4, 2), "put the axes in order, and add that of the batch: "),
        ("radar", (192,), "if the last axis goes fastest in it, "),
        ("radar", (5, 192), "if the last axis goes fastest in it, "),
        ("track", (3, 500), "put the axes in order, and add that of the batch: "),
        ("track", (2, 3, 500), "if its axes are in another order: "),
        ("track", (500, 3), "add the batch axis: "),
        ("eeg", (2, 1, 5, 32), "if its axes are in another order: "),
        ("eeg", (2, 5, 1, 32), "if its axes are in another order: "),
    ],
)
def test_the_advice_makes_an_array_fit(
    name: str, shape: tuple[int, ...], words: str, program: Program
) -> None:
    array = np.random.default_rng(0).random(shape, np.float32)
    with pytest.raises(DiagnosticError) as caught:
        program.run({name: array})
    found, *_ = caught.value.diagnostics
    assert found.code == "PG503"
    assert found.help is not None
    assert found.help.startswith(words)
    better = eval(found.help.removeprefix(words), {name: array})
    assert sorted(better.ravel()) == sorted(array.ravel())
    program.run({name: better})


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("radar", (1, 8, 4, 2, 4)),
        ("radar", (8, 4, 2)),
        ("eeg", (1, 6, 32)),
        ("joints", (8,)),
        ("track", (3, 501)),
    ],
)
def test_there_is_no_advice_where_nothing_would_fit(
    name: str, shape: tuple[int, ...], program: Program
) -> None:
    with pytest.raises(DiagnosticError) as caught:
        program.run({name: np.zeros(shape, np.float32)})
    assert [one.help for one in caught.value.diagnostics] == [None]


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((1, 600, 3), "split it, or take the first 500: "),
        ((0, 20, 3), "give one batch element at least, "),
        ((1, 0, 3), "fill it up: "),
    ],
)
def test_sizes_that_are_not_permitted_are_told_what_would_be(
    shape: tuple[int, ...], words: str, program: Program
) -> None:
    track = np.zeros(shape, np.float32)
    (found,) = faults(program, {"track": track})
    way = str(found.help)
    assert way.startswith(words)
    made = eval(way.removeprefix(words), {"track": track, "numpy": np, "steps": 20})
    program.run({"track": np.zeros(made, np.float32) if isinstance(made, list) else made})


@pytest.mark.parametrize(("length", "words"), [(3, "fill it up: "), (9, "take the last 8: ")])
def test_texts_whose_last_tokens_are_the_latents_keep_these(
    length: int, words: str, tmp_path: Path
) -> None:
    """What is added comes in front of them, as it does where a file is read."""
    text = WRITER.replace("max: 12", "max: 8")
    pg.compile(text).save(tmp_path / "writer")
    ids = np.arange(length)[None]
    (found,) = faults(pg.load(tmp_path / "writer"), {"text": ids})
    code = str(found.help).partition(words)[2].partition(", and")[0]
    made = eval(code, {"text": ids, "numpy": np})
    assert made[0, -3:].tolist() == ids[0, -3:].tolist()
    assert made.shape in ((1, 4), (1, 8))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_the_advice_makes_numbers_finite(wrong: float, program: Program) -> None:
    joints = np.full((1, 7, 1), wrong, np.float32)
    with pytest.raises(DiagnosticError) as caught:
        program.run({"joints": joints})
    help = str(caught.value.diagnostics[0].help)
    better = eval(
        help.removeprefix("replace them: ").partition(";")[0], {"numpy": np, "joints": joints}
    )
    np.testing.assert_array_equal(better, np.zeros((1, 7, 1)))


@pytest.mark.parametrize(
    ("dtype", "help"),
    [(bool, ".astype('float32')"), (complex, ".real"), ("U4", "not texts"), ("M8[s]", "dates")],
)
def test_what_are_no_real_numbers_is_called_so(dtype: Any, help: str, program: Program) -> None:
    with pytest.raises(DiagnosticError) as caught:
        program.run({"joints": np.zeros((1, 7, 1), dtype)})
    assert help in str(caught.value.diagnostics[0].help)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_that_only_float32_lacks_are_replaced_too(dtype: Any, program: Program) -> None:
    joints = np.full((1, 7, 1), np.inf if dtype is np.float32 else 1e300, dtype)
    (found,) = faults(program, {"joints": joints})
    better = str(found.help).removeprefix("replace them: ").partition(";")[0]
    with np.errstate(over="ignore"):
        program.run({"joints": eval(better, {"numpy": np, "joints": joints})})


def test_an_array_beside_a_batch_is_given_one_of_that_size(program: Program) -> None:
    eeg, joints = np.zeros((3, 5, 16, 1), np.float32), np.zeros((7, 1), np.float32)
    (found,) = faults(program, {"eeg": eeg, "joints": joints})
    words = "add the batch axis: "
    better = eval(str(found.help).removeprefix(words), {"numpy": np, "joints": joints})
    program.run({"eeg": eeg, "joints": better})


def test_leaving_an_input_out_is_advised_where_others_are_given(program: Program) -> None:
    eeg, joints = np.zeros((1, 5, 16, 1), np.float32), np.full((1, 7, 1), np.nan, np.float32)
    (alone,) = faults(program, {"joints": joints})
    (beside,) = faults(program, {"joints": joints, "eeg": eeg})
    assert "leave the input out" not in str(alone.help)
    assert "leave the input out" in str(beside.help)
    program.run({"eeg": eeg})


def test_an_input_that_is_none_is_left_out(program: Program) -> None:
    eeg = np.zeros((1, 5, 16, 1), np.float32)
    (found,) = faults(program, {"eeg": eeg, "joints": None})
    assert (found.message, found.help) == ("input `joints` is None", "leave it out")


def faults(program: Program, arrays: dict[str, Any]) -> tuple[Diagnostic, ...]:
    with pytest.raises(DiagnosticError) as caught:
        program.run(arrays)
    return caught.value.diagnostics
