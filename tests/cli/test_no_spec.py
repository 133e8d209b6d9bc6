"""Files, addresses and names of a hub where something else is wanted: what is told leads on."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import perceiver_graph as pg
from perceiver_graph.diagnostics import addresses
from tests.cli.support import Command

PICTURE = """\
perceiver: 1
name: picture
inputs:
  image: {shape: {height: 4, width: 6, channel: 3}, media: {image: {}}}
latents: {count: 2, width: 4}
process: {layers: 1, heads: 1}
outputs:
  label: {query: {learned: {}}, head: {linear: 2}}
"""
HUB = "https://huggingface.co/deepmind/language-perceiver"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    (folder / "model.yaml").write_text(PICTURE, encoding="utf-8")
    pg.compile(PICTURE).save(folder / "both", backends=["onnx", "torch"])
    shutil.copy(folder / "both" / "weights.safetensors", folder / "own.safetensors")
    shutil.copy(folder / "both" / "encode.onnx", folder / "alone.onnx")
    for name in ("a.png", "b.png"):
        Image.new("RGB", (6, 4)).save(folder / name)
    return folder


@pytest.fixture
def place(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(made)
    return made


def help_of(command: Command, line: str) -> str:
    done = command(*shlex.split(line))
    assert done.code in (1, 2)
    return done.err.partition("= help: ")[2].splitlines()[0]


@pytest.mark.parametrize("word", ["check", "inspect", "graph", "compile", "diff model.yaml"])
def test_files_that_are_no_specs(word: str, place: Path, command: Command) -> None:
    for name in ("encode.onnx", "weights.safetensors"):
        help = help_of(command, f"{word} both/{name}")
        assert help.startswith("did you mean `both/spec.yaml`")
    help = help_of(command, f"{word} own.safetensors")
    assert "`perceiver-graph compile SPEC --weights own.safetensors`" in help
    assert "`perceiver-graph import own.safetensors`" in help
    assert "`perceiver-graph new NAME`" in help_of(command, f"{word} alone.onnx")
    for name in ("deepmind/language-perceiver", "hf://deepmind/language-perceiver", HUB):
        help = help_of(command, f"{word} {name}")
        assert "`perceiver-graph import hf://deepmind/language-perceiver`" in help
    assert "`curl -LO https://a.org/b.yaml`" in help_of(command, f"{word} https://a.org/b.yaml")


@pytest.mark.parametrize("word", ["run", "batch", "serve"])
def test_weights_that_are_no_artifact(word: str, place: Path, command: Command) -> None:
    rest = "" if word == "serve" else "a.png"
    help = help_of(command, f"{word} own.safetensors {rest}")
    (told,) = re.findall("`perceiver-graph ([^`]+)`", help)
    assert command(*shlex.split(told.replace("SPEC", "model.yaml"))).code == 0
    if word != "serve":
        assert command(word, "build/NAME", "a.png").code == 0
    help = help_of(command, f"{word} model.yaml {rest}")
    assert "`perceiver-graph compile model.yaml -o build/model`" in help


def test_what_export_is_given(place: Path, command: Command) -> None:
    told = re.findall("`perceiver-graph ([^`]+)`", help_of(command, "export own.safetensors"))
    assert told == ["export SPEC --weights own.safetensors"]
    for name in ("deepmind/language-perceiver", HUB):
        assert "import hf://deepmind/language-perceiver`" in help_of(command, f"export {name}")
    assert "`perceiver-graph new NAME`" in help_of(command, "export alone.onnx")


def test_addresses(place: Path, command: Command) -> None:
    for line in ("import", "compile model.yaml --weights"):
        assert "import hf://deepmind/language-perceiver`" in help_of(command, f"{line} {HUB}")
        found = help_of(command, f"{line} https://a.org/w.safetensors")
        assert "`curl -LO https://a.org/w.safetensors`" in found
    assert "run hf://deepmind/language-perceiver`" in help_of(command, f"run {HUB} a.png")
    assert addresses.instead(f"{HUB}/tree/main", "import") == addresses.instead(HUB, "import")
    for text in ("a/b.yaml", "model", "C:/a/b", "a/b/c"):
        assert addresses.instead(text, "import") is addresses.of_a_hub(text) is None


@pytest.mark.parametrize("given", ["*.png", "?.png", "."])
def test_many_files_are_for_batch(given: str, place: Path, command: Command) -> None:
    (told,) = re.findall("`perceiver-graph ([^`]+)`", help_of(command, f"run both '{given}'"))
    assert shlex.split(told) == ["batch", "both", given, "-o", "out"]
    if given == "*.png":
        assert command(*shlex.split(told)).out == "out: 2 of 2 done\n"


def test_what_is_missing_goes_after_what_is_there(place: Path, command: Command) -> None:
    assert "`perceiver-graph batch both INPUT`" in help_of(command, "batch both")
    assert "`perceiver-graph diff A B`" in help_of(command, "diff")
    assert "`perceiver-graph batch ARTIFACT INPUT`" in help_of(command, "batch")


def test_an_array_is_named_as_it_was_given(
    artifact: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("numbers.npy", np.zeros((1, 4, 3), np.float32))
    help = help_of(command, f"run {artifact} numbers.npy")
    assert "`x=numbers.npy`" in help
    assert "`x=numbers.npy`" in help_of(command, f"run {artifact} values=numbers.npy")
    assert command("new", "other.yml").out.startswith("other.yaml\n")
    assert command("run", artifact, "x=numbers.npy").code == 0
