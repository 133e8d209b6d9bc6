"""Products in 8 bits: what becomes of the weights, what onnxruntime makes of it, what stays float."""

from __future__ import annotations

import json
import platform
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator
from safetensors.numpy import load_file, save_file

import perceiver_graph as pg
from perceiver_graph.compiler.backends.onnx import calibration, quantized, trial
from perceiver_graph.compiler.backends.onnx.calibration import HEAD, INACCURATE, READ_BY_ALL
from perceiver_graph.compiler.backends.onnx.calibration import SMALL as TOO_SMALL
from perceiver_graph.compiler.driver import Compiled
from perceiver_graph.compiler.ops import Array
from perceiver_graph.compiler.programs import int8
from perceiver_graph.diagnostics import Report
from perceiver_graph.runtime import devices
from perceiver_graph.runtime.devices import Device
from perceiver_graph.spec.loader import Document, load_spec, parse_spec
from perceiver_graph.spec.manifest import Manifest
from tests.small import SMALL
from tests.support import random_inputs
from tests.test_differential import given_inputs, onnx_program, randomised

WIDE = """\
perceiver: 1
name: wide
inputs:
  x: {shape: {time: 1024, channel: 64}, steps: [{linear: 128}]}
  narrow: {shape: {time: 100, channel: 8}, steps: [{linear: 128}]}
latents: {count: 64, width: 128}
process: {layers: 2, heads: 2}
outputs:
  y: {query: {grid: {time: 90}, position: {learned: {width: 64}}}, head: {linear: 70}}
  label: {query: {learned: {count: 1, width: 64}}, head: {linear: 4}}
"""


def wide(precision: Any = "int8") -> Compiled:
    return pg.compile(document(), precision=precision)


def usual() -> dict[str, Array]:
    """Weights as training starts from, but for biases, which start at zero."""
    rng = np.random.default_rng(1)
    return {
        name: array + np.float32(0.02) * rng.standard_normal(array.shape, np.float32)
        for name, array in wide().weights(seed=1).items()
    }


def document() -> Document:
    return parse_spec(WIDE, "wide.yaml")


@given(st.integers(1, 40), st.integers(1, 20), st.integers(-30, 30), st.integers(0, 1000))
def test_weights_are_off_by_half_a_step_at_most(
    rows: int, columns: int, exponent: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    matrix = (rng.standard_normal((rows, columns)) * np.ldexp(1.0, exponent)).astype(np.float32)
    matrix[:, 0] = 0
    values, scales = quantized.quantize(matrix)
    assert values.dtype == np.int8
    assert scales.dtype == np.float32
    assert scales.shape == (columns,)
    assert np.abs(values.astype(int)).max() <= quantized.LARGEST_WEIGHT
    assert (np.abs(values[:, 1:].astype(int)).max(axis=0) == quantized.LARGEST_WEIGHT).all()
    assert not values[:, 0].any()
    assert (np.abs(values * scales - matrix) <= scales * 0.5001).all()


def saved(
    weights: dict[str, Array],
    folder: Path,
    precision: Any = "int8",
    sample: trial.Sample | None = None,
) -> Manifest:
    folder.mkdir()
    save_file(weights, folder / "w.safetensors")
    return wide(precision).save(
        folder / "artifact", weights=folder / "w.safetensors", sample=sample
    )


def optimized(file: Path, aside: Path) -> onnx.ModelProto:
    """What onnxruntime runs on a CPU, as the runtime sets it up there, for one batch element."""
    options = Device("cpu", 1).session_options({"batch": 1})
    options.optimized_model_filepath = str(aside / "optimized.onnx")
    onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return onnx.load(aside / "optimized.onnx", load_external_data=False)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quantized") / "int8"
    manifest = saved(usual(), folder)
    assert manifest.quantization is not None
    return folder / "artifact"


def test_onnxruntime_runs_every_product_as_one_operator(artifact: Path, tmp_path: Path) -> None:
    """With the scales of columns; what several read is rounded once."""
    found = Counter(
        node.op_type for node in optimized(artifact / "encode.onnx", tmp_path).graph.node
    )
    assert not {"MatMulInteger", "Cast", "DequantizeLinear", "DynamicQuantizeLinear"} & found.keys()
    written = onnx.load(artifact / "encode.onnx", load_external_data=False).graph.node
    readers = Counter(node.input[0] for node in written if node.op_type == "MatMulIntegerToFloat")
    assert any(count > 1 for count in readers.values())
    assert found["QuantizeLinear"] == len(readers)
    assert found["MatMulIntegerToFloat"] == sum(readers.values())


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="x86 alone saturates")
def test_where_products_would_saturate_other_kernels_give_the_same(
    artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processors without VNNI are given weights as u8, whose kernels add in 32 bits."""
    arrays = example()
    found = {}
    for name, features in {"with": {"avx2", "avx512_vnni"}, "without": {"avx2"}}.items():
        monkeypatch.setattr(devices, "processor_features", lambda f=features: frozenset(f))
        model = optimized(artifact / "encode.onnx", tmp_path)
        types = {leaf.name: leaf.data_type for leaf in model.graph.initializer}
        nodes = [node for node in model.graph.node if node.op_type == "MatMulIntegerToFloat"]
        kinds = {types[node.input[1]] for node in nodes}
        assert kinds == {onnx.TensorProto.INT8 if name == "with" else onnx.TensorProto.UINT8}
        found[name] = pg.load(artifact, device="cpu", engine="onnxruntime").run(arrays)["y"]
    np.testing.assert_allclose(found["with"], found["without"], rtol=0, atol=1e-5)


def example(batch: int = 1) -> dict[str, Array]:
    rng = np.random.default_rng(9)
    return {
        "x": rng.standard_normal((batch, 1024, 64), np.float32),
        "narrow": rng.standard_normal((batch, 100, 8), np.float32),
    }


def test_each_answer_is_its_own_whatever_else_is_in_the_batch(artifact: Path) -> None:
    """Alone, kernels for another size add in another order, and a number may round to the next step."""
    program = pg.load(artifact, device="cpu", engine="onnxruntime")
    arrays = example(2)
    alone = program.run({name: array[:1] for name, array in arrays.items()})
    beside = {}
    for factor in (1, 1000):
        beside[factor] = program.run(
            {
                name: np.concatenate([array[:1], factor * array[1:]])
                for name, array in arrays.items()
            }
        )
    for name, found in alone.items():
        np.testing.assert_array_equal(beside[1][name][:1], beside[1000][name][:1])
        step = np.abs(found).max() / 127
        np.testing.assert_allclose(beside[1][name][:1], found, rtol=0, atol=step)


@pytest.mark.parametrize("target", ["cpu", "onnx-standard"])
def test_a_product_is_off_by_one_percent(
    target: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far as rounding to 8 bits takes it, or by less where tokens have something in common."""
    measured: dict[str, float] = {}
    found = calibration._errors

    def errors(*given: Any) -> Any:
        expected, each = found(*given)
        measured.update(each)
        return expected, each

    monkeypatch.setattr(calibration, "_errors", errors)
    save_file(usual(), tmp_path / "w.safetensors")
    pg.compile(document(), precision="int8", target=target).save(
        tmp_path / "a", weights=tmp_path / "w.safetensors"
    )
    assert len(measured) > 10
    assert 0.006 < measured["inputs/x/linear"] < 0.0135  # of numbers around zero
    assert max(measured.values()) < 0.0135


def test_the_operator_of_onnxruntime_stands_in_the_file_in_standard_ones(artifact: Path) -> None:
    model = onnx.load(artifact / "encode.onnx")
    session, feeds = onnxruntime.InferenceSession(str(artifact / "encode.onnx")), example()
    names = [leaf.name for leaf in model.graph.output]
    found = ReferenceEvaluator(model).run(names, feeds)
    for name, some, other in zip(names, found, session.run(names, feeds), strict=True):
        error = calibration.deviation(other, some).rms
        assert error is not None
        assert error < 0.01, name  # a rounding that falls the other way


@pytest.mark.parametrize("name", ["encode.onnx", "decode.onnx"])
def test_files_satisfy_the_standards_checker(artifact: Path, name: str) -> None:
    onnx.checker.check_model(str(artifact / name), full_check=True)
    model = onnx.load(artifact / name, load_external_data=False)
    used = {node.domain for node in model.graph.node}
    assert used - {""} <= {function.domain for function in model.functions}


def test_the_manifest_says_what_is_computed_how(artifact: Path) -> None:
    found = Manifest.model_validate_json((artifact / "manifest.json").read_text()).quantization
    assert found is not None
    assert found.input == "random input"
    assert found.products == found.int8 + len(found.kept)
    assert found.int8 >= 10
    assert set(found.kept.values()) == {HEAD, TOO_SMALL, READ_BY_ALL}
    assert set(found.error) == {"y", "label"}
    for error in found.error.values():
        assert error.rms is not None
        assert error.largest is not None
        assert 0 < error.rms < 0.1
        assert 0 < error.largest < 0.2


def test_weights_take_a_quarter(artifact: Path, tmp_path: Path) -> None:
    saved(usual(), tmp_path / "fp32", "fp32")
    large, small = (
        load_file(folder / "constants.safetensors")
        for folder in (tmp_path / "fp32" / "artifact", artifact)
    )
    quarter = [name for name, array in small.items() if array.dtype == np.int8]
    assert quarter
    for name in quarter:
        assert small[name].nbytes * 4 == large[name.removesuffix(".int8")].nbytes
    # What the decoder does in 8 bits for many queries, it does in float32 for the one of the label.
    both = {name for name in quarter if name.removesuffix(".int8") in small}
    assert all(name.startswith("decode") for name in both)
    assert len(both) < len(quarter) / 4
    assert {path.name for path in artifact.iterdir()} == {
        *("constants.safetensors", "decode.onnx", "encode.onnx", "manifest.json", "spec.yaml")
    }


def test_the_same_input_gives_the_same_bytes(artifact: Path, tmp_path: Path) -> None:
    saved(usual(), tmp_path / "again")
    for path in artifact.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / "artifact" / path.name).read_bytes()


def test_the_error_is_that_of_a_run(artifact: Path, tmp_path: Path) -> None:
    """What is printed is what somebody finds who runs both artifacts on the sample."""
    weights = usual()
    saved(weights, tmp_path / "fp32", "fp32")
    exact, rounded = (
        pg.load(folder, device="cpu") for folder in (tmp_path / "fp32" / "artifact", artifact)
    )
    entries = rounded.manifest.inputs
    sample = trial.random_sample(wide().programs(weights)["encode"], entries, {"batch": 1})
    expected, found = (program.run(sample.arrays) for program in (exact, rounded))
    told = rounded.manifest.quantization
    assert told is not None
    for name, error in told.error.items():
        again = calibration.deviation(expected[name], found[name])
        assert again.rms == pytest.approx(error.rms, rel=0.2)  # a rounding that falls the other way
        assert again.largest == pytest.approx(error.largest, rel=0.2)


SECOND = "process.layers.1.mlp.dense2"


def with_outlier(weights: dict[str, Array]) -> dict[str, Array]:
    """A large activation, which no weight reads, takes all the steps of the others."""
    changed = {name: array.copy() for name, array in weights.items()}
    changed["process.layers.1.mlp.dense1.bias"][0] = 1e4
    changed[f"{SECOND}.weight"][:, 0] = 0
    return changed


def test_a_product_that_loses_accuracy_stays_float(tmp_path: Path) -> None:
    manifest = saved(with_outlier(usual()), tmp_path / "outlier")
    found = manifest.quantization
    assert found is not None
    inaccurate = {name for name, why in found.kept.items() if why.startswith(INACCURATE)}
    assert inaccurate == {SECOND.replace(".", "/").replace("layers/", "layers.")}
    assert all(error.rms is not None and error.rms < 0.1 for error in found.error.values())


def test_without_the_measurement_it_would_be_ruined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "LIMIT", np.inf)
    manifest = saved(with_outlier(usual()), tmp_path / "outlier")
    assert manifest.quantization is not None
    assert max(error.rms or 0 for error in manifest.quantization.error.values()) > 0.1


def test_a_product_that_cannot_be_measured_stays_float() -> None:
    nodes = quantized.candidates(wide().programs(wide().weights())["encode"])
    errors = dict.fromkeys(nodes, 0.01) | {"process/layers.0/mlp/dense1": float("nan")}
    found = calibration.choose(nodes, (), (), ()).without(errors)
    assert found.kept.keys() == {"process/layers.0/mlp/dense1"}


@pytest.mark.parametrize("name", SMALL)
def test_every_system_in_8_bits(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However small its products are; the runtime's results are as close as the manifest says."""
    monkeypatch.setattr(int8, "SMALLEST_SIZE", 1)
    monkeypatch.setattr(calibration, "SMALLEST_SHARE", 0)
    overrides = list(SMALL[name])
    exact = pg.compile(load_spec(name, overrides=overrides))
    rounded = pg.compile(load_spec(name, overrides=overrides), precision="int8")
    weights = randomised(exact, seed=3)
    symbols = exact.lowered.document.spec.dims
    folders = [tmp_path / precision for precision in ("fp32", "int8")]
    for folder in folders:
        folder.mkdir()
    programs = [
        onnx_program(model, weights, folder)
        for model, folder in zip((exact, rounded), folders, strict=True)
    ]
    told = json.loads((folders[1] / "artifact" / "manifest.json").read_text())["quantization"]
    assert told["int8"] > 0
    assert TOO_SMALL not in told["kept"].values()
    errors: dict[str, list[float]] = {}
    for seed in (5, 6, 7):  # an answer that is small by chance has a large error
        arrays = random_inputs(exact.lowered, seed=seed, lengths=dict.fromkeys(symbols, 12))
        for array in arrays.values():
            if array.dtype == np.bool_:
                array[:] = True
        expected, found = (program.run(given_inputs(exact, arrays)) for program in programs)
        for output, array in expected.items():
            error = calibration.deviation(array, found[output])
            assert error.rms is not None
            errors.setdefault(output, []).append(error.rms)
        assert any(not np.array_equal(array, found[output]) for output, array in expected.items())
    for output, each in errors.items():
        assert 0 <= np.median(each) < max(0.05, 3 * told["error"][output]["rms"])


def test_small_products_stay_float(artifact: Path) -> None:
    """Few channels in or out, or next to no share of the work: a label has one query."""
    manifest = Manifest.model_validate_json((artifact / "manifest.json").read_text())
    assert manifest.quantization is not None
    kept = manifest.quantization.kept
    assert kept["inputs/narrow/linear"] == kept["decode/label/cross_attend/mlp/dense1"] == TOO_SMALL
    assert kept["heads/y/linear"] == HEAD


def test_heads_are_the_last_products_before_an_output() -> None:
    programs = wide().programs(wide().weights())
    assert {name.partition("~")[0] for name in calibration.heads(programs)} == {
        "heads/y/linear",
        "heads/label/linear",
    }


@pytest.mark.parametrize(
    ("expected", "found", "largest", "rms"),
    [
        ([1.0, -2.0], [1.0, -2.0], 0.0, 0.0),
        ([3.0, -4.0], [3.0, -4.4], 0.1, 0.08),
        ([0.0, 0.0], [0.5, 0.5], 0.5, 0.5),
        ([np.inf, 1.0], [1.0, 1.0], None, None),
        ([1.0, 1.0], [np.nan, 1.0], None, None),
    ],
)
def test_deviation(
    expected: list[float], found: list[float], largest: float | None, rms: float | None
) -> None:
    error = calibration.deviation(np.array(expected), np.array(found))
    assert error.largest == (largest if largest is None else pytest.approx(largest, rel=1e-2))
    assert error.rms == (rms if rms is None else pytest.approx(rms, rel=1e-2))


def test_a_sample_that_does_not_fit_is_an_error(tmp_path: Path) -> None:
    sample = trial.Sample({"x": np.zeros((1, 5, 64)), "narrow": np.zeros((1, 100, 8))}, "in.npz")
    with pytest.raises(ValueError, match="has 5 where"):
        wide().save(tmp_path / "a", sample=sample)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("some", "why"), [(True, "no products are worth it"), (False, "no products can be")]
)
def test_where_8_bits_change_nothing_it_is_said(
    some: bool, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = calibration._candidates
    monkeypatch.setattr(calibration, "too_small", lambda trial: {*found(trial.programs)})
    if not some:
        monkeypatch.setattr(calibration, "_candidates", lambda programs: {})
    report = Report()
    wide().save(tmp_path / "a", report=report)
    (said,) = report.diagnostics
    assert (said.code, said.severity) == ("PG602", "warning")
    assert f"nothing is computed in 8 bits: {why}" in said.message
