"""The tensors of an artifact: one constants.safetensors that all its ONNX programs read.

ONNX finds a tensor in it by offset and length, so that onnxruntime maps the file into memory and
programs share its pages; safetensors finds it by name. The bytes depend on the tensors alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx_ir as ir

from perceiver_graph.compiler.ops import Array, DType
from perceiver_graph.diagnostics import escape

CONSTANTS = "constants.safetensors"
EMBED_BELOW = 1024
"""Bytes below which a tensor is stored in the programs themselves: no entry, no seek, no page."""
_ALIGNMENT = 64
"""Where tensors start, as far as their sizes permit: a cache line, and a full vector register."""

DATA_TYPES: dict[DType, ir.DataType] = {
    "float32": ir.DataType.FLOAT,
    "float64": ir.DataType.DOUBLE,
    "float16": ir.DataType.FLOAT16,
    "bfloat16": ir.DataType.BFLOAT16,
    "int64": ir.DataType.INT64,
    "bool": ir.DataType.BOOL,
}
_SAFETENSORS_TYPES = {
    ir.DataType.FLOAT: "F32",
    ir.DataType.DOUBLE: "F64",
    ir.DataType.FLOAT16: "F16",
    ir.DataType.BFLOAT16: "BF16",
    ir.DataType.INT64: "I64",
    ir.DataType.INT8: "I8",
    ir.DataType.UINT8: "U8",
    ir.DataType.BOOL: "BOOL",
}


class TensorStore:
    """Collects the tensors of several programs, each name once, and writes them to one file."""

    def __init__(self) -> None:
        self._tensors: dict[str, Array] = {}
        self._readers: list[tuple[str, ir.Value]] = []

    def add(self, name: str, array: Array, initializer: str) -> ir.Value:
        """Take on a tensor, without copying it, unless it is small enough to be embedded.

        Returns it as an initializer, under the name that it has in a program. `ValueError` if
        `name` already stands for other numbers.
        """
        value = ir.val(initializer, const_value=ir.Tensor(array, name=initializer))
        if array.nbytes >= EMBED_BELOW:
            known = self._tensors.setdefault(name, array)
            if not _same(known, array):
                raise ValueError(f"two different tensors are named `{name}`")
            self._readers.append((name, value))
        return value

    def write(self, path: Path) -> None:
        """Write the file, and let all initializers refer to it instead of holding their numbers.

        At most one tensor at a time is copied in memory.
        """
        names = sorted(self._tensors, key=self._order)
        header: dict[str, dict[str, Any]] = {}
        offset = 0
        for name in names:
            array = self._tensors[name]
            header[name] = {
                "dtype": _SAFETENSORS_TYPES[ir.DataType.from_numpy(array.dtype)],
                "shape": list(array.shape),
                "data_offsets": [offset, offset + array.nbytes],
            }
            offset += array.nbytes
        text = escape.json(header, indent=0, end="").encode()
        text += b" " * (-(len(text) + 8) % _ALIGNMENT)  # the format permits spaces after the header
        with path.open("wb") as file:
            file.write(len(text).to_bytes(8, "little"))
            file.write(text)
            for name in names:
                flat = np.ascontiguousarray(self._tensors[name]).reshape(-1)
                file.write(flat.view(np.uint8).data)
        for name, value in self._readers:
            begin, end = header[name]["data_offsets"]
            value.const_value = ir.ExternalTensor(
                path.name,
                8 + len(text) + begin,
                end - begin,
                ir.DataType.from_numpy(self._tensors[name].dtype),
                shape=ir.Shape(self._tensors[name].shape),
                name=cast(str, value.name),
                base_dir=path.parent,
            )

    def _order(self, name: str) -> tuple[bool, int, str]:
        """Tensors of whole cache lines first: none then moves the next one off its line."""
        array = self._tensors[name]
        return bool(array.nbytes % _ALIGNMENT), -array.itemsize, name


def checked(name: str, array: Array, shape: tuple[int, ...], dtype: DType) -> Array:
    """The array; `ValueError` if its shape or its element type is not the one asked for."""
    wanted = DATA_TYPES[dtype].numpy()
    if array.shape != shape or array.dtype != wanted:
        found = f"{array.dtype}{list(array.shape)}"
        raise ValueError(f"`{name}` must be {dtype}{list(shape)}, got {found}")
    return array


def _same(left: Array, right: Array) -> bool:
    """Whether two arrays hold the same numbers. Usually they are views of the same memory."""
    if left.__array_interface__ == right.__array_interface__:
        return True
    return left.dtype == right.dtype and np.array_equal(left, right)
