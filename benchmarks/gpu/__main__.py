"""Run the stages: `python -m benchmarks.gpu OUT`, from the root of the repository; see --help.

`torch` needs PyTorch and transformers alone; `onnxruntime` also its CUDA build. Each begins with what
matters most, and what does not fit into the minutes is noted as not reached.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import machine, prepare, processes
from benchmarks.gpu import children, tables
from benchmarks.gpu.plan import FINDINGS, REPORT, Plan, findings
from benchmarks.gpu.small import SYSTEMS
from benchmarks.tasks import Precision, Task
from benchmarks.works import WORKS, Work

STAGES = ("torch", "onnxruntime")
_PRECISIONS: tuple[Precision, ...] = ("bf16", "fp32", "fp16")
_FOR_THE_REPORT = 10.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the stages that the arguments choose and write the report."""
    options = _options(arguments)
    if options.device == "cuda" and machine.gpu() is None:
        sys.exit("nvidia-smi finds no GPU here; `--device cpu` tries the script without one")
    options.out.mkdir(parents=True, exist_ok=True)
    plan = Plan(
        device=options.device,
        precisions=options.precisions,
        out=str(options.out.resolve()),
        folder=str(options.folder.resolve()),
        until=time.time() + 60 * options.minutes - _FOR_THE_REPORT,
        threads=options.threads,
        compiling=not options.eager,
        seconds=options.seconds,
    )
    works = [WORKS[name] for name in options.works]
    children.run(plan, "facts", [])
    _each(options.jobs, partial(_weights, plan), _a_work_a_system(works))
    for stage in options.stages:
        {"torch": _torch, "onnxruntime": _onnxruntime}[stage](plan, works, options)
        _report(plan)
    print((options.out / REPORT).read_text("utf-8"))


def _torch(plan: Plan, works: Sequence[Work], options: argparse.Namespace) -> None:
    """The emitted modules, small and at full size, beside transformers."""
    _each(options.jobs, partial(_compile, plan, "ours-torch", "fp32"), _a_work_a_system(works))
    tasks: list[tuple[str, list[Any]]] = [("modules", [work.as_json()]) for work in works]
    tasks += [("small", [["torch"], *part]) for part in _parts(options.systems, options.jobs // 2)]
    # All at once: their compilers share the cores, and they take turns on the GPU.
    _each(len(tasks), lambda task: children.run(plan, *task), tasks)
    slowest = _slowest(plan, works, "ours-torch")
    if slowest:
        children.run(plan, "kernels", [slowest.as_json(), plan.precisions[0]])


def _onnxruntime(plan: Plan, works: Sequence[Work], options: argparse.Namespace) -> None:
    """The ONNX programs: each work by itself, so that the memory of the GPU is its own."""
    systems = _a_work_a_system(works)
    for precision in plan.precisions:
        _each(options.jobs, partial(_compile, plan, "ours", precision), systems)
        for work in works:
            children.run(plan, "programs", [work.as_json(), precision])
        _report(plan)
    parts = _parts(options.systems, options.jobs // 2)
    _each(len(parts), lambda part: children.run(plan, "small", [["onnxruntime"], *part]), parts)
    for work in systems:
        children.run(plan, "nodes", [work.as_json(), plan.precisions[0]])


def _a_work_a_system(works: Sequence[Work]) -> list[Work]:
    return list({work.system.name: work for work in reversed(works)}.values())


def _parts(names: Sequence[str], count: int) -> list[Sequence[str]]:
    return [part for start in range(max(1, count)) if (part := names[start :: max(1, count)])]


def _each(jobs: int, do: Callable[[Any], object], items: Iterable[Any]) -> None:
    """Do something to all, some at a time."""
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        list(pool.map(do, items))


def _weights(plan: Plan, work: Work) -> None:
    task = Task("eager", work, plan.conditions("fp32"))
    with plan.finding("prepared", what=f"weights of {work.system.name}") as found:
        made = prepare.weights(task, max(1.0, plan.left()), fresh=False)
        found |= {"seconds": made.seconds, "note": made.failure}


def _compile(plan: Plan, contender: str, precision: Precision, work: Work) -> None:
    task = Task(contender, work, plan.conditions(precision))
    with plan.finding("prepared", what=f"{contender} {precision} of {work.system.name}") as found:
        made = prepare.prepare(task, max(1.0, plan.left()), fresh=False)
        found |= {"seconds": made.seconds, "note": made.failure}


def _slowest(plan: Plan, works: Sequence[Work], contender: str) -> Work | None:
    """The work that takes longest in the first precision."""
    taken = {
        one["work"]: one["seconds"]
        for one in findings(Path(plan.out))
        if one["kind"] == "work"
        and one["contender"] == contender
        and one["precision"] == plan.precisions[0]
        and one.get("seconds")
    }
    return max((w for w in works if w.name in taken), key=lambda w: taken[w.name], default=None)


def _report(plan: Plan) -> None:
    (Path(plan.out) / REPORT).write_text(tables.report(findings(Path(plan.out))), "utf-8")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/gpu.sh", description=__doc__)
    add = parser.add_argument
    add("out", type=Path, metavar="OUT", help=f"a folder for {FINDINGS} and {REPORT}")
    add("--stages", type=_some_of(STAGES), default=list(STAGES), metavar="A,B", help="both")
    add("--minutes", type=float, default=10, metavar="M", help="for everything [10]")
    add("--works", type=_some_of(WORKS), default=list(WORKS), metavar="A,B", help="all")
    add("--systems", type=_some_of(SYSTEMS), default=list(SYSTEMS), metavar="A,B", help="all")
    add("--precisions", type=_some_of(_PRECISIONS), default=list(_PRECISIONS), metavar="A,B")
    add("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: to try the script [cuda]")
    add("--eager", action="store_true", help="leave torch.compile out")
    add("--seconds", type=float, default=1.5, metavar="S", help="for the runs of each [1.5]")
    cpus = machine.usable_cpus()
    add("--threads", type=int, default=min(4, cpus), metavar="N", help="of each process")
    add("--jobs", type=int, default=max(1, cpus // 2), metavar="N", help="processes that prepare")
    add("--folder", type=Path, default=Path("build/bench"), help="for what is kept [build/bench]")
    return parser.parse_args(arguments)


def _some_of(known: Iterable[str]) -> Callable[[str], list[str]]:
    names = list(known)

    def some(text: str) -> list[str]:
        found = list(dict.fromkeys(text.split(",")))
        for name in found:
            if name not in names:
                raise argparse.ArgumentTypeError(f"{name} is not among {', '.join(names)}")
        return found

    return some


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    sys.path.insert(0, str(processes.ROOT))
    main()
