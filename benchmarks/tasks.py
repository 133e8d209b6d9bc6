"""A contender at a work under some conditions: what every process of a measurement is told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.works import Work

Device = Literal["cpu", "cuda"]
Precision = Literal["fp32", "fp16", "bf16"]

CONTENDERS: Mapping[str, str] = {
    "ours": "perceiver-graph, compiled at -O 2, run by its runtime",
    "ours-int8": "the same, compiled with --precision int8",
    "ours-openvino": "the artifact of `ours`, run on OpenVINO",
    "ours-openvino-bf16": "perceiver-graph, compiled with --target openvino --precision bf16",
    "ours-torch": "the PyTorch module that perceiver-graph writes, in eager PyTorch",
    "ours-compiled": "the same module under torch.compile (inductor)",
    "eager": "transformers, in eager PyTorch",
    "eager-bf16": "the same under autocast to bfloat16",
    "compiled": "transformers under torch.compile (inductor)",
    "aotinductor": "transformers exported by torch.export and compiled ahead of time by inductor",
    "onnx": "transformers exported by torch.onnx.export(dynamo=True) with fixed shapes, run by "
    "onnxruntime with its default options",
    "openvino": "what that export has written, run by OpenVINO in float32",
    "openvino-bf16": "the same in bfloat16, which is OpenVINO's default on processors that have it",
    "openvino-int8": "the same with weights of 8 bits, compressed by nncf; takes `pip install nncf`",
}
ON_OPENVINO = ("ours-openvino", "ours-openvino-bf16")
OURS = (*ON_OPENVINO, "ours", "ours-int8", "ours-torch", "ours-compiled")
MODULES = ("ours-torch", "ours-compiled")
"""Those of `OURS` that are the emitted module; it is one file for every device and precision."""
BASE = "eager"
"""With whose outputs those of the others are compared."""


@dataclass(frozen=True)
class Conditions:
    """What holds for all contenders of a run."""

    device: Device
    precision: Precision
    threads: int
    folder: str
    """Where weights, programs and logs are kept."""


@dataclass(frozen=True)
class Task:
    """One contender at one work."""

    contender: str
    work: Work
    conditions: Conditions

    @property
    def ours(self) -> bool:
        """Whether it is perceiver-graph that runs."""
        return self.contender in OURS

    @property
    def weights(self) -> Path:
        """The transformers checkpoint from which every contender has its weights."""
        return Path(self.conditions.folder) / self.work.system.name / "weights"

    @property
    def prepared(self) -> Path:
        """What is compiled or exported before the contender can be loaded.

        An artifact of perceiver-graph serves all works of a system; the others have fixed shapes.
        """
        if self.contender in MODULES:
            return Path(self.conditions.folder) / self.work.system.name / "module"
        of = self.work.system.name if self.ours else self.work.name
        kind = f"{self.contender}-{self.conditions.device}-{self.conditions.precision}"
        if self.work.batch > 1 and not self.ours:
            kind += f"-batch{self.work.batch}"
        return Path(self.conditions.folder) / of / kind

    def log(self, step: str) -> Path:
        """Where what a process says beside its answers goes."""
        name = f"{self.work.name}.{self.contender}.{step}.log"
        return Path(self.conditions.folder) / "logs" / name

    def dumps(self) -> str:
        """One line of JSON."""
        return json.dumps(
            {
                "contender": self.contender,
                "work": self.work.as_json(),
                "conditions": asdict(self.conditions),
            }
        )

    @classmethod
    def loads(cls, text: str) -> Task:
        """The task of what `dumps` returned."""
        data: dict[str, Any] = json.loads(text)
        work, conditions = Work.from_json(data["work"]), Conditions(**data["conditions"])
        return cls(data["contender"], work, conditions)
