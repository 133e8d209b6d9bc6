"""One work in one precision by onnxruntime: seconds, memory of the GPU, and where its nodes run."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import contenders
from benchmarks.gpu import timing
from benchmarks.gpu.plan import Plan
from benchmarks.tasks import Precision, Task
from benchmarks.works import Work, inputs_of


def measure(plan: Plan, work: Work, precision: Precision) -> None:
    """Find seconds, memory and difference; nothing else may run on the GPU meanwhile."""
    task = Task("ours", work, plan.conditions(precision))
    with plan.finding("work", work=work.name, contender="ours", precision=precision) as found:
        if plan.left() < 10:
            found["note"] = "not reached"
            return
        with plan.alone():
            before = _gpu_bytes(plan)
            loaded = contenders.load(task)
            outputs, found["first_seconds"] = timing.first(loaded.run)
            found["difference"] = timing.difference(plan, work, outputs, ours=True)
            found["seconds"], found["runs"] = timing.median(loaded.run, plan.seconds)
            found["parts"] = dict(loaded.parts)
            if before is not None:
                found["gpu_bytes"] = (_gpu_bytes(plan) or before) - before


def _gpu_bytes(plan: Plan) -> int | None:
    """What of the GPU's memory is taken, by whomever. onnxruntime gives nothing back before it ends."""
    if plan.device != "cuda":
        return None
    command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
        return int(said.stdout.split()[0]) * 2**20
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


def nodes(plan: Plan, work: Work, precision: Precision) -> None:
    """Find on which provider each node runs, and which operators take the time.

    Of CUDA, a node's time in the profile of onnxruntime is that of its launch, unless the process was
    started with CUDA_LAUNCH_BLOCKING=1.
    """
    with plan.finding("nodes", work=work.name, precision=precision) as found:
        if plan.left() < 10:
            found["note"] = "not reached"
            return
        with tempfile.TemporaryDirectory() as folder:
            _run_profiled(plan, work, precision, str(Path(folder) / "of"))
            events = [e for file in Path(folder).glob("of*.json") for e in _events(file)]
        found.update(summarised(events))


def _run_profiled(plan: Plan, work: Work, precision: Precision, prefix: str) -> None:
    """Run twice with profiling on; the files are written when the sessions go."""
    import numpy as np

    from perceiver_graph.runtime import program as runtime
    from perceiver_graph.runtime.artifact import open_artifact
    from perceiver_graph.runtime.devices import Device, choose

    class Profiled(Device):
        """A device whose sessions write a profile."""

        def session_options(self, *arguments: Any, **more: Any) -> Any:
            options = super().session_options(*arguments, **more)
            options.enable_profiling = True
            options.profile_file_prefix = prefix
            return options

    task = Task("ours", work, plan.conditions(precision))
    device = Profiled(**vars(replace(choose(plan.device))))
    program = runtime.Program(open_artifact(task.prepared), device)
    asked = {
        name: np.arange(*work.decode[name]) if name in work.decode else None
        for name in program.manifest.outputs
    }
    for _ in range(2):
        program.decode(program.encode(inputs_of(work)), asked)


def _events(file: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(file.read_text("utf-8"))
    return [event for event in found if event.get("cat") == "Node" and "args" in event]


def summarised(events: list[dict[str, Any]], rows: int = 20) -> dict[str, Any]:
    """Nodes by provider, the operators on the CPU, and the operators that take the most seconds.

    A node has an event for each of its runs.
    """
    placed: dict[str, str] = {}
    operators: dict[str, str] = {}
    seconds: defaultdict[str, float] = defaultdict(float)
    for event in events:
        arguments, name = event["args"], str(event.get("name", ""))
        provider, operator = arguments.get("provider"), arguments.get("op_name")
        if not provider or not operator or not name.endswith("_kernel_time"):
            continue
        placed[name], operators[name] = provider, operator
        seconds[operator] += event.get("dur", 0) / 1e6
    on_cpu = Counter(operators[n] for n, p in placed.items() if p == "CPUExecutionProvider")
    most = sorted(seconds.items(), key=lambda item: -item[1])[:rows]
    return {
        "providers": dict(Counter(placed.values())),
        "cpu_operators": dict(on_cpu.most_common()),
        "rows": [{"name": name, "seconds": spent} for name, spent in most],
    }
