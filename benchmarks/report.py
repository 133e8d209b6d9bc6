"""Results as Markdown. What was not measured is an empty cell, with a note that says why."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence

from benchmarks.results import Outcome, Results, WorkResult
from benchmarks.tasks import CONTENDERS

_MIB = 2**20
_BUSY = 0.5
"""From this load average on, another process may have taken part of the time."""


def document(results: Results) -> str:
    """Everything: the machine, the summary, and a section for each work."""
    parts = [heading(results), summary(results), *map(section, results.works)]
    return "\n\n".join(parts) + "\n"


def heading(results: Results) -> str:
    """What the figures hold for, and who takes part."""
    machine = results.machine
    rates = [work.rate / 1e9 for work in results.works]
    span = " to ".join(dict.fromkeys(f"{rate:.0f}" for rate in (min(rates), max(rates))))
    processors = ", ".join(dict.fromkeys(work.processor for work in results.works))
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    lines = [
        (
            f"{machine.date}, {processors}, {machine.threads} CPU threads, matrix products at "
            f"{span} GFLOP/s. {versions}."
        ),
        "",
        (
            f"{results.device}, {results.precision}, batch {results.batch}, medians of {results.rounds} "
            "rounds in which the contenders take turns:"
        ),
        "",
        *(f"- `{name}`: {CONTENDERS[name]}" for name in results.contenders),
    ]
    return "\n".join(lines)


def summary(results: Results) -> str:
    """Three tables with a row for each work: times as ratios, memory, and preparation."""
    names = results.contenders
    others = [name for name in names if name != "ours"]
    times = [
        [
            work.name,
            _seconds(_median(work, "ours")),
            _share(work.floor_share),
            *(_ratio(work.ratio(name)) for name in others),
        ]
        for work in results.works
    ]

    def of_each(figure: Callable[[Outcome], str]) -> list[list[str]]:
        return [
            [work.name, *(figure(work.outcomes[name]) for name in names)] for work in results.works
        ]

    parts = [
        (
            "Seconds of perceiver-graph, the floor (its FLOPs at the rate of matrix products) as a share "
            "of them, and how many times as long the others take:"
        ),
        table(["work", "ours, s", "floor", *others], times),
        *_throughput(results),
        "Most resident memory of the process, MiB, and of it after loading:",
        table(
            ["work", *names], of_each(lambda o: _pair(_mib(o.peak_bytes), _mib(o.load_peak_bytes)))
        ),
        "Compiling or exporting before that, s, and the memory it takes, MiB:",
        table(
            ["work", *names],
            of_each(lambda o: _pair(_seconds(o.prepare_seconds), _mib(o.prepare_peak_bytes))),
        ),
    ]
    return "\n\n".join(parts)


def _throughput(results: Results) -> list[str]:
    """How many samples a second, where several go together."""
    if results.batch == 1:
        return []
    rows = []
    for work in results.works:
        medians = [_median(work, name) for name in results.contenders]
        rates = [None if median is None else results.batch / median for median in medians]
        rows.append([work.name, *(_text(rate, "{:.3g}") for rate in rates)])
    return ["Samples a second:", table(["work", *results.contenders], rows)]


def section(work: WorkResult) -> str:
    """One work: a row for each contender, and notes."""
    columns = [
        "contender", "median, s", "fastest", "slowest", "ratio", "first, s", "load, s",
        "loaded, MiB", "peak, MiB", "prepare, s", "prepare, MiB", "difference",
    ]  # fmt: skip
    rows = [_row(work, outcome) for outcome in work.outcomes.values()]
    lines = [f"## {work.name}", work.summary, _floor(work), table(columns, rows)]
    found = list(notes(work))
    return "\n\n".join([*lines, "\n".join(found)] if found else lines)


def _row(work: WorkResult, outcome: Outcome) -> list[str]:
    fastest, slowest = outcome.range or (None, None)
    same = outcome.contender == work.base
    return [
        f"`{outcome.contender}`",
        _seconds(outcome.median),
        _seconds(fastest),
        _seconds(slowest),
        _ratio(work.ratio(outcome.contender)),
        _seconds(outcome.first_seconds),
        _seconds(outcome.load_seconds),
        _mib(outcome.load_peak_bytes),
        _mib(outcome.peak_bytes),
        _seconds(outcome.prepare_seconds),
        _mib(outcome.prepare_peak_bytes),
        "compared with" if same else _text(outcome.difference, "{:.1e}"),
    ]


def _floor(work: WorkResult) -> str:
    text = f"{work.flops / 1e9:,.1f} GFLOP; matrix products at {work.rate / 1e9:.0f} GFLOP/s"
    if work.floor is None:
        text += ", of another precision"
    else:
        text += f": floor {_seconds(work.floor)} s"
    if work.floor_share is not None:
        text += f", {_share(work.floor_share)} of what perceiver-graph takes"
    said = f" Predicted: {_mib(work.predicted_bytes)} MiB at most." if work.predicted_bytes else ""
    return f"{text}.{said}"


def notes(work: WorkResult) -> Iterable[str]:
    """Lines on parts of runs, on what was counted, on failures, and on a machine that was busy."""
    for outcome in work.outcomes.values():
        if outcome.parts:
            medians = {part: statistics.median(times) for part, times in outcome.parts.items()}
            told = ", ".join(f"{part} {_seconds(median)} s" for part, median in medians.items())
            yield f"- `{outcome.contender}`: {told}"
        if outcome.seconds and outcome.calls > 1:
            yield f"- `{outcome.contender}`: one call was timed, and counts {outcome.calls} times"
        if outcome.note:
            yield f"- `{outcome.contender}` is empty: {outcome.note}"
    if work.busy > _BUSY:
        yield f"- load average before: {work.busy:.1f}; other processes may have taken time"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are figures."""
    rule = ["---", *["---:"] * (len(columns) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (columns, rule, *rows))


def _median(work: WorkResult, name: str) -> float | None:
    return work.outcomes[name].median if name in work.outcomes else None


def _text(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)


def _seconds(value: float | None) -> str:
    """Three significant digits or so: 0.0123, 0.457, 12.3, 546."""
    if value is None:
        return ""
    digits = 4 if value < 0.1 else 3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f}"


def _ratio(value: float | None) -> str:
    return _text(value, "{:.2f}")


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.0f} %"


def _mib(value: int | None) -> str:
    return "" if value is None else f"{value / _MIB:,.0f}"


def _pair(first: str, second: str) -> str:
    return f"{first} ({second})" if first and second else first
