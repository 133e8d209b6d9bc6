"""What an engine has to offer: programs that run, from arrays by name to arrays by name."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.diagnostics.commands import command, setting, shell
from perceiver_graph.runtime.artifact import Artifact
from perceiver_graph.runtime.devices import Device
from perceiver_graph.spec.manifest import SPEC_NAME, Manifest, ProgramEntry


class Value(Protocol):
    """What a program leaves, in the memory of the device: an `onnxruntime.OrtValue` is one."""

    def numpy(self) -> Any:
        """A copy in the memory of the host."""

    def shape(self) -> Sequence[int]:
        """The sizes of its axes."""

    def data_type(self) -> str:
        """Such as `tensor(float)`."""


class Runner(Protocol):
    """A program of an artifact that runs: what is needed for that is made when it is first needed."""

    entry: ProgramEntry

    def run(
        self,
        inputs: Mapping[str, Any],
        outputs: Mapping[str, bool],
        sizes: Mapping[str, int],
        *,
        give_back: bool = False,
    ) -> Mapping[str, Value]:
        """Run once and return the outputs named.

        `inputs` are contiguous arrays, or what a run has left, by port name; `outputs` say of each
        whether it stays in the memory of the device, and `sizes` are the values of all symbols. With
        `give_back`, what the run needed besides is returned to the system. Several threads may call it.
        Raises DiagnosticError (PG402, PG406, PG413, PG514, PG602, PG603).
        """


class Engine(ABC):
    """A library that runs programs. It is imported when a program is first run on it."""

    name: ClassVar[str]
    title: ClassVar[str]
    """What people call it."""
    devices: ClassVar[tuple[str, ...]]
    """Where it runs programs."""
    extra: ClassVar[str | None] = None
    """Which extra of this package brings it; None for what is always there."""

    @abstractmethod
    def runner(
        self, artifact: Artifact, entry: ProgramEntry, device: Device, *, changing: bool
    ) -> Runner:
        """A program of an artifact, `changing` if its sizes do with every run."""

    def lacks(self, manifest: Manifest, device: Device) -> bool:
        """Whether it has no kernels for what an artifact computes in."""
        return False

    def refuses(self, artifact: Artifact) -> str | None:
        """What of its programs it would refuse when they run, in words; None where it runs them."""
        return None

    @property
    def installed(self) -> bool:
        """Whether its package can be found, which is not imported for that."""
        return self.extra is None or importlib.util.find_spec(self.name) is not None

    def require(self) -> None:
        """Raises DiagnosticError (PG608) if its package is not installed."""
        if not self.installed:
            raise self.missing(f"{self.title} is not installed")

    def missing(self, reason: str) -> DiagnosticError:
        """The diagnostic PG608."""
        install = shell("pip", "install", f"perceiver-graph[{self.extra}]")
        return DiagnosticError.of(
            "PG608", reason, help=f"{install}; or run with {setting('--engine', 'onnxruntime')}"
        )


def fp32_instead(artifact: Artifact) -> str:
    """How to get programs that run everywhere of the weights that an artifact was compiled with."""
    words = ("compile", artifact.directory / SPEC_NAME, "--weights", "WEIGHTS")
    return f"compile its weights for CPUs: {command(*words, '--precision', 'fp32', '-o', 'DIR')}"
