"""A program file as onnxruntime sessions, one for each binding of its symbolic sizes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from perceiver_graph.runtime import errors
from perceiver_graph.runtime.devices import CUDA_PROVIDER, Device, no_cuda
from perceiver_graph.runtime.sizes import evaluate
from perceiver_graph.spec.manifest import ProgramEntry

# Each session has a copy of the weights, laid out for its kernels.
_KEPT = 3


class Sessions:
    """Runs a program. Sessions are made when they are first needed; the latest few are kept."""

    def __init__(self, file: Path, entry: ProgramEntry, device: Device, precision: str) -> None:
        self.file = file
        self.entry = entry
        self.device = device
        self._precision = precision
        ports = (*entry.inputs, *entry.outputs)
        names = [f"`{p.name}`" for p in entry.inputs if p.role == "data" and p.dtype == "int64"]
        self._ids = "input " + " or ".join(names)
        self._symbolic = sorted({d for port in ports for d in port.shape if isinstance(d, str)})
        self._sessions: OrderedDict[tuple[int, ...], Any] = OrderedDict()

    def run(
        self,
        inputs: Mapping[str, Any],
        outputs: Sequence[str],
        sizes: Mapping[str, int],
        *,
        stay_on_device: bool = False,
        give_back: bool = False,
    ) -> dict[str, Any]:
        """Run once and return the outputs named as `onnxruntime.OrtValue`s.

        `inputs` are contiguous arrays or OrtValues by port name, `sizes` the values of all symbols.
        With `stay_on_device`, results are left in the memory of the device; with `give_back`, what
        the run needed besides is returned to the system. Raises DiagnosticError (PG406, PG514,
        PG601, PG602, PG603).
        """
        import numpy as np
        import onnxruntime as ort

        session = self._session(sizes)
        binding = session.io_binding()
        for name, value in inputs.items():
            if isinstance(value, np.ndarray):
                binding.bind_cpu_input(name, value)
            else:
                binding.bind_ortvalue_input(name, value)
        for name in outputs:
            binding.bind_output(name, self.device.name if stay_on_device else "cpu")
        options = ort.RunOptions()
        if give_back:
            arena = "gpu:0" if self.device.name == "cuda" else "cpu:0"
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", arena)
        with errors.running(self.device.name, self._ids):
            session.run_with_iobinding(binding, options)
        return dict(zip(outputs, binding.get_outputs(), strict=True))

    def _session(self, sizes: Mapping[str, int]) -> Any:
        values = {size: evaluate(size, sizes) for size in self._symbolic}
        key = tuple(values.values())
        if key not in self._sessions:
            while len(self._sessions) >= _KEPT:
                self._sessions.popitem(last=False)
            self._sessions[key] = self._load(values)
        self._sessions.move_to_end(key)
        return self._sessions[key]

    def _load(self, values: Mapping[str, int]) -> Any:
        import onnxruntime as ort

        with errors.loading(self.file, self.device.name, self._precision):
            session = ort.InferenceSession(
                str(self.file),
                sess_options=self.device.session_options(values),
                providers=self.device.providers,
            )
        if self.device.name == "cuda" and CUDA_PROVIDER not in session.get_providers():
            # onnxruntime falls back to the CPU without an error.
            raise no_cuda("onnxruntime cannot start it", "check the GPU's driver: nvidia-smi")
        return session
