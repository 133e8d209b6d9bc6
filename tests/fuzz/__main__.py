"""Fuzz for some minutes: `python -m tests.fuzz --minutes 10`; `--replay FOLDER` shows a finding again.

Seeds go on where the last run ended: they are kept in OUT/seeds.json, findings in OUT/findings.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz.case import Case
from tests.fuzz.judge import Finding, judge
from tests.fuzz.targets import NAMES, target
from tests.fuzz.worker import FAULTS

ROOT = Path(__file__).resolve().parents[2]
TARGETS = (*NAMES, FAULTS)
_TURN = 45.0
"""Seconds that a process spends on one target before it is another one's turn."""
_HANG = 60.0
"""Seconds of processor time that a case may take: of a busy machine, a process may get little."""
_STALLED = 900.0
"""Seconds of any kind that a case may take."""


@dataclass
class Totals:
    """What a run has seen, by target."""

    cases: Counter[str] = field(default_factory=Counter)
    verdicts: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    findings: list[str] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz, or replay; 0 without a finding."""
    options = _options(arguments)
    if options.replay:
        return _replay(options.replay)
    options.out.mkdir(parents=True, exist_ok=True)
    seeds_file = options.out / "seeds.json"
    seeds = json.loads(seeds_file.read_text("utf-8")) if seeds_file.exists() else {}
    totals = Totals()
    until = time.time() + 60 * options.minutes
    turns = 0
    while time.time() < until:
        names = [options.targets[(turns + i) % len(options.targets)] for i in range(options.jobs)]
        turns += options.jobs
        ends = min(until, time.time() + _TURN)
        _turn(names, seeds, ends, options.out, totals)
        seeds_file.write_text(json.dumps(seeds), "utf-8")
        print(_line(totals, max(0.0, until - time.time())), flush=True)
    print(_report(totals))
    return 1 if totals.findings else 0


def _turn(names: list[str], seeds: dict[str, int], until: float, out: Path, totals: Totals) -> None:
    """Let a process work on each target for a while."""
    threads = []
    for place, name in enumerate(names):
        stride = names.count(name)
        first = seeds.get(name, 0) + names[:place].count(name)
        arguments = (name, first, stride, until, out, totals, seeds)
        threads.append(threading.Thread(target=_watch, args=arguments))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _watch(
    name: str,
    seed: int,
    stride: int,
    until: float,
    out: Path,
    totals: Totals,
    seeds: dict[str, int],
) -> None:
    """Follow a process; a crash or a hang is a finding of the seed that it was at, and another goes on."""
    while time.time() < until:
        words = [name, str(seed), str(stride), str(until), str(out)]
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.worker", *words],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=_read, args=(process, lines), daemon=True).start()
        seed, failure = _follow(name, seed, stride, lines, process, totals)
        seeds[name] = max(seeds.get(name, 0), seed)
        if failure:
            finding = Finding(f"{name}: {failure}", failure)
            (out / "findings").mkdir(parents=True, exist_ok=True)
            folder = out / "findings" / f"{name}-{seed - stride}"
            folder.mkdir(exist_ok=True)
            record = {"target": name, "seed": seed - stride, "signature": finding.signature}
            (folder / "case.json").write_text(json.dumps(record, indent=1), "utf-8")
            totals.findings.append(f"{finding.signature} ({folder})")
        elif process.wait() or time.time() >= until:
            return


def _read(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put(None)


def _follow(
    name: str,
    seed: int,
    stride: int,
    lines: queue.Queue[str | None],
    process: subprocess.Popen[str],
    totals: Totals,
) -> tuple[int, str]:
    """The seed after the last one that was begun, and what ended the process if it was not the time."""
    begun, since, spent = False, time.monotonic(), _processor_seconds(process.pid)
    while True:
        try:
            line = lines.get(timeout=1.0)
        except queue.Empty:
            used = _processor_seconds(process.pid) - spent
            if used > _HANG or time.monotonic() - since > _STALLED:
                process.kill()
                return seed + stride, f"no answer within {_HANG:.0f} s"
            continue
        since, spent = time.monotonic(), _processor_seconds(process.pid)
        if line is None:
            code = process.wait()
            if code == 0:
                return seed, ""
            return (seed + stride if begun else seed), f"the process ended with {code}"
        answer: dict[str, Any] = json.loads(line)
        if "begins" in answer:
            seed, begun = answer["begins"], True
            continue
        seed, begun = answer["ends"] + stride, False
        totals.cases[name] += 1
        totals.verdicts[name].update(answer["verdicts"])
        if answer["finding"]:
            totals.findings.append(f"{answer['finding']} ({answer['kept']})")


def _processor_seconds(pid: int) -> float:
    """What a process has used, itself and what it has waited for; 0 where that cannot be told."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _line(totals: Totals, left: float) -> str:
    counts = ", ".join(f"{name} {count:,}" for name, count in sorted(totals.cases.items()))
    return f"{left:5.0f} s left: {counts}; findings: {len(totals.findings)}"


def _report(totals: Totals) -> str:
    lines = []
    for name, count in sorted(totals.cases.items()):
        most = ", ".join(f"{verdict} {n:,}" for verdict, n in totals.verdicts[name].most_common(12))
        lines.append(f"{name}: {count:,} cases; {most}")
    lines.append(f"findings: {len(totals.findings)}")
    lines += sorted(set(totals.findings))
    return "\n".join(lines)


def _replay(folder: Path) -> int:
    """Show a finding again, from its seeds."""
    record = json.loads((folder / "case.json").read_text("utf-8"))
    if record["target"] == FAULTS:
        from tests.fuzz.faults import trial

        _, finding = trial(record["seed"])
    elif "case" in record:
        data = record["case"]
        case = Case(**{**data, "steps": tuple(data["steps"])})
        finding = judge(case, target(case.target))
    else:  # it ended or held up its process
        finding = judge(Case.of(target(record["target"]), record["seed"]), target(record["target"]))
    print(finding.said if finding else "fine now")
    return 1 if finding else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    add = parser.add_argument
    add("--minutes", type=float, default=10, help="[10]")
    add("--targets", type=lambda text: text.split(","), default=list(TARGETS), metavar="A,B")
    add("--jobs", type=int, default=os.cpu_count() or 1, help="processes at a time [one a core]")
    add("--out", type=Path, default=Path("build/fuzz"), help="for seeds and findings [build/fuzz]")
    add("--replay", type=Path, metavar="FOLDER", help="a folder of OUT/findings")
    options = parser.parse_args(arguments)
    unknown = set(options.targets) - set(TARGETS)
    if unknown:
        parser.error(f"{', '.join(unknown)}: not among {', '.join(TARGETS)}")
    options.out = options.out.resolve()
    return options


if __name__ == "__main__":
    sys.exit(main())
