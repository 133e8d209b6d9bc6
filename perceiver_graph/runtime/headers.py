"""What an .npz archive says that it holds, read before any of it is: a few kilobytes of a zip can stand
for terabytes of zeros."""

from __future__ import annotations

import io
import struct
import zipfile
from dataclasses import dataclass
from math import prod
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from perceiver_graph.runtime.read_errors import quiet

SUFFIX = ".npy"
_LONGEST = 10_000
"""Bytes of a header: numpy refuses longer ones too, but only after it has read them."""


@dataclass(frozen=True)
class Header:
    """A member of an archive: an array as it is described there."""

    name: str
    member: zipfile.ZipInfo
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        """Bytes that the array takes."""
        return prod(self.shape) * self.dtype.itemsize

    def stand_in(self) -> NDArray[Any]:
        """An array of this shape and dtype that takes no memory, and cannot be changed."""
        return np.broadcast_to(np.zeros((), self.dtype), self.shape)


def read_header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Header:
    """The header of an array. Raises ValueError for what is none, and as zipfile does."""
    with quiet(), archive.open(member) as stream:
        if stream.read(len(npy.MAGIC_PREFIX)) != npy.MAGIC_PREFIX:
            raise ValueError("it is no array of numpy (.npy)")
        version = tuple(_exactly(stream, 2))
        if version not in ((1, 0), (2, 0), (3, 0)):
            raise ValueError(f"its format, {version[0]}.{version[1]}, is not known")
        layout = "<H" if version == (1, 0) else "<I"
        size = _exactly(stream, struct.calcsize(layout))
        (length,) = struct.unpack(layout, size)
        if length > _LONGEST:
            raise ValueError(f"its header has {length} bytes")
        text = io.BytesIO(size + _exactly(stream, length))
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(text)
    if dtype.hasobject:
        raise ValueError("Object arrays cannot be read")
    if any(size < 0 for size in shape) or prod(shape) * max(dtype.itemsize, 1) >= 2**62:
        raise ValueError(f"its shape is {shape}")
    header = Header(member.filename.removesuffix(SUFFIX), member, shape, dtype)
    before = len(npy.MAGIC_PREFIX) + 2 + len(size) + length
    if member.file_size != before + header.nbytes:
        raise ValueError(
            f"it says {header.nbytes} bytes of numbers and has {member.file_size - before}"
        )
    return header


def _exactly(stream: IO[bytes], count: int) -> bytes:
    content = stream.read(count)
    if len(content) != count:
        raise ValueError("it ends within its header")
    return content
