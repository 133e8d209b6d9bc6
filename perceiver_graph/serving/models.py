"""Models as KServe knows them: what it says of them, and what it does with a request over gRPC.

A kserve.Model is made by what it is given, not derived from, so that this module needs none of kserve.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from perceiver_graph.serving.calls import Answer, Arrays, Call, Wanted, call_of, unknown_model
from perceiver_graph.serving.queue import Queue
from perceiver_graph.serving.tensors import Tensor, gives, takes
from perceiver_graph.spec.manifest import Manifest

Tensors = list[dict[str, Any]]


@dataclass(frozen=True)
class Served:
    """A model: what it takes and gives, and what answers."""

    inputs: Tensors
    outputs: Tensors
    answer: Callable[[Call], Awaitable[Answer]]
    batch: int = 1
    """The most batch elements of several requests that are put together."""
    manifest: Manifest | None = None
    """Of a program as a whole."""
    example: Callable[[int], Awaitable[Arrays]] | None = None
    """Random arrays of a seed that it takes."""


def of_queue(queue: Queue) -> Served:
    """The model of a program as a whole."""
    manifest = queue.program.manifest
    inputs, outputs = takes(manifest), gives(manifest)
    return Served(inputs, outputs, queue.answer, queue.batch, manifest, queue.example)


class Models:
    """Models by the names that they are served under."""

    def __init__(self, served: Mapping[str, Served]) -> None:
        self._served = dict(served)

    def __getitem__(self, name: str) -> Served:
        """Raises RefusalError (PG532) for a model that is not served."""
        if name not in self._served:
            raise unknown_model(name, self._served)
        return self._served[name]

    @property
    def names(self) -> list[str]:
        """What they are called."""
        return list(self._served)

    def registry(self) -> Any:
        """The kserve.ModelRepository with all of them."""
        kserve: Any = import_module("kserve")
        found = kserve.ModelRepository()
        for name, served in self._served.items():
            found.update(_model(kserve, name, served))
        return found


def _model(kserve: Any, name: str, served: Served) -> Any:
    async def predict(payload: Any, headers: Any = None, response_headers: Any = None) -> Any:
        if isinstance(payload, kserve.InferRequest):
            return _response(kserve, name, payload, await served.answer(_asked(payload)))
        return await served.answer(payload)

    model = kserve.Model(name)
    model.predict = predict
    model.get_input_types = lambda: served.inputs
    model.get_output_types = lambda: served.outputs
    model.load()
    return model


def _asked(request: Any) -> Any:
    """The call that came over gRPC. Raises DiagnosticError (PG506, PG531)."""
    plain: Any = import_module("kserve.protocol.infer_type").to_http_parameters
    tensors = []
    for one in request.inputs:
        # Bytes are kept in what is private; `as_numpy` would take them without a look at their number.
        raw = one._raw_data
        tensors.append(Tensor(one.name, one.datatype, one.shape, one.data if raw is None else raw))
    wanted = [Wanted(one.name, one.parameters or {}) for one in request.request_outputs or ()]
    return call_of(tensors, plain(request.parameters or {}), wanted)


def _response(kserve: Any, name: str, request: Any, answer: Answer) -> Any:
    outputs = [
        kserve.InferOutput(output, list(array.shape), "FP32", array)
        for output, array in answer.arrays.items()
    ]
    return kserve.InferResponse(request.id, name, outputs, parameters=answer.parameters or None)
