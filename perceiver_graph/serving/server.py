"""Serves programs over HTTP and gRPC until it is told to end; what was begun is finished first.

One process: the threads that compute are onnxruntime's, and calls wait in one queue. The protocol is
that of KServe's server library; its ModelServer, which listens to the whole network, reads the command
line and lets models be unloaded by whoever asks, is not used.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import socket
import sys
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.diagnostics.commands import option, shell
from perceiver_graph.runtime.program import Program
from perceiver_graph.serving.http import application
from perceiver_graph.serving.limits import Limits
from perceiver_graph.serving.models import Models, of_queue
from perceiver_graph.serving.queue import Queue, Room
from perceiver_graph.serving.rpc import server
from perceiver_graph.serving.states import States, in_two
from perceiver_graph.serving.trouble import Trouble
from perceiver_graph.serving.watch import Measured
from perceiver_graph.version import __version__

_ABOUT = {
    "name": "perceiver-graph",
    "version": __version__,
    "extensions": ["binary_tensor_data"],
}
"""What the server says of itself, by the protocol."""


@dataclass(frozen=True)
class Places:
    """Where a server listens; `grpc` is None where it does over HTTP alone, and 0 is any free port."""

    host: str = "127.0.0.1"
    http: int = 8000
    grpc: int | None = None


@dataclass(frozen=True)
class Batching:
    """How many batch elements are put together at most, and the seconds for which one waits for more."""

    most: int = 1
    delay: float = 0.0


def require() -> None:
    """Raise DiagnosticError (PG509) unless what serves is installed."""
    # On import, KServe reads the command line, which is ours, and warns of what it uses itself.
    words, sys.argv = sys.argv, sys.argv[:1]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import_module("kserve")
    except ImportError as error:
        raise DiagnosticError.of(
            "PG509",
            "`serve` needs kserve, which is not installed",
            notes=[str(error)],
            help=shell("pip", "install", "perceiver-graph[serve]"),
        ) from error
    finally:
        sys.argv = words
    for name in ("kserve", "uvicorn", "asyncio", "grpc"):  # a line of theirs may hold what was sent
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def serve(
    programs: Mapping[str, Program],
    places: Places,
    *,
    limits: Limits | None = None,
    batching: Batching | None = None,
    began: Callable[[str, str | None, Models], None],
    say: Callable[[str], None],
) -> None:
    """Serve programs by name until SIGINT or SIGTERM. `began` is called with the addresses when the
    ports are open, `say` with the kind of an error that is the server's own.

    Raises DiagnosticError (PG509, PG530).
    """
    require()
    limits, batching = limits or Limits(), batching or Batching()
    listening = _listening(places.host, places.http)
    running = _run(programs, places, listening, limits, batching, began, Trouble(say))
    with listening:
        asyncio.run(running)


async def _run(
    programs: Mapping[str, Program],
    places: Places,
    listening: socket.socket,
    limits: Limits,
    batching: Batching,
    began: Callable[[str, str | None, Models], None],
    trouble: Trouble,
) -> None:
    with ThreadPoolExecutor(_at_once(programs), "calls") as threads:
        room = Room(threads, limits.waiting, limits.seconds)
        models = _models(programs, room, limits, batching)
        plane = import_module("kserve.protocol.dataplane").DataPlane(models.registry())
        plane.metadata = lambda: dict(_ABOUT)
        http = _http(application(models, plane, limits, trouble), limits)
        rpc, grpc_address = None, None
        if places.grpc is not None:
            rpc = server(models, plane, limits, trouble)
            grpc_address = _grpc_address(rpc, places)
            await rpc.start()
        _end_on_signals(http, rpc, limits.seconds)
        host, port = listening.getsockname()[:2]
        listening.listen(1024)
        began(f"http://{_bracketed(host)}:{port}", grpc_address, models)
        await http.serve([listening])
        if rpc is not None:
            await rpc.stop(limits.seconds)


def _models(
    programs: Mapping[str, Program], room: Room, limits: Limits, batching: Batching
) -> Models:
    found = {}
    for name, program in programs.items():
        queue = Queue(program, room, batching.most, batching.delay, Measured(name))
        found[name] = of_queue(queue)
        if limits.states:
            found |= in_two(name, program, room, States(limits.states, limits.state_seconds))
    return Models(found)


def _at_once(programs: Mapping[str, Program]) -> int:
    """How many calls run at the same time: as many as have threads of the CPU to themselves."""
    threads = max(program.device.threads or 1 for program in programs.values())
    return max(1, (os.cpu_count() or 1) // threads)


def _http(app: Any, limits: Limits) -> Any:
    uvicorn: Any = import_module("uvicorn")
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=int(limits.seconds) + 1,
    )
    found = uvicorn.Server(config)
    # Its handlers raise the signal again when all is done, which would be no clean end.
    found.capture_signals = suppress
    return found


def _end_on_signals(http: Any, rpc: Any, patience: float) -> None:
    """Let both take no more requests at once, and finish those that they have."""
    loop = asyncio.get_running_loop()
    ending: list[asyncio.Task[None]] = []  # a loop holds its tasks weakly

    def end() -> None:
        http.should_exit = True
        if rpc is not None and not ending:
            ending.append(loop.create_task(rpc.stop(patience)))

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)


def _listening(host: str, port: int) -> socket.socket:
    """A socket that has the port. Raises DiagnosticError (PG530)."""
    found = None
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, kind, number)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        return found
    except (OSError, UnicodeError, OverflowError) as error:
        if found is not None:
            found.close()
        raise _cannot_listen(host, port, "--port", error) from error


def _grpc_address(rpc: Any, places: Places) -> str:
    assert places.grpc is not None
    try:
        port = rpc.add_insecure_port(f"{_bracketed(places.host)}:{places.grpc}")
    except RuntimeError as error:
        reason = OSError(errno.EADDRINUSE, "it is in use, or this machine has no such address")
        raise _cannot_listen(places.host, places.grpc, "--grpc-port", reason) from error
    return f"{_bracketed(places.host)}:{port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _cannot_listen(host: str, port: int, flag: str, error: Exception) -> DiagnosticError:
    reason = getattr(error, "strerror", None) or str(error)
    return DiagnosticError.of(
        "PG530",
        f"cannot listen on port {port} of {host}: {reason}",
        help=f"choose another port: {option(flag, 'NUMBER')}; 0 takes any that is free",
    )
