"""A server in a process of its own, and who asks it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


class Server:
    """`serve` on free ports."""

    def __init__(self, *words: object) -> None:
        command = [sys.executable, "-m", "perceiver_graph", "serve", *map(str, words)]
        self.process = subprocess.Popen(
            [*command, "--port", "0", "--grpc-port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert self.process.stdout is not None
        said = ""
        for line in self.process.stdout:
            said += line
            if line.startswith("gRPC: "):
                break
        found = re.search(r"http://([\d.:]+)/", said)
        assert found, self.process.communicate()
        self.said, self.http, self.grpc = said, found[1], said.split("gRPC: ")[1].strip()

    def ask(
        self, path: str, body: bytes | str | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """The status and what JSON there is of an answer."""
        connection = http.client.HTTPConnection(self.http, timeout=60)
        try:
            connection.request("GET" if body is None else "POST", path, body, headers or {})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        return answer.status, json.loads(text)

    def infer(self, model: str, *inputs: dict[str, Any], **more: Any) -> tuple[int, Any]:
        """A request in JSON."""
        return self.ask(f"/v2/models/{model}/infer", json.dumps({"inputs": inputs, **more}))

    def memory(self) -> int:
        """Bytes that are resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) * 1024

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """The exit code, and what was said of errors."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=120)
        return self.process.returncode, said


@contextmanager
def serving(*words: object) -> Iterator[Server]:
    server = Server(*words)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.communicate()


def text_of(batch: int, length: int, **more: Any) -> dict[str, Any]:
    """An input of the small text model."""
    ids = [[(7 * i + j) % 262 for j in range(length)] for i in range(batch)]
    return {"name": "text", "datatype": "INT64", "shape": [batch, length], "data": ids, **more}


def until(wanted: Any, seconds: float = 60.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < end
        time.sleep(0.05)
