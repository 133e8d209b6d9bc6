"""What is printed fits the screen, says the same in a pipe, and is plain where that is asked for."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from perceiver_graph.cli import screen
from perceiver_graph.cli.tables import NO_BREAK, Column, Table
from perceiver_graph.spec.loader import shipped_names
from tests.cli.support import ROOT, TINY, Command

WORDS = st.text("abc 0", max_size=30).map(lambda text: " ".join(text.split()))


@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize("spec", shipped_names())
def test_inspect_fits_the_screen(
    spec: str, columns: int, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = command("inspect", spec, "--rate", "100").out.splitlines()
    assert max(map(len, shown)) <= columns
    assert command("list").code == 0


@pytest.mark.parametrize("arguments", [("list",), ("explain", "PG203")])
def test_other_screens_fit(
    arguments: tuple[str, ...], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, command(*arguments).out.splitlines())) <= 60


def test_a_pipe_has_80_columns(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    done = subprocess.run(
        [sys.executable, "-m", "perceiver_graph", "inspect", "kinetics", "-O", "2"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "\x1b" not in done.stdout


def test_columns_of_text_are_wrapped_before_a_table_is_cut() -> None:
    table = Table(
        [Column("name"), Column("text"), Column("a", right=True), Column("b", right=True)],
        [["first", "some words to wrap", "1,000", "2,000"], ["2nd", "no", "3", "4"]],
    )
    assert list(table.lines(80)) == [
        "name   text                    a      b",
        "first  some words to wrap  1,000  2,000",
        "2nd    no                      3      4",
    ]
    assert list(table.lines(31)) == [
        "name   text            a      b",
        "first  some words  1,000  2,000",
        "       to wrap",
        "2nd    no              3      4",
    ]
    assert list(table.lines(20)) == [
        "name   text        a",
        "first  some    1,000",
        "       words",
        "       to",
        "       wrap",
        "2nd    no          3",
        "",
        "name       b",
        "first  2,000",
        "2nd        4",
    ]


def test_what_belongs_together_stays_together() -> None:
    cells = ["x", "12345678", "12345678", "12345678", "12345678"]
    columns = [
        Column("n"),
        *(Column(t, right=True, with_last=t == "at") for t in ("a", "at", "b", "at")),
    ]
    table = Table(columns, [cells, ["y", f"one{NO_BREAK}two", "", "", ""]])
    titles = [line.split() for line in table.lines(33) if line.startswith("n")]
    assert titles == [["n", "a", "at"], ["n", "b", "at"]]
    assert any("one two" in line for line in table.lines(33))
    parted = Table([Column("n"), Column("t", 7)], [["x", f"stride{NO_BREAK}(height{NO_BREAK}4)"]])
    assert [line[3:] for line in parted.lines(40)] == ["t", "stride", "(height", "4)"]


@given(
    st.lists(st.tuples(WORDS, WORDS, st.integers(0, 10**9), WORDS), min_size=1, max_size=4),
    st.integers(30, 100),
)
def test_nothing_is_lost_and_no_line_is_too_long(
    rows: list[tuple[str, str, int, str]], width: int
) -> None:
    columns = [Column("name"), Column("first text", 12), Column("n", right=True), Column("second")]
    table = Table(columns, [[a[:8].strip(), b, f"{n:,}", c] for a, b, n, c in rows])
    lines = list(table.lines(width))
    longest = max(len(word) for row in table.rows for cell in row for word in ["", *cell.split()])
    if longest <= 10:
        assert max(map(len, lines)) <= width
    words = sorted(word for line in lines for word in line.split())
    for row in table.rows:
        for cell in row[1:]:
            for word in cell.split():
                if len(word) <= 10:
                    words.remove(word)


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("variable", "value", "is_styled"),
    [
        ("NO_COLOR", "1", False),
        ("NO_COLOR", "", True),
        ("TERM", "dumb", False),
        ("TERM", "xterm", True),
    ],
)
def test_no_color(
    variable: str, value: str, is_styled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, value)
    assert screen.styled(Screen()) == is_styled
    seen = Screen()
    monkeypatch.setattr(sys, "stdout", seen)
    screen.heading("title", "rest")
    assert seen.getvalue() == ("\x1b[1mtitle\x1b[0m  rest\n" if is_styled else "title  rest\n")
    assert not screen.styled(io.StringIO())


def test_the_list_has_every_shipped_spec(command: Command) -> None:
    found = json.loads(command("list", "--format", "json").out)
    assert tuple(found) == shipped_names()
    assert found["language"].startswith("Fill in masked bytes")
    printed = command("list").out
    assert all(name in printed for name in found)


def test_a_spec_from_standard_input(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def given(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    given(TINY)
    assert command("check", "-", "language").out.startswith("-: ok, ")
    given(TINY)
    assert json.loads(command("inspect", "-", "--format", "json").out)["name"] == "tiny"
    given(TINY.replace("latents", "latentz"))
    done = command("check", "-")
    assert done.code == 1
    assert "--> <stdin>:6:1" in done.err
    monkeypatch.setattr(sys, "stdin", None)
    assert "`<stdin>` is empty" in command("check", "-").err


MODELINE = "# yaml-language-server: $schema="


def new(command: Command, name: str, *options: str) -> str:
    """The text of a new spec, which is right and names no path of this machine."""
    assert command("new", name, *options).code == 0
    text = Path(f"{name}.yaml").read_text("utf-8")
    assert command("check", f"{name}.yaml").code == 0
    assert "file:" not in text
    assert not any(str(place) in text for place in (ROOT, Path.cwd(), Path.home()))
    assert sum(line.startswith(MODELINE) for line in text.splitlines()) <= 1
    return text


def test_a_new_spec_names_the_schema_that_lies_beside_it(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number, options in enumerate(((), ("--from", "kinetics"), ("--from", "new0.yaml"))):
        text = new(command, f"new{number}", *options)
        assert text.startswith(
            "# Completion in editors: `perceiver-graph schema -o schema.json` and"
        )
        assert text.count("Completion in editors") == 1
        assert MODELINE not in text.partition("\n")[2]
    Path("schema.json").write_text('{"title": "of somebody else"}', "utf-8")
    assert not new(command, "other").startswith(MODELINE)
    Path("schema.json").unlink()
    assert command("schema", "-o", "schema.json").code == 0
    for number, options in enumerate(((), ("--from", "kinetics"), ("--from", "new0.yaml"))):
        text = new(command, f"old{number}", *options)
        assert text.startswith(f"{MODELINE}schema.json\n")
        assert "Completion in editors" not in text
        schema = json.loads(Path("schema.json").read_text("utf-8"))
        jsonschema.validate(yaml.safe_load(text), schema)


def test_a_new_spec_names_the_schema_of_its_repository(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = tmp_path / "a repository" / "models" / "deep"
    inside.mkdir(parents=True)
    (tmp_path / "a repository" / "specs").mkdir()
    monkeypatch.chdir(tmp_path / "a repository" / "specs")
    assert command("schema", "-o", "schema.json").code == 0
    monkeypatch.chdir(inside)
    assert not new(command, "first").startswith(MODELINE)  # it may lie around anything
    (tmp_path / "a repository" / ".git").mkdir()
    assert new(command, "second").startswith(f"{MODELINE}../../specs/schema.json\n")
    monkeypatch.chdir(tmp_path / "a repository")
    assert new(command, "third").startswith(f"{MODELINE}specs/schema.json\n")
    address = f"{MODELINE}https://example.org/schema.json\n"
    Path("third.yaml").write_text(
        address + Path("third.yaml").read_text("utf-8").partition("\n")[2]
    )
    assert new(command, "fourth", "--from", "third.yaml").startswith(address)


def test_completion_knows_the_shipped_specs() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "perceiver_graph"],
        env={
            "PYTHONPATH": str(ROOT),
            "_PERCEIVER_GRAPH_COMPLETE": "complete_bash",
            "COMP_WORDS": "perceiver-graph inspect lang",
            "COMP_CWORD": "2",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout.split() == [n for n in shipped_names() if n.startswith("lang")]
