"""Time perceiver-graph beside transformers: `python -m benchmarks`, from the root of the repository."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks import machine, report
from benchmarks.results import Results
from benchmarks.rounds import measure
from benchmarks.tasks import CONTENDERS, Conditions
from benchmarks.works import WORKS


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the arguments choose and print the report."""
    options = _options(arguments)
    conditions = Conditions(
        options.device, options.precision, options.threads, str(options.folder.resolve())
    )
    results = Results(
        machine=machine.describe(options.threads),
        device=options.device,
        precision=options.precision,
        rounds=options.rounds,
        contenders=options.contenders,
        batch=options.batch,
    )
    for name in options.works:
        work = measure(
            WORKS[name].of_batch(options.batch),
            options.contenders,
            conditions,
            rounds=options.rounds,
            limit=options.limit,
            fresh=options.fresh,
            say=_say(name),
        )
        results.works.append(work)
        print(f"{report.section(work)}\n", flush=True)
        if options.json:
            _write(options.json, json.dumps(results.as_json(), indent=2) + "\n")
        if options.markdown:
            _write(options.markdown, report.document(results))
    print(f"{report.heading(results)}\n\n{report.summary(results)}")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--works", type=_names(WORKS), default=list(WORKS), metavar="A,B", help=", ".join(WORKS))
    add(
        "--contenders",
        type=_names(CONTENDERS),
        default=list(CONTENDERS),
        metavar="A,B",
        help=", ".join(CONTENDERS),
    )
    add("--rounds", type=_positive, default=5, metavar="N", help="runs of each that count [5]")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="where all of them run [cpu]")
    add("--precision", choices=("fp32", "fp16", "bf16"), default="fp32", help="[fp32]")
    add("--batch", type=_positive, default=1, metavar="N", help="samples that go together [1]")
    cpus = machine.usable_cpus()
    add("--threads", type=_positive, default=cpus, metavar="N", help=f"of the CPU [{cpus}]")
    add("--limit", type=float, default=600, metavar="S", help="seconds for each step [600]")
    add("--fresh", action="store_true", help="make weights and exports anew")
    add("--json", type=Path, metavar="FILE", help="also write every figure there")
    add("--markdown", type=Path, metavar="FILE", help="also write the report there")
    add("--folder", type=Path, default=Path("build/bench"), help="for what is kept [build/bench]")
    return parser.parse_args(arguments)


def _names(known: Iterable[str]) -> Callable[[str], list[str]]:
    """A parser of lists of these names."""

    def names(text: str) -> list[str]:
        found = list(dict.fromkeys(text.split(",")))
        unknown = [name for name in found if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(
                f"{', '.join(unknown)} is not among {', '.join(known)}"
            )
        return found

    return names


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


def _say(work: str) -> Callable[[str], None]:
    def say(text: str) -> None:
        print(f"{work}: {text}", file=sys.stderr, flush=True)

    return say


def _write(path: Path, text: str) -> None:
    """Replace a file whole, so that an interrupted run leaves the figures it had."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stage = path.with_name(f"{path.name}.partial")
    stage.write_text(text, encoding="utf-8")
    stage.replace(path)


if __name__ == "__main__":
    main()
