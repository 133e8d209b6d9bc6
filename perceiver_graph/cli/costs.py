"""The part of `inspect` about cost: before the passes and after, what they removed, what is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from perceiver_graph.cli import screen
from perceiver_graph.cli.inspection import Costs, Inspection
from perceiver_graph.cli.machine import Rates
from perceiver_graph.cli.screen import count, scaled, size
from perceiver_graph.cli.tables import Column, Table
from perceiver_graph.compiler.programs.cost import PhaseCost
from perceiver_graph.compiler.programs.phases import COMPILE, IN_CHUNKS, Phase
from perceiver_graph.spec.programs import READS

RUN = "a run, every query"
_MOST_PLACES = 3
"""Patterns of names that one reason is shown for."""


def print_costs(inspection: Inspection, rates: Rates | None) -> None:
    """Print what each phase costs, what the passes removed, and what a run takes.

    Floors are for `rates`; without any there are none.
    """
    _phases(inspection, rates)
    at = sizes(inspection)
    if rates:
        screen.paragraph(", ".join(part for part in (f"floor: at {rates.text()}", at) if part))
    elif at:
        screen.say(f"at {at}")
    for name in sorted(inspection.lowered.free_symbols):
        most = inspection.sizes[name]
        screen.say(f"{name} is given with each call, `--size {name}={most}`, or else {most}")
    if inspection.cache is not None:
        screen.say(f"generation keeps a cache: {size(inspection.cache)} of the longest text")
    if inspection.memory is not None:
        screen.say(inspection.plan.text(inspection.memory))
    screen.say()
    _shares(inspection)
    if inspection.removed:
        screen.say()
        _removed(inspection)
    if any(one.nodes for one in inspection.kept):
        screen.say()
        _kept(inspection)


def _shares(inspection: Inspection) -> None:
    """A bar for each program of a run, and with passes one for what they leave of it."""
    whole, rows = inspection.before.flops, list[tuple[str, int]]()
    for name in READS:
        rows.append((name, _of_a_run(inspection.before, name)))
        if inspection.level:
            rows.append((f"  at -O{inspection.level}", _of_a_run(inspection.after, name)))
    if not whole:
        return
    told = [(title, flops / whole, scaled(flops)) for title, flops in rows]
    first = max(len(title) for title, *_ in told)
    last = max(len(flops) for *_, flops in told)
    room = screen.width() - first - last - len(f"    {_part(0)}") - 2
    screen.heading("FLOPs of a run, every query")
    for title, part, flops in told:
        bar = screen.stripe(part, room)
        screen.say(f"{title.ljust(first)}  {bar.ljust(room)}  {flops.rjust(last)}  {_part(part)}")


def _of_a_run(costs: Costs, name: Phase) -> int:
    """FLOPs of a program in a run: what runs in chunks has all that is left by the others."""
    once = {key: cost.flops for key, cost in costs.phases.items() if key != COMPILE}
    if name not in IN_CHUNKS:
        return once[name]
    return costs.flops - sum(flops for key, flops in once.items() if key not in IN_CHUNKS)


def _part(part: float) -> str:
    """` 97 %`, ` <1 %`, `  0 %`."""
    text = "<1" if 0 < part < 0.005 else f"{100 * part:.0f}"
    return f"{text:>3} %"


def sizes(inspection: Inspection) -> str:
    """What the estimates take for sizes that are known only at run time: `length = 2048`."""
    return ", ".join(f"{name} = {value}" for name, value in inspection.free_sizes.items())


def _phases(inspection: Inspection, rates: Rates | None) -> None:
    """A row a phase and one for a whole run; with passes, a column before and one after them."""
    figures: dict[str, Callable[[PhaseCost], str]] = {
        "FLOPs": lambda cost: scaled(cost.flops),
        "weights read": lambda cost: size(cost.weight_bytes),
        "peak memory": lambda cost: size(cost.peak_bytes_with_scores),
    }
    if rates:
        figures["floor"] = lambda cost: seconds(rates.seconds(cost.flops, cost.weight_bytes))
    costs = [inspection.before, inspection.after] if inspection.level else [inspection.after]
    rows = [
        [title(phase), *(text(cost.phases[phase]) for text in figures.values() for cost in costs)]
        for phase in costs[0].phases
        if any(cost.phases[phase].nodes for cost in costs)
    ]
    whole = [
        [scaled(cost.flops) for cost in costs],
        [size(cost.read) for cost in costs],
        [*("" for _ in costs[1:]), size(inspection.plan.peak)],
        [seconds(rates.seconds(cost.flops, cost.read)) for cost in costs if rates],
    ]
    rows.append([RUN, *(text for figure in whole for text in figure)])
    titles = (title for name in figures for title in _titles(name, inspection.level))
    columns = (Column(title, right=True, with_last=title.startswith("at ")) for title in titles)
    Table([Column("batch 1"), *columns], rows).print()


def title(phase: Phase) -> str:
    """What a phase is called: `decode, per chunk`."""
    if phase == COMPILE:
        return "constants, once"
    return f"{phase}, per {'chunk' if phase in IN_CHUNKS else 'input'}"


def _titles(name: str, level: int) -> Iterator[str]:
    yield name
    if level:
        yield f"at -O{level}"


def _removed(inspection: Inspection) -> None:
    rows = [
        [one.name, one.what, count(one.nodes), _difference(-one.flops)]
        for one in inspection.removed
    ]
    columns = [
        Column("removed by"),
        Column("which"),
        Column("nodes changed", right=True),
        Column("FLOPs", right=True),
    ]
    Table(columns, rows).print()


def _kept(inspection: Inspection) -> None:
    """Why passes left nodes as they are, a line each; of those that found nothing, the JSON says it."""
    rows = [
        [one.name, where, one.why] for one in inspection.kept for where in one.where[:_MOST_PLACES]
    ]
    Table([Column("left by"), Column("where"), Column("why")], rows).print()


def _difference(flops: int) -> str:
    """`-731 G`, `+12 M`, or nothing."""
    if not flops:
        return ""
    return f"{'+' if flops > 0 else '-'}{scaled(abs(flops))}"


def seconds(time: float) -> str:
    """`22.1 s`, `167 ms`, `0.9 ms`."""
    return f"{time:.3g} s" if time >= 0.9995 else f"{1000 * time:.3g} ms"
