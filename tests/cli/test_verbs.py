"""Commands and values as other programs call them: each is answered with one that works here."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import get_args

import pytest

import perceiver_graph as pg
from perceiver_graph.choices import DeviceName, EngineName, Precision, TargetName
from perceiver_graph.cli import choices, verbs
from perceiver_graph.cli.app import COMMANDS
from tests.cli.support import Command


@pytest.fixture(scope="module")
def folder(tiny: Path, artifact: Path) -> Path:
    pg.compile(tiny).save(tiny.parent / "both", backends=["onnx", "torch"])
    return tiny.parent


def told(done_err: str) -> list[str]:
    help = done_err.partition("= help: ")[2].splitlines()[0]
    return re.findall("`perceiver-graph ([^`]+)`", help)


VERBS = [
    ("validate tiny.yaml", "check tiny.yaml"),
    ("build tiny.yaml", "compile tiny.yaml"),
    ("convert tiny.yaml", "compile tiny.yaml"),
    ("train tiny.yaml --epochs 3", "compile tiny.yaml --backend torch"),
    ("predict artifact x.npy", "run artifact x.npy"),
    ("infer", "run ARTIFACT FILE"),
    ("benchmark artifact", "inspect artifact/spec.yaml -O 2"),
    ("summary tiny.yaml", "inspect tiny.yaml"),
    ("visualize tiny.yaml", "graph tiny.yaml"),
    ("quantize tiny.yaml", "compile tiny.yaml --precision int8"),
    ("compare tiny.yaml tiny.yaml", "diff tiny.yaml tiny.yaml"),
    ("init", "new NAME"),
    ("error PG203", "explain PG203"),
    ("models", "list"),
    ("generate artifact hi", "run artifact hi --generate 100"),
    ("convert model.pt", "import model.pt"),
    ("download deepmind/language-perceiver", "import deepmind/language-perceiver"),
]


@pytest.mark.parametrize(("line", "meant"), VERBS)
def test_a_command_of_another_program(
    line: str, meant: str, command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    done = command(*line.split())
    assert (done.code, told(done.err)[0]) == (2, meant)
    if meant.split(maxsplit=1)[0] in (
        "check",
        "compile",
        "inspect",
        "graph",
        "diff",
        "list",
        "explain",
    ):
        assert command(*shlex.split(meant)).code == 0


def test_every_verb_leads_to_a_command() -> None:
    for names, (name, *_) in verbs._VERBS.items():
        assert name in COMMANDS or name[:2] == "--"
        assert not {*names.split()} & {*COMMANDS}


@pytest.mark.parametrize(
    ("target", "flags"),
    [
        ("onnx", ""),
        ("torch", "--backend torch"),
        ("pytorch", "--backend torch"),
        ("safetensors", "--backend torch"),
        ("openvino", "--device openvino"),
        ("tflite", "--device onnx-standard"),
        ("tensorrt", "--device onnx-standard"),
        ("coreml", "--device onnx-standard"),
    ],
)
def test_what_export_does_not_write_compile_does(
    target: str, flags: str, command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    lines = {
        f"tiny.yaml --weights both --to {target}": f"compile tiny.yaml --weights both {flags}",
        f"both --to={target}": f"compile both/spec.yaml {flags} --weights both",
        f"tiny.yaml --weights both --format {target}": f"compile tiny.yaml --weights both {flags}",
    }
    for line, meant in lines.items():
        found = told(command("export", *line.split()).err)[0]
        assert sorted(found.split()) == sorted(meant.split())
        assert command(*shlex.split(found), "-o", "made").code == 0


VALUES = [
    ("run artifact --random --device gpu:0", "--device cuda"),
    ("run artifact --random --device mps", "--device cpu"),
    ("run artifact --random --device openvino", "--engine openvino"),
    ("run artifact --random --engine cuda", "--device cuda"),
    ("compile tiny.yaml --device tpu", "--device cpu"),
    ("compile tiny.yaml --target mps", "--target cpu"),
    ("compile tiny.yaml --precision fp8", "--precision int8"),
    ("compile tiny.yaml --precision tf32", "--precision fp32"),
    ("compile tiny.yaml --precision mixed", "--precision fp16"),
    ("compile tiny.yaml --backend tensorrt", "--backend onnx"),
    ("compile tiny.yaml --backend openvino", "--device openvino"),
    ("compile tiny.yaml --backend pytorch", "--backend torch"),
    ("compile tiny.yaml --backend transformers", "perceiver-graph export SOURCE --to transformers"),
    ("run artifact --random --threads all", "--threads"),
    ("batch artifact x --workers auto", "--workers"),
    ("batch artifact x --engine onnxruntime", "--on local"),
    ("serve artifact --port 0.0.0.0:80", "--host 0.0.0.0 --port 80"),
    ("serve artifact --port :80", "--port 80"),
    ("graph tiny.yaml --format svg", "perceiver-graph graph tiny.yaml -o graph.dot"),
    ("compile tiny.yaml --opset latest", "perceiver-graph compile --help"),
]


@pytest.mark.parametrize(("line", "meant"), VALUES)
def test_a_value_of_another_program(
    line: str, meant: str, command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    done = command(*line.split())
    help = done.err.partition("= help: ")[2].splitlines()[0]
    assert (done.code, re.findall("`([^`]+)`", help)[0]) == (2, meant)


def test_every_value_that_is_advised_is_taken() -> None:
    declared = (DeviceName, TargetName, EngineName, Precision)
    known = {word for one in declared for word in get_args(one)}
    for _, instead in choices._WORDS.values():
        assert instead.split()[1] in {*known, "onnx", "torch"}


MESSAGES = [
    "203 204",
    "PG203: size does not divide",
    "error[PG203]: width 5 is not divisible by 2",
    "tiny.yaml:3:4: error PG203 foo",
    "error PG203",
    "https://example.com/#PG203",
    "PG 203",
]


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_explained_in_one_word_or_in_several(message: str, command: Command) -> None:
    whole = command("explain", "PG203").out
    assert command("explain", *message.split()).out.startswith(whole)
    if message != "203 204":
        assert command("explain", message).out == whole


def test_what_is_no_code_is_told(command: Command, folder: Path) -> None:
    done = command("explain", str(folder / "artifact"))
    assert command(*shlex.split(told(done.err)[0])).code == 0
    for word in ("", "all", "PG2031", "PG999 is new"):
        assert "`perceiver-graph explain` lists all codes" in command("explain", word).err
