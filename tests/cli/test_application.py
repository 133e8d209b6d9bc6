"""Every command: help, exit codes, errors, Ctrl-C and readers that go away."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

import perceiver_graph
from perceiver_graph.cli import explain as explain_module
from tests.cli.support import Command, process

COMMANDS = (
    *("compile", "run", "batch", "serve", "import", "export", "check", "inspect", "diff", "graph"),
    *("explain", "schema", "new", "list"),
)


def test_version(command: Command) -> None:
    assert command("--version") == (0, f"perceiver-graph {perceiver_graph.__version__}\n", "")


def test_help_lists_every_command(command: Command) -> None:
    done = command("--help")
    assert done.code == 0
    assert re.findall(r"^  ([a-z]+)  ", done.out.split("Commands:")[1], flags=re.M) == [*COMMANDS]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, command: Command) -> None:
    done = command(name, "--help")
    assert done.code == 0
    assert done.out.startswith(f"Usage: perceiver-graph {name}")
    assert "--debug" in done.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Usage"),
        (["chek"], "did you mean `check`?"),
        (["check"], "`check` needs a SPEC"),
        (["inspect", "kinetics", "--fromat", "json"], "--format"),
        (["inspect", "kinetics", "--format", "xml"], "json"),
        (["inspect", "kinetics", "-O", "3"], "-O"),
        (["graph", "kinetics", "--depth", "0"], "--depth"),
        (["compile", "kinetics", "--backend", "tensorflow"], "onnx"),
        (["compile", "kinetics", "--seed", "-1"], "--seed"),
        (["explain", "PG20"], "PG20"),
        (["diff", "kinetics"], "`perceiver-graph diff kinetics --set KEY=VALUE`"),
        (["run", "somewhere"], "--inputs"),
        (["run", "somewhere", "--random", "--inputs", "in.npz"], "leave out `--random`"),
        (["run", "somewhere", "a.mp4", "--random"], "leave out `--random`"),
        (["run", "somewhere", "a.mp4", "-o", "out.npz"], "`-o out`"),
        (["run", "somewhere", "--random", "-o", "out.npy"], "`-o out.npz`"),
        (["run", "somewhere", "--random", "-o", "a.v2"], "`-o a.v2.npz`"),
        (["run", "somewhere", "a.mp4", "--memory", "much"], "2GiB"),
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: Sequence[str], told: str, command: Command) -> None:
    done = command(*arguments)
    assert done.code == 2
    assert told in done.out + done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["inspect", "kinetcs"], "PG001"),
        (["check", "."], "PG002"),
        (["graph", "nothing/here.yaml"], "PG001"),
        (["inspect", "kinetics", "--set", "latents.count=0"], "PG105"),
        (["inspect", "kinetics", "--set", "latents"], "PG214"),
        (["inspect", "kinetics", "--set", "latents.width=513"], "PG204"),
        (["compile", "kinetcs"], "PG001"),
        (["compile", "kinetics", "--precision", "bf16"], "PG602"),
        (["compile", "kinetics", "--weights", "missing.safetensors"], "PG301"),
        (["run", "missing", "clip.mp4"], "PG401"),
        (["new", "a/b"], "PG109"),
        (["new", "mine", "--from", "kinetcs"], "PG001"),
        (["schema", "-o", "no/such/folder/schema.json"], "PG511"),
        (["schema", "-o", "."], "PG511"),
    ],
)
def test_wrong_input_is_exit_code_1_and_a_diagnostic(
    arguments: Sequence[str],
    code: str,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = command(*arguments)
    assert done.code == 1
    assert f"error[{code}]" in done.err
    assert done.out == ""
    assert not [*tmp_path.iterdir()]


def _broken(*_: object, **__: object) -> None:
    raise ZeroDivisionError("of all things")


def test_an_internal_error_is_a_diagnostic(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explain_module, "explain", _broken)
    done = command("explain", "PG204")
    assert done.code == 1
    assert "error[PG901]: internal error: ZeroDivisionError: of all things" in done.err
    assert perceiver_graph.__version__ in done.err
    assert "report" in done.err
    assert "--debug" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "arguments", [["explain", "PG204", "--debug"], ["--debug", "explain", "PG204"]]
)
def test_debug_shows_the_traceback(
    arguments: Sequence[str], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explain_module, "explain", _broken)
    done = command(*arguments)
    assert done.code == 1
    assert "Traceback" in done.err
    assert "PG901" in done.err
    assert "Traceback" not in command("explain", "PG204").err  # it does not last


def test_the_environment_asks_for_tracebacks_too(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explain_module, "explain", _broken)
    monkeypatch.setenv("PERCEIVER_GRAPH_DEBUG", "1")
    assert "Traceback" in command("explain", "PG204").err
    monkeypatch.setenv("PERCEIVER_GRAPH_DEBUG", "0")
    assert "Traceback" not in command("explain", "PG204").err


def test_ctrl_c_is_one_line(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(explain_module, "explain", interrupt)
    assert command("explain", "PG204") == (130, "", "interrupted\n")


def test_a_lack_of_memory_is_a_diagnostic(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhaust(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(explain_module, "explain", exhaust)
    done = command("explain", "PG204")
    assert done.code == 1
    assert "PG603" in done.err


@pytest.mark.parametrize(
    "arguments", [["graph", "kinetics", "--depth", "9"], ["explain"]], ids=" ".join
)
def test_a_reader_that_goes_away_is_no_error(arguments: Sequence[str]) -> None:
    with process(*arguments) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.wait(timeout=120) == 128 + signal.SIGPIPE
        assert running.stderr.read() == ""


def test_output_that_cannot_be_encoded_is_escaped() -> None:
    running = process(
        "graph", "kinetics", "--depth", "1", env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    )
    out, err = running.communicate(timeout=120)
    assert running.returncode == 0, err
    assert out.startswith("kinetics")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["check", "LONG"], "PG002"),
        (["run", "LONG", "a"], "PG401"),
        (["import", "LONG", "-o", "b"], "PG301"),
        (["compile", "starcraft", "--weights", "LONG", "-o", "a"], "PG301"),
        (["compile", "starcraft", "-o", "LONG"], "PG407"),
        (["graph", "starcraft", "-o", "LONG"], "PG511"),
    ],
)
def test_a_name_that_no_file_can_have(
    arguments: list[str],
    code: str,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = command(*("x" * 300 if word == "LONG" else word for word in arguments))
    assert done.code == 1
    assert f"error[{code}]" in done.err
    assert not list(tmp_path.iterdir())
