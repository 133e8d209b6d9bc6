"""Bodies of HTTP as the Open Inference Protocol v2 has them: JSON, and bytes of tensors behind it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from perceiver_graph.diagnostics import quote
from perceiver_graph.serving.calls import STATE, Answer, Arrays, Call, Wanted, call_of
from perceiver_graph.serving.tensors import Tensor, described, wrong

HEADER = "inference-header-content-length"
"""Where bytes of tensors lie behind the JSON: how long the JSON is."""
_SIZE, _BINARY, _ALL_BINARY = "binary_data_size", "binary_data", "binary_data_output"


@dataclass(frozen=True)
class Asked:
    """A request: the call, and the form of its answer."""

    call: Call
    id: str | None = None
    binary: bool = False
    """Whether outputs come as bytes, but for those of `forms`."""
    forms: Mapping[str, bool] | None = None


def read(body: bytes, json_length: str | None) -> Asked:
    """What a body asks for. Raises DiagnosticError (PG506, PG531)."""
    text, rest = _parts(body, json_length)
    data = _json(text)
    inputs, parameters = _list(data, "inputs"), _parameters(data, "the request")
    if inputs is None and STATE not in parameters:
        raise wrong(
            "the request has no `inputs`",
            'send {"inputs": [{"name": ..., ...}]}, or, to decode a state, {"parameters": {"state": ...}}',
        )
    tensors, used = [], 0
    for one in inputs or ():
        tensor, taken = _tensor(one, rest[used:])
        tensors.append(tensor)
        used += taken
    if used != len(rest):
        raise wrong(f"{len(rest)} bytes follow the JSON, and its inputs take {used} of them")
    wanted = [_wanted(one) for one in _list(data, "outputs") or ()]
    id = data.get("id")
    if id is not None and not isinstance(id, str):
        raise wrong("the `id` of the request is no text")
    return Asked(
        call_of(tensors, parameters, wanted),
        id,
        parameters.get(_ALL_BINARY) is True,
        {one.name: one.parameters[_BINARY] is True for one in wanted if _BINARY in one.parameters},
    )


def written(model: str, asked: Asked, answer: Answer) -> tuple[bytes, dict[str, str]]:
    """The body of an answer, and its headers."""
    orjson: Any = import_module("orjson")
    outputs: list[dict[str, Any]] = []
    behind: list[bytes] = []
    for name, array in answer.arrays.items():
        one = described(name, array)
        if (asked.forms or {}).get(name, asked.binary):
            behind.append(array.tobytes())
            one["parameters"] = {_SIZE: len(behind[-1])}
        else:  # what is not finite becomes null
            one["data"] = array.reshape(-1)
        outputs.append(one)
    body: dict[str, Any] = {"model_name": model, "outputs": outputs}
    if asked.id is not None:
        body["id"] = asked.id
    if answer.parameters:
        body["parameters"] = answer.parameters
    return _joined(orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY), behind)


def question(arrays: Arrays) -> tuple[bytes, dict[str, str]]:
    """The body of a request that has these arrays, and its headers."""
    orjson: Any = import_module("orjson")
    behind = [array.tobytes() for array in arrays.values()]
    inputs = [
        {**described(name, array), "parameters": {_SIZE: array.nbytes}}
        for name, array in arrays.items()
    ]
    return _joined(orjson.dumps({"inputs": inputs}), behind)


def _joined(text: bytes, behind: Sequence[bytes]) -> tuple[bytes, dict[str, str]]:
    if not behind:
        return text, {"content-type": "application/json"}
    headers = {"content-type": "application/octet-stream", HEADER: str(len(text))}
    return b"".join([text, *behind]), headers


def _parts(body: bytes, json_length: str | None) -> tuple[bytes, memoryview]:
    if json_length is None:
        return body, memoryview(b"")
    short = json_length.isascii() and json_length.isdecimal() and len(json_length) < 20
    if not short or int(json_length) > len(body):
        message = f"the header {HEADER} is {quote(json_length)}, and the body has {len(body)} bytes"
        raise wrong(message)
    return body[: int(json_length)], memoryview(body)[int(json_length) :]


def _json(text: bytes) -> dict[str, Any]:
    orjson: Any = import_module("orjson")
    try:
        found = orjson.loads(text)
    except (ValueError, RecursionError) as error:
        help = f"where bytes follow it, the header {HEADER} says how long it is"
        if re.search(rb"[\[,:\s](NaN|-?Infinity)\b", text):
            help = "JSON has no NaN and no Infinity, and no input takes them"
        raise wrong(f"the request is no JSON: {error}", help) from error
    if not isinstance(found, dict):
        raise wrong("the request is JSON, but no object")
    return found


def _list(data: Mapping[str, Any], key: str) -> list[dict[str, Any]] | None:
    found = data.get(key)
    if found is None:
        return None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise wrong(f"`{key}` is no list of objects")
    return found


def _parameters(data: Mapping[str, Any], what: str) -> dict[str, Any]:
    found = data.get("parameters")
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise wrong(f"the `parameters` of {what} are no object")
    return found


def _tensor(data: Mapping[str, Any], rest: memoryview) -> tuple[Tensor, int]:
    """An input, and how many of the bytes are its own."""
    name = data.get("name")
    what = f"input {quote(name)}" if isinstance(name, str) else "an input"
    size = _parameters(data, what).get(_SIZE)
    values: Any = data.get("data")
    if size is None:
        return Tensor(name, data.get("datatype"), data.get("shape"), values), 0
    if values is not None:
        raise wrong(f"{what} has both `data` and `{_SIZE}`")
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise wrong(f"the `{_SIZE}` of {what} is no number of bytes")
    if size > len(rest):
        raise wrong(f"{what} has {size} bytes behind the JSON, and there are {len(rest)} more")
    return Tensor(name, data.get("datatype"), data.get("shape"), rest[:size]), size


def _wanted(data: Mapping[str, Any]) -> Wanted:
    name = data.get("name")
    if not isinstance(name, str):
        raise wrong("an output that is asked for has no name")
    return Wanted(name, _parameters(data, f"output {quote(name)}"))
