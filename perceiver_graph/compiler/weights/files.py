"""Tensors of safetensors files. Pickles are not opened: opening one runs whatever it says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.weights import foreign
from perceiver_graph.diagnostics import DiagnosticError, addresses, quote
from perceiver_graph.diagnostics.commands import command
from perceiver_graph.diagnostics.words import closest, question

EIGHT_BITS = {"F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2"}
FLOATS = {
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F64": "float64",
    **EIGHT_BITS,
}
"""The formats that are read, by their names in safetensors files."""

_DEVICE = re.compile(r"cpu|mps|(cuda|gpu)(:[0-9]+)?")
_MOST = 1000  # names of a folder that are looked at
_PATH_LIMIT = 400

_NOT_OF_NUMPY = {"bfloat16", *EIGHT_BITS.values()}


@dataclass(frozen=True)
class Tensor:
    """A tensor as its file's header describes it, and a way to read its elements."""

    shape: tuple[int, ...]
    dtype: str
    """One of FLOATS as numpy and ml_dtypes call it, or another format by its name in the file."""
    read: Callable[[], Array] = field(repr=False)
    """Its elements, in its own format."""


@dataclass(frozen=True)
class Tensors:
    """The tensors of one checkpoint, in the order of their names; elements are read when asked for."""

    path: Path
    """What was asked for: a file or a folder. Messages name it."""
    tensors: Mapping[str, Tensor]
    notes: Sequence[str] = ()
    """What a person should know of where they were found."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.tensors)

    @property
    def file(self) -> Path | str:
        """Its path as commands name it."""
        return "CHECKPOINT" if self.path == _GIVEN else self.path

    @property
    def label(self) -> str:
        """What messages call it."""
        return str(self.path) if self.path == _GIVEN else quote(self.path)

    def get(self, name: str) -> Array:
        """The tensor as float32. Raises DiagnosticError (PG305) for anything but FLOATS."""
        tensor = self.tensors[name]
        if tensor.dtype not in FLOATS.values():
            raise DiagnosticError.of(
                "PG305", f"the tensor {quote(name)} of {self.label} is {tensor.dtype}"
            )
        # A float64 beyond float32 becomes infinite, which is reported like any other infinity.
        with np.errstate(over="ignore"):
            return tensor.read().astype(np.float32, copy=False)


_GIVEN = Path("the arrays given")
"""What stands for a path where there is none."""


def given_tensors(arrays: Mapping[str, Any]) -> Tensors:
    """Arrays that the caller has, or tensors of torch, as if they came from a file.

    Raises DiagnosticError (PG305) for what is no array of numbers, or has some of them masked.
    """
    found = {}
    for name, value in arrays.items():
        if np.ma.isMaskedArray(value) and np.ma.getmaskarray(value).any():
            message = f"the tensor {quote(str(name))} is a masked array, and some of it is masked"
            help = "say what stands for what is masked, as in `.filled(0)`"
            raise DiagnosticError.of("PG305", message, help=help)
        try:
            array = _array_of(value) if hasattr(value, "detach") else np.asarray(value)
        except (TypeError, ValueError, RuntimeError) as error:
            message = f"the tensor {quote(str(name))} is no array: {error}"
            raise DiagnosticError.of("PG305", message) from None
        found[str(name)] = Tensor(array.shape, array.dtype.name, partial(np.asarray, array))
    return Tensors(_GIVEN, found)


def _array_of(tensor: Any) -> Array:
    """The numbers of a tensor of torch, sparse and quantised ones too; numpy has no bfloat16."""
    tensor = tensor.detach().cpu()
    tensor = tensor.dequantize() if tensor.is_quantized else tensor.to_dense()
    return np.asarray(tensor.float() if tensor.is_floating_point() else tensor)


def read_tensors(path: str | Path) -> Tensors:
    """Open a .safetensors file. Raises DiagnosticError (PG301) for a file that is none."""
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise _no_weights(path, None)
        file: Any = safe_open(path, framework="numpy")
        slices = {name: file.get_slice(name) for name in sorted(file.keys())}
    except FileNotFoundError:
        raise not_found(path) from None
    except SafetensorError as error:
        raise _no_weights(path, error) from None
    except OSError as error:
        raise unreadable(path, error) from None

    def entry(name: str) -> Tensor:
        dtype = FLOATS.get(slices[name].get_dtype(), slices[name].get_dtype())
        shape = tuple(slices[name].get_shape())
        if dtype in _NOT_OF_NUMPY:
            return Tensor(shape, dtype, lambda: _narrow(path, name, dtype).reshape(shape))
        return Tensor(shape, dtype, lambda: np.asarray(file.get_tensor(name)))

    return Tensors(path, {name: entry(name) for name in slices})


def _narrow(path: Path, name: str, dtype: str) -> Array:
    """The elements of a tensor in a format that numpy, and so the reader of safetensors, lacks.

    Format: the size of the header in 8 bytes, the header, and the tensors at offsets after it.
    """
    import ml_dtypes  # comes with onnx

    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        first, last = json.loads(file.read(size))[name]["data_offsets"]
        file.seek(8 + size + first)
        return np.frombuffer(file.read(last - first), getattr(ml_dtypes, dtype))


def _no_weights(path: Path, error: Exception | None) -> DiagnosticError:
    """What a file is that is not read (PG301)."""
    try:
        found = foreign.identify(path)
    except OSError as cannot:
        return unreadable(path, cannot)
    if found is not None:
        what = foreign.described(path, found)
        return DiagnosticError.of("PG301", what, notes=found.notes, help=found.help)
    return DiagnosticError.of(
        "PG301",
        f"{quote(path)} is not a complete safetensors file",
        notes=[str(error)],
        help="copy or download it again",
    )


def unreadable(path: Path, error: OSError) -> DiagnosticError:
    """A file or folder that the system does not let us read (PG301)."""
    reason = error.strerror or str(error)
    return DiagnosticError.of("PG301", f"{quote(path)} cannot be read: {reason}")


def not_found(path: Path) -> DiagnosticError:
    """A path where there is nothing (PG301)."""
    parts = path.parts
    looks_like_hub = len(parts) == 2 and not path.is_absolute() and not path.suffix
    if told := addresses.instead(str(path), "import"):
        help = told
    elif _DEVICE.fullmatch(str(path)):
        device = str(path).replace("gpu", "cuda")
        help = f'weights come first: `to_torch(WEIGHTS).to("{device}")` moves the module'
    elif looks_like_hub:
        help = f"if a model of a hub is meant: {command('import', f'hf://{path.as_posix()}')}"
    else:
        near = closest(path.name, _beside(path), 3)
        found = question((str(path.with_name(one)) for one in near), _PATH_LIMIT)
        help = (
            found or f"check the path; a model of a hub is {command('import', 'hf://OWNER/NAME')}"
        )
    return DiagnosticError.of("PG301", f"there is no file or folder {quote(path)}", help=help)


def _beside(path: Path) -> list[str]:
    try:
        return [one.name for one in islice(path.parent.iterdir(), _MOST)]
    except (OSError, ValueError):
        return []
