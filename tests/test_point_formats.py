"""Formats of points besides .ply, and columns that are known by their names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.media.files.numbers import ply_header
from perceiver_graph.media.files.numbers import sheet as number_rows
from perceiver_graph.media.files.numbers import text as number_text
from perceiver_graph.media.points.cloud import points_input, read_points
from perceiver_graph.media.table.rows import read_table
from tests.media_support import code_of

CORNERS = [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
VERTICES = "0 0 0\n1 0 0\n0 1 0\n0 0 1\n"
SCAN = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]


def written(folder: Path, data: bytes | str, name: str = "cloud.dat") -> Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def points_of(folder: Path, data: bytes | str) -> list[list[float]]:
    found: list[list[float]] = read_points(written(folder, data)).tolist()
    return found


# OFF ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        "OFF\n4 0 0\n",
        "OFF4 0 0\n",
        "OFF 4 0\n",
        "off\r\n\r\n 4 0 0 # counts\r\n",
        "# made\n\nOFF\n# of\n4 0 0\n",
    ],
)
def test_the_vertices_of_off_files(tmp_path: Path, head: str) -> None:
    assert points_of(tmp_path, head + VERTICES) == CORNERS


def test_faces_are_counted_and_not_used(tmp_path: Path) -> None:
    assert points_of(tmp_path, f"OFF4 2 0\n{VERTICES}3 0 1 2\n\n3 0 1 3 255 0 0 # red\n") == CORNERS


def test_what_else_vertices_have(tmp_path: Path) -> None:
    coloured = VERTICES.replace("\n", " 255 0 0 255\n")
    assert points_of(tmp_path, "COFF\n4 0 0\n" + coloured) == CORNERS
    notes = points_input(tmp_path / "cloud.dat")[1]
    assert notes == ("colours are left out",)
    normals = VERTICES.replace("\n", " 0 0 1\n")
    assert points_of(tmp_path, "NOFF\n4 0 0\n" + normals) == [[*row, 0, 0, 1] for row in CORNERS]
    assert points_of(tmp_path, "STOFF\n4 0 0\n" + VERTICES.replace("\n", " .5 .5\n")) == CORNERS


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("OFF\n5 0 0\n" + VERTICES, "ends after 4 of 5 vertices"),
        ("OFF\n4 2 0\n" + VERTICES + "3 0 1 2\n", "ends after 1 of 2 faces"),
        ("OFF\n3 0 0\n" + VERTICES, "line 6: it goes on after the 0 faces"),
        ("OFF\n3 1 0\n" + VERTICES, "line 6: `0 0 1` is no face"),
        ("OFF\n4 1 0\n" + VERTICES + "3 0 1\n", "line 7: `3 0 1` is no face"),
        ("OFF\n0 0 0\n", "0 vertices"),
        ("OFF\n4\n" + VERTICES, "line 2: `4` is not the numbers of vertices"),
        ("OFF\n", "line 2: `` is not the numbers"),
        ("OFF\n1 0 0\n1 2\n", "line 3: `1 2` is no vertex of 3 numbers"),
        ("OFF\n1 0 0\n1 2 3 4\n", "is no vertex of 3 numbers"),
        ("OFF\n1 0 0\n1 2 x\n", "line 3, column 3: `x` is no number"),
        ("OFF\n999999999999 0 0\n1 2 3\n", "ends after 1 of 999999999999"),
        ("OFF BINARY\n\0\0\0\4", "of a kind that is not read (binary)"),
        ("4OFF\n1 0 0\n1 2 3 1\n", "of a kind that is not read (4OFF)"),
        ("nOFF\n4\n1 0 0\n1 2 3 1\n", "of a kind that is not read (nOFF)"),
    ],
)
def test_off_files_that_are_refused(tmp_path: Path, data: str, words: str) -> None:
    code, text = code_of(lambda: read_points(written(tmp_path, data)))
    assert code == "PG507"
    assert words in text


def test_an_off_file_without_its_first_line_is_no_list_of_points(tmp_path: Path) -> None:
    path = written(tmp_path, "# of a scan\n4 0 0\n" + VERTICES, "cloud.off")
    code, text = code_of(lambda: read_points(path))
    assert (code, "line 2: it does not begin with `OFF`" in text) == ("PG507", True)
    assert read_points(written(tmp_path, "4 0 0\n" + VERTICES, "cloud.xyz")).shape == (5, 3)


@pytest.mark.parametrize("head", ["", "OFF\n", "ply\n"])
def test_comments_without_an_end_are_refused(
    tmp_path: Path, head: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(number_rows, "_MOST_BLANK", 500)
    monkeypatch.setattr(number_text, "MOST_LINES", 500)
    monkeypatch.setattr(ply_header, "_LONGEST_HEADER", 5000)
    path = written(tmp_path, head + "#\n" * 4000)
    wanted = "PG507" if head == "ply\n" else "PG514"
    assert code_of(lambda: read_points(path))[0] == wanted


# PCD ---------------------------------------------------------------------------------------------

PCD = """# .PCD v.7 - Point Cloud Data file format
VERSION .7
FIELDS intensity x y z rgb label _
SIZE 4 8 4 4 4 2 1
TYPE F F F F F U U
COUNT 1 1 1 1 1 1 3
WIDTH 3
HEIGHT 1
VIEWPOINT 0 0 0 1 0 0 0
POINTS 3
DATA """
RECORD = np.dtype(
    [
        ("i", "<f4"),
        ("x", "<f8"),
        ("y", "<f4"),
        ("z", "<f4"),
        ("c", "<u4"),
        ("l", "<u2"),
        ("p", "V3"),
    ]
)
PCD_POINTS = [[*row, index / 4] for index, row in enumerate(SCAN)]


def pcd(form: str) -> bytes:
    if form == "ascii":
        rows = [f"{i} {x} {y} {z} 4.2e+06 7 0 0 0" for x, y, z, i in PCD_POINTS]
        return (PCD + "ascii\n" + "\n".join(rows)).encode()
    table = np.zeros(3, RECORD)
    for name, column in zip("xyzi", np.array(PCD_POINTS).T, strict=True):
        table[name] = column
    return (PCD + "binary\n").encode() + table.tobytes()


@pytest.mark.parametrize("form", ["ascii", "binary"])
def test_the_points_of_pcd_files(tmp_path: Path, form: str) -> None:
    assert points_of(tmp_path, pcd(form)) == PCD_POINTS
    values, notes = points_input(tmp_path / "cloud.dat", 4, centre=False)
    assert values[0].tolist() == PCD_POINTS
    what = "colours, whole numbers and fields of several values"
    assert notes == (
        "the columns are taken in the order x, y, z, intensity",
        f"{what} are left out (`rgb`, `label`); the others are x, y, z, intensity",
    )


def test_old_and_short_headers_of_pcd(tmp_path: Path) -> None:
    head = "COLUMNS x y z\nSIZE 4 4 4\nTYPE F F F\nWIDTH 2\nHEIGHT 2\nDATA ascii\n"
    assert points_of(tmp_path, head + VERTICES) == CORNERS


@pytest.mark.parametrize("form", ["ascii", "binary"])
@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("WIDTH 3", "WIDTH 4", "4 x 1 points are promised, and 3 as well"),
        ("WIDTH 3\nHEIGHT 1", "WIDTH 2\nHEIGHT 2", "promised"),
        ("WIDTH 3", "WIDTH three", "in `WIDTH`"),
        ("FIELDS", "FILEDS", "line 3: `FILEDS intensity"),
        (" y z ", " y w ", "no column is called `z`"),
        (" y z ", " y x ", "no column is called `z`"),
        ("TYPE F F F F", "TYPE F F F Q", "fields that are unknown"),
        ("SIZE 4 8", "SIZE 4 7", "fields that are unknown"),
        ("SIZE 4 8", "SIZE 4", "in `SIZE`"),
        ("DATA", "DATA of", "line 11"),
    ],
)
def test_pcd_headers_that_are_refused(
    tmp_path: Path, form: str, old: str, new: str, words: str
) -> None:
    data = pcd(form).replace(old.encode(), new.encode())
    code, text = code_of(lambda: read_points(written(tmp_path, data)))
    assert code == "PG507"
    assert words in text


@pytest.mark.parametrize("form", ["ascii", "binary"])
def test_pcd_files_of_another_length(tmp_path: Path, form: str) -> None:
    code, text = code_of(lambda: read_points(written(tmp_path, pcd(form)[:-20])))
    assert code == "PG507"
    more = pcd(form) + (b"\n1 1 1 1 1 1 1 1 1\n" if form == "ascii" else bytes(5))
    code, text = code_of(lambda: read_points(written(tmp_path, more)))
    assert (code, "goes on after the 3 points" in text) == ("PG507", True)
    code, text = code_of(
        lambda: read_points(
            written(tmp_path, pcd("ascii").replace(b"DATA ascii", b"DATA binary_compressed"))
        )
    )
    assert (code, "`binary_compressed`" in text) == ("PG507", True)


# Numbers and formats that are not read ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("1;2;3\n4;5,5;6\n", "line 2, column 2", "`5,5` has a comma within a number"),
        ('1,2,3\n"1,5",2,3\n', "line 2, column 1", "has a comma within a number"),
        ('1,2,3\n1,"1,234",3\n', "line 2, column 2", "`1,234` has a comma within a number"),
        ('1,2,3\n1,"1,234,567",3\n', "line 2, column 2", "has separators within a number"),
        ("1;2;3\n1;2;1.234.567\n", "line 2, column 3", "has separators within a number"),
        ("1,2,3\n1_000,2,3\n", "line 2, column 1", "has separators within a number"),
        ("1,2,3\n1,1'000,3\n", "line 2, column 2", "has separators within a number"),
        ("1,2,3\n1,2,0x1F\n", "line 2, column 3", "is hexadecimal"),
        ("1 2 3\n1.0D+02 2 3\n", "line 2, column 1", "has an exponent of Fortran"),
        ("1,2,3\n1,2,30%\n", "line 2, column 3", "is a percentage"),
        ("1,2,3\n1,,3\n", "line 2, column 2", "there is no number"),
        ('1,2,3\n1,"",3\n', "line 2, column 2", "there is no number"),
        ("1,2,3\n1,2,\u0663\n", "line 2, column 3", "is no number"),
        ("1,2,3\n1,2,NA\n", "line 2, column 3", "`NA` is no number"),
        ("1,2,3\n1,2,true\n", "line 2, column 3", "`true` is no number"),
        ("1,2,3,#N/A\n4,5,6,#N/A\n", "line 1, column 4", "`#N/A` is no number"),
        ("1 2 3 #DIV/0!\n", "line 1, column 4", "`#DIV/0!` is no number"),
        ("1,5\t2,5\t3,5\n", "line 1, column 1", "`1,5` has a comma within a number"),
        ("1,5 2,5 3,5\n", "line 1, column 2", "`5 2` is no number"),
    ],
)
@pytest.mark.parametrize("read", [read_points, read_table])
def test_numbers_of_unknown_meaning(
    tmp_path: Path, text: str, place: str, words: str, read: Callable[[Path], Any]
) -> None:
    code, said = code_of(lambda: read(written(tmp_path, text)))
    assert code == "PG507"
    assert f"{place}: " in said
    assert words in said


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"LASF\0\0", "a LAS or LAZ cloud"),
        (b"solid cube\nfacet normal 0 0 1\n", "an STL mesh"),
        (b"# made\nmtllib a.mtl\no cube\nv 0 0 1\n", "an OBJ mesh"),
        (b"\x89HDF\r\n\x1a\n" + bytes(40), "an HDF5 file"),
        (b"PAR1" + bytes(20), "a Parquet file"),
        (b"\x1f\x8b\x08\0", "a file compressed with gzip"),
        (b"\x80\x04\x95\0", "a Python pickle"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        (b'[{"x": 1}]', "a JSON document"),
        ("x,y,z\n1,2,3\n".encode("utf-16"), "a text in UTF-16"),
        ("x,y,z\n1,2,3\n".encode("utf-16-be"), "a text in UTF-16"),
        ("x,y,z\n1,2,3\n".encode("utf-32"), "a text in UTF-32"),
    ],
)
def test_other_formats_are_called_by_their_names(tmp_path: Path, data: bytes, name: str) -> None:
    code, text = code_of(lambda: read_points(written(tmp_path, data)))
    assert code == "PG507"
    assert name in text
    assert ".off" in text or "iconv" in text
    assert name in code_of(lambda: read_table(written(tmp_path, data)))[1]


def test_clouds_are_no_tables(tmp_path: Path) -> None:
    for data in ("OFF1 0 0\n1 2 3\n", pcd("binary")):
        code, text = code_of(lambda: read_table(written(tmp_path, data)))  # noqa: B023
        assert (code, "a cloud of points, and no table" in text) == ("PG507", True)


# A header is believed -----------------------------------------------------------------------------


def test_plys_hold_what_their_headers_promise(tmp_path: Path) -> None:
    for form, body, face in (
        ("ascii", "1 2 3\n", "3 0 0 0\n"),
        ("binary_little_endian", np.array([1, 2, 3], "<f4").tobytes(), b"\3" + bytes(12)),
    ):
        head = f"ply\nformat {form} 1.0\nelement vertex 1\n"
        head += "".join(f"property float {axis}\n" for axis in "xyz")
        head += "element face 2\nproperty list uchar int vertex_indices\nend_header\n"

        def made(faces: int, head: str = head, body: Any = body, face: Any = face) -> Path:
            body, face = (one.encode() if isinstance(one, str) else one for one in (body, face))
            return written(tmp_path, head.encode() + body + face * faces)

        assert read_points(made(2)).tolist() == [[1, 2, 3]]
        for faces in (1, 3):
            assert code_of(lambda: read_points(made(faces)))[0] == "PG507"  # noqa: B023


def test_arrays_hold_what_their_headers_promise(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array(SCAN))
    data = (tmp_path / "a.npy").read_bytes()
    code, text = code_of(lambda: read_points(written(tmp_path, data[:-8])))
    assert (code, "ends after 64 of the 72 bytes" in text) == ("PG507", True)
    code, text = code_of(lambda: read_points(written(tmp_path, data + bytes(8))))
    assert (code, "goes on after the 72 bytes" in text) == ("PG507", True)


def test_whole_numbers_that_are_others_in_float32_are_told(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[1, 2, 2**24 + 1], [3, 4, 5]]))
    _, (note,) = points_input(tmp_path / "a.npy", centre=False)
    assert "16777217 becomes 16777216" in note
    assert "point 0, channel 2" in note
    assert points_input(tmp_path / "a.npy")[1] == ()


def test_a_ply_that_announces_more_than_any_file_holds_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    head = f"ply\nformat ascii 1.0\nelement vertex {10**18}\nproperty float x\nend_header\n"
    path.write_text(head)
    with pytest.raises(DiagnosticError, match=r"line 3: .*more records than any file") as found:
        read_points(path)
    assert "export the cloud again" in str(found.value)
