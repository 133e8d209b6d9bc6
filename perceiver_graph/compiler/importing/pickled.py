"""What pickles of arrays are made with, by name: numpy's and jax's reductions, haiku's mappings.

Each function here stands for one that a pickle names. Its arguments come from the file and are
trusted in nothing; its results are plain data, and arrays as a shape, a dtype and bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Any

import numpy as np

from perceiver_graph import limits
from perceiver_graph.compiler.ir.op import Array

MOST_AXES = 8

_CODES: dict[str, str] = {
    **{code: code for code in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")},
    "b1": "?",
    "?": "?",
    "bool": "?",
    "float16": "f2",
    "float32": "f4",
    "float64": "f8",
    "int32": "i4",
    "int64": "i8",
}
"""The dtypes that are read, as pickles call them and as numpy does."""


class RefusedError(Exception):
    """The pickle asks for more than data; the message says what for."""


@dataclass(frozen=True)
class Global:
    """A name in a pickle. It is compared with names that are known, and never looked up."""

    module: str
    name: str


@dataclass
class Dtype:
    """An element type: a numpy code of _CODES or `bfloat16`, and the order of its bytes."""

    code: str
    order: str = "<"

    @property
    def size(self) -> int:
        return 2 if self.code == "bfloat16" else np.dtype(self.code).itemsize


@dataclass
class Pickled:
    """An array: its elements stay bytes of the file until they are asked for."""

    shape: tuple[int, ...] | None = None
    dtype: Dtype | None = None
    column_major: bool = False
    data: bytes | bytearray = b""

    def array(self) -> Array:
        """The array; bfloat16 becomes float32, without loss."""
        assert self.dtype is not None
        assert self.shape is not None
        order = "F" if self.column_major else "C"
        if self.dtype.code == "bfloat16":
            halves = np.frombuffer(self.data, f"{self.dtype.order}u2").astype(np.uint32)
            return (halves << 16).view(np.float32).reshape(self.shape, order=order)  # type: ignore[call-overload,no-any-return]
        dtype = np.dtype(self.dtype.code).newbyteorder(self.dtype.order)  # type: ignore[arg-type]
        return np.frombuffer(self.data, dtype).reshape(self.shape, order=order)  # type: ignore[call-overload,no-any-return]

    def fill(self, shape: Any, dtype: Any, column_major: bool, data: Any) -> None:
        """Give it its contents. Raises RefusedError where they do not fit together."""
        axes = type(shape) is tuple and len(shape) <= MOST_AXES
        if not axes or not all(type(n) is int and 1 <= n <= limits.SIZE for n in shape):
            raise RefusedError("an array whose shape is no tuple of sizes")
        if type(dtype) is not Dtype:
            raise RefusedError("an array without a dtype of numbers")
        if type(data) not in (bytes, bytearray) or len(data) != math.prod(shape) * dtype.size:
            raise RefusedError("an array whose elements are not the bytes of its shape")
        self.shape, self.dtype, self.column_major, self.data = shape, dtype, column_major, data


def is_known(name: Global) -> bool:
    """Whether a pickle may name this."""
    return name in _FUNCTIONS or name in _NAMES


def call(function: Global, arguments: tuple[Any, ...]) -> Any:
    """What a known function makes of its arguments. Raises RefusedError for any other call."""
    if function not in _FUNCTIONS:
        raise RefusedError(f"a call of `{function.module}.{function.name}`")
    return _FUNCTIONS[function](*_padded(arguments))


def build(target: Any, state: Any) -> None:
    """Give an array or a dtype the state that numpy wrote. Raises RefusedError for anything else."""
    if type(target) is Pickled and type(state) is tuple and len(state) == 5:
        _, shape, dtype, column_major, data = state
        target.fill(shape, dtype, column_major is True or column_major == 1, data)
    elif type(target) is Dtype and type(state) is tuple and len(state) >= 5:
        _, order, subdtype, names, fields = state[:5]
        if any(part is not None for part in (subdtype, names, fields)):
            raise RefusedError("an array of records")
        if order not in ("<", ">", "|", "="):
            raise RefusedError("a dtype of no known byte order")
        target.order = ">" if order == ">" else "<"
    else:
        raise RefusedError("state for what is no array")


def key(value: Any) -> str:
    """A key of a dictionary, which is text: hashing other things can be made to take for ever."""
    if type(value) is str:
        return value
    raise RefusedError("a dictionary whose keys are not text")


def _padded(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Four arguments, None for those that are not there: no function here takes more."""
    if len(arguments) > 4:
        raise RefusedError("a call with too many arguments")
    return arguments + (None,) * (4 - len(arguments))


def _empty_array(kind: Any, shape: Any, code: Any, _: Any) -> Pickled:
    if not _is(kind, _NDARRAY):
        raise RefusedError("an array of another class than `numpy.ndarray`")
    return Pickled()


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> Pickled:
    found = Pickled()
    found.fill(shape, dtype, order == "F", data)
    return found


def _scalar(dtype: Any, data: Any, _: Any, __: Any) -> Pickled:
    found = Pickled()
    found.fill((), dtype, False, data)
    return found


def _dtype(code: Any, _: Any, __: Any, ___: Any) -> Dtype:
    if _is(code, _BFLOAT16):
        return Dtype("bfloat16")
    if type(code) is str and code in _CODES:
        return Dtype(_CODES[code])
    raise RefusedError("an array of objects or of a dtype that is not of numbers")


def _from_jax(function: Any, arguments: Any, state: Any, _: Any) -> Any:
    """An array of jax: numpy's function, its arguments and its state, then what jax adds."""
    if not _is(function, _ARRAY_MAKERS) or type(arguments) is not tuple:
        raise RefusedError("an array of jax that is not made of one of numpy")
    found = call(function, arguments)
    if state is not None:
        build(found, state)
    return found


def _mapping(content: Any, _: Any, __: Any, ___: Any) -> dict[str, Any]:
    """A dictionary from nothing or a dictionary."""
    if content is None:
        return {}
    if type(content) is not dict:
        raise RefusedError("a mapping that is made of something else than a dictionary")
    return content


def _encode(text: Any, encoding: Any, _: Any, __: Any) -> bytes:
    """How bytes stand in pickles of protocol 2."""
    if type(text) is not str or encoding != "latin1":
        raise RefusedError("an encoding of other than bytes")
    try:
        return text.encode("latin1")
    except UnicodeEncodeError:
        raise RefusedError("bytes that are none") from None


def _no_bytes(content: Any, _: Any, __: Any, ___: Any) -> bytes:
    """How an empty string of bytes stands in pickles of protocol 2."""
    if content is not None:
        raise RefusedError("bytes that are made of something else than text")
    return b""


def _is(value: Any, names: Container[Global]) -> bool:
    """Whether a value of a pickle is one of these names; it may be anything, hashable or not."""
    return type(value) is Global and value in names


def _names(modules: str, *names: str) -> frozenset[Global]:
    return frozenset(Global(module, name) for module in modules.split() for name in names)


_NDARRAY = _names("numpy", "ndarray")
_BFLOAT16 = _names("ml_dtypes jaxlib.xla_extension jax.numpy", "bfloat16")
_NAMES = _NDARRAY | _BFLOAT16
"""What is only ever an argument."""

_ARRAY_MAKERS: dict[Global, Callable[..., Any]] = {
    **dict.fromkeys(
        _names("numpy.core.multiarray numpy._core.multiarray", "_reconstruct"), _empty_array
    ),
    **dict.fromkeys(_names("numpy.core.numeric numpy._core.numeric", "_frombuffer"), _from_buffer),
    **dict.fromkeys(_names("numpy.core.multiarray numpy._core.multiarray", "scalar"), _scalar),
}
_FUNCTIONS: dict[Global, Callable[..., Any]] = {
    **_ARRAY_MAKERS,
    **dict.fromkeys(_names("numpy", "dtype"), _dtype),
    **dict.fromkeys(_names("_codecs", "encode"), _encode),
    **dict.fromkeys(_names("builtins __builtin__", "bytes"), _no_bytes),
    **dict.fromkeys(_names("collections", "OrderedDict"), _mapping),
    **dict.fromkeys(_names("builtins __builtin__", "dict"), _mapping),
    **dict.fromkeys(
        _names("haiku._src.data_structures", "FlatMapping", "FlatMap", "frozendict"), _mapping
    ),
    **dict.fromkeys(
        _names("jax._src.array jax._src.device_array jax.interpreters.xla", "_reconstruct_array"),
        _from_jax,
    ),
    **dict.fromkeys(
        _names("jax._src.device_array jax.interpreters.xla", "reconstruct_device_array"), _from_jax
    ),
}
