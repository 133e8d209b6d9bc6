"""What a program is compiled for: what runs it, and in which numbers it computes."""

from __future__ import annotations

from dataclasses import dataclass

from perceiver_graph.choices import Precision, TargetName
from perceiver_graph.compiler.ops.scores import LARGEST_SCORES
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.diagnostics.commands import setting

SUPPORTED: dict[TargetName, tuple[Precision, ...]] = {
    "cpu": ("fp32", "int8"),
    "cuda": ("fp32", "fp16", "bf16"),
    # Of int8 it makes float32 kernels: 2.6 times as slow as onnxruntime (language, 2 cores of a Zen 4).
    "openvino": ("fp32", "bf16"),
    "onnx-standard": ("fp32", "int8"),
}
"""What there are kernels for."""


@dataclass(frozen=True)
class Target:
    """What runs it and the precision of weights and arithmetic; inputs and outputs stay float32."""

    name: TargetName = "cpu"
    precision: Precision = "fp32"
    score_limit: int = LARGEST_SCORES
    """Bytes of attention scores that may exist at once for a sample."""

    def require_supported(self) -> None:
        """Raises DiagnosticError (PG602) for a precision that the target has no kernels for."""
        supported = SUPPORTED[self.name]
        if self.precision not in supported:
            others = [name for name, known in SUPPORTED.items() if self.precision in known]
            raise DiagnosticError.of(
                "PG602",
                f"precision {self.precision} is not supported on {self.name}",
                notes=[f"on {name}: {', '.join(names)}" for name, names in SUPPORTED.items()],
                help=f"compile with {setting('--precision', supported[-1])}, "
                f"or with {' or '.join(setting('--target', other) for other in others)}",
            )


DEFAULT = Target()
