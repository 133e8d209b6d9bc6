"""One process of the fuzzer: case after case of one target, a line of JSON for each answer.

`python -m tests.fuzz.worker TARGET FIRST STRIDE UNTIL OUT`. It says which seed it begins before it does,
so that whoever started it knows what a crash or a hang belongs to.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.fuzz import faults
from tests.fuzz.case import Case
from tests.fuzz.judge import FUZZER, Finding, judge, minimised, write
from tests.fuzz.targets import target

_MEMORY = 8 * 2**30
FAULTS = "faults"
SHOW = "FUZZ_SHOW"
"""Set in the environment, a worker's own troubles are shown."""


def main(name: str, first: int, stride: int, until: float, out: Path) -> None:
    """Try seeds until the time is over."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    if not os.environ.get(SHOW):
        os.dup2(nowhere, 2)
    seed = first
    while time.time() < until:
        _tell(answers, begins=seed)
        verdicts: Counter[str] = Counter()
        if name == FAULTS:
            kind, finding = faults.trial(seed)
            verdicts[kind] += 1
            case = None
        else:
            case = Case.of(target(name), seed)
            finding = judge(case, target(name), verdicts)
        where = keep(out, name, seed, case, finding) if finding else ""
        _tell(
            answers, ends=seed, verdicts=verdicts, finding=finding and finding.signature, kept=where
        )
        seed += stride


def _tell(answers: Any, **values: Any) -> None:
    answers.write(json.dumps(values) + "\n")
    answers.flush()


def keep(out: Path, name: str, seed: int, case: Case | None, finding: Finding) -> str:
    """Write a finding with the fewest steps that show it: case.json, its files and what was said."""
    folder = out / "findings" / f"{name}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "said.txt").write_text(finding.said, "utf-8", "backslashreplace")
    record: dict[str, Any] = {"target": name, "seed": seed, "signature": finding.signature}
    if case is not None and not finding.signature.startswith(FUZZER):
        least = minimised(case, target(name), finding)
        files = least.files(target(name))
        write(folder / "files", files)
        record |= {"case": least.as_json()}
        record["commands"] = [list(words) for words in least.run(target(name), files)]
    text = json.dumps(record, indent=1)
    (folder / "case.json").write_text(text, "utf-8", "backslashreplace")
    return str(folder)


if __name__ == "__main__":
    _, kind, start, step, end, place = sys.argv
    main(kind, int(start), int(step), float(end), Path(place))
