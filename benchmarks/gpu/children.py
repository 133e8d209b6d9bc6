"""Starts the processes of a run; one that fails costs its own figures alone."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from benchmarks import processes
from benchmarks.gpu.plan import Plan


def run(plan: Plan, call: str, arguments: list[Any]) -> None:
    """Run `benchmarks.gpu.child`, until the time is over; its failure is a finding."""
    names = [a["name"] if isinstance(a, dict) else str(a) for a in arguments]
    label = "-".join([call, *names])[:80].replace("/", "_")
    threads = str(plan.threads)
    environment = {
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "TORCHINDUCTOR_COMPILE_THREADS": threads,
        "TORCHINDUCTOR_CACHE_DIR": str(Path(plan.folder) / "inductor"),
        "PYTHONUNBUFFERED": "1",
    }
    if call == "nodes":
        environment["CUDA_LAUNCH_BLOCKING"] = "1"  # so that a node is charged for its kernels
    command = [sys.executable, "-m", "benchmarks.gpu.child", plan.dumps(), call]
    command.append(json.dumps(arguments))
    log = Path(plan.folder) / "logs" / f"{label}.log"
    try:
        processes.run(command, log, max(1.0, plan.left()), {**os.environ, **environment})
    except processes.ProcessError as error:
        plan.find("failed", what=label, note=str(error))
