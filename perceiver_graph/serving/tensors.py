"""Tensors of the Open Inference Protocol v2: what a model takes and gives, and arrays of a request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from operator import mul
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.spec.manifest import Manifest
from perceiver_graph.spec.manifest_types import Size

TYPES = {
    "BOOL": "|b1",
    "UINT8": "|u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "|i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
"""Types of the protocol that are numbers, as numpy lays them out on the wire."""
_NAMES = {"float32": "FP32", "int64": "INT64", "bool": "BOOL"}
TEXTS = "BYTES"
"""The type of the protocol that is texts, which are of any length each."""
_OPEN = -1
"""A size that each request says."""
_MOST_AXES, _MOST_TEXTS = 16, 4096
_LENGTH = 4
"""Bytes in front of a text that say how many it has."""


def takes(manifest: Manifest) -> list[dict[str, Any]]:
    """The inputs that a request may have: name, type and shape, attention masks among them."""
    found = []
    for name, entry in manifest.inputs.items():
        if entry.mask == "always":
            continue
        found.append(_described(name, entry.dtype, entry.shape))
        if entry.attention_mask is not None:
            found.append(_described(f"{name}.attention_mask", "bool", entry.attention_mask.shape))
    return found


def gives(manifest: Manifest) -> list[dict[str, Any]]:
    """The outputs: name, type and shape."""
    return [_described(name, one.dtype, one.shape) for name, one in manifest.outputs.items()]


def _described(name: str, dtype: str, shape: Sequence[Size]) -> dict[str, Any]:
    sizes = [size if isinstance(size, int) else _OPEN for size in shape]
    return {"name": name, "datatype": _NAMES[dtype], "shape": sizes}


def described(name: str, array: NDArray[Any]) -> dict[str, Any]:
    """An array as the protocol says what one is."""
    return {"name": name, "datatype": _NAMES[str(array.dtype)], "shape": list(array.shape)}


@dataclass(frozen=True)
class Tensor:
    """What a request says of an input. Nothing of it has been looked at yet."""

    name: Any
    datatype: Any
    shape: Any
    data: Any
    """Bytes as they lie in memory, or numbers in lists, nested or not."""

    def array(self) -> NDArray[Any]:
        """The numbers, or the texts as an array of objects. Raises DiagnosticError (PG531) unless there
        are as many as the shape says, and they are of the type."""
        datatype, shape = self._type(), self._sizes()
        if datatype == TEXTS:
            return self._texts(shape)
        dtype = np.dtype(TYPES[datatype])
        if isinstance(self.data, bytes | bytearray | memoryview):
            return self._of_bytes(dtype, shape)
        return self._of_numbers(dtype, shape)

    def _type(self) -> str:
        if isinstance(self.datatype, str) and self.datatype in (*TYPES, TEXTS):
            return self.datatype
        given = quote(self.datatype) if isinstance(self.datatype, str) else "no text"
        help = f"types are {', '.join(TYPES)}; and {TEXTS} for inputs that read texts"
        raise wrong(f"the type of input {self._label} is {given}", help)

    def _sizes(self) -> tuple[int, ...]:
        if not isinstance(self.shape, list | tuple):
            raise wrong(f"the shape of input {self._label} is no list of sizes")
        if len(self.shape) > _MOST_AXES:
            raise wrong(
                f"input {self._label} has {len(self.shape)} axes: {_MOST_AXES} are possible"
            )
        for size in self.shape:
            if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size < 2**62:
                raise wrong(f"the shape of input {self._label} has a size that is none")
        return tuple(self.shape)

    def _of_bytes(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        # The product is one of Python's, which cannot overflow.
        needed, given = prod(shape) * dtype.itemsize, memoryview(self.data).nbytes
        if needed != given:
            what = f"input {self._label}, {self.datatype} {list(shape)}, takes {needed} bytes"
            raise wrong(f"{what}, and {given} are given")
        if dtype.kind == "b" and given and np.frombuffer(self.data, np.uint8).max() > 1:
            raise wrong(f"input {self._label} is BOOL, and has bytes other than 0 and 1")
        # A copy is aligned, whatever lies in front of the bytes.
        return np.frombuffer(self.data, dtype).reshape(shape).copy()

    def _of_numbers(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        if not isinstance(self.data, list):
            raise wrong(
                f"input {self._label} has no data",
                "give `data`, a list of numbers, or bytes behind the JSON and their number in the "
                "parameter `binary_data_size`",
            )
        try:
            found = np.array(self.data)
        except (ValueError, OverflowError) as error:
            message = f"the data of input {self._label} are no array: rows differ in length"
            raise wrong(message) from error
        if found.size != prod(shape):
            what = f"input {self._label}, {list(shape)}, takes {prod(shape)} numbers"
            raise wrong(f"{what}, and {found.size} are given")
        if not _is_cut_out_of(found.shape, shape):
            raise wrong(
                f"the data of input {self._label} are lists of {list(found.shape)}, and its shape is "
                f"{list(shape)}",
                "say the shape that the lists have, its axes in the order of the model; numbers in one "
                "list are taken row by row",
            )
        if found.size and not _becomes(found, dtype):
            raise wrong(f"the data of input {self._label} are not all of the type {self.datatype}")
        with np.errstate(over="ignore"):  # infinite then, which no input takes
            return found.astype(dtype).reshape(shape)

    def _texts(self, shape: tuple[int, ...]) -> NDArray[Any]:
        count = prod(shape)
        if not 0 < count <= _MOST_TEXTS:
            message = f"input {self._label} has {count} texts: 1 to {_MOST_TEXTS} go at a time"
            raise wrong(message)
        if isinstance(self.data, bytes | bytearray | memoryview):
            given: list[Any] = list(_parts(memoryview(self.data), self._label))
        else:
            given = _flat(self.data) if isinstance(self.data, list) else []
        if len(given) != count:
            what = f"input {self._label}, {list(shape)}, takes {count} texts"
            raise wrong(f"{what}, and {len(given)} are given")
        found = np.empty(count, object)
        for place, one in enumerate(given):
            found[place] = _text(one, self._label)
        return found.reshape(shape)

    @property
    def _label(self) -> str:
        return quote(self.name) if isinstance(self.name, str) else "without a name"


def _flat(data: list[Any]) -> list[Any]:
    """What is in a list of texts, or in a list of such lists."""
    rows = (one if isinstance(one, list) else [one] for one in data)
    return [text for row in rows for text in row]


def _parts(data: memoryview, label: str) -> Iterator[bytes]:
    """Texts that lie behind each other, each behind its length. Raises DiagnosticError (PG531)."""
    place = 0
    while place < len(data):
        start = place + _LENGTH
        place = start + int.from_bytes(data[start - _LENGTH : start], "little")
        if start > len(data) or place > len(data):
            raise wrong(f"the bytes of input {label} end within a text, or within its length")
        yield bytes(data[start:place])


def _text(value: Any, label: str) -> str:
    try:
        if isinstance(value, bytes):
            return value.decode("utf-8")
        if isinstance(value, str):
            value.encode("utf-8")  # JSON may hold half a pair of surrogates
            return value
    except UnicodeError as error:
        raise wrong(f"input {label} has a text that is not UTF-8") from error
    raise wrong(f"the data of input {label} are not all texts")


def _is_cut_out_of(nested: Sequence[int], shape: Sequence[int]) -> bool:
    """Whether nested lists are an array of a shape, some neighbouring axes of it in one list."""
    # The numbers in a row of each axis and all behind it: a list that holds several axes has fewer of them.
    return set(accumulate(reversed(nested), mul)) <= {1, *accumulate(reversed(shape), mul)}


def _becomes(found: NDArray[Any], dtype: np.dtype[Any]) -> bool:
    """Whether numbers of JSON are those of a type."""
    if dtype.kind == "f":
        return found.dtype.kind in "iuf"
    if dtype.kind == "b":
        truths = found.dtype.kind in "iu" and bool(((found == 0) | (found == 1)).all())
        return found.dtype.kind == "b" or truths
    if found.dtype.kind not in "iu":
        return False
    limits = np.iinfo(dtype)
    return int(found.min()) >= limits.min and int(found.max()) <= limits.max


def wrong(message: str, help: str | None = None) -> DiagnosticError:
    """The diagnostic PG531: a request that is none of the protocol."""
    return DiagnosticError.of("PG531", message, help=help)
