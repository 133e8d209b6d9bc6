"""A hand-made artifact for the runtime's tests: two ONNX programs small enough to check by hand.

encode: latents[b] = mean over time of points[b] @ W + (extra[b] if present else its mask token)
decode: dense[b, q] = latents[b] * D[q], sparse[b, q] = latents[b] @ S[q]; encode has `total`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from perceiver_graph.diagnostics import Diagnostic, DiagnosticError

Array = NDArray[np.float32]
RNG = np.random.default_rng(7)
W, TOKEN = RNG.standard_normal((2, 3), np.float32), RNG.standard_normal(3, np.float32)
D, S = RNG.standard_normal((10, 3), np.float32), RNG.standard_normal((4, 3, 2), np.float32)
TOTAL = RNG.standard_normal((3, 5), np.float32)
_TYPES = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64, "bool": TensorProto.BOOL}


def expected(points: Array, extra: Array | None) -> dict[str, Array]:
    """What the programs compute."""
    latents = (points @ W).mean(axis=1) + (TOKEN if extra is None else extra)
    return {
        "dense": (latents[:, None] * D).reshape(-1, 2, 5, 3),
        "sparse": np.einsum("bc,qcd->bqd", latents, S),
        "total": latents @ TOTAL,
        "latents": latents[:, None],
    }


def _port(name: str, role: str, of: str, shape: Sequence[int | str], dtype: str) -> dict[str, Any]:
    return {"name": name, "role": role, "of": of, "dtype": dtype, "shape": list(shape)}


ENCODE_PORTS = {
    "file": "encode.onnx",
    "inputs": [
        _port("points", "data", "points", ["batch", "length", 2], "float32"),
        _port("extra", "data", "extra", ["batch", 3], "float32"),
        _port("extra.present", "present", "extra", ["batch"], "bool"),
        _port("ids", "data", "ids", ["batch"], "int64"),
    ],
    "outputs": [
        _port("latents", "output", "latents", ["batch", 1, 3], "float32"),
        _port("process/last", "state", "process/last", ["batch", 1, 3], "float32"),
        _port("total", "output", "total", ["batch", 5], "float32"),
    ],
}
DECODE_PORTS = {
    "file": "decode.onnx",
    "inputs": [
        _port("process/last", "state", "process/last", ["batch", 1, 3], "float32"),
        _port("dense.queries", "queries", "dense", ["dense_queries"], "int64"),
        _port("sparse.queries", "queries", "sparse", ["sparse_queries"], "int64"),
    ],
    "outputs": [
        _port("dense", "output", "dense", ["batch", "dense_queries", 3], "float32"),
        _port("sparse", "output", "sparse", ["batch", "sparse_queries", 2], "float32"),
    ],
}
ENCODE = [
    helper.make_node("MatMul", ["points", "W"], ["mapped"]),
    helper.make_node("ReduceMean", ["mapped"], ["mean"], axes=[1], keepdims=0),
    helper.make_node("Unsqueeze", ["extra.present", "one"], ["mask"]),
    helper.make_node("Where", ["mask", "extra", "TOKEN"], ["more"]),
    helper.make_node("Gather", ["zeros", "ids"], ["nothing"]),
    helper.make_node("Add", ["mean", "more"], ["sum"]),
    helper.make_node("Add", ["sum", "nothing"], ["flat"]),
    helper.make_node("Unsqueeze", ["flat", "one"], ["latents"]),
    helper.make_node("Identity", ["latents"], ["process/last"]),
    helper.make_node("MatMul", ["flat", "TOTAL"], ["total"]),
]
DECODE = [
    helper.make_node("Gather", ["D", "dense.queries"], ["rows"]),
    helper.make_node("Mul", ["process/last", "rows"], ["dense"]),
    helper.make_node("Gather", ["S", "sparse.queries"], ["matrices"]),
    helper.make_node("Unsqueeze", ["process/last", "one"], ["row"]),
    helper.make_node("MatMul", ["row", "matrices"], ["product"]),
    helper.make_node("Squeeze", ["product", "two"], ["sparse"]),
]
TENSORS = {
    "W": W,
    "TOKEN": TOKEN,
    "D": D,
    "S": S,
    "TOTAL": TOTAL,
    "zeros": np.zeros((6, 3), np.float32),
    "one": np.array([1]),
    "two": np.array([2]),
}


def _model(nodes: Sequence[onnx.NodeProto], ports: dict[str, Any]) -> bytes:
    def infos(side: str) -> list[onnx.ValueInfoProto]:
        return [
            helper.make_tensor_value_info(p["name"], _TYPES[p["dtype"]], p["shape"])
            for p in ports[side]
        ]

    used = {name for node in nodes for name in node.input}
    tensors = [numpy_helper.from_array(TENSORS[n], n) for n in sorted(used & TENSORS.keys())]
    graph = helper.make_graph(list(nodes), "tiny", infos("inputs"), infos("outputs"), tensors)
    imports = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=8)
    return bytes(model.SerializeToString())


def _input(axes: list[str], shape: list[int | str], dtype: str, mask: str) -> dict[str, Any]:
    return {"dtype": dtype, "axes": axes, "shape": shape, "mask": mask}


def _output(axes: list[str], shape: list[int | str], queries: int, **more: Any) -> dict[str, Any]:
    entry = {"dtype": "float32", "axes": axes, "shape": shape, "queries": queries}
    return {**entry, "chunk_queries": 1, "selectable": queries > 1, **more}


def manifest_data() -> dict[str, Any]:
    """The manifest as JSON, without its files."""
    channels = ["batch", "channel"]
    return {
        "format": 1,
        "name": "tiny",
        "tool": "by hand",
        "backends": ["onnx"],
        "spec_sha256": "0" * 64,
        "weights": "seed 7",
        "level": 0,
        "precision": "fp32",
        "files": {},
        "chunks": 3,
        "parameters": 0,
        "flops": 0,
        "inputs": {
            "points": _input(
                ["batch", "time", "channel"], ["batch", "length", 2], "float32", "never"
            ),
            "extra": _input(channels, ["batch", 3], "float32", "optional"),
            "ids": _input(["batch"], ["batch"], "int64", "never"),
            "label": _input(channels, ["batch", 4], "float32", "always"),
        },
        "outputs": {
            "dense": _output(["batch", "height", "width", "channel"], ["batch", 2, 5, 3], 10),
            "sparse": _output(["batch", "index", "channel"], ["batch", 4, 2], 4),
            "total": _output(["batch", "channel"], ["batch", 5], 1),
        },
        "dims": {"batch": {"min": 1}, "length": {"min": 2, "max": 64, "multiple_of": 2}},
        "decode_memory": {"fixed": 1000, "per_query": 100},
        "programs": {"encode": ENCODE_PORTS, "decode": DECODE_PORTS},
    }


def write_artifact(
    folder: Path, change: Callable[[dict[str, Any]], object] = lambda manifest: None
) -> Path:
    """Write the artifact; `change` may edit its manifest."""
    folder.mkdir()
    (folder / "encode.onnx").write_bytes(_model(ENCODE, ENCODE_PORTS))
    (folder / "decode.onnx").write_bytes(_model(DECODE, DECODE_PORTS))
    (folder / "spec.yaml").write_text("perceiver: 1\n")
    data = manifest_data()
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        data["files"][path.name] = {"sha256": digest, "bytes": len(content)}
    data = json.loads(json.dumps(data))
    change(data)
    (folder / "manifest.json").write_text(json.dumps(data))
    return folder


def faults(call: Callable[[], object]) -> list[Diagnostic]:
    """The diagnostics that a call raises."""
    try:
        call()
    except DiagnosticError as error:
        return list(error.diagnostics)
    raise AssertionError("nothing was raised")


def fault(call: Callable[[], object]) -> Diagnostic:
    """The only diagnostic that a call raises."""
    found = faults(call)
    assert len(found) == 1, [d.message for d in found]
    return found[0]
