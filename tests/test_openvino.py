"""The numbers of OpenVINO: those of numpy and of onnxruntime, for every shipped system, small."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import perceiver_graph as pg
from perceiver_graph.choices import Precision, TargetName
from perceiver_graph.compiler.driver import Compiled
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.diagnostics import Report
from perceiver_graph.runtime import Program
from perceiver_graph.runtime.engines import measured
from perceiver_graph.spec.loader import load_spec, parse_spec
from tests.small import SMALL
from tests.test_differential import given_inputs, randomised
from tests.test_generation import SPEC as WRITER
from tests.test_generation import texts, written
from tests.test_half_precision import BFLOAT16_TOLERANCE, inputs_of
from tests.tiny import fault

ROOT = Path(__file__).resolve().parent.parent
FAR = {"modelnet40": 1e-4}
"""Angles of hundreds of radians, of which the last bit is 3e-5: OpenVINO multiplies frequencies and pi
first. All others: 1e-5."""
IN_FLOAT64 = {"poyo"}
"""They count turns in float64, of which OpenVINO would make float32."""
RUNS = sorted(SMALL.keys() - IN_FLOAT64)
OF_A_KIND = ("kinetics", "language", "luna", "modelnet40", "perceiver_ar", "tabicl_columns")
"""Positions on grids and of given coordinates, texts, rotation, reading along an axis: what would be taken
for a count of turns first."""


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PERCEIVER_GRAPH_CACHE", str(tmp_path / "cache"))


def compiled(name: str, target: TargetName = "cpu", precision: Precision = "fp32") -> Compiled:
    document = load_spec(name, overrides=list(SMALL[name]))
    return pg.compile(document, target=target, precision=precision)


def share(found: Array, expected: Array) -> float:
    """The largest difference, of the largest number."""
    assert found.size == expected.size
    difference = np.abs(found.reshape(expected.shape) - expected).max(initial=0)
    return float(difference / max(np.abs(expected).max(initial=0), 1e-3))


@pytest.mark.parametrize("name", RUNS)
def test_it_computes_what_numpy_and_onnxruntime_do(name: str, tmp_path: Path) -> None:
    """With masks and lengths, and decoded in chunks from what encode has left."""
    model = compiled(name)
    weights, arrays = randomised(model, seed=3), inputs_of(model)
    expected = evaluate(model.graph, arrays, weights)
    model.save(tmp_path / "a", weights=weights)
    inputs, limit = given_inputs(model, arrays), FAR.get(name, 1e-5)
    usual = pg.load(tmp_path / "a", device="cpu", engine="onnxruntime").run(inputs)
    program = pg.load(tmp_path / "a", engine="openvino")
    state = program.encode(inputs)
    assert share(state.latents, expected["latents"]) < limit
    least = program.manifest.decode_memory
    for memory in (None, 3 * (least.fixed + 20 * least.per_query)):
        found = program.decode(state, memory=memory)
        assert found.keys() == usual.keys()
        for output, result in found.items():
            assert result.dtype == np.float32
            assert share(result, expected[output]) < limit, output
            assert share(result, usual[output]) < limit, output


@pytest.mark.parametrize("target", ["cpu", "openvino"])
@pytest.mark.parametrize("name", [*OF_A_KIND, *sorted(IN_FLOAT64)])
def test_auto_takes_it_where_it_is_faster_and_runs(
    name: str, target: TargetName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = measured.Measured("openvino", "fp32", "this", frozenset(), frozenset(), {"all": 0.5})
    monkeypatch.setattr(measured, "TABLE", (row,))
    model = compiled(name, target)
    model.save(tmp_path / "a")
    program = pg.load(tmp_path / "a", device="cpu")
    told = "OpenVINO does not run it: in " if name in IN_FLOAT64 else "its time by that of"
    taken = "onnxruntime" if name in IN_FLOAT64 else "openvino"
    assert (program.engine.name, program.why[: len(told)]) == (taken, told)
    assert program.run(given_inputs(model, inputs_of(model)))


@pytest.mark.parametrize("name", sorted(IN_FLOAT64))
def test_what_it_would_round_too_much_is_refused(name: str, tmp_path: Path) -> None:
    model = compiled(name)
    model.save(tmp_path / "a")
    program = pg.load(tmp_path / "a", engine="openvino")
    found = fault(lambda: program.run(given_inputs(model, inputs_of(model))))
    assert (found.code, "in float64" in found.message) == ("PG602", True)
    assert "onnxruntime" in (found.help or "")


GROWS = """\
perceiver: 1
name: grows
dims: {n: {max: 20}}
inputs:
  sound: {shape: {time: n, channel: 3}, position: {fourier: {bands: 2, max_resolution: 8}}}
latents: {count: 4, width: 8}
process: {layers: 1, heads: 2}
outputs: {label: {query: {learned: {}}, head: {linear: 2}}}
"""


@pytest.mark.parametrize("spec", [*sorted(IN_FLOAT64), GROWS])
def test_in_bfloat16_it_is_refused_when_it_is_compiled(spec: str, tmp_path: Path) -> None:
    """Nothing would run it."""
    document = load_spec(spec, overrides=list(SMALL.get(spec, ())))
    model = pg.compile(document, target="openvino", precision="bf16")
    found = fault(lambda: model.save(tmp_path / "a"))
    assert (found.code, "in float64" in found.message) == ("PG602", True)
    assert found.primary is not None
    assert '`precision="fp32"`' in (found.help or "")
    assert not (tmp_path / "a").exists()
    report = Report()
    pg.compile(document, target="openvino").save(tmp_path / "a", report=report)
    (said,) = report.diagnostics
    assert (said.code, said.severity) == ("PG602", "warning")
    which = "encode.onnx" if spec == GROWS else "encode.onnx and decode.onnx"
    assert said.message.startswith(f"{which} will not run on OpenVINO: ")
    assert '`load(PATH, engine="onnxruntime")`' in said.message
    program = pg.load(tmp_path / "a", device="cpu", engine="onnxruntime")
    assert program.run(given_inputs(model, inputs_of(model)))


@pytest.mark.parametrize("name", sorted(IN_FLOAT64))
def test_in_bfloat16_of_a_gpu_it_is_told_that_no_cpu_runs_it(name: str, tmp_path: Path) -> None:
    """onnxruntime has no bfloat16 there, and OpenVINO no float64; what is advised runs."""
    model = compiled(name, "cuda", "bf16")
    model.save(tmp_path / "a")
    found = fault(lambda: pg.load(tmp_path / "a", device="cpu"))
    assert found.code == "PG602"
    assert found.message == (
        f"nothing runs {name} in bf16 on cpu: OpenVINO does not, since in encode.onnx and decode.onnx "
        "waves are counted in float64, and onnxruntime has no bf16 there"
    )
    inputs = given_inputs(model, inputs_of(model))
    asked = pg.load(tmp_path / "a", device="cpu", engine="openvino")
    assert fault(lambda: asked.run(inputs)).help == found.help
    usual = pg.load(tmp_path / "a", device="cpu", engine="onnxruntime")
    assert fault(lambda: usual.run(inputs)).code == "PG602"
    advised = str(found.help).partition("`")[2].rstrip("`")
    weights = f"perceiver-graph compile {tmp_path / 'a' / 'spec.yaml'} --backend torch -o WEIGHTS"
    for line in (weights, advised):
        words = shlex.split(line)[1:]
        command = [sys.executable, "-m", "perceiver_graph", *words]
        variables = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, env=variables, cwd=tmp_path, check=False)
        assert done.returncode == 0
    assert pg.load(tmp_path / "DIR", device="cpu").run(inputs)


@pytest.mark.parametrize("name", OF_A_KIND)
def test_of_what_runs_nothing_is_said_as_it_is_compiled(name: str, tmp_path: Path) -> None:
    report = Report()
    model = compiled(name, "openvino")
    model.save(tmp_path / "a", report=report)
    assert report.diagnostics == ()
    assert pg.load(tmp_path / "a", engine="openvino").run(given_inputs(model, inputs_of(model)))


@pytest.mark.parametrize("name", RUNS)
def test_bfloat16_is_close_to_float32(name: str, tmp_path: Path) -> None:
    """Angles of Fourier features are float32 still: else modelnet40 would be wrong by a half."""
    model = compiled(name, "openvino", "bf16")
    weights, arrays = randomised(model, seed=3), inputs_of(model)
    expected = evaluate(model.graph, arrays, weights)
    model.save(tmp_path / "a", weights=weights)
    program = pg.load(tmp_path / "a", device="cpu")
    assert program.engine.name == "openvino"  # no other has products of bfloat16 on a CPU
    found = program.run(given_inputs(model, arrays))
    for output, result in found.items():
        assert share(result, expected[output]) < BFLOAT16_TOLERANCE, output
    assert any(share(result, expected[output]) > 1e-4 for output, result in found.items())


def test_one_program_serves_every_size(tmp_path: Path) -> None:
    """Sizes come and go, in any order, as often as they like."""
    model = compiled("language")
    model.save(tmp_path / "a", weights=randomised(model, 1))
    usual = pg.load(tmp_path / "a", device="cpu", engine="onnxruntime")
    program = pg.load(tmp_path / "a", engine="openvino")
    rng = np.random.default_rng(0)
    for batch, length in ((1, 24), (3, 5), (1, 1), (2, 24), (3, 5), (1, 17)):
        call: dict[str, Array] = {"text": rng.integers(0, 262, (batch, length))}
        call["text.attention_mask"] = rng.random((batch, length)) < 0.7
        call["text.attention_mask"][:, 0] = True
        found, wanted = program.run(call)["text"], usual.run(call)["text"]
        assert share(found, wanted) < 1e-5
        some = program.run(call, {"text": [length - 1, 0]})["text"]
        assert share(some, wanted[:, [length - 1, 0]]) < 1e-5


def test_a_batch_element_without_any_token(tmp_path: Path) -> None:
    model = compiled("language")
    model.save(tmp_path / "a", weights=randomised(model, 1))
    call = {"text": np.full((2, 6), 7), "text.attention_mask": np.ones((2, 6), bool)}
    call["text.attention_mask"][1] = False
    found, wanted = (
        pg.load(tmp_path / "a", device="cpu", engine=engine).run(call)["text"]
        for engine in ("openvino", "onnxruntime")
    )
    assert np.isfinite(found).all()
    assert share(found, wanted) < 1e-5


def writer(folder: Path, **settings: Any) -> tuple[Program, Program]:
    model = pg.compile(parse_spec(WRITER, "writer.yaml"), **settings)
    model.save(folder, weights=randomised(model, 5))
    return pg.load(folder, device="cpu"), pg.load(folder, engine="openvino")


def test_it_writes_the_same_texts(tmp_path: Path) -> None:
    usual, program = writer(tmp_path / "a")
    assert usual.engine.name == "onnxruntime"
    begin = texts(2, 3)
    wanted = written(usual.generate(begin, 20, temperature=0))
    np.testing.assert_array_equal(written(program.generate(begin, 20, temperature=0)), wanted)


def test_in_bfloat16_it_writes_too(tmp_path: Path) -> None:
    _, program = writer(tmp_path / "a", target="openvino", precision="bf16")
    assert written(program.generate(texts(2, 3), 20, temperature=0)).shape == (2, 20)
