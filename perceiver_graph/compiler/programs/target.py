"""What a program is compiled for: where it runs, and in which numbers it computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from perceiver_graph.compiler.ops.scores import LARGEST_SCORES
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.diagnostics.commands import option

Device = Literal["cpu", "cuda"]
Precision = Literal["fp32", "fp16", "bf16", "int8"]

SUPPORTED: dict[Device, tuple[Precision, ...]] = {
    "cpu": ("fp32", "int8"),
    "cuda": ("fp32", "fp16", "bf16"),
}
"""What onnxruntime has kernels for."""


@dataclass(frozen=True)
class Target:
    """The device and the precision of weights and arithmetic; inputs and outputs stay float32."""

    device: Device = "cpu"
    precision: Precision = "fp32"
    score_limit: int = LARGEST_SCORES
    """Bytes of attention scores that may exist at once for a sample."""

    def require_supported(self) -> None:
        """Raises DiagnosticError (PG602) for a precision that the device has no kernels for."""
        supported = SUPPORTED[self.device]
        if self.precision not in supported:
            other = "cuda" if self.device == "cpu" else "cpu"
            raise DiagnosticError.of(
                "PG602",
                f"precision {self.precision} is not supported on {self.device}",
                notes=[f"on {name}: {', '.join(names)}" for name, names in SUPPORTED.items()],
                help=f"compile with {option('--precision', supported[-1])}, "
                f"or with {option('--device', other)}",
            )


DEFAULT = Target()
