"""The report, in Markdown, from findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Finding = Mapping[str, Any]
REAL_TIME = 0.64
"""Seconds that the 16 frames of kinetics-video last at 25 frames a second."""
_CONTENDERS = ("ours", "ours-torch", "ours-compiled", "eager", "compiled")


def report(findings: Sequence[Finding]) -> str:
    """All tables that there are findings for."""
    parts = [
        *_machine(findings),
        *_works(findings),
        *_real_time(findings),
        *_small(findings),
        *_nodes(findings),
        *_kernels(findings),
        *_notes(findings),
    ]
    return "\n\n".join(parts) + "\n"


def _of(findings: Iterable[Finding], kind: str) -> list[Finding]:
    return [finding for finding in findings if finding["kind"] == kind]


def _machine(findings: Sequence[Finding]) -> list[str]:
    lines = []
    for one in _of(findings, "machine")[:1]:
        rates = [f"{p} {rate / 1e12:.1f} TFLOP/s" for p, rate in one.get("rates", {}).items()]
        versions = [f"{name} {version}" for name, version in one.get("versions", {}).items()]
        where = [text for text in (one.get("gpu"), one.get("cpu")) if text]
        lines.append(f"{one.get('date')}; {'; '.join(where)}. {', '.join(versions)}.")
        lines.append(f"Matrix products: {', '.join(rates)}.")
    return lines


def _works(findings: Sequence[Finding]) -> list[str]:
    """A table a precision: milliseconds of each contender, and how many times ours the others take."""
    found = {(f["precision"], f["work"], f["contender"]): f for f in _of(findings, "work")}
    parts = []
    for precision in dict.fromkeys(key[0] for key in found):
        works = list(dict.fromkeys(key[1] for key in found if key[0] == precision))
        had = [c for c in _CONTENDERS if any((precision, work, c) in found for work in works)]
        rows = []
        for work in works:
            cells = [found.get((precision, work, contender), {}) for contender in had]
            rows.append([work, *map(_cell, cells), _ratio(dict(zip(had, cells, strict=True)))])
        title = (
            f"## Works in {precision}\n\nMilliseconds (difference from eager fp32; MiB of the GPU)."
        )
        parts.append(f"{title}\n\n{table(['work', *had, 'best of ours, eager ='], rows)}")
    return parts


def _cell(one: Finding) -> str:
    seconds = one.get("seconds")
    if seconds is None:
        return ""
    more = []
    if one.get("difference") is not None:
        more.append(f"{one['difference']:.1e}")
    if one.get("gpu_bytes"):
        more.append(f"{one['gpu_bytes'] / 2**20:,.0f}")
    return f"{seconds * 1e3:.2f}" + (f" ({'; '.join(more)})" if more else "")


def _ratio(cells: Mapping[str, Finding]) -> str:
    """How many times as long eager takes as the fastest of ours."""
    ours = [f["seconds"] for c, f in cells.items() if c.startswith("ours") and f.get("seconds")]
    eager = cells.get("eager", {}).get("seconds")
    return f"{eager / min(ours):.1f}" if ours and eager else ""


def _real_time(findings: Sequence[Finding]) -> list[str]:
    whole = [f for f in _of(findings, "work") if f["work"] == "kinetics-video" and f.get("seconds")]
    if not whole:
        return []
    best = min(whole, key=lambda f: float(f["seconds"]))
    seconds = best["seconds"]
    figures = f"{seconds:.3f} s at best ({best['contender']}, {best['precision']})"
    return [f"Whole video: {figures}; real time is {REAL_TIME} s."]


def _small(findings: Sequence[Finding]) -> list[str]:
    found = {(f["engine"], f["precision"], f["system"]): f for f in _of(findings, "small")}
    if not found:
        return []
    columns = list(dict.fromkeys(key[:2] for key in found))
    rows = []
    for system in dict.fromkeys(key[2] for key in found):
        cells = [found.get((*column, system), {}) for column in columns]
        rows.append([system, *(_difference(cell) for cell in cells)])
    head = ["system", *(f"{engine} {precision}" for engine, precision in columns)]
    return [
        f"## Small systems: difference from numpy, as a share of the largest\n\n{table(head, rows)}"
    ]


def _difference(cell: Finding) -> str:
    return f"{cell['difference']:.1e}" if cell.get("difference") is not None else ""


def _nodes(findings: Sequence[Finding]) -> list[str]:
    parts = []
    for one in _of(findings, "nodes"):
        if "providers" not in one:
            continue
        placed = ", ".join(f"{count} on {name}" for name, count in one["providers"].items())
        cpu = ", ".join(f"{count} {name}" for name, count in one["cpu_operators"].items()) or "none"
        rows = [[row["name"], f"{row['seconds'] * 1e3:.2f}"] for row in one["rows"]]
        title = f"## Nodes of {one['work']}, {one['precision']}\n\n{placed}. On the CPU: {cpu}."
        parts.append(f"{title}\n\n{table(['operator', 'ms of two runs'], rows)}")
    return parts


def _kernels(findings: Sequence[Finding]) -> list[str]:
    parts = []
    for one in _of(findings, "kernels"):
        rows = [
            [f"`{row['name']}`", str(row["count"]), f"{row['seconds'] * 1e3:.2f}"]
            for row in one.get("rows", ())
        ]
        title = f"## Kernels of the emitted module, {one['work']}, {one['precision']}"
        parts.append(f"{title}\n\n{table(['kernel', 'runs', 'ms'], rows)}")
    return parts


def _notes(findings: Sequence[Finding]) -> list[str]:
    lines = []
    for one in findings:
        if one.get("note"):
            names = ("what", "work", "system", "contender", "engine", "precision")
            of = " ".join(str(one[name]) for name in names if name in one)
            lines.append(f"- {one['kind']} {of}: {one['note']}")
    return ["## Notes\n\n" + "\n".join(lines)] if lines else []


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)
