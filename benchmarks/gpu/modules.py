"""One work in PyTorch: the emitted module beside transformers, eager and compiled, in each precision.

What needs no compiler comes first; torch.compile takes most of the time and may not be reached.
"""

from __future__ import annotations

from benchmarks import contenders
from benchmarks.gpu import timing
from benchmarks.gpu.plan import Plan
from benchmarks.tasks import OURS, Precision, Task
from benchmarks.works import Work

_EAGER, _COMPILED = ("eager", "ours-torch"), ("ours-compiled", "compiled")
_COMPILING_SECONDS = 45.0
"""Less is not worth the beginning of a compilation."""


def measure(plan: Plan, work: Work) -> None:
    """Find the seconds, the memory and the difference of every contender of a work."""
    # float32 first: it is what the others are compared with.
    for precision in sorted(plan.precisions, key=lambda name: name != "fp32"):
        for contender in _EAGER:
            _contender(plan, work, contender, precision, least=10.0)
    for precision in plan.precisions if plan.compiling else ():
        for contender in _COMPILED:
            _contender(plan, work, contender, precision, least=_COMPILING_SECONDS)


def _contender(
    plan: Plan, work: Work, contender: str, precision: Precision, *, least: float
) -> None:
    import torch

    task, cuda = Task(contender, work, plan.conditions(precision)), plan.device == "cuda"
    ours = contender in OURS
    with plan.finding("work", work=work.name, contender=contender, precision=precision) as found:
        if plan.left() < least:
            found["note"] = "not reached"
            return
        with plan.beside_others():
            loaded = contenders.load(task)
            outputs, found["first_seconds"] = timing.first(loaded.run)
            if f"{contender} {precision}" == timing.BASE:
                timing.keep(plan, work, outputs)
            found["difference"] = timing.difference(plan, work, outputs, ours=ours)
        with plan.alone():
            if cuda:
                torch.cuda.reset_peak_memory_stats()
            seconds, found["runs"] = timing.median(loaded.run, plan.seconds)
            found["seconds"] = seconds * (1 if ours else work.calls)
            if cuda:
                found["gpu_bytes"] = torch.cuda.max_memory_allocated()
    if cuda:
        torch.cuda.empty_cache()


def profile(plan: Plan, work: Work, precision: Precision, rows: int = 20) -> None:
    """Find the kernels that the emitted module spends its time in."""
    import torch
    from torch import profiler

    with plan.finding("kernels", work=work.name, precision=precision) as found:
        if plan.left() < 15:
            found["note"] = "not reached"
            return
        loaded = contenders.load(Task("ours-torch", work, plan.conditions(precision)))
        loaded.run()
        activities = [profiler.ProfilerActivity.CPU]
        if plan.device == "cuda":
            activities.append(profiler.ProfilerActivity.CUDA)
        with profiler.profile(activities=activities) as seen, torch.no_grad():
            loaded.run()
        cuda = plan.device == "cuda"
        spent = [
            (e.self_device_time_total if cuda else e.self_cpu_time_total, e.key, e.count)
            for e in seen.key_averages()
        ]
        spent.sort(reverse=True)
        found["rows"] = [
            {"name": name[:100], "count": count, "seconds": micro / 1e6}
            for micro, name, count in spent[:rows]
            if micro
        ]
