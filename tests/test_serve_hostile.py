"""Requests of those who mean harm: a clear answer, and the server goes on."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.serving import wire
from tests.batch_support import compiled
from tests.serve_support import Server, serving, text_of
from tests.tiny import fault

pytestmark = pytest.mark.cluster
INFER = "/v2/models/reader/infer"
LENGTH = "Inference-Header-Content-Length"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = compiled(tmp_path_factory.mktemp("compiled") / "reader")
    with serving(folder, "--max-request-bytes", "1MB", "--batch", 4) as found:
        yield found
        assert found.infer("reader", text_of(1, 3))[0] == 200
        assert found.end() == (0, "")


def changed(**what: Any) -> str:
    return json.dumps({"inputs": [text_of(1, 3) | what]})


BODIES: dict[str, str | bytes] = {
    "no JSON": "{",
    "nothing": "",
    "a list": "[]",
    "no inputs": "{}",
    "inputs that are none": '{"inputs": 3}',
    "an input that is none": '{"inputs": [3]}',
    "deep": '{"inputs": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "deep data": changed(data=None).replace("null", "[" * 900 + "]" * 900),
    "numbers without end": changed(data=None).replace("null", "1" * 100_000),
    "not UTF-8": b'{"inputs": "\xff"}',
    "a type that is none": changed(datatype="INT65"),
    "a type that is no text": changed(datatype=[1]),
    "bytes": changed(datatype="BYTES", data=["a", "b", "c"]),
    "another type than the data": changed(data=[[1.5, 2.5, 3.5]]),
    "texts": changed(data=[["1", "2", "3"]]),
    "objects": changed(data=[[{}, {}, {}]]),
    "rows of other lengths": changed(data=[[1], [2, 3]]),
    "too few": changed(data=[[1]]),
    "too large a number": changed(data=[[1, 2, 2**64]]),
    "beyond the type": changed(datatype="INT8", data=[[1, 2, 300]]),
    "below zero": changed(datatype="UINT8", data=[[1, 2, -1]]),
    "a huge shape": changed(shape=[2**31, 2**31]),
    "a shape that overflows": changed(shape=[2**32, 2**32, 3]),
    "a negative shape": changed(shape=[-1, 3]),
    "a shape that is none": changed(shape="3"),
    "a shape of halves": changed(shape=[1.5, 2]),
    "axes without end": changed(shape=[1] * 1000),
    "no data": changed(data=None),
    "no name": changed(name=None),
    "another name": changed(name="../../etc/passwd"),
    "twice": json.dumps({"inputs": [text_of(1, 3), text_of(1, 3)]}),
    "an empty batch": changed(shape=[0, 3], data=[]),
    "an output that is none": json.dumps({"inputs": [text_of(1, 3)], "outputs": [{"name": "x"}]}),
    "queries that are none": json.dumps(
        {"inputs": [text_of(1, 3)], "outputs": [{"name": "label", "parameters": {"queries": "a"}}]}
    ),
    "a size that is none": json.dumps(
        {"inputs": [text_of(1, 3)], "parameters": {"size.n": 10**12, "size.m": [1]}}
    ),
    "parameters that are none": json.dumps({"inputs": [text_of(1, 3)], "parameters": [1]}),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_is_answered_with_400(name: str, server: Server) -> None:
    status, found = server.ask(INFER, BODIES[name])
    assert status == 400, found
    assert found["error"].startswith("error[PG5")
    assert len(found["error"]) < 2000
    assert "Traceback" not in found["error"]


@pytest.mark.parametrize(
    ("body", "message", "help"),
    [
        ('{"inputs": [NaN]}', "no JSON", "JSON has no NaN and no Infinity"),
        ('{"inputs": [{"x": "NaN"},]}', "no JSON", wire.HEADER),
        ("{}", "no `inputs`", '"parameters": {"state": ...}'),
        (
            '{"inputs": [], "outputs": [{"name": "y", "parameters": {"queries": "abc"}}]}',
            "the `queries` of output `y` are `abc`",
            '"queries": "0:1000"',
        ),
    ],
)
def test_what_is_wrong_with_a_body_is_told_in_its_own_words(
    body: str, message: str, help: str
) -> None:
    found = fault(lambda: wire.read(body.encode(), None))
    assert found.code == "PG531"
    assert message in found.message
    assert help in (found.help or "")
    asked = wire.read(b'{"parameters": {"state": "handle"}}', None)
    assert (asked.call.state, asked.call.arrays) == ("handle", {})


@pytest.mark.parametrize(
    ("size", "length", "rest"),
    [
        (24, "all", 23),
        (24, "all", 25),
        (0, "all", 24),
        (-8, "all", 24),
        (2**62, "all", 24),
        (24, "-5", 24),
        (24, "9" * 30, 24),
        (24, "1e3", 24),
        (24, "100000", 24),
        (24, "10", 24),
        (None, "all", 24),
    ],
)
def test_bytes_that_are_not_as_many_as_said(
    size: int | None, length: str, rest: int, server: Server
) -> None:
    one = text_of(1, 3, parameters={"binary_data_size": size})
    del one["data"]
    text = json.dumps({"inputs": [one]}).encode()
    header = {LENGTH: str(len(text)) if length == "all" else length}
    status, found = server.ask(INFER, text + bytes(rest), header)
    assert (status, "PG531" in found["error"]) == (400, True)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v2/models/../../etc/passwd", 404),
        ("/v2/models/..%2f..%2fetc%2fpasswd/infer", 404),
        ("/v2/models/%00/infer", 404),
        ("/v2/models/" + "a" * 5000 + "/infer", 404),
        ("/v2/models/%3Cscript%3E/infer", 404),
        ("/v2/repository/models/reader/unload", 404),
        ("/v2/repository/models/reader/load", 404),
        ("/v1/models/reader:predict", 404),
        ("/v2/health/live", 405),
    ],
)
def test_a_path_that_leads_nowhere(path: str, status: int, server: Server) -> None:
    found, told = server.ask(path, changed())
    assert (found, set(told)) == (status, {"error"})
    assert len(told["error"]) < 500


def test_what_is_compressed_or_too_large_is_not_read(server: Server) -> None:
    status, told = server.ask(INFER, changed(), {"Content-Encoding": "gzip"})
    assert (status, "compressed" in told["error"]) == (415, True)
    status, told = server.ask(INFER, b" " * 2_000_000)
    assert (status, "PG533" in told["error"]) == (413, True)


def test_messages_of_grpc(server: Server) -> None:
    """Made by hand, since a client makes no wrong ones."""
    grpc: Any = importlib.import_module("grpc")
    messages: Any = importlib.import_module("tritonclient.grpc.service_pb2")
    stubs: Any = importlib.import_module("tritonclient.grpc.service_pb2_grpc")
    with grpc.insecure_channel(server.grpc) as channel:
        stub = stubs.GRPCInferenceServiceStub(channel)

        def told(
            shape: list[int], raw: list[bytes], datatype: str = "INT64", name: str = "text"
        ) -> str:
            request = messages.ModelInferRequest(model_name="reader", raw_input_contents=raw)
            request.inputs.add(name=name, datatype=datatype, shape=shape)
            with pytest.raises(grpc.RpcError) as error:
                stub.ModelInfer(request, timeout=30)
            return str(error.value.code().name)

        wrong = "INVALID_ARGUMENT"
        assert told([1, 3], [bytes(23)]) == wrong
        assert told([-1, -3], [bytes(24)]) == wrong
        assert told([2**62, 2**62], [bytes(8)]) == wrong
        assert told([1, 3], [bytes(24)] * 2) == wrong
        assert told([1, 3], []) == wrong
        assert told([1, 3], [bytes(24)], "INT65") == wrong
        assert told([1, 3], [bytes(24)], name="x" * 100_000) == wrong
        assert told([1, 200_000], [bytes(1_600_000)]) == "RESOURCE_EXHAUSTED"
        with pytest.raises(grpc.RpcError) as error:
            stub.RepositoryModelUnload(messages.RepositoryModelUnloadRequest(model_name="reader"))
        assert error.value.code().name == "UNIMPLEMENTED"


KEYS = st.sampled_from(
    [
        "inputs",
        "outputs",
        "name",
        "shape",
        "datatype",
        "data",
        "parameters",
        "binary_data_size",
        "id",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | KEYS, inner),
    max_leaves=20,
)


@given(
    st.binary()
    | JSON.map(lambda data: json.dumps(data).encode())
    | st.dictionaries(KEYS, JSON).map(lambda data: json.dumps({"inputs": [data]}).encode()),
    st.none() | st.text() | st.integers().map(str),
    st.binary(max_size=30),
)
def test_any_bytes_are_a_request_or_a_diagnostic(
    body: bytes, length: str | None, rest: bytes
) -> None:
    try:
        found = wire.read(body + rest, length)
    except DiagnosticError:
        return
    assert isinstance(found, wire.Asked)
