"""Wrong usage is told in words of our own: what is wrong, what would work, and where all of it is listed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

from perceiver_graph.cli.app import COMMANDS, app
from tests.cli.support import Command

GROUP: Any = typer.main.get_command(app)
with typer.Context(GROUP) as context:
    PARAMS = [
        (name, param) for name in COMMANDS for param in GROUP.get_command(context, name).params
    ]
OPTIONS = [(name, p) for name, p in PARAMS if p.param_type_name == "option"]
NEEDED = {
    name: ["x" for n, p in PARAMS if n == name and p.param_type_name == "argument" and p.required]
    for name in COMMANDS
}
# The words of the parser, in the versions of typer and click that may be installed.
FOREIGN = re.compile(
    r"Invalid value|Value error|No such|Missing arg|Got unexpected|Input should|^Usage"
)


def refused(command: Command, *words: str) -> str:
    """What is said of a command line, which must be a diagnostic that says where all is listed."""
    done = command(*words)
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("error[PG620]: ")
    assert not FOREIGN.search(done.err)
    return done.err


def suggested(said: str) -> list[str]:
    """The words in the first backquotes of the help."""
    found = re.search(r"= help: [^`\n]*`([^`]+)`", said)
    assert found, said
    return shlex.split(found[1])


@pytest.mark.parametrize(("name", "param"), OPTIONS, ids=lambda x: getattr(x, "name", x))
def test_an_option_without_its_value(name: str, param: Any, command: Command) -> None:
    flag = param.opts[0]
    if getattr(param, "is_flag", False):
        said = refused(command, name, *NEEDED[name], f"{param.opts[-1]}=3")
        assert "takes no value" in said
        assert suggested(said) == [param.opts[-1]]
        return
    for rest in ([], ["--debug"]):  # which is not the value
        said = refused(command, name, *NEEDED[name], flag, *rest)
        assert f"`{flag}` needs a value" in said
        assert suggested(said)[0] == flag
        assert re.fullmatch(r"[\w=:,.\[\]]+", suggested(said)[1])
        assert f"`perceiver-graph {name} --help`" in said


LIMITED = [
    (name, param.opts[-1])
    for name, param in OPTIONS
    if param.name in {"format", "backend", "device", "precision", "level", "seed", "depth", "rate"}
]


@pytest.mark.parametrize(("name", "flag"), LIMITED)
@pytest.mark.parametrize("value", ["zzz", "-3"])
def test_a_value_that_an_option_does_not_take(
    name: str, flag: str, value: str, command: Command
) -> None:
    said = refused(command, name, *NEEDED[name], flag, value)
    assert re.search(rf"`{flag}` takes .*(`\w+` or `\w+`|a (whole )?number.*), not `{value}`", said)
    assert suggested(said)[0] == flag
    better = command(name, *NEEDED[name], *suggested(said))
    if value == "-3" or "number" not in said:  # what it says is taken
        assert " takes " not in better.err


def test_every_limited_option_is_tried() -> None:
    """Each command is here with an option that has several choices or limits, if it has one."""
    assert {name for name, _ in LIMITED} == {*COMMANDS} - {"explain", "schema", "new"}


@pytest.mark.parametrize(
    ("line", "message", "help"),
    [
        ("compil kinetics", "no command `compil`", "did you mean `compile`?"),
        (
            "frobnicate",
            "no command `frobnicate`",
            "commands are compile, run, batch, serve, import,",
        ),
        ("kinetics", "no command `kinetics`", "`perceiver-graph inspect kinetics`"),
        ("a/b.yaml", "no command `a/b.yaml`", "`perceiver-graph inspect a/b.yaml`"),
        ("--versoin", "no option `--versoin`", "did you mean `--version`?"),
        (
            "--set a=1 check x",
            "options of a command come after it, and `--set` is before",
            "`perceiver-graph check x --set a=1`",
        ),
        ("--verbose run x a", "and `--verbose` is before", "`perceiver-graph run x a --verbose`"),
        ("--verbose check x", "no option `--verbose`", "leave it out"),
        ("-v", "no option `-v`", "it is `perceiver-graph --version`"),
        ("graph x --html", "no option `--html`", "`--format html`"),
        ("compile x --openvino", "no option `--openvino`", "`--device openvino`"),
        ("batch x y --ray", "no option `--ray`", "`--on ray`"),
        ("new x --template kinetics", "no option `--template`", "`--from kinetics`"),
        ("serve x -p 9000", "no option `-p`", "`--port 9000`"),
        ("serve x --timeout 10s", "not `10s`", "`--timeout 10`"),
        ("explain --code PG203", "no option `--code`", "`perceiver-graph explain PG203`"),
        ("batch x --inputs a.npz", "no option `--inputs`", "`perceiver-graph batch x a.npz`"),
        ("list kinetics", "takes no arguments", "`perceiver-graph inspect kinetics`"),
        ("compile x --seed y", "not `y`", "write `--seed 0`"),
        ("run x --random --seed -1", "not `-1`", "write `--seed 0`"),
        ("run x --inputs a.npz --inputs b.npz", "`--inputs` is given 2 times", "INPUT=FILE.npy"),
        (
            "compile x -o y --weights a --seed 1 --weights b",
            "`--weights` is given 2",
            "give it once",
        ),
        ("inspect x -O", "`-O` needs a value", "write `-O 2`"),
        ("--debug", "no command is named", "commands are compile,"),
        ("compile x --bakend onnx", "no option `--bakend`", "did you mean `--backend`?"),
        ("compile x -backend onnx", "no option `-backend`", "did you mean `--backend`?"),
        ("inspect x --backend onnx", "no option `--backend`", "it is an option of `compile`;"),
        ("compile x -Z", "no option `-Z`", "`perceiver-graph compile --help`"),
        ("compile x --precision int4", "`--precision` takes `fp32`,", "`--precision int8`?"),
        ("compile x --device gpu", "not `gpu`", "did you mean `--device cuda`?"),
        ("compile x --target gpu", "`--target` takes `cpu`,", "did you mean `--target cuda`?"),
        ("compile x -O 3", "from 0 to 2, not `3`", "`-O 2`"),
        ("compile x -O=1", "two words, not `-O=1`", "`-O 1`"),
        ("compile x -o=there", "two words, not `-o=there`", "`-o there`"),
        ("compile x --weights -o y", "`--weights` needs a value", "`--weights PATH`"),
        ("run x hi --generate", "`--generate` needs a value", "`--generate TOKENS`"),
        ("compile", "`compile` needs a SPEC", "`perceiver-graph compile SPEC`"),
        ("run", "`run` needs an ARTIFACT", "`perceiver-graph run ARTIFACT`"),
        ("compile x y", "takes SPEC and no more: `y`", "`perceiver-graph compile --help`"),
        ("list y", "takes no arguments: `y`", "`perceiver-graph list --help`"),
        ("inspect x a.b=3", "takes SPEC and no more: `a.b=3`", "did you mean `--set a.b=3`?"),
        ("run x --seed 3 a", "`--seed`", "`--random`"),
        ("run x a.png -o y.mp4", "`-o` names a file", "`-o y`"),
        ("graph x -o y.svg", "`y.svg` is a picture", "`dot -Tsvg y.dot -o y.svg`"),
        ("graph x --format dot -o y.png", "`y.png` is a picture", "graph x -o y.dot`"),
        ("run x --text hi", "no option `--text`", "`perceiver-graph run x hi`"),
        ("run x --text=hi", "no option `--text`", "`perceiver-graph run x hi`"),
        ("run x -i a.png", "no option `-i`", "`perceiver-graph run x a.png`"),
        ("run --input a.png x", "no option `--input`", "`perceiver-graph run ARTIFACT a.png`"),
        ("run x --input a.npz", "no option `--input`", "did you mean `--inputs`?"),
        ("batch x --files clips -o y", "no option `--files`", "`perceiver-graph batch x clips`"),
        ("inspect x --text hi", "no option `--text`", "`perceiver-graph inspect --help`"),
        ("inspect x --memory 20", "20 of what?", "20GB"),
    ],
)
def test_words_that_do_not_go_together(
    line: str,
    message: str,
    help: str,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    said = refused(command, *line.split())
    assert message in said.splitlines()[0]
    assert help in said
    assert not list(tmp_path.iterdir())


def test_inputs_that_are_given_by_an_option_are_named(
    command: Command, artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = refused(command, "run", str(artifact), "--x", "a b.csv")
    assert suggested(said)[1:] == ["run", str(artifact), "x=a b.csv"]
    monkeypatch.chdir(tmp_path)
    for text in ("[", "{}", '{"inputs": [1]}', '{"inputs": {"x": 3}}', "[" * 100_000):
        Path("manifest.json").write_text(text)
        assert suggested(refused(command, "run", ".", "--text", "hi"))[1:] == ["run", ".", "hi"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("help", "--help"), ("help run", "run --help"), ("version", "--version")],
)
def test_words_that_stand_for_options(typed: str, meant: str, command: Command) -> None:
    assert command(*typed.split()) == command(*meant.split())
    assert command(*typed.split()).code == 0


def test_what_was_typed_steers_nothing(command: Command) -> None:
    for line in (["x\x1b[31m"], ["check", "--\x1b[31m"], ["list", "\x1b[31m"], ["explain", "\x1b"]):
        assert "\x1b" not in refused(command, *line)


def test_a_path_that_may_not_be_read(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "in put.npz"
    path.write_bytes(b"")
    monkeypatch.setattr("os.access", lambda *_: False)
    told = refused(command, "run", "x", "--inputs", str(path))
    assert f"{path} may not be read" in told
    assert f"`ls -ld '{path}'`" in told
