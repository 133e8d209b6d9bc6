"""Compiles and exports what is timed later, each in its own process, and keeps it for the next run.

Our own artifacts are compiled anew every time: the compiler is what changes. What the peers need is
kept until the versions of their libraries change, or --fresh; so is why it failed.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import machine, processes
from benchmarks.tasks import MODULES, Task

NEEDS_EXPORT = (
    "compiled",
    "aotinductor",
    "onnx",
    "openvino",
    "openvino-bf16",
    "openvino-int8",
)


@dataclass(frozen=True)
class Prepared:
    """How a contender was made ready to be loaded."""

    seconds: float | None = None
    """Of the whole process; None where nothing has to be prepared, or it failed."""
    peak_bytes: int | None = None
    failure: str = ""


def environment(task: Task) -> dict[str, str]:
    """What the processes of a contender find in their environment."""
    threads = str(task.conditions.threads)
    variables = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads, "HF_HUB_OFFLINE": "1"}
    if task.contender in ("compiled", "ours-compiled", "aotinductor"):
        variables["TORCHINDUCTOR_CACHE_DIR"] = str(task.prepared / "inductor")
    return variables


def weights(task: Task, limit: float, *, fresh: bool) -> Prepared:
    """Write the checkpoint that all contenders of a system share."""
    key = {"system": asdict(task.work.system), "versions": _versions("torch", "transformers")}
    return _cached(task, "weights", task.weights, key, limit, fresh=fresh)


def prepare(task: Task, limit: float, *, fresh: bool) -> Prepared:
    """Compile or export for a contender; the failure is in what is returned."""
    if task.ours:
        return _compile(task, limit)
    if task.contender not in NEEDS_EXPORT:
        return Prepared()
    libraries = ["torch", "transformers", "onnx", "onnxscript"]
    if task.contender == "openvino-int8":
        libraries += ["openvino", "nncf"]
    key = {"task": json.loads(task.dumps()), "versions": _versions(*libraries)}
    return _cached(task, task.contender, task.prepared, key, limit, fresh=fresh)


def _compile(task: Task, limit: float) -> Prepared:
    int8 = task.contender == "ours-int8"
    options = {
        "--weights": str(task.weights),
        "--output": str(task.prepared),
        "--device": task.conditions.device,
        "--precision": "int8" if int8 else task.conditions.precision,
    }
    if task.contender == "ours-openvino-bf16":
        options |= {"--device": "openvino", "--precision": "bf16"}
    if task.contender in MODULES:
        options |= {"--backend": "torch", "--device": "cpu", "--precision": "fp32"}
    words = [word for option in options.items() for word in option]
    command = [sys.executable, "-m", "perceiver_graph", "compile", task.work.system.spec, *words]
    return _run(task, "compile", command, limit)


def _cached(
    task: Task, step: str, folder: Path, key: Mapping[str, Any], limit: float, *, fresh: bool
) -> Prepared:
    """Run a step into a folder, unless the folder is there already and was made from the same key."""
    record = folder.with_name(f"{folder.name}.json")
    if record.exists() and not fresh:
        known = json.loads(record.read_text(encoding="utf-8"))
        if known["key"] == json.loads(json.dumps(key)):
            return Prepared(**known["prepared"])
    record.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "benchmarks.steps", step, task.dumps()]
    prepared = _run(task, step, command, limit)
    text = json.dumps({"key": key, "prepared": asdict(prepared)}, indent=2)
    record.write_text(text, encoding="utf-8")
    return prepared


def _run(task: Task, step: str, command: Sequence[str], limit: float) -> Prepared:
    try:
        done = processes.run(command, task.log(step), limit, environment(task))
    except processes.ProcessError as error:
        return Prepared(failure=f"preparing failed: {error}")
    return Prepared(done.seconds, done.peak_bytes)


def _versions(*names: str) -> dict[str, str | None]:
    return {name: machine.version_of(name) for name in names}
