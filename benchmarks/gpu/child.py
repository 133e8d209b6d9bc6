"""One process of a run: `python -m benchmarks.gpu.child PLAN CALL ARGUMENTS`, all but CALL as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.gpu import modules, programs, small
from benchmarks.gpu.plan import Plan
from benchmarks.works import Work


def facts(plan: Plan) -> None:
    """Find what the figures hold for: processor, versions and the rates of matrix products."""
    from benchmarks import machine

    with plan.finding("machine") as found:
        described = machine.describe(plan.threads)
        found |= {"date": described.date, "versions": described.versions, "rates": {}}
        found["cpu"], found["gpu"] = machine.cpu(), machine.gpu() if plan.device == "cuda" else None
        for precision in plan.precisions if plan.device == "cuda" else ("fp32",):
            rate = machine.product_rate(plan.device, precision, plan.threads)
            found["rates"][precision] = rate.flops_per_second


_OF_WORKS: Mapping[str, Callable[..., None]] = {
    "modules": modules.measure,
    "kernels": modules.profile,
    "programs": programs.measure,
    "nodes": programs.nodes,
}


def call(plan: Plan, name: str, arguments: list[Any]) -> None:
    """Do one of the things that a process is started for."""
    if name == "facts":
        facts(plan)
    elif name == "small":
        engines, *systems = arguments
        for system in systems:
            small.measure(plan, system, engines)
    else:
        work, *rest = arguments
        _OF_WORKS[name](plan, Work.from_json(work), *rest)


if __name__ == "__main__":
    call(Plan.loads(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]))
