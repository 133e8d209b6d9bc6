"""Handles of states: what they stand for, how many are kept and for how long."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import perceiver_graph as pg
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.runtime import Program, load
from perceiver_graph.runtime.random_inputs import random_inputs
from perceiver_graph.serving.calls import Answer, Call
from perceiver_graph.serving.queue import Room
from perceiver_graph.serving.states import States, in_two
from tests.small import SMALL


def program_of(name: str, folder: Path) -> Program:
    pg.compile(name, overrides=list(SMALL[name])).save(folder)
    return load(folder, device="cpu", threads=1)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return program_of("kinetics", tmp_path_factory.mktemp("compiled") / "clips")


def answered(one: Coroutine[Any, Any, Answer]) -> Answer:
    return asyncio.run(one)


def refused(one: Coroutine[Any, Any, Answer]) -> str:
    with pytest.raises(DiagnosticError) as error:
        asyncio.run(one)
    return error.value.diagnostics[0].code


@pytest.fixture
def room() -> Any:
    with ThreadPoolExecutor(1) as threads:
        yield Room(threads, 9, 60.0)


def test_encoded_once_decoded_often(clips: Program, room: Room) -> None:
    arrays = random_inputs(clips.manifest, {}, 0).arrays
    models: Any = in_two("clips", clips, room, States(9, 60.0))
    encode, decode = models["clips.encode"], models["clips.decode"]
    begun = answered(encode.answer(Call({"audio": arrays["audio"]})))
    assert (begun.arrays, "`image` was not given" in begun.notes[0]) == ({}, True)
    state = begun.parameters["state"]
    wanted = clips.run({"audio": arrays["audio"]})
    for name, array in wanted.items():
        found = answered(decode.answer(Call({}, {name: None}, state=state)))
        np.testing.assert_allclose(found.arrays[name], array, rtol=1e-4, atol=1e-9)
    some = answered(decode.answer(Call({}, {"image": slice(3, 7)}, state=state)))
    flat = wanted["image"].reshape(1, -1, wanted["image"].shape[-1])
    np.testing.assert_allclose(some.arrays["image"], flat[:, 3:7], rtol=1e-4, atol=1e-9)
    assert (decode.inputs, len(decode.outputs)) == ([], 3)
    assert (len(encode.inputs), encode.outputs) == (2, [])


def test_points_are_asked_of_a_state(tmp_path: Path, room: Room) -> None:
    program = program_of("hunyuan3d_decoder", tmp_path)
    arrays: dict[str, Any] = random_inputs(program.manifest, {}, 0).arrays
    (points,) = (name for name, one in program.manifest.inputs.items() if one.points_of)
    models: Any = in_two("shape", program, room, States(9, 60.0))
    assert [one["name"] for one in models["shape.decode"].inputs] == [points]
    encoded = Call({name: array for name, array in arrays.items() if name != points})
    state = answered(models["shape.encode"].answer(encoded)).state
    wanted = program.run(arrays)
    found = answered(models["shape.decode"].answer(Call({points: arrays[points]}, state=state)))
    for name, array in wanted.items():
        np.testing.assert_allclose(found.arrays[name], array, rtol=1e-4, atol=1e-9)
    assert (
        refused(models["shape.decode"].answer(Call(dict(encoded.arrays), state=state))) == "PG531"
    )


def test_what_stands_for_nothing_is_told(clips: Program, room: Room) -> None:
    models: Any = in_two("clips", clips, room, States(9, 60.0))
    others: Any = in_two("clips", clips, room, States(9, 60.0))
    arrays = random_inputs(clips.manifest, {}, 0).arrays
    state = answered(others["clips.encode"].answer(Call(dict(arrays)))).state
    decode = models["clips.decode"]
    assert refused(decode.answer(Call({}))) == "PG531"
    assert refused(decode.answer(Call({}, state=state))) == "PG534"
    assert refused(others["clips.decode"].answer(Call({}, {"no": None}, state=state))) == "PG506"


@given(
    st.lists(st.tuples(st.sampled_from(["keep", "get", "wait"]), st.integers(0, 9)), max_size=40)
)
def test_what_is_kept_is_what_was_used_last(steps: list[tuple[str, int]]) -> None:
    """Beside a list that is gone through."""
    now = [0]
    kept = States(3, 10.0, lambda: float(now[0]))
    used: list[tuple[int, str]] = []
    for step, number in steps:
        match step:
            case "wait":
                now[0] += number
            case "keep":
                used.append((now[0], kept.keep(None)))  # type: ignore[arg-type]
            case "get" if used:
                at, handle = used[number % len(used)]
                there = [h for t, h in used if t > now[0] - 10][-3:]
                if handle in there:
                    kept.get(handle)
                    used.remove((at, handle))
                    used.append((now[0], handle))
                else:
                    with pytest.raises(DiagnosticError, match="PG534"):
                        kept.get(handle)
        used = [one for one in used if one[0] > now[0] - 10][-3:]
        assert len(kept) == len(used)
