"""What every process of a run is told: where, how long, and into which file its findings go.

A finding is one JSON object on one line, appended as soon as it is known: a run that is cut off keeps
what it has found.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.tasks import Conditions, Device, Precision

FINDINGS, REPORT = "findings.jsonl", "report.md"


@dataclass(frozen=True)
class Plan:
    """The conditions of a run."""

    device: Device
    precisions: Sequence[Precision]
    out: str
    """The folder for findings and the report."""
    folder: str
    """Where weights, programs and logs are kept."""
    until: float
    """When all has to be over, in seconds since the epoch."""
    threads: int
    compiling: bool = True
    """Whether torch.compile is tried, which takes longer than all else."""
    seconds: float = 1.5
    """How long each contender is timed, though at least three runs."""

    def left(self) -> float:
        """Seconds that remain."""
        return self.until - time.time()

    def conditions(self, precision: Precision) -> Conditions:
        """What `benchmarks.contenders` wants to be told."""
        return Conditions(self.device, precision, self.threads, self.folder)

    def find(self, kind: str, **values: Any) -> None:
        """Append a finding."""
        line = json.dumps({"kind": kind, **values}) + "\n"
        path = Path(self.out) / FINDINGS
        with path.open("ab", buffering=0) as stream:
            stream.write(
                line.encode()
            )  # one write, so that processes do not cut each other's lines

    @contextmanager
    def finding(self, kind: str, **of: Any) -> Iterator[dict[str, Any]]:
        """A finding that the block fills in; what goes wrong in it becomes a note of the finding.

        One failure must not cost the figures that come after it, so every exception ends here.
        """
        found: dict[str, Any] = {}
        try:
            yield found
        except Exception as error:  # noqa: BLE001
            text = str(error).strip().splitlines() or [""]
            found["note"] = f"{type(error).__name__}: {text[0][:300]}"
            traceback.print_exc()
        self.find(kind, **of, **found)

    @contextmanager
    def beside_others(self) -> Iterator[None]:
        """For what may run while other processes prepare theirs, but not while one is timed."""
        with _locked(Path(self.folder) / "turn", fcntl.LOCK_SH):
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """For what is timed: no other process is in this or in `beside_others`."""
        with _locked(Path(self.folder) / "turn", fcntl.LOCK_EX):
            yield

    def dumps(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, text: str) -> Plan:
        """The plan of what `dumps` returned."""
        return cls(**json.loads(text))


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)  # which lets go of the lock


def findings(out: Path) -> list[dict[str, Any]]:
    """All findings of a folder; a line that was cut off is left out."""
    found = []
    path = out / FINDINGS
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found
