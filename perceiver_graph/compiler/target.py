"""What a program is compiled for: where it runs, and in which numbers it computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Device = Literal["cpu", "cuda"]
Precision = Literal["fp32", "fp16", "bf16", "int8"]


@dataclass(frozen=True)
class Target:
    """The device and the precision of weights and arithmetic; inputs and outputs stay float32."""

    device: Device = "cpu"
    precision: Precision = "fp32"


DEFAULT = Target()
