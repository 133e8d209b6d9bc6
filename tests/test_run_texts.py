"""Texts through small compiled models: what is read, what is answered, what is refused."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import perceiver_graph as pg
from perceiver_graph.media.io import Piece
from perceiver_graph.media.labels.model import LabelsParameters
from perceiver_graph.media.labels.writer import LabelsWriter
from perceiver_graph.media.span.model import SpanParameters
from perceiver_graph.media.span.writer import SpanWriter
from perceiver_graph.media.text.model import FillParameters
from perceiver_graph.media.text.tokens import decode, encode
from perceiver_graph.media.text.writer import FillWriter
from perceiver_graph.runtime import Program, load
from perceiver_graph.runtime.run import FileResult, run_files
from perceiver_graph.spec.loader import parse_spec
from tests.tiny import fault, faults
from tests.unfit_media import refusal, unchecked

SPEC = """
perceiver: 1
name: reader
dims: {length: {max: 64}}
inputs:
  text:
    shape: {length: length}
    steps: [{embedding: {vocabulary: 262, width: 16}}]
    position: {learned: {width: 16}, combine: add}
    attention_mask: true
    media: {text: {}}
latents: {count: 4, width: 16}
process: {layers: 1, heads: 2}
outputs:
  text:
    query: {grid: {length: length}, position: {learned: {width: 16}}}
    head: {tied_embedding: text}
    media: {text: {top: 3}}
  entities:
    query: {grid: {length: length}, position: {learned: {width: 16}}}
    head: {linear: 3}
    media: {labels: {names: [O, B-PER, I-PER]}}
"""
PAIRS = """
perceiver: 1
name: pairs
inputs:
  text:
    shape: {length: 48}
    steps: [{embedding: {vocabulary: 262, width: 16}}]
    position: {learned: {width: 16}, combine: add}
    attention_mask: true
    media: {text: {pair: true}}
latents: {count: 4, width: 16}
process: {layers: 1, heads: 2}
outputs:
  answer:
    query: {grid: {length: 48}, position: {learned: {width: 16}}}
    head: {linear: 2}
    media: {span: {}}
  entailment:
    query: {learned: {width: 16}}
    head: {linear: 3}
    media: {classes: {names: [yes, maybe, no]}}
  topics: {query: {learned: {}}, head: {linear: 4}, media: {classes: {multi_label: true, top: 2}}}
  similarity: {query: {learned: {}}, head: {linear: 1}, media: {scores: {}}}
  profile: {query: {learned: {}}, head: {linear: 2}, media: {scores: {names: [age, height]}}}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return compiled(SPEC, tmp_path_factory.mktemp("reader"))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return compiled(PAIRS, tmp_path_factory.mktemp("pairs"))


def compiled(spec: str, folder: Path) -> Program:
    pg.compile(parse_spec(spec)).save(folder / "artifact")
    return load(folder / "artifact", device="cpu")


def ran(program: Program, folder: Path, *values: str) -> tuple[FileResult, dict[str, Any]]:
    """The only result, and its summary."""
    (found,) = run_files(program, values, folder)
    return found, summary(found)


def summary(result: FileResult) -> dict[str, Any]:
    (path,) = (path for path in result.files if path.suffix == ".json")
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_an_empty_text_is_told(program: Program, ending: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(ending, newline="")
    for value in ("", str(tmp_path / "a.txt")):
        found, data = ran(program, tmp_path / "out", value)
        note = "the text for `text` is empty: nothing is read of it but [CLS] and [SEP]"
        assert found.notes[0] == data["notes"][0] == note
    assert ran(program, tmp_path / "out", " ")[0].notes == ()


def test_masks_that_nobody_counts_are_too_many(program: Program, tmp_path: Path) -> None:
    for count, times in (
        ("70", "70"),
        ("9" * 9, "999,999,999"),
        ("9" * 400, "a billion times and"),
    ):
        found = fault(lambda count=count: ran(program, tmp_path, f"a [MASK*{count}]"))  # type: ignore[misc]
        assert found.code == "PG514"
        assert f"is too long: {times} " in found.message
        assert " [MASK] alone, and `text` takes " in found.message
        assert len(found.message) < 200


def test_masked_bytes_are_filled_in(program: Program, tmp_path: Path) -> None:
    found, data = ran(program, tmp_path / "out", "a[MASK*2]é b[MASK]")
    assert found.files == (tmp_path / "out" / "text.json",)
    assert data["source"] == ["a[MASK][MASK]é b[MASK]"]
    encoded = encode("a[MASK][MASK]é b[MASK]")
    scores = program.run({"text": np.array([encoded.ids])})["text"][0].astype(float)
    ids = list(encoded.ids)
    for position in (2, 3, 8):
        ids[position] = 6 + int(scores[position, 6:].argmax())
    said = data["outputs"]["text"]
    assert said["text"] == decode(ids[1:-1]) == found.answers["text"].line
    assert [one["position"] for one in said["masked"]] == [2, 3, 8]
    wanted = np.exp(scores[2]) / np.exp(scores[2]).sum()
    best = said["masked"][0]["candidates"]
    assert [one["id"] for one in best] == np.argsort(-wanted, kind="stable")[:3].tolist()
    assert best[0]["probability"] == pytest.approx(wanted.max())


def test_texts_come_from_files_and_standard_input(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "note.txt"
    path.write_bytes(b"two\nlines [MASK]\r\n")
    found, data = ran(program, tmp_path / "out", str(path))
    assert (found.source, data["source"]) == (str(path), [str(path)])
    assert found.files == (tmp_path / "out" / "note.json",)
    assert data["outputs"]["text"]["text"].startswith("two\nlines ")
    assert len(data["outputs"]["text"]["masked"]) == 1
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"and/or[MASK]\n")))
    _, data = ran(program, tmp_path / "out", "-")
    assert data["source"] == ["and/or[MASK]"]
    named = ran(program, tmp_path / "out", f"text={path}")[1]
    assert named["source"] == [str(path)]


def test_each_text_is_a_result_of_its_own(program: Program, tmp_path: Path) -> None:
    found = run_files(program, ["one", "x = 2, y = 3", "build"], tmp_path / "out")
    assert [path.name for one in found for path in one.files] == [
        "text.json",
        "text-2.json",
        "text-3.json",
    ]
    assert [summary(one)["source"] for one in found] == [["one"], ["x = 2, y = 3"], ["build"]]


def test_a_picture_is_no_text(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF")
    found = fault(lambda: run_files(program, [str(path)], tmp_path / "out"))
    assert (found.code, "is a picture, and no text" in found.message) == ("PG507", True)
    assert "iconv" not in str(found.help)


@pytest.mark.parametrize(
    "typo", ["notes.txt", "my notes.txt", "./notes", "docs/notes", "/no/such file", "a.md"]
)
def test_what_looks_like_a_path_is_no_text(program: Program, tmp_path: Path, typo: str) -> None:
    found = fault(lambda: run_files(program, [typo], tmp_path / "out"))
    assert (found.code, "looks like a file" in found.message) == ("PG512", True)
    assert "save it to a file, and name that" in str(found.help)
    assert not (tmp_path / "out").exists()


def test_a_folder_is_no_text(program: Program, tmp_path: Path) -> None:
    found = fault(lambda: run_files(program, [tmp_path], tmp_path / "out"))
    assert (found.code, "is a folder" in found.message) == ("PG512", True)


@pytest.mark.parametrize("text", ["Hello.", "and/or is fine", "3.14", "etc. and so on", "."])
def test_what_looks_like_a_text_is_one(program: Program, tmp_path: Path, text: str) -> None:
    assert ran(program, tmp_path / "out", text)[1]["source"] == [text]


def test_bad_texts_are_all_named(program: Program, pairs: Program, tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes("é".encode("latin-1"))
    bad = ["x" * 63, str(tmp_path / "latin.txt"), "none.txt"]
    found = faults(lambda: run_files(program, bad, tmp_path / "out"))
    assert [one.code for one in found] == ["PG514", "PG507", "PG512"]
    assert "65 ids, and `text` takes 1 to 64" in found[0].message
    assert ran(program, tmp_path / "out", "x" * 62)[0].pieces == 1
    found = faults(lambda: run_files(pairs, ["a", "b", "c"], tmp_path / "out"))
    assert (found[0].code, "3 texts" in found[0].message) == ("PG512", True)
    named = ["text=a", "text=b", "text=c", "text=d"]
    assert "2 times" in fault(lambda: run_files(pairs, named, tmp_path / "out")).message


def test_two_texts_are_a_pair(pairs: Program, tmp_path: Path) -> None:
    found, data = ran(pairs, tmp_path / "out", "who?", "it was Bob")
    assert data["source"] == ["who?", "it was Bob"]
    ids = np.zeros((1, 48), np.int64)
    encoded = encode("who?", "it was Bob")
    ids[0, : len(encoded.ids)] = encoded.ids
    mask = np.arange(48)[None] < len(encoded.ids)
    wanted = pairs.run({"text": ids, "text.attention_mask": mask})
    said = data["outputs"]
    assert said["similarity"] == pytest.approx(float(wanted["similarity"].item()), rel=1e-5)
    assert said["profile"] == pytest.approx(
        dict(zip(["age", "height"], wanted["profile"][0].tolist(), strict=True)), rel=1e-5
    )
    best = int(wanted["entailment"][0].argmax())
    assert said["entailment"][0]["name"] == ["yes", "maybe", "no"][best]
    each = 1 / (1 + np.exp(-wanted["topics"][0].astype(float)))
    assert said["topics"][0]["probability"] == pytest.approx(each.max(), rel=1e-5)
    assert len(said["topics"]) == 2
    for one in said["answer"]:
        assert one["text"] == "it was Bob"[one["start"] : one["stop"]]
    assert "profile: age " in "\n".join(f"{n}: {a.line}" for n, a in found.answers.items())
    single = ran(pairs, tmp_path / "out", "it was Bob")[1]
    assert single["outputs"]["similarity"] != said["similarity"]
    two = run_files(pairs, ["who?", "it was Bob", "a", "b"], tmp_path / "out")
    assert [summary(one)["source"][0] for one in two] == ["who?", "a"]


# Writers by themselves, on scores made by hand ---------------------------------------------------


def piece(*texts: str) -> Piece:
    return Piece({}, (encode(*texts),))


def scores(classes: list[int], count: int) -> NDArray[np.float32]:
    return np.eye(count, dtype=np.float32)[classes][None] * 9


def labelled(text: str, classes: list[int], names: list[str] | None) -> list[tuple[str, str]]:
    writer = LabelsWriter("y", LabelsParameters(names=names))
    count = max(len(names or ()), max(classes) + 1)
    assert writer.add(piece(text), {"y": scores([0, *classes, 0], count)}) == {}
    found = writer.finish({})["y"].data
    assert all(one["text"] == text[one["start"] : one["stop"]] for one in found)
    return [(one["text"], one["label"]) for one in found]


TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


@pytest.mark.parametrize(
    ("text", "classes", "names", "wanted"),
    [
        ("Ann in Ulm", [1, 2, 2, 0, 0, 0, 0, 3, 4, 4], TAGS, [("Ann", "PER"), ("Ulm", "LOC")]),
        ("AnnBob", [1, 2, 2, 1, 2, 2], TAGS, [("Ann", "PER"), ("Bob", "PER")]),
        ("AB", [1, 1], TAGS, [("A", "PER"), ("B", "PER")]),  # each begins one
        ("aab", [1, 1, 2], TAGS, [("a", "PER"), ("ab", "PER")]),
        ("éa", [1, 1, 2], TAGS, [("éa", "PER")]),  # of a letter of two bytes, the first one says
        ("né", [0, 1, 3], TAGS, [("é", "PER")]),
        ("[MASK]a", [1, 1], TAGS, [("[MASK]", "PER"), ("a", "PER")]),
        ("Ann", [2, 4, 4], TAGS, [("A", "PER"), ("nn", "LOC")]),
        ("né", [0, 3, 0], TAGS, [("é", "LOC")]),
        ("abc", [0, 2, 2], None, [("bc", "class 2")]),
        ("abc", [0, 1, 0], ["X", "O"], [("a", "X"), ("c", "X")]),
        ("abc", [0, 0, 0], TAGS, []),
    ],
)
def test_labels_mark_stretches(
    text: str, classes: list[int], names: list[str] | None, wanted: list[tuple[str, str]]
) -> None:
    assert labelled(text, classes, names) == wanted


def test_labels_are_listed_for_people() -> None:
    writer = LabelsWriter("y", LabelsParameters())
    writer.add(piece("a" * 20), {"y": scores([0, *[1, 2] * 10, 0], 3)})
    assert str(writer.finish({})["y"].line).endswith("'a' class 2, 12 more")
    writer = LabelsWriter("y", LabelsParameters())
    writer.add(piece("a"), {"y": scores([1, 0, 1], 2)})
    assert writer.finish({})["y"].line == "nothing is labelled"


def test_answers_are_the_best_starts_and_ends_in_the_context() -> None:
    values = np.zeros((1, 20, 2), np.float32)
    values[0, 1, 0], values[0, 2, 1] = 99, 99  # the question is no answer
    values[0, 9, 0], values[0, 11, 1] = 9, 8
    values[0, 8, 1] = 20  # an end before every likely start
    writer = SpanWriter("y", SpanParameters(top=2))
    writer.add(piece("who?", "it was Bob"), {"y": values})
    best, second = writer.finish({})["y"].data
    context = "it was Bob"
    starts, ends = (np.exp(values[0, 6:16, i] - values[0, 6:16, i].max()) for i in (0, 1))
    joint = np.triu(np.outer(starts / starts.sum(), ends / ends.sum()))
    first, last = np.unravel_index(joint.argmax(), joint.shape)
    assert (best["start"], best["stop"]) == (first, last + 1)
    assert best["text"] == context[first : last + 1]
    assert best["probability"] == pytest.approx(joint.max())
    assert best["probability"] >= second["probability"]


def test_answers_are_no_longer_than_allowed() -> None:
    values = np.zeros((1, 12, 2), np.float32)
    values[0, 1, 0], values[0, 10, 1] = 9, 9
    for longest in (1, 4, 10):
        writer = SpanWriter("y", SpanParameters(longest=longest, top=50))
        writer.add(piece("0123456789"), {"y": values})
        lengths = [len(one["text"]) for one in writer.finish({})["y"].data]
        assert max(lengths) == longest
    empty = SpanWriter("y", SpanParameters())
    empty.add(piece("who?", ""), {"y": values})
    assert empty.finish({})["y"].line == "there is nothing to find"


def test_a_text_without_masks_is_read_back() -> None:
    writer = FillWriter("y", FillParameters(top=2))
    answer = [6 + ord(letter) for letter in "[Hello]"]
    values = np.eye(262, dtype=np.float32)[answer][None]
    writer.add(piece("jello"), {"y": values})
    assert writer.finish({})["y"].data == {"text": "Hello", "masked": []}
    values[0, 3, 4] = 9  # [CLS] is more probable, and no letter
    writer.add(piece("jel[MASK]o"), {"y": values})
    said = writer.finish({})["y"].data
    assert said["text"].startswith("jel")
    assert len(said["masked"][0]["candidates"]) == 2
    writer.add(Piece({}), {"y": values})  # a text out of something else
    assert writer.finish({})["y"].line == "[Helo]"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda s: s.replace("vocabulary: 262", "vocabulary: 200"), "takes 200 ids"),
        (lambda s: s.replace("head: {tied_embedding: text}", "head: {linear: 9}"), "9 channels"),
        (lambda s: s.replace("{labels: {names: [O, B-PER, I-PER]}}", "{span: {}}"), "3 channels"),
        (
            lambda s: s.replace(
                "{grid: {length: length}, position: {learned: {width: 16}}}\n    head: {linear: 3}",
                "{learned: {}}\n    head: {linear: 3}",
            ),
            "needs 2 axes",
        ),
    ],
)
def test_media_that_do_not_fit_the_model(
    tmp_path: Path, change: Callable[[str], str], text: str
) -> None:
    refused = refusal(change(SPEC))
    assert (refused.code, text in refused.message) == ("PG215", True)
    program = unchecked(change(SPEC), tmp_path / "artifact")
    found = fault(lambda: run_files(program, ["fine"], tmp_path / "out"))
    assert (found.code, found.message) == ("PG403", refused.message)


@pytest.mark.parametrize("media", ["labels: {}", "span: {}", "text: {}", "classes: {}"])
def test_outputs_about_tokens_need_as_many(tmp_path: Path, media: str) -> None:
    channels = {"labels: {}": 3, "span: {}": 2, "text: {}": 262, "classes: {}": 3}[media]
    query = "{grid: {length: 7}, position: {learned: {width: 16}}}"
    output = f"  more: {{query: {query}, head: {{linear: {channels}}}, media: {{{media}}}}}\n"
    refused = refusal(SPEC + output)
    assert (refused.code, "`more`" in refused.message) == ("PG215", True)
    program = unchecked(SPEC + output, tmp_path / "artifact")
    found = fault(lambda: run_files(program, ["fine"], tmp_path / "out"))
    assert (found.code, found.message) == ("PG403", refused.message)


def test_padding_without_a_mask_is_told(tmp_path: Path) -> None:
    spec = PAIRS.replace("    attention_mask: true\n", "")
    found, data = ran(compiled(spec, tmp_path), tmp_path / "out", "a", "b")
    assert found.notes == ("43 [PAD] were added, and the model cannot tell them apart",)
    assert data["notes"] == list(found.notes)
