"""Point clouds from files: every format, what is damaged, and how points are scaled."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.media.points.cloud import centred, points_input, read_points, sampled
from tests.media_support import code_of

Cloud = NDArray[np.float64]

FORMATS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
CLOUD = np.array([[0.5, 1.0, -2.0], [3.0, 4.25, 5.0], [-6.0, 7.0, 8.5]])

# Something of everything: a list before the points and within them, doubles, colours, extra fields.
HEADER = """ply
format {form} 1.0
comment made by hand
obj_info nothing
element face 2
property list uchar int vertex_index
element camera 1
property float focal
element vertex 3
property uchar red
property double y
property float x
property list ushort short seen
property float z
property float confidence
element edge 1
property int a
end_header
"""
WHOLE = np.array([[0.5, 1.0, -2.0, 0.125], [3.0, 4.25, 5.0, 0.25], [-6.0, 7.0, 8.5, 0.5]])


def everything(form: str, newline: str = "\n") -> bytes:
    head = HEADER.format(form=form).replace("\n", newline).encode()
    seen = [[], [7], [-1, 2, 3]]
    if form == "ascii":
        lines = ["3 0 1 2", "4 0 1 2 2", "35.5"]
        for (x, y, z, c), list_ in zip(WHOLE, seen, strict=True):
            lines.append(" ".join(map(str, [200, y, x, len(list_), *list_, z, c])))
        return head + newline.join([*lines, "9", ""]).encode()
    order = FORMATS[form]
    body = struct.pack(f"{order}B3iB4if", 3, 0, 1, 2, 4, 0, 1, 2, 2, 35.5)
    for (x, y, z, c), list_ in zip(WHOLE, seen, strict=True):
        body += struct.pack(f"{order}BdfH{len(list_)}hff", 200, y, x, len(list_), *list_, z, c)
    return head + body + struct.pack(f"{order}i", 9)


def simple(form: str, cloud: Cloud = CLOUD) -> bytes:
    head = f"ply\nformat {form} 1.0\nelement vertex {len(cloud)}\n"
    head += "".join(f"property float {axis}\n" for axis in "xyz") + "end_header\n"
    if form == "ascii":
        return (head + "".join(" ".join(map(repr, row)) + "\n" for row in cloud.tolist())).encode()
    return head.encode() + cloud.astype(f"{FORMATS[form]}f4").tobytes()


def written(folder: Path, data: bytes, name: str = "cloud.ply") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def outcome(path: Path) -> tuple[Cloud | None, set[str]]:
    """The points, or the codes of what is wrong with the file."""
    try:
        return read_points(path), set()
    except DiagnosticError as error:
        return None, {found.code for found in error.diagnostics}


# Formats -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("form", FORMATS)
def test_ply_files_of_any_kind(tmp_path: Path, form: str, newline: str) -> None:
    points = read_points(written(tmp_path, everything(form, newline)))
    assert points.dtype == np.float64
    assert np.array_equal(points, WHOLE)
    _, (note,) = points_input(tmp_path / "cloud.ply", 4)
    assert note.startswith("colours, whole numbers and lists are left out (`red`, `seen`); ")
    assert note.endswith("the others are x, y, z, confidence")


@pytest.mark.parametrize("form", FORMATS)
def test_plain_ply_files(tmp_path: Path, form: str) -> None:
    assert np.array_equal(read_points(written(tmp_path, simple(form))), CLOUD)


def test_fixed_elements_before_the_points_are_stepped_over(tmp_path: Path) -> None:
    head = (
        b"ply\nformat binary_big_endian 1.0\nelement camera 2\nproperty double f\nproperty char k\n"
    )
    head += (
        b"element vertex 1\nproperty int16 x\nproperty uint8 y\nproperty float64 z\nend_header\n"
    )
    body = struct.pack(">dbdbhBd", 1.0, 2, 3.0, 4, -5, 6, 7.5)
    assert read_points(written(tmp_path, head + body)).tolist() == [[-5.0, 6.0, 7.5]]


def test_data_that_begin_with_a_line_feed(tmp_path: Path) -> None:
    """Where lines end with \\r, a first byte 0x0a belongs to the data."""
    head = b"ply\rformat binary_little_endian 1.0\relement vertex 1\r"
    head += b"property uchar x\rproperty uchar y\rproperty uchar z\rend_header\r"
    assert read_points(written(tmp_path, head + bytes([10, 11, 12]))).tolist() == [[10, 11, 12]]


def test_arrays(tmp_path: Path) -> None:
    features = np.hstack([CLOUD, [[1.0], [2.0], [3.0]]])
    for array, expected in [
        (CLOUD, CLOUD),
        (CLOUD.astype("float32")[None], CLOUD),
        (features.astype(">f8"), features),
        (np.asfortranarray(features), features),
        (np.arange(6, dtype=np.int16).reshape(2, 3), np.arange(6.0).reshape(2, 3)),
    ]:
        np.save(tmp_path / "a.npy", array)
        found = read_points(tmp_path / "a.npy")
        assert found.dtype == np.float64
        assert np.array_equal(found, expected)
        np.savez(tmp_path / "a.npz", points=array, other=np.zeros(3))
        assert np.array_equal(read_points(tmp_path / "a.npz"), expected)
        np.savez_compressed(tmp_path / "b.npz", anything=array)
        assert np.array_equal(read_points(tmp_path / "b.npz"), expected)


@pytest.mark.parametrize(
    "text",
    [
        "0.5 1 -2\n3 4.25 5\n-6 7 8.5\n",
        "0.5,1,-2\r\n3,4.25,5\r\n-6,7,8.5",
        "\ufeffx,y,z\n0.5, 1, -2\n\n3, 4.25, 5\n-6, 7, 8.5,\n",
        '# a scan\n"X";"Y";"Z"\n0.5;1;-2\n3;4.25;5e0 # here\n-6;7;8.5\n',
        "0.5\t1\t-2\n3\t4.25\t5\n-6\t7\t8.5\n",
    ],
)
def test_texts(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text.encode(), "cloud.xyz")
    assert np.array_equal(read_points(path), CLOUD)


def test_files_are_known_by_what_is_in_them(tmp_path: Path) -> None:
    assert np.array_equal(read_points(written(tmp_path, simple("ascii"), "cloud.csv")), CLOUD)


# What is damaged ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ((b"ply\n", b"plt\n"), "line 2, column 1: `format` is no number"),
        ((b"end_header", b"end_heads"), "its header does not end"),
        ((b"format ascii 1.0\n", b""), "no `format` line"),
        ((b"ascii 1.0", b"ascii 2.0"), "line 2: `format ascii 2.0` has no place"),
        ((b"ascii 1.0", b"hex 1.0"), "line 2"),
        ((b"vertex 3", b"vertex -3"), "line 3: `element vertex -3`"),
        ((b"vertex 3", b"vertex many"), "line 3"),
        ((b"vertex 3", b"vertex 9999999999999999"), "line 3"),
        ((b"vertex 3", b"vertex 4"), "ends after 3 of 4 vertices"),
        ((b"vertex 3", b"vertex 0"), "0 vertices"),
        ((b"element vertex 3\n", b""), "line 3: `property float x`"),
        ((b"element vertex", b"element point"), "no element `vertex`"),
        ((b"float z", b"float w"), "have no `z`"),
        ((b"float y", b"float x"), "line 5: `property float x`"),
        ((b"float y", b"list float int y"), "line 5"),
        ((b"float y", b"list int int y"), "have no `y`"),
        ((b"float y", b"half y"), "line 5: `property half y`"),
        ((b"4.25", b"4,25"), "vertex 1 is `3.0 4,25 5.0`"),
        ((b"3.0 4.25", b"3.0"), "vertex 1"),
        ((b"3.0 4.25", b"3.0 4.25 1"), "vertex 1"),
    ],
)
def test_damaged_ply_files(tmp_path: Path, change: tuple[bytes, bytes], words: str) -> None:
    data = simple("ascii")
    assert change[0] in data
    path = written(tmp_path, data.replace(*change, 1))
    code, text = code_of(lambda: read_points(path))
    assert code == "PG507"
    assert words in text


TYPED = """ply
format ascii 1.0
element camera 1
property short focal
element vertex 1
property float x
property float y
property int z
property uchar red
property list uchar uint seen
element face 1
property list uchar int vertex_indices
property double area
end_header
-35
1 2 3 255 1 9
3 0 0 -1 1.5
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("\n-35", "\n-35000", "camera 0 is `-35000`"),
        ("\n-35", "\n35 1", "camera 0 is `35 1`"),
        ("3 255", "2.5 255", "vertex 0 is `1 2 2.5 255 1 9`"),
        ("255", "300", "vertex 0 is `1 2 3 300 1 9`"),
        ("255", "-1", "vertex 0"),
        ("255", "2.5", "vertex 0"),
        ("255", "inf", "vertex 0"),
        ("1 9", "1 -9", "vertex 0"),
        ("1 9", "2 9", "vertex 0"),
        ("3 0 0 -1 1.5", "3 0 1", "face 0 is `3 0 1`, which is not what the header promises"),
        ("3 0 0 -1", "3 0 0 x", "face 0"),
        ("3 0 0 -1", "3 0 0 3000000000", "face 0"),
        ("1.5", "1,5", "a face has: vertex_indices, area"),
        ("1.5", "1.5 2", "face 0"),
        ("3 0 0 -1 1.5", "", "come 0 lines, and the header promises 1"),
    ],
)
def test_every_record_of_a_ply_is_what_its_header_promises(
    old: str, new: str, words: str, tmp_path: Path
) -> None:
    assert TYPED.count(old) == 1 or old == "1 9"
    assert read_points(written(tmp_path, TYPED.encode())).tolist() == [[1, 2, 3]]
    assert read_points(written(tmp_path, TYPED.replace("255", "255.0").encode())).tolist()
    path = written(tmp_path, TYPED.replace(old, new, 1).encode())
    code, text = code_of(lambda: read_points(path))
    assert (code, words in text) == ("PG507", True)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("make", [simple, everything])
def test_ply_files_that_end_early(tmp_path: Path, form: str, make: object) -> None:
    data = simple(form) if make is simple else everything(form)
    whole = CLOUD if make is simple else WHOLE
    for end in range(len(data)):
        path = written(tmp_path, data[:end])
        found, codes = outcome(path)
        if found is None:
            assert codes == {"PG507"}
        else:  # what is missing comes after the points, or is the end of the last number
            assert found.shape == whole.shape
            assert np.array_equal(found[:-1], whole[:-1])
            assert end > len(data) - 8


@given(st.sampled_from(sorted(FORMATS)), st.booleans(), st.data())
@settings(deadline=None, max_examples=300)
def test_no_damage_escapes_as_another_error(
    tmp_path_factory: pytest.TempPathFactory, form: str, lists: bool, data: st.DataObject
) -> None:
    content = bytearray(everything(form) if lists else simple(form))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        piece = data.draw(st.binary(max_size=3) | st.sampled_from([b"9", b"-1", b" ", b"\n"]))
        content[place : place + data.draw(st.integers(0, 3))] = piece
    path = written(tmp_path_factory.mktemp("ply"), bytes(content))
    points, codes = outcome(path)
    assert codes <= {"PG503", "PG505", "PG507"}
    if points is not None:
        assert points.ndim == 2
        assert points.shape[1] >= 3
        assert np.isfinite(points).all()


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (b"", "PG507", "the file is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "PG507", "neither text nor a file of arrays"),
        (b"1 2 3\n\xff\n", "PG507", "byte 6 is no UTF-8"),
        (b"# nothing\n", "PG507", "no numbers in it"),
        (b"once upon a time\n", "PG507", "no numbers in it"),
        (b"x y z\nx y z\n", "PG507", "line 2, column 1: `x` is no number"),
        (b"1 2 3\n1 2\n", "PG507", "line 2: 2 numbers, and the first row has 3"),
        (b"1,2,3\n1,,3\n", "PG507", "line 2, column 2: there is no number"),
        (b"1,2,3\n1,2,3,,\n", "PG507", "line 2, column 4"),
        (b"1 2\n3 4\n", "PG503", "rows of 2 numbers"),
        (b"1 2 3\n4 nan 6\n", "PG505", "the first is nan: line 2, column 2"),
        (b"# a b\n\n1 2 3\n\n4 5 nan\n", "PG505", "the first is nan: line 5, column 3"),
        (b"z,y,x\n1,2,3\nnan,5,6\n", "PG505", "the first is nan: line 3, the column `z`"),
        (b",0,1,2\n0,1,2,3\n1,nan,5,6\n", "PG505", "the first is nan: line 3, column 2"),
        (b"2\n1 2 3\n4 nan 6\n", "PG505", "the first is nan: line 3, column 2"),
        (b"1 2 3\n4 1e999 6\n", "PG505", "1 of 6 values"),
    ],
)
def test_files_that_hold_no_points(tmp_path: Path, data: bytes, code: str, words: str) -> None:
    found, text = code_of(lambda: read_points(written(tmp_path, data, "cloud.xyz")))
    assert found == code
    assert words in text


def test_arrays_that_are_no_points(tmp_path: Path) -> None:
    bad = {
        "flat": (np.zeros(9), "PG503", "shape [9]"),
        "batch": (np.zeros((2, 4, 3)), "PG503", "save one of them: array[0]"),
        "empty": (np.zeros((0, 3)), "PG503", "not empty"),
        "narrow": (np.zeros((4, 2)), "PG503", "rows of 2 numbers"),
        "text": (np.array([["a", "b", "c"]]), "PG504", "holds no numbers"),
        "complex": (np.zeros((4, 3), complex), "PG504", "complex128"),
        "objects": (np.array([[1], [1, 2]], object), "PG507", "holds Python objects"),
        "nan": (np.full((4, 3), np.nan), "PG505", "12 of 12 values"),
    }
    for name, (array, code, words) in bad.items():
        np.save(tmp_path / f"{name}.npy", array, allow_pickle=True)
        np.savez(tmp_path / f"{name}.npz", allow_pickle=True, points=array)
        for suffix in ("npy", "npz"):
            found, text = code_of(lambda: read_points(tmp_path / f"{name}.{suffix}"))  # noqa: B023
            assert (found, words in text) == (code, True), (name, suffix, text)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    assert code_of(lambda: read_points(tmp_path / "none.ply"))[0] == "PG512"
    assert code_of(lambda: read_points(tmp_path))[0] == "PG512"


# Scaling -----------------------------------------------------------------------------------------


@given(st.integers(1, 30), st.integers(0, 2), st.floats(1e-3, 1e6), st.floats(-1e6, 1e6))
def test_centred_points_fill_the_cube(n: int, extra: int, scale: float, shift: float) -> None:
    points = np.random.default_rng(n).standard_normal((n, 3 + extra)) * scale + shift
    found = centred(points)
    assert np.array_equal(found[:, 3:], points[:, 3:])
    if n == 1:
        assert not found[:, :3].any()
        return
    assert np.abs(found[:, :3]).max() == 1.0
    np.testing.assert_allclose(found[:, :3].mean(axis=0), 0, atol=1e-6)
    # One factor for all axes: shapes keep their proportions.
    ratio = (found[1:, :3] - found[0, :3]) / (points[1:, :3] - points[0, :3])
    np.testing.assert_allclose(ratio, ratio.flat[0], rtol=1e-3)


def test_equal_points_are_at_the_centre() -> None:
    assert not centred(np.full((5, 3), 7.0)).any()


@given(st.integers(1, 200), st.integers(1, 200))
def test_sampling_is_even(n: int, count: int) -> None:
    points = np.arange(n, dtype=np.float64)[:, None].repeat(3, axis=1)
    found = sampled(points, count)[:, 0]
    assert len(found) == min(n, count)
    assert found[0] == 0
    if len(found) > 1:
        steps = np.diff(found)
        assert steps.min() >= 1
        assert steps.max() - steps.min() <= 1


def test_a_models_input(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(40.0).reshape(10, 4))
    array, notes = points_input(tmp_path / "a.npy", limit=5)
    assert array.shape == (1, 5, 3)
    assert array.dtype == np.float32
    assert np.abs(array).max() == 1
    assert np.abs(array.mean(axis=1)).max() < 1e-7  # centred after the choice
    assert notes == (
        "the points have 4 channels: the first 3 are taken",
        "there are 10 points: 5 evenly spaced ones are taken",
    )
    array, notes = points_input(tmp_path / "a.npy", 4, limit=10, centre=False)
    assert array.tolist() == np.arange(40.0).reshape(1, 10, 4).tolist()
    assert notes == ()
    code, text = code_of(lambda: points_input(tmp_path / "a.npy", 6))
    assert code == "PG503"
    assert "have 4 channels, and the model takes 6" in text


def test_coordinates_on_a_map_are_centred_before_they_are_rounded(tmp_path: Path) -> None:
    """Metres in a national grid: float32 would leave steps of half a metre."""
    small = np.random.default_rng(0).uniform(-1, 1, (50, 3))
    np.save(tmp_path / "a.npy", small + np.array([467_000.0, 5_880_000.0, 30.0]))
    expected = centred(small)
    found, _ = points_input(tmp_path / "a.npy")
    np.testing.assert_allclose(found[0], expected, atol=1e-6)


def test_what_float32_cannot_hold(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[1e300, 0, 0], [0, 1, 2]]))
    code, text = code_of(lambda: points_input(tmp_path / "a.npy", centre=False))
    assert code == "PG505"
    assert "not finite in float32" in text
