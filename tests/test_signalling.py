"""A signalling NaN, which damage makes of any number, is refused as any other NaN: without a warning."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from perceiver_graph.media.points.cloud import read_points
from tests.media_support import code_of

DAMAGED = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
DAMAGED.view(np.uint32)[1, 2] = 0x7F800001


def ply(order: str) -> bytes:
    name = {"<": "little", ">": "big"}[order]
    head = f"ply\nformat binary_{name}_endian 1.0\nelement vertex 2\n"
    head += "".join(f"property float {axis}\n" for axis in "xyz")
    values = DAMAGED if order == "<" else DAMAGED.byteswap()
    return f"{head}end_header\n".encode() + values.tobytes()


def pcd() -> bytes:
    head = "VERSION .7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 2\nHEIGHT 1\n"
    return f"{head}POINTS 2\nDATA binary\n".encode() + DAMAGED.tobytes()


def npy(array: NDArray[Any]) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def records() -> bytes:
    return npy(DAMAGED.view([(axis, np.float32) for axis in "xyz"])[:, 0])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "make",
    [lambda: ply("<"), lambda: ply(">"), pcd, lambda: npy(DAMAGED), records],
    ids=["ply", "ply-big", "pcd", "npy", "records"],
)
def test_a_signalling_nan_is_refused_as_any_other(
    make: Callable[[], bytes], tmp_path: Path
) -> None:
    path = tmp_path / "cloud.dat"
    path.write_bytes(make())
    assert code_of(lambda: read_points(path))[0] == "PG505"
