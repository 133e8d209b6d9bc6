"""Reads what `torch.save` wrote of a model's tensors, without torch and without unpickling.

Such a file is a zip archive: `data.pkl` says which tensors there are, `data/0`, `data/1` ... hold their
elements. The pickle is followed as those of DeepMind are, with other names.
"""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from perceiver_graph import limits
from perceiver_graph.compiler.importing.pickled import MOST_AXES, Global, RefusedError
from perceiver_graph.compiler.importing.pickles import (
    BrokenError,
    Machine,
    follow,
    more_than_data,
)
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.weights import foreign, transformers
from perceiver_graph.compiler.weights.files import Tensor, Tensors
from perceiver_graph.diagnostics import DiagnosticError, quote

WEIGHTS = "pytorch_model.bin"
INDEX = "pytorch_model.bin.index.json"

_LARGEST = 1 << 26  # bytes of the pickle, which holds names and numbers
_REPEATS = 4
"""How often elements may be named: tensors that share them are whole copies of each other at most."""

_NO_ARCHIVE = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError),
    *(ValueError, RuntimeError, NotImplementedError),  # of names, passwords and methods in it
)

_DTYPES = {
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "DoubleStorage": "float64",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
_TENSOR = Global("torch._utils", "_rebuild_tensor_v2")
_PARAMETER = Global("torch._utils", "_rebuild_parameter")
_MAPPING = Global("collections", "OrderedDict")
_STORAGES = {Global("torch", name): dtype for name, dtype in _DTYPES.items()}


def tensors_at(path: Path) -> Tensors | None:
    """The tensors that PyTorch saved in a file, or in a folder of transformers that has no others.

    None for anything else, the checkpoint of a trainer too: it holds more than a model. Raises
    DiagnosticError (PG301, PG312).
    """
    if not path.is_dir():
        return _read(path)
    names = {entry.name for entry in path.iterdir()}
    if "adapter_config.json" in names or any(".safetensors" in name for name in names):
        return None
    if INDEX in names:
        return Tensors(path, transformers.shards(path / INDEX, _shard))
    found = _read(path / WEIGHTS) if WEIGHTS in names else None
    return found and Tensors(path, found.tensors)


def _shard(path: Path) -> Tensors:
    found = _read(path)
    return transformers.read_file(path) if found is None else found  # which says what it is


def _read(path: Path) -> Tensors | None:
    """The tensors of a file by name; None for a file of another kind."""
    try:
        with zipfile.ZipFile(path) as archive:
            content = _content(archive)
    except _NO_ARCHIVE:
        return None  # what it is instead is told where that is known
    except RefusedError as refused:
        raise more_than_data(path, refused, foreign.conversion(path)) from None
    except BrokenError as error:
        raise _damaged(path, error) from None
    if not isinstance(content, dict) or not all(isinstance(t, _Saved) for t in content.values()):
        return None
    size = path.stat().st_size
    if sum(saved.bytes for saved in content.values()) > _REPEATS * size:
        raise _damaged(path, "its tensors are larger than it is")
    return Tensors(path, {name: content[name].tensor(path) for name in sorted(content)})


def _damaged(path: Path, what: object) -> DiagnosticError:
    return DiagnosticError.of(
        "PG301",
        f"{quote(path)} is no complete file of PyTorch: {what}",
        help="copy or download it again",
    )


def _content(archive: zipfile.ZipFile) -> Any:
    """What the pickle of an archive makes; None where there is none, or it is a program too."""
    names = archive.namelist()
    pickles = [name for name in names if name.endswith("/data.pkl")]
    if len(pickles) != 1 or any(name.endswith("/constants.pkl") for name in names):
        return None
    root = pickles[0].removesuffix("data.pkl")
    if f"{root}byteorder" in names and archive.read(f"{root}byteorder") != b"little":
        raise BrokenError("its numbers have the other byte order")
    entry = archive.getinfo(pickles[0])
    if entry.file_size > _LARGEST:
        raise BrokenError(f"it describes its tensors in {entry.file_size} bytes")
    data = archive.read(entry)
    return follow(io.BytesIO(data), len(data), _TorchMachine(archive, root, len(data)))


@dataclass(frozen=True)
class _Storage:
    """Elements in the archive, one after the other."""

    entry: str
    dtype: str
    count: int


@dataclass(frozen=True)
class _Saved:
    """A tensor: where its elements are in a storage."""

    storage: _Storage
    first: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * _dtype(self.storage.dtype).itemsize

    def tensor(self, path: Path) -> Tensor:
        return Tensor(self.shape, self.storage.dtype, partial(self._elements, path))

    def _elements(self, path: Path) -> Array:
        try:
            with zipfile.ZipFile(path) as archive:
                data = archive.read(self.storage.entry)  # compared with its checksum
        except _NO_ARCHIVE as error:
            raise _damaged(path, str(error) or type(error).__name__) from None
        if len(data) != self.storage.count * _dtype(self.storage.dtype).itemsize:
            raise _damaged(path, f"the elements {quote(self.storage.entry)} are cut off")
        elements = np.frombuffer(data, _dtype(self.storage.dtype))[self.first :]
        steps = tuple(step * elements.itemsize for step in self.strides)
        return np.lib.stride_tricks.as_strided(elements, self.shape, steps, writeable=False)


def _dtype(name: str) -> np.dtype[Any]:
    if name == "bfloat16":
        import ml_dtypes  # comes with onnx

        found: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return found
    return np.dtype(name)


class _TorchMachine(Machine):
    """Follows the pickle of a file of PyTorch: what tensors are made with, and nothing else."""

    def __init__(self, archive: zipfile.ZipFile, root: str, size: int) -> None:
        super().__init__(size)
        self._entries = {entry.filename: entry for entry in archive.infolist()}
        self._root = root

    def is_known(self, name: Global) -> bool:
        return name in (_TENSOR, _PARAMETER, _MAPPING) or name in _STORAGES

    def call(self, function: Global, arguments: tuple[Any, ...]) -> Any:
        if function == _MAPPING and not arguments:
            return {}
        if function == _TENSOR and len(arguments) >= 4:
            return _tensor(*arguments[:4])
        if function == _PARAMETER and arguments and type(arguments[0]) is _Saved:
            return arguments[0]
        raise RefusedError(f"a call of `{function.module}.{function.name}`")

    def build(self, target: Any, state: Any) -> None:
        """A state dict has the versions of its modules as an attribute, which nothing here asks for."""
        if type(target) is not dict or type(state) is not dict or set(state) != {"_metadata"}:
            raise RefusedError("state for what is no tensor")

    def _op_binpersid(self, _: None) -> None:
        """Elements of the archive: ("storage", kind, entry, device, count)."""
        told = self.pop()
        if type(told) is not tuple or len(told) != 5 or told[0] != "storage":
            raise RefusedError("an object that is kept outside of it")
        _, kind, name, _, count = told
        dtype = _STORAGES.get(kind) if type(kind) is Global else None
        if dtype is None or type(name) is not str or type(count) is not int:
            raise RefusedError("elements of no known kind")
        entry = self._entries.get(f"{self._root}data/{name}")
        if entry is None or entry.compress_type != zipfile.ZIP_STORED:
            raise BrokenError(f"the elements {quote(name)} are missing")
        if count < 0 or entry.file_size != count * _dtype(dtype).itemsize:
            raise BrokenError(f"the elements {quote(name)} are not {count}, as it says")
        self.push(_Storage(entry.filename, dtype, count))


def _tensor(storage: Any, first: Any, shape: Any, strides: Any) -> _Saved:
    """A tensor whose elements lie within its storage. Raises RefusedError for any other."""
    sizes = (first, *shape, *strides) if _are_tuples(shape, strides) else (None,)
    if type(storage) is not _Storage or len(shape) != len(strides) or len(shape) > MOST_AXES:
        raise RefusedError("a tensor that is not made of elements and sizes")
    if not all(type(n) is int and 0 <= n <= limits.SIZE for n in sizes):
        raise RefusedError("a tensor whose shape is no tuple of sizes")
    last = first + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    count = math.prod(shape)
    if count and (last >= storage.count or count > storage.count):
        raise RefusedError("a tensor that reaches beyond its elements")
    return _Saved(storage, first, shape, strides)


def _are_tuples(*values: Any) -> bool:
    return all(type(value) is tuple for value in values)
