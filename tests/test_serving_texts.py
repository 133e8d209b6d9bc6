"""Texts in requests: the ids that `run` makes of them, whatever they say, however they come."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import perceiver_graph as pg
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.runtime import Program, load
from perceiver_graph.serving.calls import Answer, Call
from perceiver_graph.serving.queue import Queue, Room
from perceiver_graph.serving.states import States, in_two
from perceiver_graph.serving.tensors import Tensor
from perceiver_graph.serving.texts import readers_of, with_ids
from tests.batch_support import compiled
from tests.small import SMALL
from tests.tiny import fault


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Program:
    folder = tmp_path_factory.mktemp("compiled") / "reader"
    return load(compiled(folder), device="cpu", threads=1)


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Program:
    folder = tmp_path_factory.mktemp("compiled") / "masked"
    pg.compile("text_classification", overrides=list(SMALL["text_classification"])).save(folder)
    return load(folder, device="cpu", threads=1)


def behind(texts: Sequence[str]) -> bytes:
    """Texts as bytes, as clients send them."""
    each = (text.encode() for text in texts)
    return b"".join(struct.pack("<I", len(one)) + one for one in each)


def call_of(*texts: str, shape: list[int] | None = None) -> Call:
    sizes = shape or [len(texts)]
    return Call({"text": Tensor("text", "BYTES", sizes, [*texts]).array()})


def read(program: Program, call: Call) -> Call:
    return with_ids(readers_of(program.manifest), call)


def answered(program: Program, call: Call, batch: int = 1) -> Answer:
    with ThreadPoolExecutor(1) as pool:
        queue = Queue(program, Room(pool, 9, 60.0), batch, 0.01)
        return asyncio.run(queue.answer(call))


@pytest.mark.parametrize("batch", [1, 4])
def test_a_text_is_answered_as_run_answers_it(reader: Program, batch: int) -> None:
    wanted = reader.run(reader.read("Where is it?"))["label"]
    found = answered(reader, call_of("Where is it?"), batch)
    np.testing.assert_array_equal(found.arrays["label"], wanted)


@given(st.lists(st.text(), min_size=1, max_size=5), st.booleans(), st.booleans())
def test_texts_come_as_they_were_sent(texts: list[str], raw: bool, nested: bool) -> None:
    kept = [text.encode("utf-8", "replace").decode() for text in texts]
    shape = [len(kept), 1] if nested else [len(kept)]
    rows: list[Any] = [[text] for text in kept] if nested else kept
    found = Tensor("a", "BYTES", shape, memoryview(behind(kept)) if raw else rows).array()
    assert found.ravel().tolist() == kept
    assert found.shape == tuple(shape)
    more = memoryview(behind(kept) + b"x") if raw else [*rows, "x"]
    assert fault(lambda: Tensor("a", "BYTES", shape, more).array()).code == "PG531"


def test_a_batch_is_padded_to_its_longest_and_masked(masked: Program) -> None:
    """Each of a batch is answered as it is alone."""
    texts = ("a", "a longer text", "")
    call = read(masked, call_of(*texts))
    assert call.arrays["text"].shape == (3, len("a longer text") + 2)
    assert call.arrays["text.attention_mask"].sum(axis=1).tolist() == [3, 15, 2]
    found = answered(masked, call_of(*texts)).arrays["label"]
    for row, text in zip(found, texts, strict=True):
        alone = answered(masked, call_of(text)).arrays["label"][0]
        np.testing.assert_allclose(row, alone, rtol=1e-4, atol=1e-6)


def test_what_the_model_cannot_tell_is_noted(reader: Program) -> None:
    found = answered(reader, call_of("a", "abc"))
    assert found.notes == ("2 [PAD] were added, and the model cannot tell them apart",)


def test_a_text_is_never_the_name_of_a_file(reader: Program, tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_text("what nobody is to see", encoding="utf-8")
    name = str(path)[-20:]  # as the model takes so many
    for text in (name, "/etc/hostname", "-", "a.txt"):
        ids = read(reader, call_of(text)).arrays["text"][0].tolist()
        assert ids == [4, *(byte + 6 for byte in text.encode()), 5]


@pytest.mark.parametrize(
    ("texts", "shape", "code"),
    [
        (["a text that is much too long for this model"], [1], "PG514"),
        (["[MASK*999999999999]"], [1], "PG514"),
        (["a", "b"], [1, 2], "PG512"),
        (["a", "b"], [1, 1, 2], "PG531"),
        (["a" * 2**20] * 17, [17], "PG531"),
    ],
)
def test_what_does_not_fit_is_told(
    texts: list[str], shape: list[int], code: str, reader: Program
) -> None:
    assert fault(lambda: read(reader, call_of(*texts, shape=shape))).code == code


@pytest.mark.parametrize(
    ("shape", "data"),
    [
        ([1], [3]),
        ([1], ["\ud800"]),
        ([1], [["a", ["b"]]]),
        ([2], ["a"]),
        ([0], []),
        ([5000], ["a"] * 5000),
        ([1], None),
        ([1], b"\x01\0\0\0\xff"),
        ([1], b"\xff\xff\xff\xffa"),
        ([1], b"\0\0"),
    ],
)
def test_data_that_are_no_texts(shape: list[int], data: Any) -> None:
    assert fault(lambda: Tensor("a", "BYTES", shape, data).array()).code == "PG531"


def test_inputs_that_read_no_texts_refuse_them(tmp_path: Path) -> None:
    pg.compile("kinetics", overrides=list(SMALL["kinetics"])).save(tmp_path)
    program = load(tmp_path, device="cpu", threads=1)
    call = Call({"audio": Tensor("audio", "BYTES", [1], ["a"]).array()})
    assert fault(lambda: read(program, call)).code == "PG531"
    with ThreadPoolExecutor(1) as pool:
        two = in_two("clips", program, Room(pool, 9, 60.0), States(2, 60.0))
        for name in ("clips.encode", "clips.decode"):
            with pytest.raises(DiagnosticError, match="PG531"):
                asyncio.run(cast(Coroutine[Any, Any, Answer], two[name].answer(call)))
