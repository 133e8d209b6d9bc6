"""Coordinates that the caller gives: positions of tokens, and points to ask outputs at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import perceiver_graph as pg
from perceiver_graph.compiler.driver import Compiled
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.runtime.program import Program
from perceiver_graph.runtime.random_inputs import random_inputs
from perceiver_graph.spec.loader import parse_spec
from tests.test_differential import agree, onnx_program, randomised

RECORD = """
perceiver: 1
name: record
dims: {events: {max: 12}}
inputs:
  picture:
    shape: {height: 4, width: 4, channel: 1}
    position: {fourier: {bands: 2}}
  record:
    shape: {event: events}
    steps: [{embedding: {vocabulary: 20, width: 6}}]
    position: {inputs: times, fourier: {bands: 3, max_resolution: 16}, range: [0, 24]}
    attention_mask: true
  times:
    shape: {event: events, channel: 1}
join: {padding: {min: 1}}
latents: {count: 4, width: 8}
encode: {heads: 2}
process: {layers: 1, heads: 2}
decode: {padding: {min: 1}}
outputs:
  risk: {query: {learned: {}}, head: {linear: 2}}
  each: {query: {inputs: record}, head: {linear: 3}}
"""
GIVEN = RECORD.replace("inputs: times, f", "given: 1, f").replace(
    "  times:\n    shape: {event: events, channel: 1}\n", ""
)
SCENE = """
perceiver: 1
name: scene
inputs:
  cloud:
    shape: {point: 6, channel: 3}
    steps: [{fourier: {bands: 2, max_resolution: 8}}]
latents: {count: 4, width: 8}
encode: {heads: 3}
process: {layers: 1, heads: 2}
decode: {padding: {min: 0}, chunks: 4}
outputs:
  inside:
    query: {points: [x, y, z], position: {fourier: {bands: 2, max_resolution: 16}}}
    head: {linear: 1}
  colour: {query: {output: inside}, head: {linear: 3}}
  label: {query: {learned: {}}, head: {linear: 5}}
"""


def compiled(text: str, level: Any = 2) -> tuple[Compiled, dict[str, Array]]:
    found = pg.compile(parse_spec(text), level=level, verify=True)
    return found, randomised(found, seed=3)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Program:
    program: Program = onnx_program(*compiled(RECORD), tmp_path_factory.mktemp("record"))
    return program


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Program:
    program: Program = onnx_program(*compiled(SCENE), tmp_path_factory.mktemp("scene"))
    return program


def numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def an_event_record(events: int = 5) -> dict[str, Array]:
    rng = np.random.default_rng(1)
    return {
        "picture": numbers(2, 4, 4, 1),
        "record": rng.integers(0, 20, (2, events)),
        "times": rng.uniform(0, 24, (2, events, 1)).astype(np.float32),
    }


def refusal(call: Any, *arguments: Any) -> str:
    with pytest.raises(DiagnosticError) as caught:
        call(*arguments)
    return "\n".join(f"{one.code}: {one.message} | {one.help}" for one in caught.value.diagnostics)


@pytest.mark.parametrize("level", [0, 2])
def test_given_is_the_short_way_to_write_an_input_of_coordinates(
    level: Any, tmp_path: Path
) -> None:
    long, weights = compiled(RECORD, level)
    short, same = compiled(GIVEN, level)
    assert weights.keys() == same.keys()
    arrays = an_event_record()
    renamed = {name.replace("times", "record.position"): x for name, x in arrays.items()}
    there: dict[str, Array] = {"record.attention_mask": np.ones((2, 5), bool)}
    there |= {f"{name}.present": np.ones(2, bool) for name in ("picture", "record")}
    asked = {"each.queries": np.arange(5)}
    expected = evaluate(long.graph, {**arrays, **there, **asked}, weights)
    programs = (onnx_program(long, weights, tmp_path), arrays)
    (tmp_path / "short").mkdir()
    for program, given in (
        programs,
        (onnx_program(short, weights, tmp_path / "short"), renamed),
    ):
        for name, found in program.run(given).items():
            agree(found, expected[name])
    for model, given in ((long, arrays), (short, renamed)):
        module: Any = model.to_torch(weights).eval()
        tensors = {name: torch.from_numpy(x) for name, x in given.items()}
        with torch.no_grad():
            for name, found in module(tensors, {"each": torch.arange(5)}).items():
                agree(found.numpy(), expected[name])


def test_tokens_are_told_apart_by_where_they_lie(record: Program) -> None:
    arrays = an_event_record()
    before = record.run(arrays)["each"]
    arrays["times"] = arrays["times"].copy()
    arrays["times"][0, 2] = 1.5
    after = record.run(arrays)["each"]
    assert np.abs(after - before)[0, 2].max() > 1e-3
    np.testing.assert_array_equal(after[1], before[1])


def test_the_manifest_says_what_is_to_be_given(record: Program, scene: Program) -> None:
    inputs = record.manifest.inputs
    assert list(inputs) == ["picture", "record", "times"]
    assert inputs["times"].axes == ["batch", "event", "channel"]
    assert inputs["times"].shape == ["batch", "events", 1]
    assert (inputs["times"].mask, inputs["times"].beside) == ("optional", ["record"])
    assert inputs["times"].ranges == [[0, 24]]
    points = scene.manifest.inputs["inside.points"]
    assert points.axes == ["batch", "point", "channel"]
    assert points.shape == ["batch", "inside_points", 3]
    assert points.points_of == ["inside", "colour"]
    assert scene.manifest.outputs["inside"].shape == ["batch", "inside_points", 1]
    encode, decode = (scene.manifest.programs[name] for name in ("encode", "decode"))
    assert [port.name for port in encode.inputs] == ["cloud"]
    assert {p.name for p in decode.inputs if p.role == "points"} == {
        "inside.points",
        "colour.points",
    }


def test_positions_are_left_out_with_their_input(record: Program) -> None:
    arrays = an_event_record()
    picture = {"picture": arrays["picture"]}
    notes: list[str] = []
    alone = record.run(picture, {"risk": None}, note=notes.append)["risk"]
    assert notes == ["input `record` was not given: its mask token stands for it"]
    model, weights = compiled(RECORD)
    with torch.no_grad():
        module: Any = model.to_torch(weights).eval()
        encoded = module.encode({"picture": torch.from_numpy(arrays["picture"])})
        agree(module.decode(encoded, {})["risk"].numpy(), alone)
    without = refusal(record.run, {**picture, "record": arrays["record"]})
    assert (
        "PG501: input `record` is given without its positions, `times`: float32 [batch, " in without
    )
    without = refusal(record.run, {**picture, "times": arrays["times"]})
    assert "PG501: `times` is given without `record`, whose positions it holds" in without


def test_coordinates_are_checked(record: Program) -> None:
    arrays = an_event_record()
    short = refusal(record.run, {**arrays, "times": arrays["times"][:, :4]})
    assert "PG503: `events` cannot be several sizes in one call" in short
    late = arrays["times"].copy()
    late[1, 3] = 36
    assert "PG517: 1 of 10 values of channel 0 in `times` lie outside of 0 to 24" in refusal(
        record.run, {**arrays, "times": late}
    )
    mask = np.ones((2, 5), bool)
    mask[1, 3:] = False
    assert record.run({**arrays, "times": late, "record.attention_mask": mask})
    late[1, 3] = np.nan
    assert "PG505" in refusal(record.run, {**arrays, "times": late})


def test_points_are_asked_one_by_one(scene: Program) -> None:
    cloud, points = numbers(2, 6, 3), numbers(2, 37, 3, seed=1)
    state = scene.encode({"cloud": cloud})
    whole = scene.decode(state, {"inside": points, "colour": points})
    assert whole["inside"].shape == (2, 37, 1)
    assert whole["colour"].shape == (2, 37, 3)
    for count in (1, 5):
        part = scene.decode(state, {"inside": {"points": points[:, :count]}})["inside"]
        np.testing.assert_allclose(part, whole["inside"][:, :count], atol=1e-5)
    moved = points.copy()
    moved[:, 1:] += 1
    first = scene.decode(state, {"inside": moved})["inside"][:, 0]
    np.testing.assert_allclose(first, whole["inside"][:, 0], atol=1e-5)
    shared = scene.decode(state, {"inside": points[0]})["inside"]
    np.testing.assert_allclose(shared[0], whole["inside"][0], atol=1e-5)
    given = scene.run({"cloud": cloud, "inside.points": points})
    assert given.keys() == {"inside", "colour", "label"}
    np.testing.assert_allclose(given["inside"], whole["inside"], atol=1e-5)
    chosen = scene.run({"cloud": cloud, "inside.points": points}, {"colour": slice(3, 9)})
    np.testing.assert_allclose(chosen["colour"], whole["colour"][:, 3:9], atol=1e-5)


def test_points_stay_as_they_were_given(scene: Program) -> None:
    points = numbers(2, 5, 3, seed=1)
    state = scene.encode({"cloud": numbers(2, 6, 3), "inside.points": points})
    before = scene.decode(state)["inside"]
    points[:] = 0
    np.testing.assert_array_equal(scene.decode(state)["inside"], before)


def test_no_points_are_answered_with_none(scene: Program) -> None:
    cloud, none = numbers(2, 6, 3), np.zeros((2, 0, 3), np.float32)
    found = scene.run({"cloud": cloud, "inside.points": none})
    assert found["inside"].shape == (2, 0, 1)
    assert found["colour"].shape == (2, 0, 3)
    assert found["label"].shape == (2, 5)


def test_no_points_may_be_asked_for_at_random(scene: Program) -> None:
    made = random_inputs(scene.manifest, {"inside_points": 0})
    assert made.arrays["inside.points"].shape == (1, 0, 3)
    assert scene.run(made.arrays, sizes=made.free)["inside"].shape == (1, 0, 1)


def test_points_agree_in_every_backend_and_number_of_chunks(scene: Program) -> None:
    model, weights = compiled(SCENE, 0)
    cloud, points = numbers(2, 6, 3), numbers(2, 11, 3, seed=1)
    arrays = {"cloud": cloud, "inside.points": points, "colour.points": points}
    expected = evaluate(model.graph, arrays, weights)
    few = scene.manifest.decode_memory
    memory = 2 * (few.fixed + 4 * few.per_query)
    for budget in (None, memory):
        found = scene.run({"cloud": cloud, "inside.points": points}, memory=budget)
        for name, result in found.items():
            agree(result, expected[name])
    module: Any = model.to_torch(weights).eval()
    queries = {"inside": torch.from_numpy(points)}
    with torch.no_grad():
        answers = module({"cloud": torch.from_numpy(cloud)}, queries)
        assert set(answers) == set(expected) - {"latents"}
        for name, result in answers.items():
            agree(result.numpy(), expected[name])
        with pytest.raises(ValueError, match="give queries"):
            module({"cloud": torch.from_numpy(cloud)})
        with pytest.raises(ValueError, match=r"points of `inside` have shape \[2, 11, 2\]"):
            module({"cloud": torch.from_numpy(cloud)}, {"inside": queries["inside"][..., :2]})


def test_modules_with_coordinates_are_compiled_and_exported() -> None:
    text = SCENE.replace(
        "max_resolution: 16}", "max_resolution: {x: 8, y: 9, z: 16}, periodic: [z]}"
    )
    text = text.replace(
        "{points: [x, y, z], position: {", "{points: [x, y, z], position: {range: [-4, 5], "
    )
    net: Any = compiled(text)[0].to_torch(compiled(text)[1]).eval()
    state = net.encode({"cloud": torch.from_numpy(numbers(2, 6, 3))})
    points = {"inside": torch.from_numpy(numbers(2, 9, 3, seed=1))}

    class Decode(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(
            self, state: dict[str, torch.Tensor], points: dict[str, torch.Tensor]
        ) -> torch.Tensor:
            answer: torch.Tensor = self.net.decode(state, points)["inside"]
            return answer

    wanted = net.decode(state, points)["inside"]
    whole: Any = torch.compile(Decode(), fullgraph=True, backend="eager")
    torch.testing.assert_close(whole(state, points), wanted)
    exported = torch.export.export(Decode(), (state, points), strict=True)
    torch.testing.assert_close(exported.module()(state, points), wanted)
    half = net.bfloat16()
    state, points = (
        {name: tensor.bfloat16() for name, tensor in part.items()} for part in (state, points)
    )
    found = half.decode(state, points)["inside"]
    assert found.dtype == torch.bfloat16


def test_points_that_do_not_fit_are_refused(scene: Program) -> None:
    cloud = {"cloud": numbers(2, 6, 3)}
    missing = refusal(scene.run, cloud)
    assert "PG501: output `inside` is asked at points, and none are given" in missing
    assert "pass an array under the name `inside.points`" in missing
    assert scene.run(cloud, {"label": None}).keys() == {"label"}
    state = scene.encode(cloud)
    for points, fault in (
        (
            numbers(2, 5, 2),
            "PG503: axis `channel` of input `inside.points` has size 2, and takes 3",
        ),
        (numbers(3, 5, 3), "PG503: `inside.points` has 3 batch elements, and the inputs have 2"),
        (numbers(5), "PG501"),
        ({"point": numbers(2, 5, 3)}, "PG501"),
        (np.full((2, 5, 3), np.inf), "PG505"),
        (np.full((2, 5, 3), "x"), "PG504"),
    ):
        assert fault in refusal(scene.decode, state, {"inside": points})
    assert "PG506" in refusal(scene.decode, state, {"label": numbers(2, 5, 3)})


def test_points_come_from_an_archive_on_the_command_line(scene: Program, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from perceiver_graph.cli.app import app

    points = numbers(1, 9, 3, seed=1)
    arrays = {"cloud": numbers(1, 6, 3), "inside.points": points}
    np.savez(tmp_path / "in.npz", **arrays)  # type: ignore[arg-type]
    command = ["run", str(scene.artifact.directory), "--inputs", str(tmp_path / "in.npz")]
    done = CliRunner().invoke(app, [*command, "-o", str(tmp_path / "out.npz")])
    assert done.exit_code == 0, done.output
    with np.load(tmp_path / "out.npz") as found:
        assert found["inside"].shape == (1, 9, 1)
        np.testing.assert_allclose(found["inside"], scene.run(arrays)["inside"], atol=1e-6)


@pytest.mark.parametrize("text", [RECORD, GIVEN, SCENE])
def test_the_resolved_spec_gives_the_same_model(text: str) -> None:
    first, _ = compiled(text)
    again, _ = compiled(first.resolved_spec())
    assert first.resolved_spec().split("\n")[1:] == again.resolved_spec().split("\n")[1:]
    assert first.spec_digest == again.spec_digest


RING = """
perceiver: 1
name: ring
inputs:
  ring:
    shape: {angle: 12, channel: 2}
    position: {fourier: {bands: 5, periodic: [angle]}}
latents: {count: 3, width: 8}
process: {layers: 1, heads: 2}
outputs:
  answer: {query: {learned: {}}, head: {linear: 2}}
"""


def test_degrees_are_places_on_a_ring_that_closes() -> None:
    grid, weights = compiled(RING, 0)
    named = "given: [angle], range: [0, 360], fourier: {bands: 5, max_resolution: 12,"
    given, _ = compiled(RING.replace("fourier: {bands: 5,", named), 0)
    values = numbers(1, 12, 2)
    degrees = np.arange(12, dtype=np.float32)[None, :, None] * 30
    expected = evaluate(grid.graph, {"ring": values}, weights)["answer"]
    for turns in (0, 1, -2):
        arrays = {"ring": values, "ring.position": degrees + 360 * turns}
        found = evaluate(given.graph, arrays, weights)["answer"]
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_an_artifact_from_before_coordinates_is_read(record: Program, tmp_path: Path) -> None:
    from perceiver_graph.spec.manifest import Manifest

    data = json.loads((record.artifact.directory / "manifest.json").read_text())
    for entry in data["inputs"].values():
        for key in ("beside", "points_of", "ranges", "periods", "coordinates"):
            entry.pop(key, None)
    assert Manifest.model_validate(data).inputs["times"].beside == []
