"""Programs run on arrays: results by hand, chunks of any size, and every mistake in a call."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

import perceiver_graph as pg
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.runtime import Program, load
from perceiver_graph.runtime.queries import Selection
from perceiver_graph.spec.loader import parse_spec
from tests.support import random_inputs
from tests.tiny import expected, fault, faults, write_artifact

Inputs = dict[str, NDArray[Any]]
SPEC = """
perceiver: 1
name: small
inputs:
  audio: {shape: {time: 32, channel: 1}, steps: [{patch: {time: 4}}], position: {fourier: {bands: 4}}}
  image:
    shape: {height: 8, width: 8, channel: 3}
    steps: [{patch: {height: 2, width: 2}}]
    position: {fourier: {bands: 3}}
join: {padding: {min: 2}}
latents: {count: 8, width: 16}
process: {layers: 1, heads: 2}
decode: {padding: {min: 2}, chunks: 5}
outputs:
  audio: {query: {grid: {time: 13}, position: {fourier: {bands: 4}}}, head: {linear: 2}}
  image: {query: {grid: {height: 8, width: 8}, position: {fourier: {bands: 3}}}, head: {linear: 3}}
  label: {query: {learned: {count: 1, width: 12}}, head: {linear: 7}}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return load(write_artifact(tmp_path_factory.mktemp("made") / "tiny"), device="cpu")


def some(batch: int = 2, length: int = 6, extra: bool = True) -> Inputs:
    rng = np.random.default_rng(batch * 100 + length)
    found: Inputs = {
        "points": rng.standard_normal((batch, length, 2), np.float32),
        "ids": np.arange(batch) % 6,
    }
    if extra:
        found["extra"] = rng.standard_normal((batch, 3), np.float32)
    return found


def check(found: Mapping[str, NDArray[Any]], wanted: Mapping[str, NDArray[Any]]) -> None:
    for name, array in found.items():
        assert array.dtype == np.float32
        np.testing.assert_allclose(array, wanted[name], rtol=1e-5, atol=1e-6, strict=True)


@pytest.mark.parametrize(("batch", "length"), [(1, 6), (3, 6), (3, 64), (2, 2)])
def test_outputs_are_those_computed_by_hand(program: Program, batch: int, length: int) -> None:
    inputs = some(batch, length)
    found = program.run(inputs)
    assert list(found) == ["dense", "sparse", "total"]
    check(found, expected(inputs["points"], inputs["extra"]))
    state = program.encode(inputs)
    check({"latents": state.latents}, expected(inputs["points"], inputs["extra"]))
    assert state.batch == batch


@pytest.mark.parametrize("memory", [1200, 1300, 1500, 1700, 5000])
def test_chunks_of_any_size_give_the_same(program: Program, memory: int) -> None:
    inputs = some(1)
    steps: list[tuple[int, int]] = []
    found = program.run(inputs, memory=memory, progress=lambda *step: steps.append(step))
    check(found, expected(inputs["points"], inputs["extra"]))
    total = {1200: 10, 1300: 5, 1500: 4, 1700: 2, 5000: 1}[memory]  # 2, 3, 5, 7, 40 queries
    assert steps == [(i + 1, total) for i in range(total)]


def test_without_a_budget_the_spec_says_how_many_chunks(program: Program) -> None:
    steps: list[tuple[int, int]] = []
    program.run(some(), progress=lambda *step: steps.append(step))
    assert steps == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("decode", "index"),
    [
        ({"dense": slice(3, 8)}, slice(3, 8)),
        ({"dense": slice(9, None)}, slice(9, None)),
        ({"dense": slice(0, 10, 4)}, slice(0, 10, 4)),
        ({"dense": [7, 0, 7]}, [7, 0, 7]),
        ({"dense": np.array([2], np.uint8)}, [2]),
    ],
)
def test_chosen_queries_come_in_the_order_given(
    program: Program, decode: dict[str, Selection], index: Any
) -> None:
    inputs = some(3)
    whole = expected(inputs["points"], inputs["extra"])["dense"].reshape(3, 10, 3)
    check(program.run(inputs, decode), {"dense": whole[:, index]})


def test_running_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """onnxruntime warns on the error stream, of settings too."""
    pg.compile(parse_spec(SPEC)).save(tmp_path / "small")
    data = np.zeros((1, 32, 1), np.float32), np.zeros((1, 8, 8, 3), np.float32)
    load(tmp_path / "small").run(dict(zip(("audio", "image"), data, strict=True)))
    assert capfd.readouterr() == ("", "")


def test_a_state_can_be_decoded_again_and_again(program: Program) -> None:
    inputs = some(2)
    wanted = expected(inputs["points"], inputs["extra"])
    state = program.encode(inputs)
    assert program.encode(some(3)).batch == 3  # a state stands by itself
    check(program.decode(state, {"total": None}), wanted)
    check(program.decode(state, {"sparse": None, "total": None}), wanted)
    check(program.decode(state), wanted)
    check(program.decode(state, {"sparse": [1]}), {"sparse": wanted["sparse"][:, [1]]})


def test_a_state_belongs_to_its_program(program: Program) -> None:
    other = Program(program.artifact, program.device)
    with pytest.raises(ValueError, match="another program"):
        other.decode(program.encode(some()))


def test_an_optional_input_may_be_left_out(program: Program) -> None:
    inputs, notes = some(2, extra=False), list[str]()
    found = program.run(inputs, note=notes.append)
    check(found, expected(inputs["points"], None))
    assert notes == ["input `extra` was not given: its mask token stands for it"]


def test_what_is_always_masked_is_ignored_and_that_is_said(program: Program) -> None:
    inputs = some(2) | {"label": np.array(["not", "even", "numbers"])}
    state = program.encode(inputs)
    assert state.notes == ("input `label` is always masked: what was given is not used",)


def test_safe_dtypes_and_layouts_are_converted(program: Program) -> None:
    inputs = some(2)
    inputs["points"] = np.round(inputs["points"] * 8)
    wanted = program.run(inputs)
    for dtype in ("float64", "float16", "int8", ">f4"):
        found = program.run(inputs | {"points": inputs["points"].astype(dtype)})
        check(found, wanted)
    strided = np.asfortranarray(inputs["points"])
    check(program.run(inputs | {"points": strided, "ids": np.array([0, 1], np.uint8)}), wanted)
    frozen = inputs["points"].copy()
    frozen.flags.writeable = False
    check(program.run(inputs | {"points": frozen}), wanted)
    listed = inputs["points"].tolist()
    check(program.run({**inputs, "points": listed}), wanted)


@pytest.mark.parametrize(
    ("changes", "code", "texts"),
    [
        ({"points": None}, "PG501", ["`points` is missing", "[batch, time length, channel 2]"]),
        ({"point": np.zeros(3)}, "PG502", ["no input `point`", "did you mean `points`?"]),
        ({"zebra": np.zeros(3)}, "PG502", ["`points`, `extra`, `ids`, `label`"]),
        ({"points": np.zeros((6, 2))}, "PG503", ["2 axes, [6, 2], and takes 3"]),
        (
            {"extra": np.zeros(3)},
            "PG503",
            ["add the batch axis: numpy.repeat(extra[None], 2, axis=0)"],
        ),
        (
            {"points": np.zeros((6, 2))},
            "PG503",
            ["numpy.repeat(points[None], 2, axis=0)"],
        ),
        ({"ids": np.int64(3)}, "PG503", ["0 axes, [], and takes 1"]),
        ({"points": np.zeros((2, 6, 5))}, "PG503", ["axis `channel`", "has size 5, and takes 2"]),
        ({"points": np.zeros((2, 7, 2))}, "PG503", ["size 7", "a multiple of 2, 2 to 64"]),
        ({"points": np.zeros((2, 66, 2))}, "PG503", ["size 66", "2 to 64"]),
        ({"points": np.zeros((2, 0, 2))}, "PG503", ["axis `time`", "size 0"]),
        ({"extra": np.zeros((3, 3))}, "PG503", ["`batch` cannot be several sizes", "3 is the"]),
        ({"points": np.zeros((2, 6, 2), complex)}, "PG504", ["dtype complex128", "float32"]),
        ({"points": np.array(["a"])}, "PG504", ["float32"]),
        ({"points": np.zeros((2, 6, 2), bool)}, "PG504", ["dtype bool"]),
        ({"points": [[1], [1, 2]]}, "PG504", ["`points` is no array"]),
        ({"ids": np.array([0.0, 1.0])}, "PG504", ["takes int64", ".astype('int64')"]),
        ({"ids": np.array([0, 2**63], np.uint64)}, "PG514", ["beyond the range of int64"]),
        ({"ids": np.array([0, -1])}, "PG514", ["ids are 0 and above", "-1 at batch 1"]),
        ({"ids": np.array([0, 6])}, "PG514", ["`ids` holds the id 6, and ids are 0 to 5"]),
        ({"extra": np.array([[0, 1, 2], [3, np.nan, 5]])}, "PG505", ["nan at batch 1, channel 1"]),
        ({"extra": np.full((2, 3), 1e300)}, "PG505", ["6 of 6 values", "not finite in float32"]),
    ],
)
def test_a_bad_input_is_explained(
    program: Program, changes: dict[str, Any], code: str, texts: list[str]
) -> None:
    inputs = {n: a for n, a in (some(2) | changes).items() if a is not None}
    with warnings.catch_warnings(action="error"):
        found = fault(lambda: program.run(inputs))
    assert found.code == code
    everything = "\n".join([found.message, *found.notes, found.help or ""])
    for text in texts:
        assert text in everything


def test_all_mistakes_of_a_call_are_told_at_once(program: Program) -> None:
    inputs = {
        "points": np.full((2, 6, 2), np.inf),
        "extra": np.zeros((1, 3)),
        "audio": np.zeros(3),
    }
    found = faults(lambda: program.encode(inputs))
    assert sorted(d.code for d in found) == ["PG501", "PG502", "PG503", "PG505"]


@pytest.mark.parametrize(
    ("decode", "text"),
    [
        ({"dens": None}, "did you mean `dense`?"),
        ({"other": None}, "`dense` (10 queries)"),
        ({"dense": slice(5, 5)}, "5:5 is not a range of the 10 queries"),
        ({"dense": slice(0, 11)}, "0 <= START < STOP <= 10"),
        ({"dense": slice(-3, None)}, "-3:10 is not a range"),
        ({"dense": slice(None, None, -1)}, "has the step -1"),
        ({"dense": [0, 10]}, "not all from 0 to 9"),
        ({"dense": [-1]}, "not all from 0 to 9"),
        ({"dense": []}, "there are no positions for output `dense`"),
        ({"dense": np.array([True, False])}, "true: numpy.flatnonzero(MASK)"),
        ({"dense": [0.5]}, "not a list of whole numbers"),
        ({"total": slice(0, 1)}, "a single query"),
        ({}, "no output is asked for"),
    ],
)
def test_a_bad_decode_request_is_explained(
    program: Program, decode: dict[str, Selection], text: str
) -> None:
    found = fault(lambda: program.run(some(), decode))
    assert found.code == "PG506"
    assert text in f"{found.message} {found.help}"


def test_a_budget_too_small_says_what_is_enough(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = program.encode(some(2))
    found = fault(lambda: program.decode(state, memory=2399))
    assert (found.code, found.help) == ("PG510", "`memory=2400`, or a smaller batch")
    monkeypatch.setattr(program._programs, "run", None)  # refused before the work, not after it
    assert fault(lambda: program.run(some(2), memory=2399)).code == "PG510"
    assert fault(lambda: program.run(some(2), {"other": None})).code == "PG506"
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"^memory must be"):
        program.run(some(2), memory=-1)
    assert program.decode(state, memory=2400)["dense"].shape == (2, 2, 5, 3)


def test_a_program_that_onnxruntime_cannot_load_is_a_diagnostic(tmp_path: Path) -> None:
    folder = write_artifact(tmp_path / "tiny")
    model = onnx.load(folder / "encode.onnx")
    model.graph.node[0].op_type = "Unheard"
    content = model.SerializeToString()
    (folder / "encode.onnx").write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    digest = hashlib.sha256(content).hexdigest()
    manifest["files"]["encode.onnx"] = {"sha256": digest, "bytes": len(content)}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    sound = load(folder, device="cpu")
    found = fault(lambda: sound.encode(some()))
    assert (found.code, found.notes[0][:11]) == ("PG406", "onnxruntime")


@pytest.mark.parametrize("batch", [1, 3])
def test_a_compiled_spec_gives_what_its_graph_says(tmp_path: Path, batch: int) -> None:
    compiled = pg.compile(parse_spec(SPEC))
    weights = compiled.weights()
    compiled.save(tmp_path / "small")
    program = load(tmp_path / "small", device="cpu")
    given = random_inputs(compiled.lowered, batch)
    given |= {"audio.present": np.zeros(batch, bool), "image.present": np.ones(batch, bool)}
    wanted = evaluate(compiled.graph, given, weights)
    state = program.encode({"image": given["image"]})
    np.testing.assert_allclose(state.latents, wanted["latents"], rtol=1e-4, atol=1e-6)
    found = program.decode(state)
    assert found["image"].shape == (batch, 8, 8, 3)
    for name in ("audio", "image", "label"):
        flat = found[name].reshape(wanted[name].shape)
        np.testing.assert_allclose(flat, wanted[name], rtol=1e-4, atol=1e-6)
    part = program.decode(state, {"image": slice(5, 50), "audio": None}, memory=2**20)
    np.testing.assert_allclose(part["image"], wanted["image"][:, 5:50], rtol=1e-4, atol=1e-6)


SYMBOLIC = """
perceiver: 1
name: lengths
dims: {length: {min: 4, max: 64, multiple_of: 4}}
inputs:
  tokens: {shape: {index: length}, steps: [{embedding: {vocabulary: 30, width: 16}}]}
  sound: {shape: {time: length, channel: 2}, steps: [{patch: {time: 4}}]}
join: {padding: {min: 1}}
latents: {count: 4, width: 16}
process: {layers: 1, heads: 2}
decode: {chunks: 3, padding: {min: 1}}
outputs:
  tokens: {query: {inputs: tokens}, head: {linear: 30}}
  sound: {query: {inputs: sound}, head: {linear: 2}}
"""


def test_sizes_may_differ_from_call_to_call(tmp_path: Path) -> None:
    compiled = pg.compile(parse_spec(SYMBOLIC))
    compiled.save(tmp_path / "lengths")
    program = load(tmp_path / "lengths", device="cpu")
    rng = np.random.default_rng(0)
    for length in (8, 64, 4, 32, 8):
        given: Inputs = {
            "tokens": rng.integers(0, 30, (2, length)),
            "sound": rng.standard_normal((2, length, 2), np.float32),
        }
        found = program.run(given)
        assert found["sound"].shape == (2, length // 4, 2)
        present = {f"{name}.present": np.ones(2, bool) for name in given}
        queries = {"tokens.queries": np.arange(length), "sound.queries": np.arange(length // 4)}
        wanted = evaluate(compiled.graph, {**given, **present, **queries}, compiled.weights())
        for name, array in found.items():
            np.testing.assert_allclose(array, wanted[name], rtol=1e-4, atol=1e-6)
