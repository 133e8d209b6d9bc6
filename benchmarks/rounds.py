"""Measures one work: a process for each contender, all alive at once, that take turns.

A machine whose speed drifts then slows all of them. Only one runs at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

import perceiver_graph as pg
from benchmarks import machine, prepare
from benchmarks.processes import ProcessError
from benchmarks.remote import Remote
from benchmarks.results import Outcome, WorkResult
from benchmarks.tasks import BASE, Conditions, Task
from benchmarks.works import Work
from perceiver_graph.compiler.programs import cost
from perceiver_graph.compiler.programs.needs import Needs

_PAUSE_SECONDS = 0.2
"""Threads of the contender before spin a little while before they sleep."""

Say = Callable[[str], None]


def measure(
    work: Work,
    contenders: Sequence[str],
    conditions: Conditions,
    *,
    rounds: int,
    limit: float,
    fresh: bool,
    say: Say,
) -> WorkResult:
    """Prepare, load and run all contenders of a work.

    `limit` is in seconds, of each step and of each run. A contender that fails has a note and no
    figures; the others go on.
    """
    busy = machine.busy()
    compiled = pg.compile(work.system.spec)
    flops = cost.estimate(compiled.optimized, work.sizes).flops
    tasks = {name: Task(name, work, conditions) for name in contenders}
    outcomes = {
        name: Outcome(name, calls=1 if task.ours else work.calls) for name, task in tasks.items()
    }
    _prepare(tasks, outcomes, limit, fresh, say)
    rate = machine.product_rate(conditions.device, conditions.precision, conditions.threads)
    result = WorkResult(
        name=work.name,
        summary=work.summary,
        flops=flops,
        processor=rate.processor,
        rate=rate.flops_per_second,
        rate_holds=conditions.device == "cuda" or conditions.precision == "fp32",
        busy=busy,
        base="",
        outcomes=outcomes,
        predicted_bytes=predicted_bytes(compiled.plan.needs, work.batch),
    )
    say(f"{result.flops / 1e9:.1f} GFLOP at {result.rate / 1e9:.0f} GFLOP/s")
    folder = Path(conditions.folder) / "outputs" / work.name
    remotes = {
        name: Remote(task.dumps(), task.log("run"), prepare.environment(task), limit)
        for name, task in tasks.items()
        if not outcomes[name].note
    }
    try:
        _take_turns(remotes, outcomes, folder, rounds, say)
    finally:
        for remote in remotes.values():
            remote.close()
    # Whoever else ran during the first measurement would make the floor too high.
    after = machine.product_rate(conditions.device, conditions.precision, conditions.threads)
    result.rate = max(result.rate, after.flops_per_second)
    result.base = compare(folder, outcomes)
    return result


def predicted_bytes(needs: Needs, batch: int) -> int:
    """What a run takes at most of memory: weights are there once, all else for each sample."""
    return needs.process + needs.weights + max(needs.loading, batch * max(needs.peaks.values()))


def _prepare(
    tasks: Mapping[str, Task], outcomes: Mapping[str, Outcome], limit: float, fresh: bool, say: Say
) -> None:
    say("weights")
    weights = prepare.weights(next(iter(tasks.values())), limit, fresh=fresh)
    for name, task in tasks.items():
        outcome = outcomes[name]
        if weights.failure:
            outcome.note = weights.failure
            continue
        say(f"{name}: preparing")
        made = prepare.prepare(task, limit, fresh=fresh)
        outcome.note = made.failure
        outcome.prepare_seconds, outcome.prepare_peak_bytes = made.seconds, made.peak_bytes


def _take_turns(
    remotes: dict[str, Remote],
    outcomes: Mapping[str, Outcome],
    folder: Path,
    rounds: int,
    say: Say,
) -> None:
    """Load all, run each once without counting it, then `rounds` times in turn."""
    folder.mkdir(parents=True, exist_ok=True)

    def load(remote: Remote, outcome: Outcome) -> None:
        say(f"{outcome.contender}: loading")
        found = remote.load()
        outcome.load_seconds, outcome.load_peak_bytes = found["seconds"], found["peak_bytes"]

    def first(remote: Remote, outcome: Outcome) -> None:
        say(f"{outcome.contender}: a run that does not count")
        found = remote.run(save=outputs_file(folder, outcome.contender))
        outcome.first_seconds = found["seconds"]

    def timed(remote: Remote, outcome: Outcome) -> None:
        found = remote.run()
        outcome.seconds.append(found["seconds"])
        for part, seconds in found["parts"].items():
            outcome.parts.setdefault(part, []).append(seconds)
        outcome.peak_bytes = found["peak_bytes"]
        say(f"{outcome.contender}: {found['seconds']:.2f} s")

    for turn in (load, first, *[timed] * rounds):
        for name in list(remotes):
            time.sleep(_PAUSE_SECONDS)
            try:
                turn(remotes[name], outcomes[name])
            except ProcessError as error:
                remotes.pop(name).close()
                give_up(outcomes[name], str(error))


def give_up(outcome: Outcome, note: str) -> None:
    """Leave the figures out of a contender that failed half way: fewer rounds are another median."""
    outcome.note = note
    outcome.seconds.clear()
    outcome.parts.clear()
    outcome.load_seconds = outcome.load_peak_bytes = outcome.first_seconds = None
    outcome.peak_bytes = None


def outputs_file(folder: Path, contender: str) -> Path:
    """Where the outputs of a contender go, the part that all of them compute."""
    return folder / f"{contender}.npz"


def compare(folder: Path, outcomes: Mapping[str, Outcome]) -> str:
    """Set the differences from transformers, or else from the first that ran; returns its name."""
    ran = [name for name, outcome in outcomes.items() if outcome.seconds]
    base = BASE if BASE in ran else next(iter(ran), "")
    for name in ran:
        if name == base:
            continue
        with (
            np.load(outputs_file(folder, base)) as theirs,
            np.load(outputs_file(folder, name)) as found,
        ):
            if set(theirs) != set(found):
                raise ValueError(f"{name} has outputs {set(found)}, and {base} {set(theirs)}")
            shares = [
                float(np.abs(found[output] - theirs[output]).max() / np.abs(theirs[output]).max())
                for output in theirs
            ]
        outcomes[name].difference = max(shares)
    return base
