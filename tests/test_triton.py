"""A model repository of Triton: it loads from where it lies, and says of itself what the programs say."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import perceiver_graph as pg
from perceiver_graph.runtime import Program, load, open_artifact
from perceiver_graph.runtime.random_inputs import random_inputs
from perceiver_graph.serving.triton import export
from tests.small import SMALL
from tests.tiny import fault

NAMES = ("kinetics", "language", "modelnet40", "starcraft", "optical_flow", "ip_adapter_plus")
_KINDS = {"TYPE_FP32": "tensor(float)", "TYPE_INT64": "tensor(int64)", "TYPE_BOOL": "tensor(bool)"}
_TENSOR = re.compile(
    r'^(input|output) \[\{ name: "(.*?)", data_type: (\w+), dims: \[ (.*?) \](.*) \}\]$', re.M
)


@pytest.fixture(scope="module", params=NAMES)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Program:
    folder = tmp_path_factory.mktemp("compiled") / request.param
    pg.compile(request.param, overrides=list(SMALL[request.param])).save(folder)
    return load(folder, device="cpu")


@pytest.fixture(scope="module")
def repository(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository") / "models"
    export(program.artifact, folder, batch=4)
    return folder


def session(repository: Path, model: str) -> Any:
    place = repository / model / "1" / "model.onnx" / "model.onnx"
    return onnxruntime.InferenceSession(str(place), providers=["CPUExecutionProvider"])


def models(repository: Path) -> list[str]:
    return sorted(path.parent.name for path in repository.glob("*/config.pbtxt"))


def test_it_computes_what_the_artifact_computes(program: Program, repository: Path) -> None:
    """Every tensor by its name, the queries those of the client."""
    made = random_inputs(program.manifest, {}, 0)
    wanted = program.run(made.arrays, sizes=made.free)
    values: dict[str, Any] = dict(made.arrays)
    for name in sorted(models(repository), key=lambda one: one.endswith("_decode")):
        text = (repository / name / "config.pbtxt").read_text(encoding="utf-8")
        if 'platform: "ensemble"' in text:
            continue
        model = session(repository, name)
        for port in model.get_inputs():
            of, _, kind = port.name.rpartition(".")
            if kind == "attention_mask":
                values.setdefault(port.name, np.ones(values[of].shape[:2], np.bool_))
            if kind == "queries":
                values[port.name] = np.arange(np.prod(wanted[of].shape[1:-1]))
        outputs = [port.name for port in model.get_outputs()]
        given = {port.name: values[port.name] for port in model.get_inputs()}
        values |= dict(zip(outputs, model.run(outputs, given), strict=True))
    for output, array in wanted.items():
        np.testing.assert_allclose(values[output].reshape(array.shape), array, atol=2e-5)


def test_what_it_says_of_its_tensors_is_so(repository: Path) -> None:
    for name in models(repository):
        text = (repository / name / "config.pbtxt").read_text(encoding="utf-8")
        batch = int(re.findall(r"max_batch_size: (\d+)", text)[0])
        if 'platform: "ensemble"' in text:
            assert batch == 0
            assert (repository / name / "1").is_dir()
            continue
        model = session(repository, name)
        found = {"input": model.get_inputs(), "output": model.get_outputs()}
        said = [
            (side, n, _KINDS[k], [-1] * bool(batch) + [int(x) for x in d.split(", ")])
            for side, n, k, d, _ in _TENSOR.findall(text)
        ]
        assert said == [
            (side, p.name, p.type, [x if isinstance(x, int) else -1 for x in p.shape])
            for side, ports in found.items()
            for p in ports
        ]
        assert not any(port.name.endswith(".present") for port in found["input"])
        assert batch == (0 if any(p.name.endswith(".queries") for p in found["input"]) else 4)
        assert ("dynamic_batching" in text) == bool(batch)


def test_the_weights_lie_beside_each_program_once(repository: Path) -> None:
    data = [*repository.glob("*/1/model.onnx/constants.safetensors")]
    assert data
    assert not any(path.is_symlink() for path in data)
    assert len({path.stat().st_ino for path in data}) == 1


@pytest.mark.cluster
def test_triton_reads_what_it_says(repository: Path) -> None:
    """By the messages that its client brings; and each tensor of the whole is in its models."""
    messages: Any = importlib.import_module("tritonclient.grpc.model_config_pb2")
    text_format: Any = importlib.import_module("google.protobuf.text_format")
    found = {}
    for name in models(repository):
        text = (repository / name / "config.pbtxt").read_text(encoding="utf-8")
        found[name] = text_format.Parse(text, messages.ModelConfig())
        assert found[name].name == name
    for config in found.values():
        if config.platform != "ensemble":
            assert config.backend == "onnxruntime"
            continue
        known = {tensor.name for tensor in config.input}
        for step in config.ensemble_scheduling.step:
            model = found[step.model_name]
            assert set(step.input_map) == {tensor.name for tensor in model.input}
            assert set(step.input_map.values()) <= known
            assert set(step.output_map) == {tensor.name for tensor in model.output}
            known |= set(step.output_map.values())
        assert {tensor.name for tensor in config.output} <= known


def test_an_artifact_of_torch_alone_is_refused(tmp_path: Path) -> None:
    compiled = pg.compile("language", overrides=list(SMALL["language"]))
    compiled.save(tmp_path / "text", backends=["torch"])
    artifact = open_artifact(tmp_path / "text")
    assert fault(lambda: export(artifact, tmp_path / "models")).code == "PG406"
