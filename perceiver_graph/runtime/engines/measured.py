"""How engines compare on processors where that was measured: what `--engine auto` goes by.

`python -m benchmarks --contenders ours,ours-openvino` measures a processor, and prints its features.
Only what was measured is here: on other processors nobody knows, and `auto` stays with onnxruntime.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """Figures of an engine beside onnxruntime, on one kind of processor, in one precision."""

    engine: str
    precision: str
    processor: str
    """Which one it was, and what else matters."""
    has: frozenset[str]
    """Features of it, as Linux calls them, that kernels are chosen by."""
    has_not: frozenset[str]
    """Features that would have other kernels chosen."""
    ratios: Mapping[str, float]
    """Its time by that of onnxruntime, for each work: below 1 it is faster."""

    def holds_for(self, features: frozenset[str]) -> bool:
        """Whether a processor is of that kind."""
        return self.has <= features and not self.has_not & features

    @property
    def faster(self) -> bool:
        """Whether no work was slower. Which of them a model is like is not for a table to say."""
        return max(self.ratios.values()) < 1

    @property
    def told(self) -> str:
        """What was found, in words."""
        works = ", ".join(f"{work} {ratio:.2f}" for work, ratio in self.ratios.items())
        return f"its time by that of onnxruntime on {self.processor}: {works}"


_ZEN_4 = {
    "processor": "2 cores of a Zen 4 (avx512_vnni, avx512_bf16)",
    "has": frozenset({"avx512f", "avx512_vnni", "avx512_bf16"}),
    "has_not": frozenset({"amx_tile"}),
}
_XEON = {
    "processor": "2 cores of an Intel Xeon (avx512_vnni, amx_int8, amx_bf16)",
    "has": frozenset({"avx512f", "avx512_vnni", "amx_tile"}),
    "has_not": frozenset(),
}
TABLE = (
    # openvino 2026.4.1, onnxruntime 1.31.1, batch 1, medians of 5 rounds in which both took turns.
    Measured(
        "openvino",
        "fp32",
        ratios={"imagenet_fourier": 0.96, "language, 2048 bytes": 0.93, "kinetics, a chunk": 1.05},
        **_ZEN_4,  # type: ignore[arg-type]
    ),
    # openvino 2026.4.1, onnxruntime 1.31.1, batch 1, the fastest of 3 rounds in which both took turns.
    Measured(
        "openvino",
        "fp32",
        ratios={
            "imagenet_conv": 0.89,
            "imagenet_fourier": 1.0,
            "imagenet_learned": 0.95,
            "language, 2048 bytes": 1.22,
            "language, 60 bytes": 0.95,
            "kinetics, a chunk": 0.92,
        },
        **_XEON,  # type: ignore[arg-type]
    ),
    Measured("openvino", "int8", ratios={"language, 2048 bytes": 2.6}, **_ZEN_4),  # type: ignore[arg-type]
)


def find(engine: str, precision: str, features: frozenset[str]) -> Measured | None:
    """What was measured of an engine on such a processor, if anything."""
    rows = (row for row in TABLE if (row.engine, row.precision) == (engine, precision))
    return next((row for row in rows if row.holds_for(features)), None)
