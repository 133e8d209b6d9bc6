"""Models as KServe knows them: what it says of them, and what it does with a request over gRPC.

A kserve.Model is made by what it is given, not derived from, so that this module needs none of kserve.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from perceiver_graph.serving.calls import Answer, Wanted, call_of, unknown_model
from perceiver_graph.serving.queue import Queue
from perceiver_graph.serving.tensors import Tensor, gives, takes


class Models:
    """Programs by the names that they are served under."""

    def __init__(self, queues: Mapping[str, Queue]) -> None:
        self._queues = dict(queues)

    def __getitem__(self, name: str) -> Queue:
        """Raises RefusalError (PG532) for a model that is not served."""
        if name not in self._queues:
            raise unknown_model(name, self._queues)
        return self._queues[name]

    @property
    def names(self) -> list[str]:
        """What they are called."""
        return list(self._queues)

    def registry(self) -> Any:
        """The kserve.ModelRepository with all of them."""
        kserve: Any = import_module("kserve")
        found = kserve.ModelRepository()
        for name, queue in self._queues.items():
            found.update(_model(kserve, name, queue))
        return found


def _model(kserve: Any, name: str, queue: Queue) -> Any:
    manifest = queue.program.manifest
    inputs, outputs = takes(manifest), gives(manifest)

    async def predict(payload: Any, headers: Any = None, response_headers: Any = None) -> Any:
        if isinstance(payload, kserve.InferRequest):
            return _response(kserve, name, payload, await queue.answer(_asked(payload)))
        return await queue.answer(payload)

    model = kserve.Model(name)
    model.predict = predict
    model.get_input_types = lambda: inputs
    model.get_output_types = lambda: outputs
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
    parameters = {"notes": "\n".join(answer.notes)} if answer.notes else None
    return kserve.InferResponse(request.id, name, outputs, parameters=parameters)
