"""A program file as a session of onnxruntime: one at a time, so that the weights are held once."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from threading import RLock
from typing import Any

import numpy as np

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.engine import onnxruntime
from perceiver_graph.runtime import errors
from perceiver_graph.runtime.artifact import Artifact
from perceiver_graph.runtime.devices import CUDA_PROVIDER, Device, no_cuda
from perceiver_graph.runtime.laid_out import laid_out
from perceiver_graph.runtime.signature import check_results, check_session
from perceiver_graph.runtime.sizes import evaluate
from perceiver_graph.spec.manifest import ProgramEntry

_PATIENCE = 8
"""How often a shape comes in succession before a session is made for it."""

Key = tuple[int, ...]


class Sessions:
    """Runs a program. A session is made when it is first needed.

    It has a copy of the weights, laid out for its kernels, so there is one of them at any time: what
    another shape needs takes its place. On a CPU it is one for all shapes, which is as quick as one
    for each (the language model, Kinetics, ImageNet: alike within the 5 % that runs differ by, and making
    another takes as long as a run). On CUDA onnxruntime fuses more where all sizes are known: the first
    session is made for the sizes of the first call, the next for any sizes, and one for sizes that
    come again and again. Of a program whose sizes change with each run there is one for any.
    """

    def __init__(
        self, artifact: Artifact, entry: ProgramEntry, device: Device, *, changing: bool = False
    ) -> None:
        self.file = artifact.file(entry.file)
        self.entry = entry
        self.device = device
        self._changing = changing
        self._artifact = artifact
        ports = (*entry.inputs, *entry.outputs)
        names = [f"`{p.name}`" for p in entry.inputs if p.role == "data" and p.dtype == "int64"]
        self._ids = f"input {' or '.join(names)}" if names else ""
        self._symbolic = sorted({d for port in ports for d in port.shape if isinstance(d, str)})
        self._begin()

    def _begin(self) -> None:
        """Nothing is made yet, in this process."""
        self._process = os.getpid()
        self._lock = RLock()
        self._session: Any = None
        self._made_for: Key | None = None
        self._latest: Key | None = None
        self._times = 0
        self._patience = _PATIENCE

    def run(
        self,
        inputs: Mapping[str, Any],
        outputs: Mapping[str, bool],
        sizes: Mapping[str, int],
        *,
        give_back: bool = False,
    ) -> dict[str, Any]:
        """Run once and return the outputs named as `onnxruntime.OrtValue`s.

        `inputs` are contiguous arrays or OrtValues by port name, `outputs` say of each whether it
        stays in the memory of the device, and `sizes` are the values of all symbols. With
        `give_back`, what the run needed besides is returned to the system. Raises DiagnosticError
        (PG402, PG406, PG413, PG514, PG601, PG602, PG603, PG607).
        """
        session = self._for(sizes)
        options = onnxruntime().RunOptions()
        if give_back:
            arena = "gpu:0" if self.device.name == "cuda" else "cpu:0"
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", arena)
        with errors.running(self.device.name, self._ids, self.file):
            binding = session.io_binding()
            for name, value in inputs.items():
                if isinstance(value, np.ndarray):
                    binding.bind_cpu_input(name, value)
                else:
                    binding.bind_ortvalue_input(name, value)
            for name, stays in outputs.items():
                binding.bind_output(name, self.device.name if stays else "cpu")
            session.run_with_iobinding(binding, options)
        results = dict(zip(outputs, binding.get_outputs(), strict=True))
        check_results(results, self.entry, sizes, self.file)
        return results

    def _for(self, sizes: Mapping[str, int]) -> Any:
        """The session for these sizes."""
        if self._process != os.getpid():
            self._leave_behind()
        values = {size: evaluate(size, sizes) for size in self._symbolic}
        key = tuple(values.values())
        with self._lock:
            self._times = self._times + 1 if key == self._latest else 1
            self._latest = key
            if self._session is None:
                self._make(values if self._specializes else {})
            elif self._made_for and self._made_for != key:
                self._patience *= 2  # sizes that change now and then are not worth many sessions
                self._make({})
            elif not self._made_for and self._specializes and self._times >= self._patience:
                self._make(values)
            return self._session

    @property
    def _specializes(self) -> bool:
        return self.device.specializes and not self._changing

    def _make(self, values: Mapping[str, int]) -> None:
        self._session = None  # what it holds is free before the other one is made
        self._session = self._load(values)
        self._made_for = tuple(values.values()) or None

    def _load(self, values: Mapping[str, int]) -> Any:
        self._artifact.require_unchanged()
        with errors.loading(self.file, self.device.name, self._artifact.manifest.precision):
            shares = self.device.shares and self.device.name == "cpu"
            file = laid_out(self._artifact, self.entry, self.device) if shares else self.file
            session = onnxruntime().InferenceSession(
                str(file),
                sess_options=self.device.session_options(values),
                providers=self.device.providers,
            )
        self._artifact.require_unchanged()  # it may have been replaced meanwhile
        if self.device.name == "cuda" and CUDA_PROVIDER not in session.get_providers():
            # onnxruntime falls back to the CPU without an error.
            raise no_cuda("onnxruntime cannot start it", "check the GPU's driver: nvidia-smi")
        check_session(session, self.entry, self.file)
        return session

    def _leave_behind(self) -> None:
        """Begin anew in a process that was forked: the threads of a session do not come along.

        Whoever ends the session would wait for them, so nobody does: a reference keeps it for good.
        """
        if self.device.name == "cuda":
            raise DiagnosticError.of(
                "PG607",
                "this process was forked from one that uses CUDA, which does not come along",
                help='start processes anew: multiprocessing.get_context("spawn"); a program that is '
                "handed over to them is loaded there",
            )
        if self._session is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._session))
        self._begin()
