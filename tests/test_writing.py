"""Texts that a model goes on with, in Python and on the command line."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import perceiver_graph as pg
from perceiver_graph.media.text import tokens
from perceiver_graph.media.text.continuing import Continuation, begun
from perceiver_graph.spec.loader import parse_spec

WRITER = """\
perceiver: 1
name: writer
dims: {length: {min: 8, max: 40}}
inputs:
  text:
    shape: {place: length}
    steps: [{embedding: {vocabulary: 262, width: 16}}]
    position: {learned: {}, combine: add}
    media: {text: {}}
latents: {of: text, last: 8}
encode: {heads: 2, causal: true}
process: {layers: 1, heads: 2, causal: true}
outputs:
  next: {query: latents, head: {tied_embedding: text}}
"""
LOOP = "e\u0301\u20ac\U0001f600"
"""What the model below says again and again: characters of one to four bytes."""


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that answers each byte of a text with the byte behind it in `LOOP`, and `.` with [SEP]:
    latents are one-hot codes of their tokens, and the head knows which comes behind which."""
    vocabulary = tokens.VOCABULARY
    spec = WRITER.replace("width: 16", f"width: {vocabulary}").replace(
        "tied_embedding: text", f"linear: {vocabulary}"
    )
    spec = spec.replace("    position: {learned: {}, combine: add}\n", "")
    model = pg.compile(parse_spec(spec, "writer.yaml"))
    weights = {name: np.zeros_like(array) for name, array in model.weights().items()}
    weights["inputs.text.embedding.weight"] = np.eye(vocabulary, dtype=np.float32)
    follows = np.zeros((vocabulary, vocabulary), np.float32)
    ids = tokens.plain_ids(LOOP)
    assert len(set(ids)) == len(ids)
    for one, after in zip(ids, ids[1:] + ids[:1], strict=True):
        follows[after, one] = 50
    follows[tokens.SEP, tokens.plain_ids(".")[0]] = 50
    (head,) = (name for name in weights if name.startswith("heads") and name.endswith("weight"))
    weights[head] = follows
    folder = tmp_path_factory.mktemp("writer") / "artifact"
    model.save(folder, weights=weights)
    return folder


def run(*arguments: str | Path, **settings: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "perceiver_graph", "run", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, **settings)  # type: ignore[call-overload, no-any-return]


def test_pieces_are_whole_characters(writer: Path) -> None:
    program = pg.load(writer, device="cpu")
    assert list(program.generate("Once e", 22, seed=1)) == [*LOOP[1:], *LOOP, *LOOP[:2]]
    # What is cut off within a character is no character.
    assert "".join(program.generate("Once e", 4)) == LOOP[1] + "\ufffd"
    assert list(program.generate("The end.", 22)) == []


def test_ids_as_text() -> None:
    def text(*ids: int) -> str:
        found = Continuation()
        return "".join(map(found.add, ids)) + found.end()

    assert begun("ab[MASK]") == [tokens.CLS, *tokens.plain_ids("ab"), tokens.MASK]
    euro = tokens.plain_ids("\u20ac")
    assert text(*euro, *euro[:2], *tokens.plain_ids("x"), tokens.PAD) == "\u20ac\ufffdx"
    assert text(euro[0], tokens.MASK, *euro) == "\ufffd\u20ac"


def test_a_pipe_gets_the_text_alone(writer: Path, tmp_path: Path) -> None:
    found = run(writer, "Once e", "--generate", "22", "--temperature", "0")
    assert (found.stdout.decode(), found.stderr, found.returncode) == (
        "Once e" + LOOP[1:] + LOOP + LOOP[:2],
        b"",
        0,
    )
    given = tmp_path / "begin.txt"
    given.write_text("Two lines\nand \tmore e\n")
    found = run(writer, given, "--generate", "2", "--seed", "3", "--top-p", "0.5", "--top-k", "2")
    assert found.stdout.decode() == "Two lines\nand \tmore e" + LOOP[1]
    found = run(writer, "-", "--generate", "5", input=b"The end.")
    assert found.stdout == b"The end."


def test_a_terminal_is_steered_by_nothing(writer: Path) -> None:
    """A terminal gets control characters written out, and the last line is ended."""
    shown, terminal = pty.openpty()
    found = run(writer, "-", "--generate", "2", input=b"a\x1b[2J\tb\ne", env={**os.environ})
    assert found.stdout.decode() == "a\x1b[2J\tb\ne" + LOOP[1]
    command = [sys.executable, "-m", "perceiver_graph", "run", str(writer), "-", "--generate", "2"]
    subprocess.run(command, input=b"a\x1b[2J\tb\ne", stdout=terminal, check=True)
    os.close(terminal)
    assert os.read(shown, 1000).decode() == "a\\x1b[2J\tb\r\ne" + LOOP[1] + "\r\n"
    os.close(shown)


def test_ctrl_c_ends_a_text(writer: Path) -> None:
    command = [sys.executable, "-m", "perceiver_graph", "run", str(writer), "Once e"]
    with subprocess.Popen(
        [*command, "--generate", "1000000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        begun = process.stdout.read(40)
        process.send_signal(signal.SIGINT)
        rest, said = process.stdout.read(), process.stderr.read()
    assert process.returncode == 130
    assert ("Once e" + LOOP[1:] + LOOP * 100_000).startswith((begun + rest).decode())
    assert b"Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["Once", "--temperature", "0.5"], 2, "`--temperature` is for texts that a model writes"),
        (["Once", "--generate", "5", "-o", "out"], 2, "`--output` does not go with `--generate`"),
        (["--generate", "5", "--random"], 2, "`--random` does not go with `--generate`"),
        (["--generate", "5"], 2, "there is no text to go on with"),
        (["Once", "--generate", "5", "--top-p", "0"], 2, "`--top-p` is 0.0"),
        (["Once", "--generate", "5", "--top-p", "nan"], 2, "above 0, and at most 1"),
        (["Once", "--generate", "5", "--temperature", "inf"], 2, "`--temperature` is inf"),
        (["Once", "--generate", "-1"], 2, "--generate"),
        (
            ["Once", "upon", "--generate", "5"],
            1,
            "error[PG512]: writer goes on with one text, and 2",
        ),
        (["x" * 40, "--generate", "5"], 1, "error[PG514]"),
    ],
)
def test_what_is_refused(writer: Path, arguments: Sequence[str], code: int, said: str) -> None:
    found = run(writer, *arguments)
    assert found.returncode == code
    assert said in found.stderr.decode()
    assert found.stdout == b""


def test_the_longest_text_is_gone_on_with(writer: Path) -> None:
    """40 ids: [CLS] and 39 bytes. What ends a text is not among those that a model goes on with."""
    found = run(writer, "x" * 39, "--generate", "3", "--temperature", "0")
    assert found.returncode == 0, found.stderr.decode()
    program = pg.load(writer, device="cpu")
    assert found.stdout.decode(errors="replace").rstrip("\n") == "x" * 39 + "".join(
        program.generate("x" * 39, 3, temperature=0)
    ).rstrip("\n")


def test_ids_are_gone_on_with(writer: Path, tmp_path: Path) -> None:
    """A line for each token, with an id of each text; with the ids of a text, those that follow it."""
    program = pg.load(writer, device="cpu")
    ids = np.array([[10, 20, 30], [40, 50, 60]])
    np.savez(tmp_path / "ids.npz", text=ids)
    command = ["--inputs", str(tmp_path / "ids.npz"), "--generate", "5", "--seed", "3"]
    found = run(writer, *command)
    assert found.returncode == 0, found.stderr.decode()
    rows = [[int(word) for word in line.split()] for line in found.stdout.decode().splitlines()]
    assert rows == [one.tolist() for one in program.generate(ids, 5, seed=3)]
    np.savez(tmp_path / "other.npz", other=ids)
    found = run(writer, "--inputs", str(tmp_path / "other.npz"), "--generate", "5")
    assert found.returncode == 1
    assert "error[PG5" in found.stderr.decode()


def test_a_model_that_writes_none(tmp_path: Path) -> None:
    spec = WRITER.replace("latents: {of: text, last: 8}", "latents: {count: 8, width: 16}")
    pg.compile(parse_spec(spec.replace(", causal: true", ""), "w.yaml")).save(tmp_path / "out")
    found = run(tmp_path / "out", "Once", "--generate", "5")
    assert found.returncode == 1
    assert "error[PG518]: writer writes no text: its latents are not" in found.stderr.decode()


def test_inspect_says_what_is_kept(tmp_path: Path) -> None:
    """Keys and values of 40 tokens and of 8 latents, 16 numbers each."""
    (tmp_path / "w.yaml").write_text(WRITER)
    command = [sys.executable, "-m", "perceiver_graph", "inspect", str(tmp_path / "w.yaml")]
    found = subprocess.run(command, capture_output=True, check=True, text=True)
    assert "generation keeps a cache: 6.14 kB of the longest text\n" in found.stdout


def test_int8_writes_as_well(tmp_path: Path) -> None:
    model = pg.compile(parse_spec(WRITER, "w.yaml"), precision="int8")
    assert {"prefill", "step"} < set(model.save(tmp_path / "out").programs)
    assert len(list(pg.load(tmp_path / "out", device="cpu").generate([[7, 8, 9]], 5))) == 5
