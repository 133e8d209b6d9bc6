"""Reads weights from a file, without a library."""

from __future__ import annotations

import json
import mmap
from pathlib import Path

import torch
from torch import Tensor

DTYPES = {
    "BF16": torch.bfloat16,
    "BOOL": torch.bool,
    "F16": torch.float16,
    "F32": torch.float32,
    "F64": torch.float64,
    "I64": torch.int64,
}


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name, mapped into memory. Format: size of header, header, bytes."""
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        dtype, (first, last) = DTYPES[entry["dtype"]], entry["data_offsets"]
        count = (last - first) // dtype.itemsize
        flat = torch.frombuffer(data, dtype=dtype, count=count, offset=start + first)
        tensors[name] = flat.view(entry["shape"])
    return tensors
