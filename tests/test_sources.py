"""Which input a file or a text is for, where nobody says it, or not quite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

import perceiver_graph as pg
from perceiver_graph.diagnostics.commands import typed
from perceiver_graph.media.clip.formats import AudioFormat, VideoFormat
from perceiver_graph.media.clip.reader import ClipReader
from perceiver_graph.media.text.tokens import encode
from perceiver_graph.runtime import Program, load
from perceiver_graph.runtime.sources import file_readers, find_subjects
from perceiver_graph.spec.loader import parse_spec
from tests.batch_support import SPEC as TEXTS
from tests.batch_support import compiled
from tests.test_run_pictures import BOTH
from tests.tiny import fault


@pytest.fixture(autouse=True)
def told_as_on_a_command_line() -> Iterator[None]:
    with typed():
        yield


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("a.wav", "sound"),
        ("a.mp4", "film"),
        ("a", "film"),
    ],
)
def test_the_input_of_a_file_is_guessed_by_its_name(
    name: str, wanted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pg.compile(parse_spec(BOTH)).save(tmp_path / "both")
    clip = ClipReader({"film": VideoFormat(4, 8, 8), "sound": AudioFormat(32)})
    readers = (clip, *file_readers(load(tmp_path / "both", device="cpu").manifest))
    monkeypatch.chdir(tmp_path)
    Path(name).touch()
    unsaid = fault(lambda: find_subjects([name], readers))
    assert unsaid.help == f"say it: `{wanted}={name}`"


@pytest.mark.parametrize("names", [["a.png", "b.txt"], ["b.txt", "a.png"]])
def test_files_of_different_kinds_are_for_the_inputs_of_their_kinds(
    names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pg.compile(parse_spec(BOTH)).save(tmp_path / "both")
    readers = file_readers(load(tmp_path / "both", device="cpu").manifest)
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8), (200, 30, 30)).save("a.png")
    Path("b.txt").write_text("a red square")
    (subject,) = find_subjects(names, readers)
    (piece,) = subject.pieces()
    assert {*piece.arrays} >= {"image", "caption"}
    assert fault(lambda: find_subjects(["a.png", "./a.png"], readers)).code == "PG512"
    assert fault(lambda: find_subjects(["a.png", "b"], readers)).code == "PG512"


NUMBERS_AND_TEXT = """\
perceiver: 1
name: numbers_and_text
dims: {n: {max: 9}}
inputs:
  table: {shape: {row: n, channel: 2}, media: {table: {}}}
  text: {shape: {byte: n}, steps: [{embedding: {vocabulary: 262, width: 2}}], media: {text: {}}}
latents: {count: 2, width: 2}
process: {layers: 0}
outputs: {answer: {query: latents}}
"""


@pytest.mark.parametrize(
    ("name", "message", "help"),
    [
        ("a.png", "`a.png` is image/png, and no input is read from that", "name a table"),
        ("a.mp4", "`a.mp4` is video/mp4, and no input is read from that", "name a table"),
        ("a.md", "it cannot be told which input `a.md` is for", "say it: "),
        ("a.bin", "it cannot be told which input `a.bin` is for", "say it: "),
    ],
)
def test_no_input_is_offered_a_file_that_it_does_not_take(
    name: str, message: str, help: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pg.compile(parse_spec(NUMBERS_AND_TEXT, "x.yaml")).save("art")
    readers = file_readers(load("art", device="cpu").manifest)
    Path(name).write_bytes(b"1,2\n")
    error = fault(lambda: find_subjects([name], readers))
    assert error.message.startswith(message)
    assert error.help is not None
    assert error.help.startswith(help)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return load(compiled(tmp_path_factory.mktemp("compiled") / "reader"), device="cpu")


@pytest.mark.parametrize("word", ["txt", "Text", "TEXT", "texts", "tex", "txet"])
def test_a_slip_of_the_name_of_an_input_is_no_text(word: str, reader: Program) -> None:
    found = fault(lambda: reader.read(f"{word}=Hello"))
    assert (found.code, found.help) == ("PG512", "did you mean `text`?")
    assert [*found.notes] == [f"as a text: `text={word}=Hello`"]
    assert reader.read(f"text={word}=Hello")["text"].tolist() == ids(f"{word}=Hello")


@pytest.mark.parametrize(
    ("text", "noted"),
    [
        *[(f"{word}=1", True) for word in ("test", "next", "ext", "te", "context")],
        *[(f"{word}=1", False) for word in ("a", "x", "area", "the text", "print(text")],
        ("text = 1", False),
        ("=", False),
    ],
)
def test_a_text_with_an_equals_sign_is_one(text: str, noted: bool, reader: Program) -> None:
    """A note says how an input is named, where that may have been meant."""
    (subject,) = find_subjects([text], file_readers(reader.manifest))
    (piece,) = subject.pieces()
    assert piece.arrays["text"].tolist() == ids(text)
    wanted = f"`{text}` was read as a text; for the input `text`: `text=1`"
    assert piece.notes == ((wanted,) if noted else ())


@pytest.mark.parametrize("name", ["a", "xy"])
def test_short_names_have_no_slips(name: str, tmp_path: Path) -> None:
    pg.compile(TEXTS.replace("  text:", f"  {name}:")).save(tmp_path / "short")
    short = load(tmp_path / "short", device="cpu")
    assert short.read(f"{name}b=1")[name].tolist() == ids(f"{name}b=1")
    assert short.read(f"{name}=1")[name].tolist() == ids("1")


def ids(text: str) -> list[list[int]]:
    """Of a batch of one."""
    return [[*encode(text).ids]]
