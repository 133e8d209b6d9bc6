"""Archives of arrays that were made to do harm: refused by their headers, before they are inflated."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from perceiver_graph.runtime import Program, load
from perceiver_graph.runtime.inputs import read_arrays
from tests.tiny import expected, fault, faults, write_artifact

IDS = np.zeros(1, np.int64)
Members = dict[str, bytes | Callable[[Any], object]]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return load(write_artifact(tmp_path_factory.mktemp("arrays") / "tiny"), device="cpu")


def header(shape: tuple[int, ...], dtype: str = "<f4", order: bool = False) -> bytes:
    """The header of an array whose numbers may not follow."""
    stream = io.BytesIO()
    described = {"descr": dtype, "fortran_order": order, "shape": shape}
    np.lib.format.write_array_header_2_0(stream, described)
    return stream.getvalue()


def archive(path: Path, members: Members) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as found:
        for name, content in members.items():
            with found.open(f"{name}.npy", "w", force_zip64=True) as stream:
                if callable(content):
                    content(stream)
                else:
                    stream.write(content)
    return path


def array(values: NDArray[Any]) -> Callable[[Any], object]:
    return lambda stream: np.lib.format.write_array(stream, values)


def zeros(start: bytes, count: int) -> Callable[[Any], object]:
    """So many bytes after a header: a thousandth of them in the archive."""

    def write(stream: Any) -> None:
        stream.write(start)
        for _ in range(count // 2**20):
            stream.write(bytes(2**20))

    return write


@contextmanager
def quickly() -> Iterator[None]:
    """Neither time nor memory is spent."""
    start = time.monotonic()
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()
    assert time.monotonic() - start < 5


GIB_OF_ZEROS = 2**28
"""Bytes of zeros in the archives of the tests: 256 MiB, from 256 KiB."""


@pytest.mark.parametrize(
    ("member", "codes"),
    [
        (zeros(header((1, 2**24, 2)), 2**27), {"PG503"}),  # more than `length` may be
        (zeros(header((1, 6, 2**22)), GIB_OF_ZEROS), {"PG513"}),  # more bytes than it says
        (zeros(header((1, 6, 2)), GIB_OF_ZEROS), {"PG513"}),
        (header((10**12, 2, 2)), {"PG513"}),
        (header((1, 2, 2**62)), {"PG513"}),
        (header((1, 0, 2, 2**63)), {"PG513"}),
        (header((1, 2, 2), "|O"), {"PG513"}),
        (array(np.zeros((1, 2, 2), "U4")), {"PG504"}),
        (array(np.zeros((1, 2, 2), [("a", "f4")])), {"PG504"}),
        (array(np.zeros((1, 2, 5), "f4")), {"PG503"}),
        (zeros(b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**28), 2**28), {"PG513"}),
        (b"\x93NUMPY\x09\x00", {"PG513"}),
        (b"", {"PG513"}),
        (b"import os", {"PG513"}),
    ],
)
def test_what_the_manifest_does_not_permit_is_not_inflated(
    member: Any, codes: set[str], program: Program, tmp_path: Path
) -> None:
    path = archive(tmp_path / "in.npz", {"points": member, "ids": array(IDS)})
    with quickly():
        assert {d.code for d in faults(lambda: read_arrays(path, program.manifest))} == codes


def test_batches_beyond_the_memory_of_the_machine_are_refused(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perceiver_graph.runtime.room.memory", lambda: 2**20)
    path = archive(tmp_path / "in.npz", {"points": array(np.zeros((2**17, 2, 2), "f4"))})
    found = fault(lambda: read_arrays(path, program.manifest))
    assert (found.code, "131072 x 2 x 2" in found.message) == ("PG603", True)


def test_unknown_names_are_refused_and_what_is_always_masked_is_not_read(
    program: Program, tmp_path: Path
) -> None:
    bomb = zeros(header((2**26,)), GIB_OF_ZEROS)
    path = archive(tmp_path / "in.npz", {"extra_thing": bomb, "ids": array(IDS)})
    with quickly():
        assert fault(lambda: read_arrays(path, program.manifest)).code == "PG502"
    points = np.ones((1, 2, 2), np.float32)
    members: Members = {"points": array(points), "ids": array(IDS), "label": bomb}
    path = archive(tmp_path / "in.npz", members)
    with quickly():
        found = program.run(read_arrays(path, program.manifest))
    np.testing.assert_allclose(found["total"], expected(points, None)["total"], rtol=1e-5)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_array_that_is_there_twice_is_refused(program: Program, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "in.npz", "w") as found:
        for value in (1.0, 2.0):
            with found.open("points.npy", "w") as stream:
                np.lib.format.write_array(stream, np.full((1, 2, 2), value, "f4"))
    assert "there twice" in fault(lambda: read_arrays(tmp_path / "in.npz")).message


@pytest.mark.parametrize("dtype", [">f4", "<f8", ">f8", "<f2", "i1", ">i8", "u2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_layout_of_numbers_is_read(
    dtype: str, order: Any, program: Program, tmp_path: Path
) -> None:
    points = np.asarray(np.arange(12).reshape(1, 6, 2), dtype, order=order)
    np.savez_compressed(tmp_path / "in.npz", points=points, ids=IDS.astype(">i8"))
    found = program.run(read_arrays(tmp_path / "in.npz", program.manifest))
    wanted = expected(points.astype(np.float32), None)
    np.testing.assert_allclose(found["total"], wanted["total"], rtol=1e-5)
