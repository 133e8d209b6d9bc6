"""Tensors of safetensors files. Pickles are not opened: opening one runs whatever it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from perceiver_graph.compiler.ops.base import Array
from perceiver_graph.diagnostics import DiagnosticError, quote

FLOATS = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "F64": "float64"}
"""The formats that are read, by their names in safetensors files."""

PICKLES = {".bin", ".ckpt", ".pkl", ".pickle", ".pt", ".pth", ".pystate"}


@dataclass(frozen=True)
class Tensor:
    """A tensor as its file's header describes it, and a way to read its elements."""

    shape: tuple[int, ...]
    dtype: str
    """`float32`, `float16`, `bfloat16`, `float64`, or another format by its name in the file."""
    _read: Callable[[], Array] = field(repr=False)


@dataclass(frozen=True)
class Tensors:
    """The tensors of one checkpoint, in the order of their names; elements are read when asked for."""

    path: Path
    """What was asked for: a file or a folder. Messages name it."""
    tensors: Mapping[str, Tensor]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.tensors)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: tensor.shape for name, tensor in self.tensors.items()}

    @property
    def dtypes(self) -> dict[str, str]:
        return {name: tensor.dtype for name, tensor in self.tensors.items()}

    def get(self, name: str) -> Array:
        """The tensor as float32. Raises DiagnosticError (PG305) for anything but FLOATS."""
        tensor = self.tensors[name]
        if tensor.dtype not in FLOATS.values():
            raise DiagnosticError.of(
                "PG305", f"the tensor {quote(name)} of {quote(self.path)} is {tensor.dtype}"
            )
        # A float64 beyond float32 becomes infinite, which is reported like any other infinity.
        with np.errstate(over="ignore"):
            return tensor._read().astype(np.float32, copy=False)


def read_tensors(path: str | Path) -> Tensors:
    """Open a .safetensors file. Raises DiagnosticError (PG301) for a file that is none."""
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if path.suffix.lower() in PICKLES and path.is_file():
        raise _pickle(path)
    try:
        file: Any = safe_open(path, framework="numpy")
        slices = {name: file.get_slice(name) for name in sorted(file.keys())}
    except FileNotFoundError:
        raise not_found(path) from None
    except SafetensorError as error:
        if _starts_like_a_pickle(path):
            raise _pickle(path) from None
        raise DiagnosticError.of(
            "PG301",
            f"{quote(path)} is not a complete safetensors file",
            notes=[str(error)],
            help="copy or download it again",
        ) from None
    except OSError as error:
        raise unreadable(path, error) from None

    def entry(name: str) -> Tensor:
        dtype = slices[name].get_dtype()
        return Tensor(
            tuple(slices[name].get_shape()),
            FLOATS.get(dtype, dtype),
            lambda: np.asarray(file.get_tensor(name)),
        )

    return Tensors(path, {name: entry(name) for name in slices})


def _starts_like_a_pickle(path: Path) -> bool:
    """Asked only where reading failed: a safetensors file may start with any bytes."""
    with path.open("rb") as file:
        return file.read(4).startswith((b"PK\3\4", b"\x80\2", b"\x80\3", b"\x80\4", b"\x80\5"))


def _pickle(path: Path) -> DiagnosticError:
    released = path.suffix.lower() in {".pickle", ".pkl", ".pystate"}
    return DiagnosticError.of(
        "PG301",
        f"{quote(path)} is a pickle or an archive, and only safetensors files are read",
        notes=["opening a pickle runs whatever program is in it"],
        help=f"if DeepMind released it: `perceiver-graph import {path} -o DIR`"
        if released
        else f"if you trust where it comes from, convert it with PyTorch:\n{_conversion(path)}",
    )


def _conversion(path: Path) -> str:
    return (
        "import torch, safetensors.torch\n"
        f"tensors = torch.load({path.name!r}, map_location='cpu', weights_only=True)\n"
        "tensors = {name: tensor.clone() for name, tensor in tensors.items()}\n"
        "safetensors.torch.save_file(tensors, 'model.safetensors')"
    )


def unreadable(path: Path, error: OSError) -> DiagnosticError:
    """A file or folder that the system does not let us read (PG301)."""
    reason = error.strerror or str(error)
    return DiagnosticError.of("PG301", f"{quote(path)} cannot be read: {reason}")


def not_found(path: Path) -> DiagnosticError:
    """A path where there is nothing (PG301)."""
    parts = path.parts
    looks_like_hub = len(parts) == 2 and not path.is_absolute() and not path.suffix
    return DiagnosticError.of(
        "PG301",
        f"there is no file or folder {quote(path)}",
        help=f"if a model of a hub is meant, download it first: `hf download {path} --local-dir {parts[-1]}`"
        if looks_like_hub
        else None,
    )
