"""HTTP: KServe's endpoints of the protocol, and requests for inference with limits and in few copies.

KServe's own reads a body of any size, and makes lists of Python's numbers of the bytes of a tensor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.serving import wire
from perceiver_graph.serving.calls import (
    RefusalError,
    status_of,
    text_of,
    too_large,
    too_long,
    unknown_model,
)
from perceiver_graph.serving.limits import Limits
from perceiver_graph.serving.models import Models
from perceiver_graph.serving.page import page
from perceiver_graph.serving.tensors import wrong
from perceiver_graph.serving.trouble import Trouble

_LONG = 1 << 18
"""Bytes from which on a body is read in a thread, so that others are answered meanwhile."""
METRICS = "/metrics"


def application(models: Models, plane: Any, limits: Limits, trouble: Trouble) -> Any:
    """The application that uvicorn serves; `plane` is KServe's DataPlane."""
    fastapi: Any = import_module("fastapi")
    endpoints: Any = import_module("kserve.protocol.rest.v2_endpoints").V2Endpoints(plane)
    measured: Any = import_module("kserve.protocol.rest.server").metrics_handler
    app = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    _answer_errors(app, trouble)

    async def infer(request: Any) -> Any:
        name = request.path_params["model_name"]
        try:
            async with asyncio.timeout(limits.seconds):
                models[name]  # before the body is read
                asked = await _asked(request, limits)
                (answer, _) = await plane.infer(name, asked.call)
                body, headers = wire.written(name, asked, answer)
        except TimeoutError:
            raise too_long(limits.seconds) from None
        return fastapi.Response(body, headers=headers)

    html, about = page(models)

    async def front(request: Any) -> Any:
        return fastapi.Response(html, headers=about)

    async def random(request: Any) -> Any:
        name = request.path_params["model_name"]
        example = models[name].example
        if example is None:  # half a model
            raise unknown_model(name, [one for one in models.names if models[one].example])
        body, headers = wire.question(await example(_seed(request)))
        return fastapi.Response(body, headers={**headers, "cache-control": "no-store"})

    async def model(request: Any) -> Any:
        models[request.path_params["model_name"]]
        return fastapi.responses.JSONResponse(
            await plane.model_metadata(request.path_params["model_name"])
        )

    async def model_ready(request: Any) -> Any:
        name = request.path_params["model_name"]
        models[name]
        return fastapi.responses.JSONResponse(
            {"name": name, "ready": await plane.model_ready(name)}
        )

    # Not KServe's routes that load and unload models: whoever asks may not stop them.
    app.add_api_route("/v2", endpoints.metadata)
    app.add_api_route("/v2/health/live", endpoints.live)
    app.add_api_route("/v2/health/ready", endpoints.ready)
    app.add_api_route("/v2/models", endpoints.models)
    app.add_route("/v2/models/{model_name}", model)
    app.add_route("/v2/models/{model_name}/ready", model_ready)
    app.add_route("/v2/models/{model_name}/infer", infer, methods=["POST"])
    app.add_route(METRICS, measured)
    app.add_route("/", front)
    app.add_route("/random/{model_name}", random)
    return app


def _seed(request: Any) -> int:
    """The seed of random input. Raises DiagnosticError (PG531)."""
    text = request.query_params.get("seed", "0")
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise wrong("the seed is no number from 0 to 999,999,999")
    return int(text)


async def _asked(request: Any, limits: Limits) -> wire.Asked:
    """What a request asks for. Raises DiagnosticError (PG506, PG531, PG533)."""
    headers: Mapping[str, str] = request.headers
    if headers.get("content-encoding", "identity") != "identity":
        raise RefusalError(415, "PG531", "the request is compressed", "send it as it is")
    body = await _body(request, limits.request_bytes)
    length = headers.get(wire.HEADER)
    if len(body) < _LONG:
        return wire.read(body, length)
    return await asyncio.to_thread(wire.read, body, length)


async def _body(request: Any, limit: int) -> bytes:
    """The bytes of a request, as far as there are no more than may be."""
    said = request.headers.get("content-length", "0")
    if said.isdecimal() and int(said[:20]) > limit:
        raise too_large(limit)
    parts, size = [], 0
    gone: Any = import_module("starlette.requests").ClientDisconnect
    try:
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise too_large(limit)
            parts.append(part)
    except gone:
        raise wrong("the request has ended before its end") from None
    return b"".join(parts)


def _answer_errors(app: Any, trouble: Trouble) -> None:
    """Every error in the form of the protocol, none with a trace."""
    answer: Any = import_module("fastapi.responses").JSONResponse

    async def of_ours(request: Any, error: DiagnosticError) -> Any:
        status = status_of(error)
        text = text_of(error) if status != 500 else trouble.told(error)
        headers = {"retry-after": "1"} if status == 503 else {}
        if status in (413, 415, 504):  # what is still to come of the request is not read
            headers["connection"] = "close"
        return answer({"error": text}, status, headers)

    async def of_http(request: Any, error: Any) -> Any:
        return answer({"error": str(error.detail)}, error.status_code, error.headers)

    async def unforeseen(request: Any, error: Exception) -> Any:
        return answer({"error": trouble.told(error)}, 500)

    app.add_exception_handler(DiagnosticError, of_ours)
    app.add_exception_handler(RefusalError, of_ours)
    app.add_exception_handler(import_module("starlette.exceptions").HTTPException, of_http)
    app.add_exception_handler(Exception, unforeseen)
