"""Arrays that callers have in another form: what is told makes them fit, and gives the right number."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

import perceiver_graph as pg
from perceiver_graph.runtime import Program
from perceiver_graph.runtime.axes import better_mask
from perceiver_graph.spec.loader import parse_spec
from tests.tiny import fault

SPEC = """
perceiver: 1
name: forms
dims: {steps: {max: 50}, length: {max: 20}}
inputs:
  image: {shape: {height: 4, width: 6, channel: 3}}
  joints: {shape: {time: steps, joint: 5, channel: 3}, attention_mask: true}
  pair:
    shape: {length: length, channel: 2}
    steps: [{embedding: {vocabulary: {word: 9, segment: 2}, width: 8}}]
    position: {learned: {}, combine: add}
  text:
    shape: {length: 6}
    steps: [{embedding: {vocabulary: 11, width: 4}}]
    position: {learned: {}, combine: add}
join: {padding: {min: 0}}
latents: {count: 2, width: 4}
process: {layers: 1, heads: 1}
outputs:
  label: {query: {learned: {}}, head: {linear: 2}}
"""
RNG = np.random.default_rng(0)
JOINTS = RNG.random((2, 7, 5, 3), np.float32)
MASK = JOINTS[..., 0] > 0.3
IDS = RNG.integers(0, 11, (2, 6))
PAIR = np.stack([RNG.integers(0, 9, (2, 20)), RNG.integers(0, 2, (2, 20))], -1)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    folder = tmp_path_factory.mktemp("forms") / "artifact"
    compiled = pg.compile(parse_spec(SPEC))
    weights = {
        name: RNG.normal(0, 0.5, value.shape).astype(np.float32)
        for name, value in compiled.weights().items()
    }
    compiled.save(folder, weights=weights)
    return pg.load(folder, device="cpu")


def told(program: Program, given: dict[str, Any]) -> str:
    return str(fault(lambda: program.run(given)).help)


def expression(help: str) -> str:
    """The expression at the end of an advice."""
    start = min(help.find(word) for word in ("numpy.", "x.") if word in help)
    return help[start:]


def follow(program: Program, name: str, x: Any, **more: Any) -> Any:
    """What the program makes of an array once every advice, one after the other, has been followed."""
    for _ in range(3):
        given = {**more.get("beside", {}), name: x}
        try:
            return program.run(given)["label"]
        except pg.DiagnosticError as error:
            way = expression(str(error.diagnostics[0].help).replace(name, "x"))
            x = eval(way, {"numpy": np, "x": x, "OTHER": more.get("other")})
    raise AssertionError("no advice makes it fit")


def rows(ids: Any, dtype: Any) -> Any:
    return np.eye(11, dtype=dtype)[ids]


@pytest.mark.parametrize("dtype", [np.float32, np.int64, bool])
def test_rows_with_a_one_become_the_ids(dtype: Any, program: Program) -> None:
    found = follow(program, "text", rows(IDS, dtype))
    np.testing.assert_array_equal(found, program.run({"text": IDS})["label"])


def test_scores_are_not_taken_for_ids(program: Program) -> None:
    assert told(program, {"text": rows(IDS, np.float32) * 0.9}).endswith("and these are none")
    assert "astype" not in told(program, {"text": IDS / 11})
    assert told(program, {"text": IDS.astype(float)}).endswith("text.astype('int64')")


def test_ids_of_one_vocabulary_are_not_turned_into_those_of_two(program: Program) -> None:
    found = follow(program, "pair", PAIR[..., 0], other=PAIR[..., 1])
    np.testing.assert_array_equal(found, program.run({"pair": PAIR})["label"])


@pytest.mark.parametrize(
    ("name", "array", "shape"),
    [
        ("joints", JOINTS, (2, 7, 15)),
        ("joints", JOINTS[:1], (7, 15)),
        ("image", RNG.random((2, 4, 6, 3)), (2, 24, 3)),
        ("image", RNG.random((2, 4, 6, 3)), (2, 4, 18)),
        ("image", RNG.random((1, 4, 6, 3)), (24, 3)),
    ],
)
def test_axes_in_one_are_parted(
    name: str, array: Any, shape: tuple[int, ...], program: Program
) -> None:
    found = follow(program, name, array.reshape(shape))
    np.testing.assert_array_equal(found, program.run({name: array})["label"])


def test_a_size_that_is_not_fixed_is_not_guessed(program: Program) -> None:
    assert told(program, {"joints": JOINTS.reshape(2, 105)}) == "None"


@pytest.mark.parametrize(
    ("mask", "given"),
    [
        (np.repeat(MASK[..., :1], 5, -1), MASK[..., 0]),
        (np.repeat(MASK[..., :1], 5, -1), MASK[..., :1]),
        (np.repeat(MASK[:1], 2, 0), MASK[0]),
        (np.repeat(MASK[:1], 2, 0), MASK[:1]),
        (MASK, MASK.reshape(2, 35)),
        (MASK, MASK.transpose(0, 2, 1)),
        (MASK, MASK[..., None]),
        (MASK, np.stack([MASK, np.ones_like(MASK)], -1)),
        (MASK, MASK.astype(float)),
        (MASK, np.where(MASK, 0, -np.inf)),
    ],
)
def test_masks_of_other_axes_and_numbers(mask: Any, given: Any, program: Program) -> None:
    beside = {"joints": JOINTS}
    found = program.run({**beside, "joints.attention_mask": mask})["label"]
    help = told(program, {**beside, "joints.attention_mask": given})
    found_at = min(help.find(word) for word in ("numpy.", "mask.", "(mask") if word in help)
    expression = help[found_at:].partition(" if ")[0]  # of what numbers mean, a condition is told
    made = eval(expression, {"numpy": np, "mask": given})
    again = program.run({**beside, "joints.attention_mask": made})["label"]
    np.testing.assert_array_equal(again, found)
    assert np.abs(found - program.run(beside)["label"]).max() > 0


def test_a_mask_that_may_be_read_in_two_ways_is_told_none() -> None:
    assert better_mask("mask", (5, 5), (5, 5, 5)) is None
    assert better_mask("mask", (7,), (2, 7, 5)) is None


def test_what_is_masked_in_a_list_is_not_taken_for_data(program: Program) -> None:
    part = np.ma.masked_array(JOINTS[0], JOINTS[0] > 0.9)
    boxed = np.empty(2, object)
    boxed[:] = [part, JOINTS[1]]
    for given in ([part, JOINTS[1]], [JOINTS[0], part], ([*part], [*part]), boxed):
        found = fault(partial(program.run, {"joints": given}))
        assert "has masked arrays" in found.message
        assert ".filled(0)" in str(found.help)
    plain = program.run({"joints": [np.ma.masked_array(one) for one in JOINTS]})["label"]
    np.testing.assert_array_equal(plain, program.run({"joints": JOINTS})["label"])


class Exchanged:
    """An array of another library, which has no other way out."""

    def __dlpack__(self, **options: Any) -> Any:
        return torch.as_tensor(JOINTS).__dlpack__()

    def __dlpack_device__(self) -> Any:
        return torch.as_tensor(JOINTS).__dlpack_device__()


def boxes() -> Any:
    found = np.empty(2, object)
    found[:] = [*JOINTS]
    return found


RECORDS: Any = np.rec
FORMS: dict[str, Any] = {
    "boxes": boxes,
    "exchanged": Exchanged,
    "iterator": lambda: (one for one in JOINTS),
    "objects": lambda: JOINTS.astype(object),
    "texts": lambda: JOINTS.astype("U32"),
    "fields": lambda: RECORDS.fromarrays([*np.moveaxis(JOINTS, -1, 0)], names="x,y,z"),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_is_told_makes_numbers_of_other_kinds(form: str, program: Program) -> None:
    found = follow(program, "joints", FORMS[form]())
    np.testing.assert_array_equal(found, program.run({"joints": JOINTS})["label"])


def test_rows_of_other_lengths_are_told_of_the_mask(program: Program) -> None:
    assert "`joints.attention_mask`" in told(program, {"joints": [JOINTS[0], JOINTS[1][:3]]})
    assert "attention_mask" not in told(program, {"text": [[1, 2, 3], [4]]})


def test_what_is_missing_is_left_out_as_told(program: Program) -> None:
    joints = JOINTS.copy()
    joints[0, 3, 2, 1] = joints[1, 5] = np.nan
    help = told(program, {"joints": joints})
    names = {"numpy": np, "joints": joints}
    filled = eval(help.removeprefix("replace them: ").partition(";")[0], names)
    mask = eval(help.rpartition("`: ")[2], names)
    other = np.where(np.isfinite(joints), joints, 7)  # what lies there has no part in it
    found = [
        program.run({"joints": array, "joints.attention_mask": mask})["label"]
        for array in (filled, other)
    ]
    np.testing.assert_array_equal(mask, ~np.isnan(joints).any(-1))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)
