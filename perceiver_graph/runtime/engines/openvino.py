"""OpenVINO: float32 and bfloat16 on CPUs. It reads the files that onnxruntime does.

Every size stays open that the program leaves open: one compiled program serves all shapes. What it
computes in is what the program says, nothing less: by default OpenVINO takes bfloat16 for everything
where the processor has it, and then the angles of Fourier features are wrong by radians.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.diagnostics.commands import setting
from perceiver_graph.diagnostics.words import joined
from perceiver_graph.runtime import errors
from perceiver_graph.runtime.artifact import Artifact
from perceiver_graph.runtime.cpu import processor_features
from perceiver_graph.runtime.devices import Device
from perceiver_graph.runtime.engines.base import Engine, Runner, fp32_instead
from perceiver_graph.runtime.signature import check_results, check_session, not_its_own
from perceiver_graph.spec.manifest import Port, ProgramEntry
from perceiver_graph.storage.caches import Cache

_TYPES = {"f32": "float", "i64": "int64", "boolean": "bool"}
_TELEMETRY = "openvino_telemetry"
_SAYS = "OpenVINO says"
_CACHE = Cache("openvino", most=2**30)
"""Of compiled programs, which hold their weights. From there, one of 76 MB is ready in 0.6 s instead of
1.1, one of 166 MB in 1.3 s instead of 2.5; for 790 MB there is nothing to gain, nor are they kept."""


class OpenVino(Engine):
    """Programs compiled by OpenVINO, and kept so in the cache of this user."""

    name = "openvino"
    title = "OpenVINO"
    devices = ("cpu",)
    extra = "openvino"

    def runner(
        self, artifact: Artifact, entry: ProgramEntry, device: Device, *, changing: bool
    ) -> Runner:
        """A compiled program for all sizes."""
        return Compiled(artifact, entry, device)

    def refuses(self, artifact: Artifact) -> str | None:
        """What counts in float64: `_refuse_float64` says why. It is looked for without OpenVINO."""
        programs = artifact.manifest.programs.values()
        found = [entry.file for entry in programs if _counts_in_float64(artifact.file(entry.file))]
        return f"in {joined(found, 'and')} waves are counted in float64" if found else None


def _counts_in_float64(program: Path) -> bool:
    """Whether values between its nodes, or constants, are float64."""
    import onnx

    graph = onnx.load(program, format="protobuf", load_external_data=False).graph
    types = {value.type.tensor_type.elem_type for value in graph.value_info}
    types.update(constant.data_type for constant in graph.initializer)
    return onnx.TensorProto.DOUBLE in types


class Held:
    """What a program leaves: an array."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array

    def numpy(self) -> NDArray[Any]:
        """A copy: whoever gets it may write into it."""
        return self.array.copy()

    def shape(self) -> list[int]:
        """The sizes of its axes."""
        return [*self.array.shape]

    def data_type(self) -> str:
        """As onnxruntime calls it."""
        name = str(self.array.dtype)
        return f"tensor({'float' if name == 'float32' else name})"


class Compiled:
    """A program; it is compiled when it is first run, and has a request for each thread that runs it."""

    def __init__(self, artifact: Artifact, entry: ProgramEntry, device: Device) -> None:
        self.entry = entry
        self.file = artifact.file(entry.file)
        self.device = device
        self._artifact = artifact
        self._begin()

    def _begin(self) -> None:
        """Nothing is made yet, in this process."""
        self._process = os.getpid()
        self._lock = RLock()
        self._program: Any = None
        self._idle: list[Any] = []

    def run(
        self,
        inputs: Mapping[str, Any],
        outputs: Mapping[str, bool],
        sizes: Mapping[str, int],
        *,
        give_back: bool = False,
    ) -> dict[str, Held]:
        """As `Runner.run` says."""
        program = self._ready()
        given = {n: x.array if isinstance(x, Held) else x for n, x in inputs.items()}
        with _translated(lambda reason: not_its_own(self.file, [f"it fails: {reason}"])):
            try:
                request = self._idle.pop()
            except IndexError:
                request = program.create_infer_request()
            request.infer(given, share_inputs=True, share_outputs=True)
            # The request has its outputs in the same place the next time.
            results = {name: Held(np.array(request.get_tensor(name).data)) for name in outputs}
        if give_back:
            del request
            program.release_memory()
        else:
            self._idle.append(request)
        check_results(results, self.entry, sizes, self.file)
        return results

    @property
    def settings(self) -> dict[str, Any]:
        """What OpenVINO is told."""
        return {
            "INFERENCE_PRECISION_HINT": "f32",  # of what the program says is float32
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
            "INFERENCE_NUM_THREADS": self.device.threads,
            "NUM_STREAMS": 1,
            # Programs beside each other, and processes, would all have theirs on the first cores.
            "ENABLE_CPU_PINNING": False,
        }

    def _ready(self) -> Any:
        if self._process != os.getpid():
            self._leave_behind()
        with self._lock:
            if self._program is None:
                self._artifact.require_unchanged()
                self._program = self._load()
                self._artifact.require_unchanged()  # it may have been replaced meanwhile
                check_session(_Signature(self._program, self.entry), self.entry, self.file)
            return self._program

    def _load(self) -> Any:
        core, key = _core(self._process), self._key()
        if (kept := _CACHE.read(key)) is not None:
            try:
                return core.import_model(kept, "CPU", self.settings)
            except _failures():  # it was made by something else, whatever its name says
                pass
        with _translated(self._unreadable):
            # Not `read_model`: it tries the formats of other frameworks too, one of which prints.
            frontend = library().frontend.FrontEndManager().load_by_framework("onnx")
            model = frontend.convert(frontend.load(str(self.file)))
            self._refuse_float64(model)
            program = core.compile_model(model, "CPU", self.settings)
            if sum(entry.bytes for entry in self._artifact.manifest.files.values()) < 2**28:
                _CACHE.keep(key, program.export_model().getvalue())
        return program

    def _key(self) -> str:
        """Of the same bytes, release and processor it is the same."""
        files = self._artifact.manifest.files
        made_of = [f"{name} {files[name].sha256}" for name in sorted(files)]
        made_of += [self.entry.file, library().__version__, *sorted(processor_features())]
        return hashlib.sha256("\n".join(made_of).encode()).hexdigest()

    def _refuse_float64(self, model: Any) -> None:
        """Raise DiagnosticError (PG602) where a program counts in float64: OpenVINO makes float32 of it,
        in which ten thousand turns leave a hundredth of a radian."""
        outputs = (one for op in model.get_ops() for one in op.outputs())
        if any(one.element_type.to_string() == "f64" for one in outputs):
            raise DiagnosticError.of(
                "PG602",
                f"{self.file.name} counts the turns of waves in float64, of which {_TITLE} makes float32",
                help=fp32_instead(self._artifact)
                if self._artifact.manifest.precision == "bf16"
                else f"run with {setting('--engine', 'onnxruntime')}",
            )

    def _unreadable(self, reason: str) -> DiagnosticError:
        return errors.cannot_load(_TITLE, self.file, reason)

    def _leave_behind(self) -> None:
        """Begin anew in a process that was forked: threads do not come along, and whoever ends what
        had them would wait, so nobody does."""
        for one in (self._program, *self._idle):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(one))
        self._begin()


_TITLE = OpenVino.title


class _Signature:
    """What a compiled program takes and gives, as `check_session` asks a session."""

    def __init__(self, program: Any, entry: ProgramEntry) -> None:
        self._program = program
        self._entry = entry

    def get_inputs(self) -> list[_Leaf]:
        return [_Leaf(one, self._entry.inputs) for one in self._program.inputs]

    def get_outputs(self) -> list[_Leaf]:
        found = []
        for one in self._program.outputs:  # of a value with two names, there is one output
            names = [port for port in self._entry.outputs if port.name in one.get_names()]
            found += [_Leaf(one, [port]) for port in names] or [_Leaf(one, [])]
        return found


class _Leaf:
    """An input or an output, under the name that the manifest has for it."""

    def __init__(self, port: Any, known: list[Port]) -> None:
        names = port.get_names()
        self.name = next((one.name for one in known if one.name in names), port.any_name)
        element = port.element_type.to_string()
        self.type = f"tensor({_TYPES.get(element, element)})"
        sizes = port.partial_shape
        self.shape = [size.get_length() if size.is_static else str(size) for size in sizes]


@cache
def library() -> Any:
    """The module, imported when it is first needed, and without its telemetry.

    On import it would report to Google that it was, under an id that it keeps in the home folder;
    where the package that does so is missing, it goes without.
    """
    absent = _TELEMETRY not in sys.modules
    if absent:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
    try:
        module = importlib.import_module("openvino")
        importlib.import_module("openvino.frontend")
    except ImportError as error:
        raise OpenVino().missing(f"{_TITLE} cannot be imported: {error}") from error
    finally:
        if absent:
            del sys.modules[_TELEMETRY]
    return module


@cache
def _core(process: int) -> Any:
    """What compiles, one for a process."""
    return library().Core()


@cache
def _failures() -> tuple[type[Exception], ...]:
    """What it raises for a program that it cannot read, compile or run."""
    frontend = vars(library().frontend).values()
    own = (one for one in frontend if isinstance(one, type) and issubclass(one, Exception))
    usual = (RuntimeError, ValueError, TypeError, OverflowError, IndexError, KeyError, MemoryError)
    return (*own, *usual)


@contextmanager
def _translated(fault: Any) -> Iterator[None]:
    """Translate a failure: PG603, or what `fault` makes of its reason."""
    try:
        yield
    except _failures() as error:
        reason = f"{_SAYS}: {_reason(error)}"
        if isinstance(error, MemoryError) or errors.NO_MEMORY.search(str(error)):
            raise errors.out_of_memory("cpu", reason) from error
        raise fault(reason) from error


def _reason(error: Exception) -> str:
    """The line that says what is wrong, behind those that say where it was found."""
    lines = [line.strip() for line in str(error).splitlines()]
    where = ("Exception from ", "Check '", "FrontEnd API failed", "Loading input model")
    said = [line for line in lines if line and not line.startswith(where)]
    return (said or [line for line in lines if line] or [type(error).__name__])[0]
