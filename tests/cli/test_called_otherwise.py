"""Calls as those write them who know other libraries: each is told what there is instead, and that works."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import perceiver_graph as pg
from perceiver_graph.runtime import Program
from tests.cli.support import Command

SPEC = """
perceiver: 1
name: seen
dims: {length: {max: 12}}
inputs:
  image: {shape: {height: 4, width: 6, channel: 3}, media: {image: {}}, mask: optional}
  text:
    shape: {byte: length}
    steps: [{embedding: {vocabulary: 262, width: 4}}]
    position: {learned: {}, combine: add}
    media: {text: {}}
    mask: optional
join: {padding: {min: 0}}
latents: {count: 2, width: 4}
process: {layers: 1, heads: 1}
outputs:
  label: {query: {learned: {}}, head: {linear: 2}}
"""
X = {"image": np.zeros((1, 4, 6, 3), np.float32)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seen")
    (folder / "seen.yaml").write_text(SPEC, encoding="utf-8")
    pg.compile(SPEC).save(folder / "artifact")
    pg.compile(SPEC).save(folder / "both", backends=["onnx", "torch"])
    Image.new("RGB", (6, 4)).save(folder / "a.png")
    Image.new("RGB", (6, 4), "white").save(folder / "b.png")
    return folder


@pytest.fixture(scope="module")
def program(folder: Path) -> Program:
    return pg.load(folder / "artifact", device="cpu")


def said(call: Callable[[], object]) -> str:
    with pytest.raises((TypeError, ValueError, AttributeError, pg.DiagnosticError)) as caught:
        call()
    return str(caught.value)


# Options

OPTIONS = [
    (["inspect", "seen.yaml", "--batch", "4"], "a model takes any batch size"),
    (["compile", "seen.yaml", "--batch-size", "4"], "a model takes any batch size"),
    (["compile", "seen.yaml", "--latents", "32"], "`--set latents.count=32`"),
    (["compile", "seen.yaml", "--num-heads=4"], "`--set process.heads=4`"),
    (["compile", "seen.yaml", "--half"], "`--precision fp16`"),
    (["compile", "seen.yaml", "--quantize", "int8"], "`--precision int8`"),
    (["compile", "seen.yaml", "--gpu"], "`--device cuda`"),
    (["compile", "seen.yaml", "--checkpoint", "w.pt"], "`--weights w.pt`"),
    (["compile", "seen.yaml", "--format", "onnx"], "`--backend onnx`"),
    (["run", "artifact", "a.png", "--gpu"], "`--device cuda`"),
    (["run", "artifact", "a.png", "--max-new-tokens", "5"], "`--generate 20`"),
    (["run", "artifact", "a.png", "--provider", "CUDAExecutionProvider"], "`--device cuda`"),
    (["inspect", "seen.yaml", "--json"], "`--format json`"),
    (["serve", "--model", "artifact"], "`perceiver-graph serve artifact`"),
    (["serve", "artifact", "--port", "abc"], "write `--port 8000`"),
    (["graph", "seen.yaml", "--format", "svg"], "`dot -Tsvg graph.dot -o graph.svg`"),
    (["graph", "seen.yaml", "--format", "htm"], "did you mean `--format html`?"),
    (["inspect", "seen.yaml", "--formt", "json"], "did you mean `--format`?"),
]


@pytest.mark.parametrize(("words", "told"), OPTIONS)
def test_an_option_of_another_program(
    words: list[str], told: str, command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    done = command(*words)
    assert done.code == 2
    assert f"= help: {told}" in done.err or f" {told}" in done.err
    if found := re.search(r"`(--[a-z-]+) ([^`]+)`", told):
        position = next(i for i, word in enumerate(words) if word.startswith("-"))
        anew = [*words[:position], *shlex.split(found[0].strip("`"))]
        again = command(*anew)
        assert "PG620" not in again.err


def test_no_option_is_like_another_by_its_dashes(command: Command) -> None:
    for words in (["run", "x", "--gpux"], ["inspect", "x", "--rank"], ["check", "x", "--ab"]):
        assert "did you mean" not in command(*words).err


def test_a_graph_is_drawn_as_it_is_told(
    command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    told = command("graph", "seen.yaml", "--format", "png").err
    first = re.search("Graphviz makes it: `perceiver-graph ([^`]+)`", told)
    assert first
    assert command(*shlex.split(first[1].replace("SPEC", "seen.yaml"))).code == 0
    assert (folder / "graph.dot").read_text(encoding="utf-8").startswith("digraph")


# Files

FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a picture for a spec": (lambda f: pg.compile(f / "a.png"), "name a spec, as `model.yaml`"),
    "a device for weights": (
        lambda f: pg.compile(SPEC).to_torch("cuda:1"),
        'weights come first: `to_torch(WEIGHTS).to("cuda:1")`',
    ),
    "weights under another name": (
        lambda f: pg.compile(SPEC).to_torch(f / "both" / "weight.safetensors"),
        "both/weights.safetensors` or",
    ),
    "no weights": (lambda f: pg.compile(SPEC).to_torch("zebra.pt"), "check the path"),
    "constants": (
        lambda f: pg.compile(SPEC).to_torch(f / "both" / "constants.safetensors"),
        "the weights are beside it: `",
    ),
    "constants alone": (
        lambda f: pg.compile(SPEC).to_torch(f / "artifact" / "constants.safetensors"),
        "name those that it was compiled with; `perceiver-graph compile ",
    ),
}


@pytest.mark.parametrize("what", FILES)
def test_a_file_that_is_another(what: str, folder: Path) -> None:
    call, told = FILES[what]
    assert told in said(lambda: call(folder))


# Arguments and attributes

CALLS: dict[str, Callable[[Program], object]] = {
    'overrides=\\["latents.count=32"\\]': lambda p: pg.compile(SPEC, latents=32),  # type: ignore[call-arg]
    'overrides=\\["process.heads=8"\\]': lambda p: pg.compile(SPEC, num_heads=8),  # type: ignore[call-arg]
    "a program takes any: it is the first": lambda p: pg.compile(SPEC, batch_size=8),  # type: ignore[call-arg]
    "did you mean `device='cuda'`": lambda p: pg.compile(SPEC, device="gpu"),  # type: ignore[arg-type]
    "did you mean `precision='fp16'`": lambda p: pg.compile(SPEC, precision="half"),  # type: ignore[arg-type]
    "did you mean `engine='onnxruntime'`": lambda p: pg.load(p.artifact.directory, engine="ort"),
    "not one of auto, cpu, cuda: did you mean": lambda p: pg.load(
        p.artifact.directory,
        device="cuda:0",  # type: ignore[arg-type]
    ),
    "did you mean `backend='torch'`": lambda p: pg.compile(SPEC).save("x", backends=["pytorch"]),
    "it is called `decode`": lambda p: p.run(X, output_names=["label"]),  # type: ignore[call-arg]
    "it is the first axis of the arrays": lambda p: p.run(X, batch_size=1),  # type: ignore[call-arg]
    'such as {"label": None} ': lambda p: p.run(X, ["label"]),  # type: ignore[arg-type]
    "`load.PATH.` is a program that runs": lambda p: pg.Program,
    "has no attribute 'complie': did you mean `compile`": lambda p: pg.complie,
    "`import_checkpoint.CHECKPOINT.`": lambda p: pg.import_,
    "`manifest.inputs` has them": lambda p: p.get_inputs,  # type: ignore[attr-defined]
    "`latents` has them": lambda p: p.encode(X).last_hidden_state,  # type: ignore[attr-defined]
    "`save.DIR.` writes ONNX": lambda p: pg.compile(SPEC).to_onnx,  # type: ignore[attr-defined]
    "rows differ in length": lambda p: p.run({"image": [[1, 2], [3]]}),
}


@pytest.mark.parametrize("told", CALLS)
def test_a_call_of_another_library(told: str, program: Program) -> None:
    assert re.search(told, said(lambda: CALLS[told](program)))


def test_lists_and_tensors_are_put_right_as_arrays(program: Program) -> None:
    torch = pytest.importorskip("torch")
    for image in ([[[[0.0] * 6] * 4] * 3], torch.zeros(1, 3, 4, 6), torch.zeros(4, 6, 3)):
        text = said(lambda image=image: program.run({"image": image}))  # type: ignore[misc]
        way = re.search(r"help: (?:add the batch axis: )?(numpy.*)", text)
        assert way
        program.run({"image": eval(way[1], {"numpy": np, "image": image})})


# Texts and files in Python


def test_what_a_text_is_for_is_told_as_python_has_it(program: Program) -> None:
    found = said(lambda: program.read("hi"))
    assert '`program.read(text="hi")`' in found
    assert program.read(text="hi")["text"].shape == (1, 4)


def test_several_for_one_input_are_a_batch(program: Program, folder: Path) -> None:
    found = program.read(image=[folder / "a.png", folder / "b.png"])["image"]
    assert found.shape == (2, 4, 6, 3)
    assert found[0].max() < found[1].min()
    ids: Any = program.read(text=["ab", "cd"])["text"]
    assert ids.shape == (2, 4)
