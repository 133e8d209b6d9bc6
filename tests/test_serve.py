"""`serve`, asked by Triton's client and by curl: `make test-cluster`."""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import perceiver_graph as pg
from perceiver_graph.runtime import Program, load
from perceiver_graph.runtime.random_inputs import random_inputs
from perceiver_graph.spec.loader import load_spec
from perceiver_graph.spec.render import render_yaml, resolved_data
from tests.batch_support import compiled
from tests.serve_support import ROOT, Server, serving, text_of, until
from tests.small import SMALL
from tests.test_docs import blocks

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("compiled")
    compiled(found / "reader")
    pg.compile("kinetics", overrides=list(SMALL["kinetics"])).save(found / "clips")
    return found


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    models = [folder / "reader", f"clips={folder / 'clips'}"]
    with serving(*models, "--batch", 8, "--states", 2) as found:
        yield found


@pytest.fixture(scope="module")
def reader(folder: Path) -> Program:
    return load(folder / "reader", device="cpu")


@pytest.fixture(scope="module")
def clips(folder: Path) -> Program:
    return load(folder / "clips", device="cpu")


def client_of(kind: str, server: Server) -> tuple[Any, Any]:
    """Triton's module, and a client."""
    module: Any = importlib.import_module(f"tritonclient.{kind}")
    return module, module.InferenceServerClient(getattr(server, kind))


def given(module: Any, arrays: dict[str, Any]) -> list[Any]:
    types = {"f": "FP32", "i": "INT64", "b": "BOOL"}
    found = []
    for name, array in arrays.items():
        one = module.InferInput(name, array.shape, types[array.dtype.kind])
        one.set_data_from_numpy(array)
        found.append(one)
    return found


@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_answers_are_those_of_the_program(kind: str, server: Server, clips: Program) -> None:
    """Whole, with an input left out, and some queries of an output; whatever way numbers go."""
    module, client = client_of(kind, server)
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("clips")
    arrays = random_inputs(clips.manifest, {}, 0).arrays
    for some in (arrays, {"audio": arrays["audio"]}):
        answer = client.infer("clips", given(module, some), request_id="7")
        for name, array in clips.run(some).items():
            np.testing.assert_array_equal(answer.as_numpy(name), array)
    said = answer.get_response()
    said = said if kind == "http" else {"id": said.id, "parameters": said.parameters}
    assert said["id"] == "7"
    assert "input `image` was not given" in str(said["parameters"]["notes"])


@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_what_a_model_takes_is_told(kind: str, server: Server) -> None:
    _, client = client_of(kind, server)
    options = {} if kind == "http" else {"as_json": True}
    found = client.get_model_metadata("reader", **options)
    (one,), (label,) = found["inputs"], found["outputs"]
    assert (one["name"], one["datatype"]) == ("text", "INT64")
    assert [int(size) for size in one["shape"]] == [-1, -1]
    assert [int(size) for size in label["shape"]] == [-1, 3]
    assert client.get_server_metadata(**options)["name"] == "perceiver-graph"


def test_some_queries_and_binary_answers(server: Server, clips: Program) -> None:
    arrays = random_inputs(clips.manifest, {}, 0).arrays
    audio = {"name": "audio", "datatype": "FP32", "shape": list(arrays["audio"].shape)}
    audio["data"] = arrays["audio"].tolist()
    outputs = [{"name": "image", "parameters": {"queries": "3:7"}}]
    status, found = server.infer("clips", audio, outputs=outputs)
    (one,) = found["outputs"]
    wanted = clips.run({"audio": arrays["audio"]}, {"image": slice(3, 7)})["image"]
    assert (status, one["shape"]) == (200, list(wanted.shape))
    np.testing.assert_array_equal(np.array(one["data"], np.float32), wanted.ravel())
    assert "id" not in found


@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_one_encode_for_many_decodes(kind: str, server: Server, clips: Program) -> None:
    module, client = client_of(kind, server)
    arrays = random_inputs(clips.manifest, {}, 0).arrays
    answer = client.infer("clips.encode", given(module, arrays)).get_response()
    handle = (
        answer["parameters"]["state"] if kind == "http" else answer.parameters["state"].string_param
    )
    for name, array in clips.run(arrays).items():
        wanted = [module.InferRequestedOutput(name)]
        more = {"outputs": wanted, "parameters": {"state": handle}}
        found = client.infer("clips.decode", [], **more)
        np.testing.assert_allclose(found.as_numpy(name), array, rtol=1e-4, atol=1e-9)
    error: Any = importlib.import_module("tritonclient.utils").InferenceServerException
    for _ in range(2):
        client.infer("clips.encode", given(module, arrays))
    with pytest.raises(error, match="PG534"):
        client.infer("clips.decode", [], parameters={"state": handle})


@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_texts_go_as_they_are(kind: str, server: Server, reader: Program) -> None:
    module, client = client_of(kind, server)
    texts = np.array([b"Where?", "é".encode()], object)
    one = module.InferInput("text", texts.shape, "BYTES")
    one.set_data_from_numpy(texts)
    found = client.infer("reader", [one])
    ids = reader.read("Where?")["text"]
    wanted = reader.run({"text": ids})["label"]
    np.testing.assert_allclose(found.as_numpy("label")[:1], wanted, atol=1e-6)
    assert found.as_numpy("label").shape == (2, 3)


def test_errors_say_what_would_work(server: Server) -> None:
    for kind in ("http", "grpc"):
        module, client = client_of(kind, server)
        error: Any = importlib.import_module("tritonclient.utils").InferenceServerException
        with pytest.raises(error, match=r"PG514.*out of range") as told:
            client.infer("reader", given(module, {"text": np.array([[1, 300]])}))
        assert "Traceback" not in str(told.value)
        with pytest.raises(error, match=r"PG532.*`none`"):
            client.infer("none", given(module, {"text": np.array([[1]])}))


def test_a_thousand_requests_of_sixteen_clients(server: Server, reader: Program) -> None:
    """Those of several go together, each gets its own, and nothing is kept."""
    wanted = {}
    for length in range(1, 9):
        ids = np.array(text_of(1, length)["data"])
        wanted[length] = reader.run({"text": ids})["label"].ravel()

    def ask(number: int) -> None:
        length = 1 + number % 8
        status, found = server.infer("reader", text_of(1, length))
        assert status == 200, found
        np.testing.assert_allclose(found["outputs"][0]["data"], wanted[length], atol=1e-6)

    with ThreadPoolExecutor(16) as clients:
        list(clients.map(ask, range(300)))
        before = server.memory()
        list(clients.map(ask, range(1000)))
    assert server.memory() - before < 16 << 20


def test_it_ends_in_order(folder: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with serving(folder / "clips") as server:
            assert server.infer("kinetics")[0] == 400
            assert server.end(number) == (0, "")


def test_what_was_begun_is_answered(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW, encoding="utf-8")
    words = [folder / "reader", "--extension", tmp_path / "slow.py"]
    with serving(*words) as server, ThreadPoolExecutor(1) as clients:
        begun = clients.submit(server.infer, "reader", text_of(1, 3))
        time.sleep(0.5)
        assert server.end() == (0, "")
        assert begun.result()[0] == 200


def test_an_end_is_one_for_both(folder: Path, tmp_path: Path) -> None:
    """While requests over HTTP are finished, gRPC takes no more either."""
    (tmp_path / "slow.py").write_text(SLOW, encoding="utf-8")
    with serving(folder / "reader", "--extension", tmp_path / "slow.py") as server:
        module, client = client_of("grpc", server)
        assert client.is_server_live()
        with ThreadPoolExecutor(1) as clients:
            begun = clients.submit(server.infer, "reader", text_of(1, 3))
            time.sleep(0.5)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            with pytest.raises(Exception, match=r"UNAVAILABLE|refused|shutting down"):
                client.infer("reader", given(module, {"text": np.array([[1]])}))
            assert begun.result()[0] == 200
        assert server.process.wait(60) == 0


def test_limits_are_told(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW, encoding="utf-8")
    words = ["--timeout", 0.5, "--queue", 2, "--max-request-bytes", "2kB", "--threads", 64]
    with serving(folder / "reader", "--extension", tmp_path / "slow.py", *words) as server:
        with ThreadPoolExecutor(6) as clients:
            found = list(clients.map(lambda _: server.infer("reader", text_of(1, 3)), range(6)))
        statuses = sorted(status for status, _ in found)
        assert statuses == [503] * 4 + [504] * 2
        assert all("PG533" in told["error"] for _, told in found)
        status, told = server.infer("reader", text_of(200, 3))
        assert (status, "PG533" in told["error"]) == (413, True)
        # Without its length, as it comes.
        status, told = server.ask("/v2/models/reader/infer", iter([b" " * 999] * 5))  # type: ignore[arg-type]
        assert (status, "PG533" in told["error"]) == (413, True)
        until(lambda: server.ask("/v2/health/live")[0] == 200)


SLOW = """
import time
from perceiver_graph.runtime.program import Program
run = Program.run

def slow(self, *words, **more):
    time.sleep(1.5)
    return run(self, *words, **more)

Program.run = slow
"""


def test_errors_of_the_server_are_told_without_what_was_sent(folder: Path, tmp_path: Path) -> None:
    broken = SLOW.replace("time.sleep(1.5)", "raise ValueError(f'secret {words}')")
    (tmp_path / "broken.py").write_text(broken, encoding="utf-8")
    with serving(folder / "reader", "--extension", tmp_path / "broken.py") as server:
        assert server.infer("reader", text_of(1, 3))[0] == 500
        status, found = server.infer("reader", text_of(1, 3))
        module, client = client_of("grpc", server)
        with pytest.raises(Exception, match="the server failed"):
            client.infer("reader", given(module, {"text": np.array([[1]])}))
        code, said = server.end()
    assert (status, found) == (500, {"error": "the server failed: this is no fault of the request"})
    assert code == 0
    assert said.count("note: internal error: ValueError at ") == 3
    assert "secret" not in said
    assert "Traceback" not in said


def test_a_server_that_is_killed_is_answered_for(folder: Path, tmp_path: Path) -> None:
    """Clients are told at once, and the port is free for the next."""
    (tmp_path / "slow.py").write_text(SLOW, encoding="utf-8")
    with serving(folder / "reader", "--extension", tmp_path / "slow.py") as server:
        with ThreadPoolExecutor(1) as clients:
            begun = clients.submit(server.infer, "reader", text_of(1, 3))
            time.sleep(0.5)
            server.process.kill()
            with pytest.raises((ConnectionError, OSError)):
                begun.result(timeout=10)
        port = int(server.http.rpartition(":")[2])
        with socket.socket() as free:
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            free.bind(("127.0.0.1", port))


def test_a_port_that_is_taken_is_told(server: Server, folder: Path) -> None:
    for flag, address in (("--port", server.http), ("--grpc-port", server.grpc)):
        other = ["--port", "0"] if flag == "--grpc-port" else []
        words = ["serve", folder / "reader", *other, flag, address.rpartition(":")[2]]
        done = subprocess.run(
            [sys.executable, "-m", "perceiver_graph", *map(str, words)],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            timeout=120,
            check=False,
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert "error[PG530]: cannot listen on port" in done.stderr
        assert f"`{flag} NUMBER`" in done.stderr


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_the_commands_of_the_page_run_as_printed(tmp_path: Path) -> None:
    """All but the ports, which may be taken here; the model has its small size."""
    spec = load_spec("text_classification", overrides=list(SMALL["text_classification"])).spec
    name = tmp_path / "text_classification"
    name.write_text(render_yaml(resolved_data(spec, {})), encoding="utf-8")
    (tmp_path / "bin").mkdir()
    for program, words in (("perceiver-graph", "-m perceiver_graph"), ("python", "")):
        shim = tmp_path / "bin" / program
        shim.write_text(f'#!/bin/sh\nexec {sys.executable} {words} "$@"\n', encoding="utf-8")
        shim.chmod(0o755)
    text = "set -e\n" + "echo ---\n".join(blocks(ROOT / "docs" / "serve.md", "sh"))
    text = text.replace("8000", str(free_port())).replace("8001", str(free_port()))
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    shell = subprocess.Popen(
        ["bash", "-c", text],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, said = shell.communicate(timeout=600)
    finally:  # a server that the commands have not ended
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
    assert shell.returncode == 0, out + said
    _, asked, read, clients, metrics = out.split("---\n")
    answer = json.loads(asked[asked.index('{"model_name"') :])
    assert json.loads(read)["outputs"][0]["shape"] == answer["outputs"][0]["shape"]
    numbers = np.array(answer["outputs"][0]["data"], np.float32)
    lines = [line for line in clients.splitlines() if line]
    assert len(lines) == 2
    assert lines[0] == lines[1] == str(numbers[None])
    assert 'request_predict_seconds_count{model_name="text_classification"} 4.0' in metrics
    assert 'perceiver_graph_call_elements_sum{model_name="text_classification"} 4.0' in metrics
    assert 'perceiver_graph_requests_waiting{model_name="text_classification"} 0.0' in metrics
