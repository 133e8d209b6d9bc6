"""The machine that figures hold for, and how fast its matrix products are at the moment.

`python -m benchmarks.machine DEVICE PRECISION` prints the rate, in a process of its own so that
nothing of it stays in memory.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import perceiver_graph
from perceiver_graph.runtime.devices import cpu_share

_LIBRARIES = (
    "torch",
    "transformers",
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "nncf",
    "onnx",
    "numpy",
)
_CPU_SIDE, _CUDA_SIDE = 2048, 8192
_TIMES = 3
_FEATURES = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


@dataclass(frozen=True)
class Machine:
    """What a table of figures begins with."""

    date: str
    threads: int
    versions: dict[str, str]


@dataclass(frozen=True)
class Rate:
    """Of matrix products, and on what."""

    processor: str
    flops_per_second: float


def describe(threads: int) -> Machine:
    """This machine, now, with so many threads used of its CPU."""
    found = {name: version_of(name) for name in _LIBRARIES}
    versions = {"perceiver-graph": perceiver_graph.__version__, "Python": platform.python_version()}
    versions |= {name: version for name, version in found.items() if version is not None}
    return Machine(f"{datetime.now(UTC):%Y-%m-%d}", threads, versions)


def version_of(distribution: str) -> str | None:
    """The installed version, or None."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def usable_cpus() -> int:
    """CPUs that this process may use, of those that the operating system counts."""
    count = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    return min(count, cpu_share(Path("/sys/fs/cgroup/cpu.max")) or count)


def busy() -> float:
    """Processes that wanted to run in the last minute, on average."""
    return os.getloadavg()[0]


def product_rate(device: str, precision: str, threads: int) -> Rate:
    """The best of three products: float32 on the CPU; on CUDA, of the precision of the run."""
    command = [sys.executable, "-m", "benchmarks.machine", device, precision]
    limits = {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    root = Path(__file__).parent.parent
    done = subprocess.run(
        command,
        cwd=root,
        env={**os.environ, **limits},
        check=True,
        text=True,
        stdout=subprocess.PIPE,
    )
    return Rate(**json.loads(done.stdout))


def cpu() -> str:
    """The processor, and which instructions for products of few bits it has."""
    flags = re.search(r"^flags\s*:\s*(.*)$", _cpuinfo(), re.MULTILINE)
    had = flags[1].split() if flags else []
    features = [name for name in _FEATURES if name in had]
    return ", ".join([_cpu_name(), *features])


def gpu() -> str | None:
    """The first GPU with its memory and driver, as nvidia-smi says; None without one."""
    command = [
        "nvidia-smi",
        "--query-gpu=name,memory.total,driver_version",
        "--format=csv,noheader",
    ]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip().splitlines()[0] if said.stdout.strip() else None


def _cpu_rate() -> Rate:
    import numpy as np

    a = np.random.default_rng(0).random((_CPU_SIDE, _CPU_SIDE), np.float32)
    return Rate(_cpu_name(), 2 * _CPU_SIDE**3 / _best(lambda: a @ a))


def _cuda_rate(precision: str) -> Rate:
    import torch

    from benchmarks.reference import DTYPES

    torch.backends.cuda.matmul.allow_tf32 = False
    dtype = next(dtype for name, dtype in DTYPES.items() if name == precision)
    a = torch.rand(_CUDA_SIDE, _CUDA_SIDE, device="cuda", dtype=dtype)

    def product() -> None:
        a @ a
        torch.cuda.synchronize()

    return Rate(torch.cuda.get_device_name(), 2 * _CUDA_SIDE**3 / _best(product))


def _best(call: Callable[[], object]) -> float:
    """Seconds of the fastest call, after one that does not count."""
    call()
    seconds = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def _cpu_name() -> str:
    found = re.search(r"^model name\s*:\s*(.*)$", _cpuinfo(), re.MULTILINE)
    return found[1] if found else platform.processor() or platform.machine()


def _cpuinfo() -> str:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:  # not on this operating system
        return ""


if __name__ == "__main__":
    rate = _cuda_rate(sys.argv[2]) if sys.argv[1] == "cuda" else _cpu_rate()
    print(json.dumps(vars(rate)))
