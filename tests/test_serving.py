"""What a server does with calls, without a server: arrays of requests, limits, and calls put together."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

import perceiver_graph as pg
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.runtime import Program, load
from perceiver_graph.serving.calls import Answer, Call, RefusalError, status_of, text_of
from perceiver_graph.serving.queue import Queue, Room
from perceiver_graph.serving.tensors import TYPES, Tensor, gives, takes
from perceiver_graph.serving.together import largest
from perceiver_graph.serving.watch import Watch
from perceiver_graph.spec.manifest import Quantization
from tests.batch_support import compiled
from tests.small import SMALL
from tests.tiny import fault


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Program:
    folder = tmp_path_factory.mktemp("compiled") / "reader"
    return load(compiled(folder), device="cpu", threads=1)


@contextmanager
def room_for(limit: int = 99, seconds: float = 60.0, threads: int = 1) -> Iterator[Room]:
    with ThreadPoolExecutor(threads) as pool:
        yield Room(pool, limit, seconds)


def text(batch: int, length: int) -> Call:
    ids = np.arange(batch * length).reshape(batch, length) * 7 % 262
    return Call({"text": ids})


def counted(program: Program, monkeypatch: pytest.MonkeyPatch, seconds: float = 0.0) -> list[int]:
    """The number of batch elements of each run of a program, as it is run."""
    found: list[int] = []
    run = Program.run

    def one(self: Program, inputs: Any, *words: Any, **more: Any) -> Any:
        found.append(len(inputs["text"]))
        time.sleep(seconds)
        return run(self, inputs, *words, **more)

    monkeypatch.setattr(Program, "run", one)
    return found


@given(st.sampled_from(sorted(TYPES)), st.data(), st.booleans())
def test_arrays_come_as_they_were_sent(datatype: str, data: st.DataObject, raw: bool) -> None:
    shape = arrays_of.array_shapes(min_dims=0, min_side=0, max_dims=3)
    finite = {"allow_nan": False, "allow_infinity": False} if "FP" in datatype else None
    sent = data.draw(arrays_of.arrays(np.dtype(TYPES[datatype]), shape, elements=finite))
    values = memoryview(b"x" + sent.tobytes())[1:] if raw else np.atleast_1d(sent).tolist()
    found = Tensor("a", datatype, list(sent.shape), values).array()
    assert found.flags.aligned
    assert found.dtype == sent.dtype
    np.testing.assert_array_equal(found, sent)
    more = memoryview(bytes(values) + b"0") if raw else [*np.ravel(sent).tolist(), 0]
    with pytest.raises(DiagnosticError, match="PG531"):
        Tensor("a", datatype, list(sent.shape), more).array()


@pytest.mark.parametrize("nested", [(2, 3, 4), (24,), (2, 12), (6, 4), (1, 2, 3, 4), (2, 3, 4, 1)])
def test_lists_may_hold_several_axes(nested: tuple[int, ...]) -> None:
    values = np.arange(24)
    data = values.reshape(nested).tolist()
    found = Tensor("x", "FP32", [2, 3, 4], data).array()
    np.testing.assert_array_equal(found, values.reshape(2, 3, 4))


@pytest.mark.parametrize("nested", [(2, 4, 3), (4, 3, 2), (3, 8), (4, 6), (3, 2, 4)])
def test_lists_of_another_shape_are_no_array_of_it(nested: tuple[int, ...]) -> None:
    found = fault(Tensor("x", "FP32", [2, 3, 4], np.zeros(nested).tolist()).array)
    assert found.code == "PG531"
    assert f"lists of {list(nested)}, and its shape is [2, 3, 4]" in found.message


def test_what_a_model_takes_and_gives(tmp_path: Path) -> None:
    pg.compile("text_classification", overrides=list(SMALL["text_classification"])).save(tmp_path)
    manifest = load(tmp_path, device="cpu").manifest
    assert takes(manifest) == [
        {"name": "text", "datatype": "INT64", "shape": [-1, -1]},
        {"name": "text.attention_mask", "datatype": "BOOL", "shape": [-1, -1]},
    ]
    assert gives(manifest) == [{"name": "label", "datatype": "FP32", "shape": [-1, 2]}]


async def all_of(queue: Queue, calls: list[Call]) -> list[Any]:
    return await asyncio.gather(*map(queue.answer, calls), return_exceptions=True)


def test_calls_that_are_alike_go_together(reader: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = [text(1, 5), text(2, 5), text(1, 6), text(1, 5), text(9, 5), text(3, 6)]
    wanted = [reader.run(call.arrays)["label"] for call in calls]
    runs = counted(reader, monkeypatch)
    with room_for() as room:
        found = asyncio.run(all_of(Queue(reader, room, 8, 0.2), calls))
    for one, labels in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one.arrays["label"], labels, atol=1e-6)
    assert sorted(runs) == [4, 4, 9]


def test_what_waits_and_what_goes_is_told(reader: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    counted(reader, monkeypatch, seconds=0.1)
    waiting, most = 0, 0
    sizes: list[int] = []

    class Told(Watch):
        def waits(self, change: int) -> None:
            nonlocal waiting, most
            waiting += change
            most = max(most, waiting)

        def goes(self, elements: int) -> None:
            sizes.append(elements)

    calls = [text(1, 5), text(2, 5), text(1, 6), text(9, 5)]
    with room_for() as room:
        found = asyncio.run(all_of(Queue(reader, room, 8, 0.2, Told()), calls))
        assert all(isinstance(one, Answer) for one in found)
        assert (sorted(sizes), waiting) == ([1, 3, 9], 0)
        assert most >= 3
        asyncio.run(all_of(Queue(reader, room, 1, 0.0, Told()), [text(2, 5)] * 3))
    assert (sizes[-3:], waiting) == ([2, 2, 2], 0)


def test_a_batch_that_is_whole_does_not_wait(
    reader: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = counted(reader, monkeypatch)
    with room_for() as room:
        found = asyncio.run(all_of(Queue(reader, room, 4, 50.0), [text(1, 5)] * 8))
    assert all(isinstance(one, Answer) for one in found)
    assert runs == [4, 4]


def test_a_wrong_call_fails_alone(reader: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = counted(reader, monkeypatch)
    wrong = Call({"text": np.array([[1, 2, 3, 4, 300]])})
    unasked = Call(text(1, 5).arrays, {"nothing": None})
    with room_for() as room:
        queue = Queue(reader, room, 8, 0.2)
        found = asyncio.run(all_of(queue, [text(1, 5), wrong, text(1, 5), unasked]))
    assert [getattr(one, "diagnostics", [None])[0] is None for one in found] == [
        True,
        False,
        True,
        False,
    ]
    codes = [one.diagnostics[0].code for one in found if isinstance(one, DiagnosticError)]
    assert codes == ["PG514", "PG506"]
    assert 2 in runs


def test_int8_is_not_put_together_where_a_batch_has_one_scale(reader: Program) -> None:
    """What others send would show in it. Artifacts that do not say what has a scale are such."""
    rounded = {"products": 1, "int8": 1, "kept": {}, "input": "random input", "error": {}}
    older = Quantization.model_validate(rounded)
    for found, together in (
        (None, 8),
        (older, 1),
        (older.model_copy(update={"scales": "token"}), 8),
    ):
        manifest = reader.manifest.model_copy(update={"quantization": found})
        assert largest(manifest, 8) == together


def test_too_many_and_too_long_are_refused(
    reader: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a thread has begun counts until it is done, whoever waits for it."""
    counted(reader, monkeypatch, seconds=0.5)

    async def ask(queue: Queue) -> list[Any]:
        found = await all_of(queue, [text(1, 5)] * 4)
        assert room.inside == 2
        await asyncio.sleep(1.2)
        assert room.inside == 0
        return found

    with room_for(2, 0.1) as room:
        found = asyncio.run(ask(Queue(reader, room)))
    assert sorted(one.status for one in found) == [503, 503, 504, 504]
    assert all(isinstance(one, RefusalError) and "PG533" in text_of(one) for one in found)


def test_threads_share_a_program(reader: Program) -> None:
    calls = [text(1, 1 + n % 8) for n in range(64)]
    wanted = [reader.run(call.arrays)["label"] for call in calls]
    with room_for(threads=4) as room:
        found = asyncio.run(all_of(Queue(reader, room), calls))
        assert threading.active_count() > 4
    for one, labels in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one.arrays["label"], labels)


@pytest.mark.parametrize(
    ("codes", "status"), [(["PG503", "PG501"], 400), (["PG603"], 413), (["PG413"], 500)]
)
def test_whose_fault_it_is(codes: list[str], status: int) -> None:
    made = [DiagnosticError.of(code, "what").diagnostics[0] for code in codes]
    assert status_of(DiagnosticError(made)) == status


def test_a_port_that_is_taken_is_told() -> None:
    from perceiver_graph.serving.server import _listening

    with _listening("127.0.0.1", 0) as first:
        first.listen()
        told = fault(lambda: _listening("127.0.0.1", first.getsockname()[1]))
    assert (told.code, "in use" in told.message) == ("PG530", True)
    assert fault(lambda: _listening("no such host", 0)).code == "PG530"
