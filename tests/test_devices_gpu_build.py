"""onnxruntime and onnxruntime-gpu in one folder: what is said where one lies over the other."""

from __future__ import annotations

import importlib.metadata
from types import SimpleNamespace
from typing import Any

import pytest

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.runtime import devices


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that says which distributions there are, and which providers onnxruntime has."""

    def install(distributions: set[str], providers: list[str], error: str = "") -> None:
        def version(name: str) -> str:
            if name not in distributions:
                raise importlib.metadata.PackageNotFoundError(name)
            return "1.2"

        def allocate(*_: object) -> None:
            if error:
                raise RuntimeError(error)

        found = SimpleNamespace(
            __version__="1.2",
            get_available_providers=lambda: providers,
            set_default_logger_severity=lambda _: None,
            OrtValue=SimpleNamespace(ortvalue_from_numpy=allocate),
        )
        monkeypatch.setattr(importlib.metadata, "version", version)
        monkeypatch.setattr(devices, "onnxruntime", lambda: found)
        devices._cuda_fault.cache_clear()

    yield install
    devices._cuda_fault.cache_clear()


CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


def test_a_gpu_build_that_is_overwritten_is_told(installed: Any) -> None:
    installed({"onnxruntime", "onnxruntime-gpu"}, [CPU])
    said = devices.hidden_gpu_build()
    assert said is not None
    assert "pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu" in said


@pytest.mark.parametrize(
    ("distributions", "providers"),
    [({"onnxruntime"}, [CPU]), ({"onnxruntime-gpu"}, [CUDA, CPU]), (set(), [CPU])],
)
def test_all_else_is_not(distributions: set[str], providers: list[str], installed: Any) -> None:
    installed(distributions, providers)
    assert devices.hidden_gpu_build() is None


@pytest.mark.parametrize(
    ("error", "reason", "help"),
    [
        (
            (
                "/source/provider_bridge.cc:20 [ONNXRuntimeError] : 1 : FAIL : Failed to load library "
                "with error: libcublasLt.so.13: cannot open shared object file"
            ),
            "libcublasLt.so.13: cannot open shared object file",
            'pip install "onnxruntime-gpu[cuda,cudnn]"',
        ),
        ("no CUDA-capable device is detected", "no CUDA-capable device", "nvidia-smi"),
    ],
)
def test_what_is_missing_is_named(error: str, reason: str, help: str, installed: Any) -> None:
    installed({"onnxruntime-gpu"}, [CUDA, CPU], error)
    with pytest.raises(DiagnosticError) as caught:
        devices.choose("cuda")
    (found,) = caught.value.diagnostics
    assert found.code == "PG601"
    assert reason in found.message
    assert help in str(found.help)
