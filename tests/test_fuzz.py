"""The fuzzer: its targets hold for some seeds, and it finds what is planted and makes it small."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz import __main__ as command_line
from tests.fuzz import faults, judge, worker
from tests.fuzz.case import Case
from tests.fuzz.judge import PROMISED
from tests.fuzz.targets import NAMES, target


@pytest.mark.parametrize("name", NAMES)
def test_some_seeds_hold(name: str) -> None:
    verdicts: Counter[str] = Counter()
    for seed in range(12):
        found = judge.judge(Case.of(target(name), seed), target(name), verdicts)
        assert found is None, found.said
    assert verdicts["accepted"]
    assert sum(verdicts.values()) > verdicts["accepted"] or name == "media"


@pytest.mark.parametrize("name", NAMES)
def test_a_case_is_made_again_from_its_seeds(name: str) -> None:
    case = next(c for seed in range(99) if len((c := Case.of(target(name), seed)).steps) > 1)
    again = Case(**{**json.loads(json.dumps(case.as_json())), "steps": case.steps})
    files = case.files(target(name))
    assert again.files(target(name)) == files
    assert again.run(target(name), files) == case.run(target(name), files)


def test_some_faults_hold() -> None:
    kinds: dict[str, int] = {}
    seed = 0
    while len(kinds) < 2:
        kind, found = faults.trial(seed)
        assert found is None, found.said
        kinds[kind] = seed
        seed += 1


class Planted:
    """A target whose every step is a line of a file; a line that says `bad` is a defect."""

    name = "planted"

    def bases(self) -> Mapping[str, Mapping[str, bytes]]:
        return {"only": {"lines": b""}}

    def step(self, files: Mapping[str, bytes], chance: Any) -> Mapping[str, bytes]:
        line = b"bad\n" if chance.random() < 0.3 else b"good\n"
        return {"lines": files["lines"] + line}

    def commands(self, base: str, files: Mapping[str, bytes], chance: Any) -> list[list[str]]:
        return [["look", "lines"]]


def planted_command(words: list[str]) -> int:
    if "bad" in Path(words[1]).read_text():
        raise RuntimeError("a planted defect")
    return 0


def test_a_planted_defect_is_found_and_made_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perceiver_graph.cli.main", planted_command)
    monkeypatch.setattr(worker, "target", lambda _: Planted())
    cases = [Case.of(Planted(), seed) for seed in range(60)]
    found = [(c, f) for c in cases if (f := judge.judge(c, Planted())) is not None]
    assert 0 < len(found) < len(cases)
    case, finding = max(found, key=lambda pair: len(pair[0].steps))
    assert len(case.steps) > 1
    assert finding.signature == "look: RuntimeError: a planted defect"
    folder = Path(worker.keep(tmp_path, "planted", 7, case, finding))
    record = json.loads((folder / "case.json").read_text())
    assert record["commands"] == [["look", "lines"]]
    assert len(record["case"]["steps"]) == 1
    assert (folder / "files" / "lines").read_text() == "bad\n"
    assert "a planted defect" in (folder / "said.txt").read_text()


@pytest.mark.parametrize(
    ("commands", "signature"),
    [
        ([["explain", "PG203"], ["check", "nowhere"]], None),
        ([["check"]], None),
        ([["check", "nowhere"], [PROMISED, "explain", "PG203"]], None),
        ([["explain"], [PROMISED, "check", "nowhere"]], "check: PG001 after check was fine"),
    ],
)
def test_verdicts(commands: list[list[str]], signature: str | None) -> None:
    found = judge.run(commands)
    assert (found and found.signature) == signature


@pytest.mark.parametrize(
    ("said", "code", "signature"),
    [
        ("error[PG901]: internal error: x\n", 1, "a: error[PG901]: internal error: x"),
        ("nothing\n", 1, "a: exit code 1 without a diagnostic"),
        ("", 139, "a: exit code 139"),
    ],
)
def test_what_is_not_right(
    said: str, code: int, signature: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def command(_: object) -> int:
        print(said, end="")
        return code

    monkeypatch.setattr("perceiver_graph.cli.main", command)
    found = judge.run([["a"]])
    assert found is not None
    assert found.signature == signature


def test_crashes_and_hangs_are_findings_and_seeds_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "tests" / "fuzz"
    script.mkdir(parents=True)
    for folder in (script.parent, script):
        (folder / "__init__.py").write_text("")
    (script / "worker.py").write_text(
        "import json, os, sys, time\n"
        "seed = int(sys.argv[2])\n"
        "print(json.dumps({'begins': seed}), flush=True)\n"
        "if seed == 0: os.kill(os.getpid(), 11)\n"
        "if seed == 1: time.sleep(60)\n"
        "while seed == 2: pass\n"
        "print(json.dumps({'ends': seed, 'verdicts': {'accepted': 1}, 'finding': None, 'kept': ''}))\n"
    )
    monkeypatch.setattr(command_line, "ROOT", tmp_path)
    monkeypatch.setattr(command_line, "_HANG", 1.0)
    monkeypatch.setattr(command_line, "_STALLED", 2.0)
    out = tmp_path / "out"
    options = ["--minutes", "0.2", "--targets", "specs", "--jobs", "1", "--out", str(out)]
    assert command_line.main(options) == 1
    said = capsys.readouterr().out
    assert "specs: the process ended with -11" in said
    assert "specs: no answer within 1 s" in said
    assert json.loads((out / "seeds.json").read_text())["specs"] > 3
    assert (out / "findings" / "specs-0" / "case.json").exists()
    assert (out / "findings" / "specs-1" / "case.json").exists()
    assert (out / "findings" / "specs-2" / "case.json").exists()
