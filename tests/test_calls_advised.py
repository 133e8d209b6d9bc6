"""Pictures without colour, lengths for a mask, dates and points for all: what is told works when it is
followed, in programs and in modules."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

import perceiver_graph as pg
from perceiver_graph.runtime.program import Program

SPEC = """
perceiver: 1
name: seen
dims: {length: {max: 12}}
inputs:
  image: {shape: {height: 4, width: 6, channel: 3}}
  text: {shape: {byte: length}, steps: [{embedding: {vocabulary: 11, width: 6}}], attention_mask: true}
join: {padding: {min: 0}}
latents: {count: 2, width: 4}
process: {layers: 1, heads: 1}
outputs:
  inside: {query: {points: [x, y, z], position: {fourier: {bands: 2, spacing: octaves}}}, head: {linear: 1}}
"""
NET: Any = pg.compile(SPEC).to_torch()
POINTS = np.zeros((2, 5, 3), np.float32)
MASK = "text.attention_mask"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    folder = tmp_path_factory.mktemp("advised") / "artifact"
    pg.compile(SPEC).save(folder)
    return pg.load(folder, device="cpu")


def given(**others: Any) -> dict[str, Any]:
    """Arrays of two elements."""
    text = np.ones((2, 7), np.int64)
    return {"image": np.ones((2, 4, 6, 3), np.float32), "text": text, **others}


def refused(call: Callable[[], object]) -> str:
    """What a program's help says behind its words."""
    with pytest.raises(pg.DiagnosticError) as caught:
        call()
    return str(caught.value.diagnostics[0].help)


def told(call: Callable[[], object]) -> str:
    """The expression that a module tells."""
    with pytest.raises(ValueError, match=r"; .*`") as caught:
        call()
    found = re.search("; .*?`(.*?)`", str(caught.value))
    assert found
    return found[1]


@pytest.mark.parametrize(
    "shape", [(2, 4, 6, 1), (2, 4, 6), (4, 6), (4, 6, 1), (2, 4, 6, 4)], ids=str
)
def test_a_picture_gets_its_three_channels(shape: tuple[int, ...], program: Program) -> None:
    image = np.random.default_rng(0).random(shape, np.float32)
    help = refused(lambda: program.run({**given(image=image), "inside.points": POINTS}))
    better = eval(help.partition(": ")[2], {"numpy": np, "image": image})
    program.run({**given(image=better), "inside.points": POINTS})
    other = torch.from_numpy(image)
    way = told(lambda: NET({"image": other}, {"inside": torch.zeros(1, 5, 3)}))
    same = eval(way, {"image": other})
    torch.testing.assert_close(torch.from_numpy(better)[: len(same)], same)


@pytest.mark.parametrize("shape", [(2,), (2, 1)])
def test_lengths_become_a_mask(shape: tuple[int, ...], program: Program) -> None:
    lengths = np.array([3, 7]).reshape(shape)
    help = refused(lambda: program.run({**given(**{MASK: lengths}), "inside.points": POINTS}))
    mask = eval(help.partition(", ")[2], {"numpy": np, "mask": lengths})
    assert mask.sum(1).tolist() == [3, 7]
    program.run({**given(**{MASK: mask}), "inside.points": POINTS})
    text, other = torch.ones(2, 7).long(), torch.from_numpy(lengths)
    way = told(lambda: NET.encode({"text": text, MASK: other}))
    same = eval(way, {"torch": torch, "attention_mask": other})
    assert same.tolist() == mask.tolist()
    NET.encode({"text": text, MASK: same})


def test_what_are_no_lengths_is_not_called_so(program: Program) -> None:
    for wrong in (np.array([3, 8]), np.array([-1, 3]), np.full((2, 7), 3)):
        asked = {**given(**{MASK: wrong}), "inside.points": POINTS}
        assert "lengths" not in refused(partial(program.run, asked))


@pytest.mark.parametrize("dtype", ["M8[ns]", "M8[D]", "m8[ms]"])
def test_dates_become_seconds(dtype: str, program: Program) -> None:
    image = np.full((2, 4, 6, 3), 86_400_000, "m8[ms]" if dtype[0] == "m" else "M8[ms]")
    image = image.astype(dtype)
    help = refused(lambda: program.run({**given(image=image), "inside.points": POINTS}))
    better = eval(help.partition(", ")[2], {"numpy": np, "image": image})
    assert (better == 86_400).all()
    program.run({**given(image=better), "inside.points": POINTS})


def test_points_for_all_are_told_how(program: Program) -> None:
    arrays = {name: torch.from_numpy(x) for name, x in given().items()}
    for points in (torch.rand(5, 3), torch.rand(1, 5, 3)):
        way = told(partial(NET, arrays, {"inside": points}))
        found = NET(arrays, {"inside": eval(way, {"points": points})})
        assert found["inside"].shape == (2, 5, 1)
    with pytest.raises(ValueError, match="no input `points`, only"):
        NET(arrays, points=torch.rand(2, 5, 3))


def test_a_program_has_no_items(program: Program) -> None:
    asked: Any = program
    for call in (lambda: asked["image"], lambda: [*asked], lambda: "image" in asked):
        with pytest.raises(TypeError, match=r'`run\({"image": ARRAY, "text": ARRAY, '):
            call()
    assert bool(asked)
