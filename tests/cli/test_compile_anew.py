"""An artifact with trained weights is compiled anew: nothing that was trained is lost without a word."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import perceiver_graph as pg
from perceiver_graph.runtime import load
from tests.cli.support import TINY, Command
from tests.faults import tree
from tests.tiny import fault


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a spec and weights that no seed gives."""
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(TINY, encoding="utf-8")
    weights = pg.compile(TINY).weights(seed=7)
    save_file(weights, "epoch 9.safetensors")
    return tmp_path


def options_in(said: str) -> list[list[str]]:
    """The options that the help names."""
    help = said.partition("= help: ")[2].splitlines()[0]
    return [shlex.split(text) for text in re.findall(r"`(--[^`]+)`", help)]


@pytest.mark.parametrize("backend", ["onnx", "torch", "all"])
@pytest.mark.parametrize("how", ["-o", "default", "pipe"])
def test_initial_weights_do_not_take_the_place_of_trained_ones(
    backend: str, how: str, trained: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--backend", backend]
    words += ["-o", "art"] if how == "-o" else []
    assert command("compile", "tiny.yaml", "--weights", "epoch 9.safetensors", *words).code == 0
    artifact = trained / ("art" if how == "-o" else "build/tiny")
    before = tree(artifact)
    spec = "tiny.yaml"
    if how == "pipe":
        spec = "-"
        (trained / "stdin").write_text(TINY, encoding="utf-8")
        monkeypatch.setattr("sys.stdin", (trained / "stdin").open(encoding="utf-8"))
    done = command("compile", spec, *words)
    assert (done.code, "error[PG407]" in done.err) == (1, True), done.err
    assert "its weights come from `epoch 9.safetensors`" in done.err
    assert tree(artifact) == before
    keep, drop = options_in(done.err)
    if keep[1] == "PATH":  # of programs alone, which weights cannot be read from
        assert backend == "onnx"
        keep[1] = "epoch 9.safetensors"
    again = command("compile", "tiny.yaml", *words, *keep)
    assert again.code == 0, again.err
    if backend != "onnx":
        saved = load_file(artifact / "weights.safetensors")
        assert np.array_equal(saved["latents"], load_file("epoch 9.safetensors")["latents"])
    else:
        assert {n: d for n, d in tree(artifact).items() if n.endswith(".onnx")} == {
            n: d for n, d in before.items() if n.endswith(".onnx")
        }
    assert command("compile", "tiny.yaml", *words, *drop).code == 0
    assert load(artifact).manifest.weights == "seed 0" if backend != "torch" else True
    assert command("compile", "tiny.yaml", *words).code == 0  # nothing is lost any more


def test_the_file_of_trained_weights_is_not_lost_with_its_backend(
    trained: Path, command: Command
) -> None:
    words = ("compile", "tiny.yaml", "-o", "art")
    first = command(*words, "--backend", "torch", "--weights", "epoch 9.safetensors")
    assert first.code == 0
    before = tree(trained / "art")
    for given in ("art", "art/weights.safetensors"):
        done = command(*words, "--weights", given)
        assert (done.code, "error[PG407]" in done.err) == (1, True), done.err
        assert tree(trained / "art") == before
    (both,) = options_in(done.err)
    assert command(*words, "--weights", "art", *both).code == 0
    saved = load_file(trained / "art" / "weights.safetensors")
    assert np.array_equal(saved["latents"], load_file("epoch 9.safetensors")["latents"])
    assert command(*words, "--weights", "epoch 9.safetensors").code == 0  # they are elsewhere, too


def test_from_python(trained: Path) -> None:
    compiled = pg.compile(TINY)
    compiled.save("art", weights=compiled.weights(seed=7))
    found = fault(lambda: compiled.save("art"))
    assert (found.code, "arrays given in Python" in found.message) == ("PG407", True)
    assert "`weights='PATH'`" in str(found.help)
    assert "--" not in str(found.help)
    compiled.save("art", seed=0)
    compiled.save("art")
    assert load("art").manifest.weights == "seed 0"
