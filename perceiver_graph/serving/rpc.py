"""gRPC: KServe's servicer, with our answers where something is wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.serving.calls import status_of, text_of
from perceiver_graph.serving.limits import Limits
from perceiver_graph.serving.models import Models
from perceiver_graph.serving.trouble import Trouble

_CODES = {
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    413: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_NAMED = {"ModelReady": "name", "ModelMetadata": "name", "ModelInfer": "model_name"}
_PLAIN = ("ServerLive", "ServerReady", "ServerMetadata")


def server(models: Models, plane: Any, limits: Limits, trouble: Trouble) -> Any:
    """The server of grpc.aio, which no port is given yet."""
    aio: Any = import_module("grpc.aio")
    stubs: Any = import_module("kserve.protocol.grpc.grpc_predict_v2_pb2_grpc")
    made: Any = import_module("kserve.protocol.grpc.servicer").InferenceServicer(plane, None)
    # KServe's methods that load and unload models are left out: whoever asks may not stop them.
    servicer = stubs.GRPCInferenceServiceServicer()
    for name in (*_PLAIN, *_NAMED):
        setattr(servicer, name, _guarded(getattr(made, name), models, _NAMED.get(name), trouble))
    options = [
        ("grpc.max_receive_message_length", limits.request_bytes),
        ("grpc.max_send_message_length", -1),
        # A second server on the port is told so, instead of sharing the requests.
        ("grpc.so_reuseport", 0),
    ]
    found = aio.server(options=options)
    stubs.add_GRPCInferenceServiceServicer_to_server(servicer, found)
    return found


def _guarded(
    method: Callable[[Any, Any], Awaitable[Any]],
    models: Models,
    named: str | None,
    trouble: Trouble,
) -> Callable[[Any, Any], Awaitable[Any]]:
    """A method whose errors become codes of gRPC with our text."""
    codes: Any = import_module("grpc").StatusCode
    invalid: Any = import_module("kserve.errors").InvalidInput

    async def answer(request: Any, context: Any) -> Any:
        try:
            if named is not None:
                models[getattr(request, named)]
            return await method(request, context)
        except DiagnosticError as error:
            status = status_of(error)
            text = text_of(error) if status != 500 else trouble.told(error)
        except invalid as error:
            status, text = 400, str(error)
        except Exception as error:  # noqa: BLE001 - the answer is that there was one
            status, text = 500, trouble.told(error)
        return await context.abort(getattr(codes, _CODES.get(status, "UNKNOWN")), text)

    return answer
