"""No reader lets a library's warning through: not for headers of Python 2, not for odd pictures."""

from __future__ import annotations

import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from perceiver_graph.media.files.numbers.npy import array_names, read_array, read_npy
from perceiver_graph.media.files.pictures import read_picture
from perceiver_graph.media.points.cloud import read_points
from perceiver_graph.media.table.rows import read_table
from perceiver_graph.runtime.inputs import read_arrays
from tests.media_support import code_of

VALUES = np.arange(12, dtype="<f4").reshape(4, 3)
PYTHON_2 = "{'descr': '<f4', 'fortran_order': False, 'shape': (4L, 3L), }"


def npy(header: str) -> bytes:
    """A file of version 1.0 with any text for its header, over the bytes of `VALUES`."""
    text = header.encode("latin1") + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + VALUES.tobytes()


def write(folder: Path, header: str) -> tuple[Path, Path]:
    """The same array by itself, and as `points` in an archive."""
    single, archive = folder / "points.npy", folder / "points.npz"
    single.write_bytes(npy(header))
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("points.npy", npy(header))
    return single, archive


@pytest.fixture(autouse=True)
def _nothing_is_said() -> Iterator[None]:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        yield
    assert [str(one.message) for one in said] == []


def test_numpy_would_say_something(tmp_path: Path) -> None:
    single, _ = write(tmp_path, PYTHON_2)
    with pytest.warns(UserWarning, match="Python 2"):
        np.load(single)


def test_arrays_of_python_2_are_read_without_a_word(tmp_path: Path) -> None:
    single, archive = write(tmp_path, PYTHON_2)
    found = [
        read_arrays(archive)["points"],
        read_npy(single),
        read_array(archive, "points"),
        read_table(single, "points").values,
        read_table(archive, "points").values,
        read_points(single),
        read_points(archive),
    ]
    for values in found:
        np.testing.assert_array_equal(values, VALUES)
    assert array_names(archive) == ["points"]


BAD = {
    "an escape that is none": r"{'descr': '<f4\d', 'fortran_order': False, 'shape': (4, 3), }",
    "a number run into a word": "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 1if 1else 3)}",
    "a very long one": PYTHON_2.replace("L", "") + " " * 20_000,
}


@pytest.mark.parametrize("header", BAD.values(), ids=BAD)
def test_damaged_headers_are_told_in_our_words_alone(header: str, tmp_path: Path) -> None:
    single, archive = write(tmp_path, header)
    readers: list[tuple[str, Callable[[], Any]]] = [
        ("PG513", lambda: read_arrays(archive)),
        ("PG507", lambda: read_npy(single)),
        ("PG507", lambda: read_array(archive, "points")),
    ]
    for code, read in readers:
        found, text = code_of(read)
        assert found == code
        assert "is damaged" in text
        assert "allow_pickle" not in text, "advice that is not for the user"


def test_objects_are_still_called_objects(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", a=np.array([{}], object))
    for read in (
        lambda: read_npy(tmp_path / "a.npy"),
        lambda: read_array(tmp_path / "a.npz", "a"),
        lambda: read_arrays(tmp_path / "a.npz"),
    ):
        assert "holds Python objects" in code_of(read)[1]


def test_pictures_of_palettes_are_read_without_a_word(tmp_path: Path) -> None:
    path = tmp_path / "palette.png"
    image = Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4), "L").convert("P")
    image.save(path, transparency=bytes(range(256)))
    with pytest.warns(UserWarning, match="Transparency"), Image.open(path) as opened:
        opened.convert("RGB")
    assert read_picture(path)[0].shape == (4, 4, 3)
