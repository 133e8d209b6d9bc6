"""Inputs and checkpoints as other libraries name and wrap them: what is told, or done, is right."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import perceiver_graph as pg
from perceiver_graph.runtime import Program
from perceiver_graph.spec.loader import parse_spec
from tests.cli.test_called_otherwise import said
from tests.test_arrays_of_other_kinds import PAIR
from tests.tiny import fault

SPEC = """
perceiver: 1
name: named
inputs:
  image: {shape: {height: 4, width: 6, channel: 3}, media: {image: {}}}
  words:
    shape: {length: 20, channel: 2}
    steps: [{embedding: {vocabulary: {word: 9, segment: 2}, width: 8}}]
    position: {learned: {}, combine: add}
    attention_mask: true
join: {padding: {min: 0}}
latents: {count: 2, width: 4}
process: {layers: 1, heads: 1}
outputs:
  label: {query: {learned: {}}, head: {linear: 2}}
"""


@pytest.fixture(scope="module")
def compiled() -> Any:
    return pg.compile(parse_spec(SPEC))


@pytest.fixture(scope="module")
def program(compiled: Any, tmp_path_factory: pytest.TempPathFactory) -> Program:
    folder = tmp_path_factory.mktemp("named") / "artifact"
    compiled.save(folder)
    return pg.load(folder, device="cpu")


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("input_ids", "here it is called `words`"),
        ("pixel_values", "here it is called `image`"),
        ("token_type_ids", "they are the second channel of `words`: numpy.stack("),
        ("segment_ids", "they are the second channel of `words`: numpy.stack("),
        ("position_ids", "positions are the model's own: leave them out"),
        ("attention_mask", "it is among the inputs, as `words.attention_mask`"),
        ("labels", "a model takes inputs alone: leave it out"),
    ],
)
def test_an_input_that_others_call_otherwise(name: str, wanted: str, program: Program) -> None:
    run: Any = program.run
    assert wanted in said(lambda: run({name: PAIR}))
    assert wanted in said(lambda: run(**{name: PAIR}))
    assert wanted in said(lambda: run({"words": PAIR}, **{name: PAIR}))
    encode: Any = program.encode
    assert wanted in said(lambda: encode(**{name: PAIR}))


def test_a_mask_for_an_input_that_takes_none_is_not_that_of_another(program: Program) -> None:
    words, image = np.zeros((1, 20, 2), np.int64), np.zeros((1, 4, 6, 3), np.float32)
    arrays: dict[str, Any] = {"words": words, "image": image}
    arrays |= {"image.attention_mask": np.ones((1, 20), bool)}
    found = fault(lambda: program.run(arrays))
    assert (found.code, found.message) == ("PG502", "input `image` takes no mask")
    assert "`attention_mask: true` under `inputs.image`" in str(found.help)


def test_segments_are_given_as_told(program: Program) -> None:
    told = said(lambda: program.run({"token_type_ids": PAIR}))
    way = re.search(r"numpy\.stack\(.*?axis=-1\)", told)
    assert way
    ids = {"INPUT_IDS": PAIR[..., 0], "TOKEN_TYPE_IDS": PAIR[..., 1], "numpy": np}
    found = program.run({"words": eval(way[0], ids)})["label"]
    np.testing.assert_array_equal(found, program.run({"words": PAIR})["label"])


def test_what_a_model_has_not_is_left_out(tmp_path: Path) -> None:
    text = SPEC.replace(", channel: 2}", "}").replace("{word: 9, segment: 2}", "9")
    pg.compile(parse_spec(text.replace("    attention_mask: true\n", ""))).save(tmp_path / "one")
    program = pg.load(tmp_path / "one", device="cpu")
    assert "knows no segments: leave them" in said(lambda: program.run({"token_type_ids": PAIR}))
    assert "no input takes a mask" in said(lambda: program.run({"attention_mask": PAIR}))


WRAPPED: dict[str, Any] = {
    "state_dict": lambda s, m: {"state_dict": s, "epoch": 3, "optimizer": {"state": {}}},
    "model_state_dict": lambda s, m: {"model_state_dict": s, "loss": 0.5},
    "model": lambda s, m: {"model": s},
    "module": lambda s, m: {"model": m},
    "twice": lambda s, m: {"model": {"state_dict": s}},
    "of data parallel": lambda s, m: {"model": {f"module.{n}": x for n, x in s.items()}},
    "compiled": lambda s, m: {"state_dict": {f"_orig_mod.{n}": x for n, x in s.items()}},
    "of lightning": lambda s, m: {"state_dict": {f"net.{n}": x for n, x in s.items()}},
    "plain": lambda s, m: s,
}


@pytest.mark.parametrize("wrapped", WRAPPED)
def test_what_a_trainer_has_put_around_weights(wrapped: str, compiled: Any, tmp_path: Path) -> None:
    module = compiled.to_torch(seed=5)
    state = module.state_dict()
    given = WRAPPED[wrapped](state, module)
    for name, value in compiled.to_torch(given).state_dict().items():
        np.testing.assert_array_equal(value, state[name])
    compiled.save(tmp_path / "artifact", weights=given, backends=["torch"])
    found = compiled.weights(tmp_path / "artifact")
    np.testing.assert_array_equal(found["latents"], state["latents"])


def test_of_several_models_one_is_not_guessed(compiled: Any) -> None:
    state = compiled.to_torch().state_dict()
    told = said(lambda: compiled.to_torch({"model": state, "ema": state}))
    assert "several models, `model` and `ema`: give one of them, `WEIGHTS['model']` or" in told
