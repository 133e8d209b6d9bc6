"""Chooses where programs run, and how onnxruntime is set up there.

Results are reproducible first: on CUDA, TensorFloat-32 is off, because it rounds factors of matrix
products to 10 bits and the results then differ from the reference in the third digit.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args

from perceiver_graph.choices import DeviceKind, DeviceName
from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.diagnostics.arguments import one_of, whole
from perceiver_graph.diagnostics.commands import setting
from perceiver_graph.engine import failures, onnxruntime
from perceiver_graph.runtime.cpu import VNNI, processor_features

CUDA_PROVIDER = "CUDAExecutionProvider"

_CUDA_OPTIONS = {
    "device_id": "0",
    "use_tf32": "0",
    # Score matrices are large and of one size: growing by powers of two would waste gigabytes.
    "arena_extend_strategy": "kSameAsRequested",
    # The exhaustive search times every algorithm again for each new shape.
    "cudnn_conv_algo_search": "HEURISTIC",
}
_INSTALL = "pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu"
"""Both have their files in one place. Neither command alone is enough: uninstalling either takes files
of the other along, and pip leaves alone what it holds for installed."""
_LIBRARIES = 'pip install "onnxruntime-gpu[cuda,cudnn]"'
_LARGEST_FOLDED = 2**26  # bytes of what onnxruntime may compute before the first run and keep
_ONLY_FATAL = 4  # errors come as exceptions; onnxruntime would print them as well


@dataclass(frozen=True)
class Device:
    """A place that programs run on."""

    name: DeviceKind
    threads: int
    shares: bool = False
    """Whether weights are mapped from a file that processes of this machine share."""

    @property
    def specializes(self) -> bool:
        """Whether a program runs quicker in a session that is made for its sizes."""
        return self.name == "cuda"

    @property
    def providers(self) -> list[Any]:
        """The execution providers, as `onnxruntime.InferenceSession` takes them."""
        cpu = ["CPUExecutionProvider"]
        return [(CUDA_PROVIDER, _CUDA_OPTIONS), *cpu] if self.name == "cuda" else cpu

    def session_options(self, sizes: Mapping[str, int]) -> Any:
        """`onnxruntime.SessionOptions` for one binding of the symbolic sizes; for any, if there are
        none."""
        options = onnxruntime().SessionOptions()
        options.intra_op_num_threads = self.threads
        options.log_severity_level = _ONLY_FATAL
        for name, value in sizes.items():
            options.add_free_dimension_override_by_name(name, value)
        # What is known is folded already, but for what would be larger than it is worth keeping.
        key = "optimization.constant_folding_max_output_size_in_bytes"
        options.add_session_config_entry(key, str(_LARGEST_FOLDED))
        # Threads would go on spinning after encoding, on the cores that decoding needs by then.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        if self.name == "cpu":
            # From the second run on, onnxruntime would take one block for all activations beside what
            # the first run took and it keeps: 1.3 to 1.6 times the memory, and no faster.
            options.enable_mem_pattern = False
            # The CPU kernel of SkipLayerNormalization is slower than Add and LayerNormalization.
            key = "optimization.disable_specified_optimizers"
            options.add_session_config_entry(key, "SkipLayerNormFusion")
            if not processor_features() & VNNI:
                # There, products of 8 bits would saturate: kernels that do not are slower, and right.
                options.add_session_config_entry("session.x64quantprecision", "1")
        return options


def choose(device: DeviceName = "auto", threads: int | None = None) -> Device:
    """The device of a name; `auto` is CUDA where it is usable, else the CPU.

    `threads` are those of the CPU: by default as many as OMP_NUM_THREADS says, else one a core.
    Raises DiagnosticError (PG601) for `cuda` where it is not usable, ValueError for other names and
    for less than one thread.
    """
    one_of("device", get_args(DeviceName), device)
    threads = wanted_threads() if threads is None else whole("threads", "a whole number", threads)
    if threads < 1:
        raise ValueError(f"threads is {threads}, and must be at least 1")
    if device != "cpu":
        fault = _cuda_fault()
        if fault is None:
            return Device("cuda", threads)
        if device == "cuda":
            raise no_cuda(*fault)
    return Device("cpu", threads)


def no_cuda(reason: str, help: str) -> DiagnosticError:
    """The diagnostic PG601."""
    return DiagnosticError.of(
        "PG601",
        f"CUDA is not available: {reason}",
        help=f"{help}; or run with {setting('--device', 'cpu')}",
    )


@cache
def _cuda_fault() -> tuple[str, str] | None:
    """Why CUDA cannot be used and what would help, or None if it can."""
    import numpy as np

    ort = onnxruntime()
    if CUDA_PROVIDER not in ort.get_available_providers():
        return f"onnxruntime {ort.__version__}, as installed, has no CUDA support", f"`{_INSTALL}`"
    if hasattr(ort, "preload_dlls"):
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does not find
            ort.preload_dlls()
    ort.set_default_logger_severity(_ONLY_FATAL)
    try:
        ort.OrtValue.ortvalue_from_numpy(np.zeros(1, np.float32), "cuda", 0)
    except _failures() as error:
        # The first line names a place of onnxruntime's source, then what went wrong.
        reason = str(error).strip().splitlines()[0].split("with error: ")[-1]
        help = "check the GPU and its driver: `nvidia-smi`"
        if ".so" in reason or "CUDA_PATH" in reason:
            help = f"without CUDA's libraries on this machine: `{_LIBRARIES}`"
        return f"onnxruntime reports {quote(reason)}", help
    return None


def hidden_gpu_build() -> str | None:
    """What to do where onnxruntime-gpu was installed and the files of onnxruntime lie over its own.

    `auto` then takes the CPU, and whoever installed it should be told. None where all is well.
    """
    try:
        importlib.metadata.version("onnxruntime-gpu")
    except importlib.metadata.PackageNotFoundError:
        return None
    if CUDA_PROVIDER in onnxruntime().get_available_providers():
        return None
    return f"onnxruntime-gpu is installed, but onnxruntime lies over it; for CUDA: {_INSTALL}"


def _failures() -> tuple[type[Exception], ...]:
    state = failures()
    return (RuntimeError, state.EPFail, state.Fail, state.RuntimeException)


def wanted_threads() -> int:
    """What OMP_NUM_THREADS says, as other libraries read it too, or else the cores."""
    said = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(said) if said.isdecimal() and 0 < len(said) < 5 and int(said) else physical_cores()


@cache
def physical_cores() -> int:
    """Cores that this process may use; hardware threads of one core count once.

    Two threads of a core share its multipliers, so more threads make matrix products no faster, and
    threads beyond a container's share of the machine wait for each other.
    """
    try:
        allowed = os.sched_getaffinity(0)
    except AttributeError:  # not on this operating system
        return max(1, (os.cpu_count() or 2) // 2)
    base = Path("/sys/devices/system/cpu")
    siblings = [base / f"cpu{index}/topology/thread_siblings_list" for index in sorted(allowed)]
    try:
        cores = len({path.read_text(encoding="ascii") for path in siblings})
    except OSError:
        cores = len(allowed)
    return min(cores, cpu_share(Path("/sys/fs/cgroup/cpu.max")) or cores)


def cpu_share(limit: Path) -> int | None:
    """The CPUs that a control group may use at a time, or None if it is not limited."""
    try:
        quota, period = limit.read_text(encoding="ascii").split()
        return max(1, int(quota) // int(period))
    except (OSError, ValueError):  # no such file; or `max`, which is no limit
        return None
