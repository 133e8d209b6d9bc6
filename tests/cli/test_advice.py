"""Commands in help texts run as printed: every one is made by diagnostics/commands.py, and tried here."""

from __future__ import annotations

import ast
import contextlib
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.main
from safetensors.numpy import save_file

from perceiver_graph.cli import main
from perceiver_graph.cli.app import app
from perceiver_graph.compiler import driver
from perceiver_graph.diagnostics import commands
from perceiver_graph.spec.absent import TABLE
from tests.cli.support import ROOT, TINY, Command
from tests.import_support import model, save

PACKAGE = ROOT / "perceiver_graph"
QUOTED = re.compile(r"`([^`]+)`")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SPELT = re.compile(
    r"perceiver-graph [a-z]|\bpip (un)?install|\bpython -m |\bhf download|(?<![\w-])--[a-z]"
)
"""What a command or an option looks like in a text."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the words in capitals stand for."""
    path = tmp_path_factory.mktemp("it's a place")
    (path / "tiny.yaml").write_text(TINY)
    assert main(["compile", str(path / "tiny.yaml"), "-o", str(path / "artifact")]) == 0
    save_file(driver.compile(path / "tiny.yaml").weights(), path / "own.safetensors")
    np.save(path / "numbers.npy", np.zeros((1, 4, 3), np.float32))
    return path


def run(text: str, place: Path, command: Command, fresh: Path) -> None:
    """Run a command of this package with files in the places of its words in capitals."""
    known = {
        "SPEC": place / "tiny.yaml",
        "ARTIFACT": place / "artifact",
        "FILE": place / "own.safetensors",
        "FOLDER": place / "checkpoint",
        "DIR": fresh / "out",
        "NAME": "a_new_name",
        "N": 1,
    }
    words = [str(known.get(word, word)) for word in shlex.split(text)]
    # The input of an example, which that artifact has not.
    ids = f"x={place}/numbers.npy"
    words = [ids if word.endswith("=IDS.npy") else word for word in words]
    assert words.pop(0) == "perceiver-graph"
    if words[0] == "compile" and "-o" not in words:
        words += ["-o", str(fresh / "out")]
    fresh.mkdir(exist_ok=True)
    with contextlib.chdir(fresh):
        done = command(*words)
    assert done.code == 0, (text, done.err)


def help_in(text: str) -> str:
    """The help of a diagnostic in the full format, without its indentation."""
    found = re.search(r"= help: (.*(?:\n {5,}.*)*)", text)
    assert found is not None, text
    return re.sub(r"\n {10,11}", "\n", found[1])


def commands_in(text: str) -> Iterator[str]:
    return (found for found in QUOTED.findall(text) if found.startswith("perceiver-graph "))


# Every command is made in one place


def _spelt_out(path: Path) -> Iterator[tuple[int, str]]:
    """Texts of diagnostics that hold a command which is not made by diagnostics/commands.py."""
    tree = ast.parse(path.read_text("utf-8"))
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func).split(".")[-1]
        if name in {"Option", "Argument", "Entry", "Typer"}:
            continue
        for keyword in call.keywords:
            if keyword.arg in {"help", "notes"}:
                yield from _texts(keyword.value)


def _texts(node: ast.AST) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in commands.__dict__:
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and SPELT.search(node.value):
        yield node.lineno, node.value
    for child in ast.iter_child_nodes(node):
        yield from _texts(child)


def test_commands_in_help_texts_are_made_in_one_place() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for line, text in _spelt_out(path)
        if not re.search(r"`--debug`|leave (out )?`--|leave out `--|raise `--", text)
    ]
    assert found == [], "\n".join(found)


def test_the_search_sees_a_command_that_is_spelt_out(tmp_path: Path) -> None:
    code = "error(help=f'run perceiver-graph run {x}')\nmake(help=command('run', x))\n"
    (tmp_path / "a.py").write_text(code)
    assert [line for line, _ in _spelt_out(tmp_path / "a.py")] == [1]


def test_options_that_are_made_exist() -> None:
    group: Any = typer.main.get_command(app)
    with typer.Context(group) as context:
        found_commands = [group.get_command(context, name) for name in group.list_commands(context)]
    known = {option for one in found_commands for p in one.params for option in p.opts}
    made = re.compile(r"option\(\s*\"(--[a-z-]+)\"|option\('(--[a-z-]+)'")
    found = {
        one or other
        for path in PACKAGE.rglob("*.py")
        for one, other in made.findall(path.read_text("utf-8"))
    }
    assert len(found) > 8
    assert found <= known


def test_words_and_paths_are_quoted(tmp_path: Path) -> None:
    for name in ("a b", "it's", "$(touch x)", "a`b", "-o", "a;b", "\u00e4 \u00f6"):
        shown = commands.command("check", Path(name), "-o", name)
        assert shown[0] == shown[-1] == "`"
        words = subprocess.run(
            ["bash", "-c", f"printf '%s\\n' {shown[1:-1].removeprefix('perceiver-graph ')}"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        assert words == ["check", f"./{name}" if name.startswith("-") else name, "-o", name]


# Every situation that answers with a command


def test_words_that_the_language_does_not_have(
    place: Path, command: Command, tmp_path: Path
) -> None:
    found = {text for entry in TABLE for text in commands_in(entry.instead)}
    assert len(found) == 5
    save(model("OpticalFlow"), place / "checkpoint")
    for number, text in enumerate(sorted(found)):
        run(text, place, command, tmp_path / str(number))


def test_commands_in_the_cases(place: Path, command: Command, tmp_path: Path) -> None:
    texts = [path.read_text("utf-8") for path in (ROOT / "tests/cases/diagnostics").glob("*.md")]
    helps = [line for text in texts for line in text.splitlines() if "= help: " in line]
    assert len(helps) > 50
    for number, text in enumerate(sorted({c for line in helps for c in commands_in(line)})):
        run(text, place, command, tmp_path / str(number))


def test_an_empty_spec(place: Path, command: Command, tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("")
    (text,) = commands_in(help_in(command("check", tmp_path / "empty.yaml").err))
    run(text, place, command, tmp_path)


@pytest.mark.parametrize("given", ["spec", "name", "folder"])
def test_what_makes_an_artifact(given: str, place: Path, command: Command, tmp_path: Path) -> None:
    (tmp_path / "a folder").mkdir()
    (tmp_path / "a folder" / "my spec.yaml").write_text(TINY)
    paths = {
        "spec": tmp_path / "a folder" / "my spec.yaml",
        "folder": tmp_path / "a folder",
        "name": "imagenet-learned",
    }
    done = command("run", paths[given], "x")
    (text,) = commands_in(help_in(done.err))
    words = shlex.split(text)
    if given == "name":
        assert words[1:3] == ["compile", "imagenet_learned"]
    else:
        assert words[2] == str(tmp_path / "a folder" / "my spec.yaml")
        assert command(*words[1:-1], tmp_path / "out").code == 0


def test_weights_of_ones_own_given_to_import(place: Path, command: Command, tmp_path: Path) -> None:
    done = command("import", place / "own.safetensors", "-o", tmp_path / "x")
    assert done.code == 1
    (text,) = commands_in(help_in(done.err))
    run(text, place, command, tmp_path)


def test_a_pickle_is_sent_to_import_by_its_whole_path(command: Command, tmp_path: Path) -> None:
    path = tmp_path / ("a long folder's name " * 5).strip() / "of deepmind.pickle"
    path.parent.mkdir()
    path.write_bytes(b"\x80\4N.")
    (tmp_path / "tiny.yaml").write_text(TINY)
    done = command("compile", tmp_path / "tiny.yaml", "--weights", path, "-o", tmp_path / "x")
    (text,) = commands_in(help_in(done.err))
    assert shlex.split(text) == ["perceiver-graph", "import", str(path), "-o", "DIR"]
    answer = command(*shlex.split(text)[1:-1], tmp_path / "out")
    assert "holds no dictionary" in answer.err


def test_weights_that_do_not_fit(place: Path, command: Command, tmp_path: Path) -> None:
    save_file(
        {"latents": np.ones((4, 8), "f4"), "more": np.ones(2, "f4")}, tmp_path / "w.safetensors"
    )
    done = command("compile", place / "tiny.yaml", "--weights", tmp_path / "w.safetensors")
    assert set(commands_in(done.err)) == {"perceiver-graph inspect SPEC"}
    run("perceiver-graph inspect SPEC", place, command, tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        ("compile", "tiny.yaml", "--memory", "1KB"),
        ("compile", "tiny.yaml", "--precision", "fp16"),
        ("compile", "tiny.yaml", "--backend", "torch", "--precision", "int8"),
    ],
)
def test_options_that_are_advised_are_the_remedy(
    arguments: tuple[str, ...], place: Path, command: Command, tmp_path: Path
) -> None:
    words = [str(place / w) if w == "tiny.yaml" else w for w in arguments]
    done = command(*words, "-o", tmp_path / "out")
    assert done.code == 1, done.out
    advised = [found for found in QUOTED.findall(help_in(done.err)) if found.startswith("--")]
    assert advised
    for number, text in enumerate(advised):  # the last one given counts
        again = command(*words, *shlex.split(text), "-o", tmp_path / str(number))
        assert again.code == 0, (text, again.err)


def test_a_model_of_a_hub() -> None:
    from perceiver_graph.compiler.weights.files import not_found

    found = not_found(Path("deepmind/language perceiver")).diagnostics[0].help or ""
    (text,) = QUOTED.findall(found)
    assert shlex.split(text) == ["perceiver-graph", "import", "hf://deepmind/language perceiver"]


def test_packages_that_are_to_be_installed_exist() -> None:
    pattern = re.compile(r"shell\(\"pip\", \"install\", \"([^\"]+)\"\)")
    sources = [path.read_text("utf-8") for path in PACKAGE.rglob("*.py")]
    found = {package for text in sources for package in pattern.findall(text)}
    assert found
    extras = set(PROJECT["optional-dependencies"])
    for package in found:
        match = re.fullmatch(r"perceiver-graph\[(\w+)\]", package)
        assert match, package
        assert match[1] in extras


@pytest.mark.parametrize("code", ["203", "pg203", "PG203", "PG 203", "error[PG203]", "pg-203"])
def test_codes_are_explained_however_they_are_written(code: str, command: Command) -> None:
    assert command("explain", code).out == command("explain", "PG203").out


def test_codes_that_do_not_exist_suggest_near_ones(command: Command) -> None:
    done = command("explain", "PG2O3")
    assert done.code == 2
    assert "did you mean `PG203`?" in done.err
    assert "did you mean `PG204` or `PG210` or `PG220`?" in command("explain", "PG240").err
    done = command("explain", "PG999")
    assert "did you mean" not in done.err
    assert "codes that begin with PG9 are PG901 to PG902" in done.err
    assert "`perceiver-graph explain` lists all codes" in done.err
    assert "PG001" in command("explain", "1").out
