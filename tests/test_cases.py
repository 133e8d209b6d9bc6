"""Runs tests/cases: Markdown files in which an input and the text it leads to stand side by side."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.case_kinds import KINDS

ROOT = Path(__file__).parent / "cases"
INPUTS = ("yaml", "ir")
FENCE = re.compile(
    r"^(?P<fence>`{3,})(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=fence)[ ]*$", re.M | re.S
)


@dataclass(frozen=True)
class Case:
    """The n-th ```yaml or ```ir block of a file, its options, and the block after it with the answer."""

    path: Path
    number: int
    options: dict[str, str]
    input: str
    expected: str | None
    place: tuple[
        int, int
    ]  # where in the file the expected text stands, or the end of the input's fence


def cases_of(path: Path, text: str) -> list[Case]:
    blocks = list(FENCE.finditer(text))
    found: list[Case] = []
    for block, after in zip(blocks, [*blocks[1:], None], strict=True):
        language, *words = shlex.split(block["info"]) or [""]
        if language not in INPUTS:
            continue
        options = {key: value for key, _, value in (word.partition("=") for word in words)}
        has_answer = after is not None and not after["info"].startswith(INPUTS)
        expected = after["body"] if after and has_answer else None
        place = after.span("body") if after and has_answer else (block.end(), block.end())
        found.append(Case(path, len(found) + 1, options, block["body"], expected, place))
    return found


def updated(text: str, case: Case, actual: str) -> str:
    """The file's text with the case's expected text replaced, or added where there was none."""
    start, end = case.place
    language = "diff" if "pass" in case.options else "text"
    new = actual if case.expected is not None else f"\n\n```{language}\n{actual}```"
    return text[:start] + new + text[end:]


FILES = sorted(ROOT.glob("*/*.md"))
CASES = [case for path in FILES for case in cases_of(path, path.read_text("utf-8"))]


@pytest.mark.parametrize(
    "case", CASES, ids=[f"{c.path.parent.name}/{c.path.stem}-{c.number}" for c in CASES]
)
def test_case(case: Case, pytestconfig: pytest.Config) -> None:
    settle(case, update=pytestconfig.getoption("--update-cases"))


def settle(case: Case, *, update: bool) -> None:
    """Compare a case with its text, or renew that; what is wrong by itself is never written."""
    actual = KINDS[case.path.parent.name](case.input, case.options)
    actual = actual if actual.endswith("\n") else actual + "\n"
    if update:
        text = case.path.read_text("utf-8")
        now = cases_of(case.path, text)[case.number - 1]  # earlier updates may have moved it
        case.path.write_text(updated(text, now, actual), "utf-8")
    else:
        assert case.expected is not None, "no expected text: run pytest --update-cases"
        assert actual == case.expected


def test_every_folder_has_a_kind_and_every_file_a_case() -> None:
    assert {path.parent.name for path in FILES} <= set(KINDS)
    assert {case.path for case in CASES} == set(FILES)


def test_update_replaces_and_adds_expected_text() -> None:
    text = "# A\n\n```yaml x=1\na: 1\n```\n\n```text\nold\n```\n\nprose\n\n````yaml\n```\n````\n"
    first, second = cases_of(Path("a.md"), text)
    assert (first.options, first.input, first.expected) == ({"x": "1"}, "a: 1\n", "old\n")
    assert (second.input, second.expected) == ("```\n", None)
    text = updated(text, second, "two\n")
    text = updated(text, cases_of(Path("a.md"), text)[0], "one\nline\n")
    assert [case.expected for case in cases_of(Path("a.md"), text)] == ["one\nline\n", "two\n"]
    assert "prose" in text
