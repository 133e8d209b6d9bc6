"""Times what a server adds to a call: `program.run` here, and the same over HTTP and gRPC, taking turns.

`python -m benchmarks.serving ARTIFACT [--calls 200] [--threads 1]`: medians in milliseconds, the share of the
client, which is Triton's, included. It needs `perceiver-graph[serve]` and `tritonclient[http,grpc]`; times
are those of a machine that does nothing else. The CPU time of a call, of client and server together, is
little moved by what others do.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc
import tritonclient.http

import perceiver_graph as pg
from perceiver_graph.runtime.random_inputs import random_inputs

_TYPES = {"f": "FP32", "i": "INT64", "b": "BOOL"}


def main() -> None:
    """Time the three ways, a call of each in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("artifact")
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    program = pg.load(options.artifact, device="cpu", threads=options.threads)
    arrays = random_inputs(program.manifest, {}, 0).arrays
    command = [sys.executable, "-m", "perceiver_graph", "serve", f"model={options.artifact}"]
    words = ["--port", "0", "--grpc-port", "0", "--threads", str(options.threads)]
    with subprocess.Popen([*command, *words], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            http = server.stdout.readline().split("http://")[1].split("/")[0]
            grpc = server.stdout.readline().split()[1]
            ways: dict[str, Callable[[], Any]] = {
                "program.run": lambda: program.run(arrays),
                "HTTP": _asked(tritonclient.http, http, arrays),
                "gRPC": _asked(tritonclient.grpc, grpc, arrays),
            }
            times = _timed(ways, options.calls)
            busy = {name: _busy(ask, server.pid, options.calls) for name, ask in ways.items()}
        finally:
            server.terminate()
    own = statistics.median(times["program.run"])
    size = sum(array.nbytes for array in arrays.values())
    print(f"{size:,} bytes of inputs, {options.calls} calls, load {os.getloadavg()[0]:.1f}")
    for name, found in times.items():
        median = statistics.median(found)
        tenth = statistics.quantiles(found, n=10)[-1]
        cpu = f"{busy[name]:.2f} of CPU, {busy[name] - busy['program.run']:+.2f}"
        print(f"{name}: {median:.2f} ms, {median - own:+.2f} (a tenth: {tenth:.2f} or more); {cpu}")


def _asked(module: Any, address: str, arrays: dict[str, Any]) -> Callable[[], Any]:
    """A call by a client of Triton, arrays as bytes."""
    client = module.InferenceServerClient(address)

    def ask() -> Any:
        given = []
        for name, array in arrays.items():
            one = module.InferInput(name, array.shape, _TYPES[array.dtype.kind])
            one.set_data_from_numpy(np.ascontiguousarray(array))
            given.append(one)
        return client.infer("model", given)

    return ask


def _timed(ways: dict[str, Callable[[], Any]], calls: int) -> dict[str, list[float]]:
    """Milliseconds of each call; the first ten of each do not count."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(calls + 10):
        for name, ask in ways.items():
            began = time.perf_counter()
            ask()
            if number >= 10:
                times[name].append((time.perf_counter() - began) * 1000)
    return times


def _busy(ask: Callable[[], Any], server: int, calls: int) -> float:
    """Milliseconds of CPU that a call takes here and in the server."""

    def used() -> float:
        fields = Path(f"/proc/{server}/stat").read_text("ascii").rpartition(")")[2].split()
        theirs = sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
        return theirs + time.process_time()

    before = used()
    for _ in range(calls):
        ask()
    return (used() - before) / calls * 1000


if __name__ == "__main__":
    main()
