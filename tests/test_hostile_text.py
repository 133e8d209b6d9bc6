"""Whatever a name, a path, a summary or a label holds, it is shown: it becomes no code, no mark-up, no
command, and steers no terminal."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import unicodedata
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import perceiver_graph
import perceiver_graph as pg
from perceiver_graph.cli import screen, tables
from perceiver_graph.diagnostics import escape
from perceiver_graph.diagnostics.errors import DiagnosticError
from perceiver_graph.diagnostics.model import Source
from perceiver_graph.diagnostics.render import render
from perceiver_graph.diagnostics.text import clean
from perceiver_graph.spec.loader import parse_spec
from tests.cli.support import Command
from tests.tiny import write_artifact
from tests.torch_support import module

PIECES = [
    '"""', "'''", '"', "'", "\\", "\\N{DASH}", "\\u12", "\\x", "\\", "x\\", "\n", "\r", "\t", "\x00",
    "\x1b[31m", "\x1b]0;pwned\x07", "\x9b2J", "\x7f", "\u202e", "\u2066", "\u2028", "\u2029", "\x85",
    "\ufeff", "\U000e0041", "\udcff", "\ud800", "#", ";", "import os;os.system('id')", "{x}", "%s",
    "</script>", "<img src=x onerror=alert(1)>", "-->", "]]>", "&quot;", "<br/>", '"]', "|", "`",
    "$(id)", "${HOME}", "[red]", "[/]", "[link=http://x]", ":skull:", "e", "ß", "é", " ", "-", "~",
]  # fmt: skip
hostile = st.lists(st.sampled_from(PIECES), max_size=6).map("".join) | st.text(max_size=20)
QUICK = settings(max_examples=15)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


def steers(text: str) -> bool:
    """Whether a terminal, or an editor, would do anything but show the text."""
    text = text.replace("\n", "")
    return any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in text)


@given(hostile)
@settings(max_examples=300)
def test_each_kind_of_output_shows_the_text(text: str) -> None:
    assert not steers(escape.line(text))
    assert "\n" not in escape.line(text) + escape.comment(text)
    for made in (escape.html, escape.dot, escape.mermaid, escape.shell, escape.docstring):
        assert not steers(made(text)), made


@given(hostile)
@settings(max_examples=300)
def test_nothing_ends_a_docstring(text: str) -> None:
    shown = escape.docstring(text)
    value = ast.literal_eval(f'"""{shown}"""')
    assert value == clean(text)


class Reader(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[Any] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, attrs))

    def handle_comment(self, data: str) -> None:
        self.tags.append(("comment", data))


@given(hostile)
def test_nothing_opens_or_closes_a_tag(text: str) -> None:
    made = escape.html(text)
    page = f'<p title="{made}">{made}</p>'
    assert [tag for tag, _ in Reader(page).tags] == ["p"]
    assert "<" not in made
    assert "'" not in made


@given(hostile)
def test_nothing_ends_a_script_of_data(text: str) -> None:
    made = escape.script_json({"name": text, "names": [text]})
    assert made.isascii()
    assert not set("<>&") & set(made)
    assert json.loads(made) == {"name": clean(text), "names": [clean(text)]}
    page = Reader(f'<script type="application/json">{made}</script><p>')
    assert [tag for tag, _ in page.tags] == ["script", "p"]


@given(hostile)
def test_nothing_ends_a_string_of_a_drawing(text: str) -> None:
    assert re.fullmatch(r'"(?:[^"\\\n]|\\.)*"', escape.dot(text))
    inner = escape.mermaid(text)[1:-1]
    assert not set('"`\n') & set(inner)
    assert not set("<>") & set(inner.replace("<br/>", ""))


@given(st.lists(hostile.map(lambda text: text.replace("\0", "")), min_size=1, max_size=4))
@settings(max_examples=25)
def test_a_shell_reads_back_the_words(words: list[str]) -> None:
    expected = []
    for word in words:
        try:
            expected.append(os.fsencode(word))
        except UnicodeEncodeError:
            expected.append(word.encode("utf-8", "surrogatepass"))
    for shell in ("bash",):
        line = f"printf '%s\\0' {escape.shell(*words)}"
        done = subprocess.run([shell, "-c", line], capture_output=True, check=True)
        assert done.stdout == b"".join(word + b"\0" for word in expected)


def test_a_path_is_no_option() -> None:
    assert escape.shell_path("-rf") == "./-rf"
    assert escape.shell_path("a b") == "'a b'"
    assert escape.shell_path("plain/model.py") == "plain/model.py"


SPEC = """
perceiver: 1
name: small
summary: {summary}
dims: {{n: {{max: 9}}}}
inputs:
  text: {{shape: {{time: n}}, steps: [{{embedding: {{vocabulary: 7, width: 4}}}}]}}
  image: {{shape: {{height: 2, channel: 3}}, mask: optional}}
join: {{padding: {{min: 1}}}}
latents: {{count: 2, width: 4}}
process: {{layers: 1, heads: 1}}
decode: {{padding: {{min: 0}}}}
outputs:
  label: {{query: {{learned: {{}}}}, head: {{linear: 2}}, media: {{classes: {{names: [{name}, b]}}}}}}
  text: {{query: {{inputs: text}}, head: {{linear: 3}}}}
"""


def structure(source: str) -> str:
    """The tree of a file without the texts of its docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            first = node.body[0]
            assert isinstance(first, ast.Expr) or ast.get_docstring(node) is None
            if ast.get_docstring(node) is not None:
                node.body = node.body[1:]
    return ast.dump(tree)


def emitted(path: str, summary: str, label: str) -> str:
    text = SPEC.format(summary=json.dumps(summary), name=json.dumps(label))
    document = parse_spec(text, path)
    return pg.compile(document).torch_source()


@cache
def plain_structure() -> str:
    return structure(emitted("plain.yaml", "plain", "plain"))


def representable(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)


@QUICK
@given(hostile, hostile.filter(representable), hostile.filter(representable))
def test_text_of_a_spec_becomes_no_python(path: str, summary: str, label: str) -> None:
    source = emitted(path, summary, label)
    assert structure(source) == plain_structure()
    assert not steers(source)
    compile(source.encode(), "model.py", "exec")


def test_emitted_source_with_hostile_text_can_be_imported() -> None:
    path = "m''';import os;os.environ['PWNED'] = '1'#\nimport os;os.environ['PWNED'] = '1'\n.yaml"
    source = emitted(path, 'x.\\""" \'\'\'\nimport os\0 C:\\xnew\\Users \\N "', '\\"')
    assert set(module(source).state_dict()) == set(module(emitted("a", "b", "c")).state_dict())
    assert "PWNED" not in os.environ
    assert "C:\\xnew\\Users" in str(sys.modules[type(module(source)).__module__].__doc__)


def hostile_files(folder: Path) -> tuple[Path, str]:
    """A spec with hostile texts under a hostile name, and what must not be found in any output."""
    text = 'x\x1b]0;pwned\x07\x1b[2J\u202e[red][/] </script><b> "]\x9b2J'
    path = folder / "\x1b]0;pwned\x07[red]$(id)\nnext: rm\udcff.yaml"
    path.write_text(SPEC.format(summary=json.dumps(text), name=json.dumps(text)), "utf-8")
    return path, text


def assert_harmless(*texts: str) -> None:
    for text in texts:
        assert not steers(text), text
        assert "\nnext: rm" not in text


def test_commands_print_hostile_text_harmlessly(
    tmp_path: Path, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = hostile_files(tmp_path)
    commands: list[list[object]] = [
        ["check", path],
        ["check", path, "--format", "github"],
        ["check", tmp_path / "\x1b[31mnone\n.yaml"],
        ["inspect", path],
        ["inspect", path, "-O", "1", "--rate", "100"],
        ["compile", path, "--backend", "torch", "-o", tmp_path / "o\x1b[31m\nnext: rm"],
        ["compile", path, "-o", tmp_path / "a\x1b[31m\nnext: rm"],
        ["run", tmp_path / "a\x1b[31m\nnext: rm", "x\x1b[31m\nnext: rm.png"],
        ["run", tmp_path / "a\x1b[31m\nnext: rm", "--decode", "\x1b[31m=x", "x"],
        ["explain", "\x1b[31m"],
        ["new", "\x1b[31m"],
        ["new", "fine", "--from", path],
        ["import", tmp_path / "\x1b[31m\nnext: rm", "-o", tmp_path / "\x1b[31mi"],
        ["\x1b[31m"],
        ["inspect", path, "\x1b[31m"],
        ["graph", path, "--format", "tree"],
        ["graph", path, "--format", "dot"],
        ["graph", path, "--format", "mermaid"],
        ["graph", path, "--format", "html"],
        ["graph", path, "--format", "json"],
        ["graph", path, "--format", "html", "-o", tmp_path / "\x1b[31m\nnext: rm.html"],
    ]
    monkeypatch.chdir(tmp_path)
    for command in commands:
        _, out, err = run(*command)
        assert "PG90" not in err, (command, err)
        assert_harmless(out, err)


def test_names_of_a_manifest_are_shown(
    tmp_path: Path, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = "\x1b]0;pwned\x07\nnext: rm"

    def edit(manifest: dict[str, Any]) -> None:
        for entries in (manifest["inputs"], manifest["outputs"]):
            for name in [name for name in entries if name in {"total", "extra"}]:
                entries[name + evil] = entries.pop(name)
        for program in manifest["programs"].values():
            for port in (*program["inputs"], *program["outputs"]):
                if port["of"] in {"total", "extra"}:
                    port["of"] += evil

    write_artifact(tmp_path / "artifact", edit)
    np.savez(tmp_path / "in.npz", points=np.zeros((1, 2, 2), "f4"), ids=np.zeros(1, "i8"))
    monkeypatch.chdir(tmp_path)
    for options in ([], ["--decode", "total"], ["--decode", "nothing"]):
        _, out, err = run("run", "artifact", "--inputs", "in.npz", *options)
        assert "total" in out + err
        assert_harmless(out, err)


def test_machines_get_the_exact_text(tmp_path: Path, run: Command) -> None:
    path, text = hostile_files(tmp_path)
    assert json.loads(run("inspect", path, "--format", "json").out)["summary"] == text
    compiled = pg.compile(str(path))
    manifest = compiled.save(tmp_path / "artifact", backends=("onnx", "torch"))
    stored = json.loads((tmp_path / "artifact" / "manifest.json").read_text())
    assert manifest.summary == stored["summary"] == text
    assert stored["outputs"]["label"]["media"]["classes"]["names"][0] == text
    again = pg.compile(str(tmp_path / "artifact" / "spec.yaml"))
    assert again.lowered.document.spec.summary == text


def test_diagnostics_stay_on_their_lines() -> None:
    source = Source("a\nerror[PG000]: b\x1b[2J.yaml", "name: x")
    error = DiagnosticError.of(
        "PG407", "x\nerror[PG000]: y", source.span(0, 4), label="l\nerror: z"
    )
    for format in ("full", "concise", "github"):
        text = render(error.diagnostics, format=format)
        assert not steers(text)
        assert not re.search(r"^error(\[PG000|: z)", text, re.MULTILINE)


def test_what_looks_like_mark_up_reaches_a_terminal_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    name = "[red]:skull:[/][link=x]\x1b]0;x\x07"
    with screen.bar("running") as advance:
        advance(1, 2, name)
    with screen.progress() as say:
        say(name)
    tables.Table([tables.Column("a", 90)], [[name]]).print()
    screen.heading(name, name)
    out, err = capsys.readouterr()
    assert out.count("[red]:skull:[/][link=x]\\x1b]0;x\\x07") == 3
    assert "\x1b]0;x" not in out + err
    assert "\x07" not in out + err


def test_commands_print_through_the_screen_alone() -> None:
    folder = Path(perceiver_graph.__file__).parent / "cli"
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                fixed = all(isinstance(argument, ast.Constant) for argument in node.args)
                allowed = path.name == "screen.py" or node.func.id != "print" or fixed
                assert allowed, f"{path.name}:{node.lineno}: use screen.say"
