"""Columns of points and tables: names in first rows, comments and arrays decide which is what."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from perceiver_graph import compile as compile_spec
from perceiver_graph import load
from perceiver_graph.media.points.cloud import points_input, read_points
from perceiver_graph.media.table.rows import read_table
from tests.media_support import code_of
from tests.test_point_formats import CORNERS, SCAN, VERTICES, points_of, written


def test_a_first_line_may_say_how_many_points_follow(tmp_path: Path) -> None:
    assert points_of(tmp_path, "4\n" + VERTICES) == CORNERS
    assert points_of(tmp_path, "2\r\n1,2,3,0.5\r\n4,5,6,0.5\r\n") == [
        [1, 2, 3, 0.5],
        [4, 5, 6, 0.5],
    ]
    for count in ("3", "5", "0"):
        code, text = code_of(lambda: read_points(written(tmp_path, f"{count}\n{VERTICES}")))  # noqa: B023
        assert (code, f"its first line promises {count}" in text) == ("PG507", True)
    for first in ("4.5", "-4"):
        code, text = code_of(lambda: read_points(written(tmp_path, f"{first}\n{VERTICES}")))  # noqa: B023
        assert (code, "line 2: 3 numbers, and the first row has 1" in text) == ("PG507", True)


@pytest.mark.parametrize(
    "text",
    [
        "intensity,x,y,z\n0.9,1,2,3\n0.1,4,5,6\n0.2,7,8,9\n",
        ",x,y,z\n0,1,2,3\n1,4,5,6\n2,7,8,9\n",
        "z,y,x\n3,2,1\n6,5,4\n9,8,7\n",
        '\ufeff"Y" ; "X [m]" ; "Z (m)"\n2;1;3\n5;4;6\n8;7;9\n',
        "//Z X Y\n3 1 2\n6 4 5\n9 7 8\n",
        "# z x y\n3 1 2\n6 4 5\n9 7 8\n",
        "# a scan\n#z,x,y\n3,1,2\n6,4,5\n9,7,8\n",
        "# z x y\n# a scan of the hall\n\n3 1 2\n6 4 5\n9 7 8\n",
        "# z, x, y\n3 1 2\n6 4 5\n9 7 8\n",
        "# z;x;y\n3,1,2\n6,4,5\n9,7,8\n",
        "# columns: z,x,y\n3 1 2\n6 4 5\n9 7 8\n",
        "# z [m] x [m] y [m]\n3 1 2\n6 4 5\n9 7 8\n",
        "sep=;\n3;1;2\n6;4;5\n9;7;8\n".replace("=;\n", "=;\nz;x;y\n"),
        ",0,1,2\n0,1,2,3\n1,4,5,6\n2,7,8,9\n",
        "Unnamed: 0,z,y,x\n0,3,2,1\n1,6,5,4\n2,9,8,7\n",
    ],
)
def test_names_decide_which_column_is_what(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    assert read_points(path)[:, :3].tolist() == SCAN
    values, _ = points_input(path, centre=False)
    assert values[0].tolist() == SCAN


def test_how_columns_are_taken_is_told(tmp_path: Path) -> None:
    def notes(text: str, channels: int = 3) -> str:
        return "; ".join(points_input(written(tmp_path, text), channels)[1])

    assert notes("x,y,z\n1,2,3\n") == ""
    assert "in the order x, y, z, intensity" in notes("intensity,x,y,z\n0.9,1,2,3\n", 4)
    assert "4 channels (x, y, z, w): x, y, z are taken" in notes("x,y,z,w\n1,2,3,4\n")
    assert "4 channels: the first 3 are taken" in notes("1,2,3,4\n")
    assert "taken for an index" in notes(",x,y,z\n0,1,2,3\n")
    assert "different units (m, m, mm)" in notes("x [m],y [m],z [mm]\n1,2,3\n")
    assert "units" not in notes("x [m],y [m],z [m]\n1,2,3\n")
    assert "`all of x y z` does not name the 3 columns" in notes("# all of x y z\n1 2 3\n")
    for first in ("0,1,2", "1,2,3", "7,8,9", "100, 101, 102"):
        said = f"the first row is {', '.join(first.replace(' ', '').split(','))}, ...: if it names"
        assert said in notes(f"{first}\n1,2,3\n")
    for first in ("0,2,4", "2,1,0", "0.0,1,2", "-1,0,1", "1,2,4"):
        assert "if it names" not in notes(f"{first}\n1,2,3\n")
    both = notes("# all of x y z\n0 1 2\n1 2 3\n")  # what a comment says comes first
    assert "does not name the 3 columns" in both
    assert "if it names" not in both


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b,c\n1,2,3\n", "no column is called `x`, `y`, `z`"),
        ("intensity,lat,lon\n1,2,3\n", "its columns: `intensity`, `lat`, `lon`"),
        ("x,y,w\n1,2,3\n", "no column is called `z`"),
        ("x,y,z,X\n1,2,3,4\n", "several columns are called `x`"),
        ("x,y,z\n1,2,3,4\n", "line 2: 4 numbers, and the first row names 3"),
        ("x,y,z\n1,2,\n", "line 2, column 3: there is no number"),
        ("x,y,z\n1,2\n", "line 2: 2 numbers, and the first row names 3"),
    ],
)
def test_other_names_are_refused(tmp_path: Path, text: str, words: str) -> None:
    code, said = code_of(lambda: read_points(written(tmp_path, text)))
    assert code == "PG507"
    assert words in said


def test_arrays_with_names(tmp_path: Path) -> None:
    columns = np.array(SCAN).T
    records = np.array(
        [(z, b"a", y, x) for x, y, z in SCAN], [("Z", "f4"), ("id", "S1"), ("Y", "f8"), ("X", "i4")]
    )
    np.save(tmp_path / "records.npy", records)
    np.savez(
        tmp_path / "columns.npz",
        allow_pickle=False,
        z=columns[2],
        x=columns[0],
        y=columns[1],
        other=columns,
    )
    np.savez(tmp_path / "own.npz", points=np.array(SCAN), x=columns[0], y=columns[1], z=columns[2])
    for name in ("records.npy", "columns.npz", "own.npz"):
        assert read_points(tmp_path / name).tolist() == SCAN
    for name, words in (("records", "no numbers are left out (`id`)"), ("columns", "(`other`)")):
        path = tmp_path / f"{name}.np{'y' if name == 'records' else 'z'}"
        assert any(words in note for note in points_input(path)[1])
    np.savez(tmp_path / "bad.npz", x=columns[0], y=columns[1], z=columns[2][:2])
    assert "have 3, 3, 2 values" in code_of(lambda: read_points(tmp_path / "bad.npz"))[1]
    np.save(tmp_path / "bad.npy", np.array([("a",)], [("x", "U1")]))
    assert code_of(lambda: read_points(tmp_path / "bad.npy"))[0] == "PG504"


@pytest.mark.parametrize("key", ["points.attention_mask", "attention_mask", "mask"])
@pytest.mark.parametrize("columns", [False, True])
def test_points_that_their_mask_says_are_not_there(key: str, columns: bool, tmp_path: Path) -> None:
    points = np.array([*SCAN, [np.nan] * 3])
    held = dict(zip("xyz", points.T, strict=True)) if columns else {"points": points}
    there = np.array([True, False, True, False])
    for mask in (there, there.astype("f4"), there[None].astype("u1")):
        np.savez(tmp_path / "a.npz", allow_pickle=False, **held, **{key: mask})
        assert read_points(tmp_path / "a.npz").tolist() == [SCAN[0], SCAN[2]]
        notes = points_input(tmp_path / "a.npz")[1]
        assert "2 of 4 points are masked, and left out" in notes
    wrong = {"is there": there & False, "takes 0 and 1": there * 2, "one value for each": there[1:]}
    for words, mask in wrong.items():
        np.savez(tmp_path / "a.npz", allow_pickle=False, **held, **{key: mask})
        assert words in code_of(lambda: read_points(tmp_path / "a.npz"))[1]


def test_other_arrays_of_an_archive_are_told(tmp_path: Path) -> None:
    beside = {"mask": np.ones(3), "colours": np.zeros(3)}
    np.savez(tmp_path / "a.npz", points=np.array(SCAN), **beside)  # type: ignore[arg-type]
    told = "other arrays of the file are left out (`colours`); the others are points, mask"
    assert points_input(tmp_path / "a.npz")[1] == (told,)
    assert read_table(tmp_path / "a.npz", "points").notes[0] == told


@pytest.mark.parametrize("name", ["rgb", "rgba", "RGB"])
@pytest.mark.parametrize("kind", ["f4", "u4"])
def test_packed_colours_are_no_channel(name: str, kind: str, tmp_path: Path) -> None:
    """Three bytes in the bits of a number: as such it is 2.3e-38, or 16 million."""
    columns = [(axis, "f4") for axis in "xyz"] + [(name, kind), ("intensity", "f4")]
    records = np.array([(*point, 0, 0.5) for point in SCAN], columns)
    records[name] = np.array([0xFF8040], "u4").view(kind)[0]
    wanted = [[*point, 0.5] for point in SCAN]
    np.save(tmp_path / "a.npy", records)
    text = f"x y z {name} intensity\n" + "\n".join(
        " ".join(map(repr, one)) for one in records.tolist()
    )
    (tmp_path / "a.txt").write_text(text)
    head = "".join(
        f"property {'uint' if form == 'u4' else 'float'} {one}\n" for one, form in columns
    )
    head = f"ply\nformat binary_little_endian 1.0\nelement vertex 3\n{head}end_header\n"
    (tmp_path / "a.ply").write_bytes(head.encode() + records.tobytes())
    for suffix in ("npy", "txt", "ply"):
        points, (note,) = points_input(tmp_path / f"a.{suffix}", 4, centre=False)
        assert points[0].tolist() == wanted
        assert f"colours are left out (`{name}`)" in note.replace(", whole numbers and lists", "")
        assert note.endswith("the others are x, y, z, intensity")


def test_columns_of_tables(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, ",b,a\n0,1,2\n1,3,4\n"))
    assert table.values.tolist() == [[1, 2], [3, 4]]
    assert "; ".join(table.notes) == (
        "the first column has no name: it is taken for an index, and left out; "
        "the columns are taken in their order: b, a"
    )
    assert read_table(written(tmp_path, "1,2\n")).notes == ()
    table = read_table(written(tmp_path, "a,ch #1,ch #2 # of 8\n1,2,3 #here\n4,5,6#\n"))
    assert table.values.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert table.notes == ("the columns are taken in their order: a, ch #1, ch #2",)


def test_the_spec_may_name_the_coordinates_in_another_order(tmp_path: Path) -> None:
    def read(text: str, *called: str) -> tuple[list[list[float]], str]:
        path = written(tmp_path, text)
        values, notes = points_input(path, len(called), centre=False, called=called)
        return values[0].tolist(), "; ".join(notes)

    for text in ("x,y,z\n1,2,3\n", "z,y,x\n3,2,1\n"):
        points, told = read(text, "z", "y", "x")
        assert points == [[3, 2, 1]]
        assert read(text, "x", "y", "z")[0] == [[1, 2, 3]]
        assert read(text, "x", "z")[0] == [[1, 3]]
    assert "by their names, as z, y, x" in told
    assert read("x,y,z,t\n1,2,3,4\n", "t", "x", "y", "z")[0] == [[4, 1, 2, 3]]
    assert read("3,2,1\n", "z", "y", "x")[0] == [[3, 2, 1]]  # as arrays are
    path = written(tmp_path, "x,y,z,t\n1,2,3,9\n3,2,3,8\n")
    values, _ = points_input(path, 4, called=("t", "x", "y", "z"))
    assert values[0].tolist() == [[9, -1, 0, 0], [8, 1, 0, 0]]  # the time is not moved
    points, told = read("x,y,z\n1,2,3\n", "lon", "lat", "alt")
    assert points == [[1, 2, 3]]
    assert "`lon` from x, `lat` from y, `alt` from z" in told
    code, told = code_of(lambda: read("x,y,z\n1,2,3\n", "x", "y", "t"))
    assert (code, "no column is called `t`" in told) == ("PG507", True)


def test_points_of_a_model_are_in_the_order_of_its_spec(tmp_path: Path) -> None:
    spec = {
        "perceiver": 1,
        "name": "cloud",
        "inputs": {
            "kind": {
                "shape": {"point": 2},
                "steps": [{"embedding": {"vocabulary": 4, "width": 8}}],
                "position": {
                    "inputs": "scan",
                    "coordinates": ["z", "y", "x"],
                    "fourier": {"bands": 2, "max_resolution": 8},
                },
            },
            "scan": {"shape": {"point": 2, "channel": 3}, "media": {"points": {"centre": False}}},
        },
        "latents": {"count": 2, "width": 8},
        "process": {"layers": 1, "heads": 2},
        "outputs": {"y": {"query": {"learned": {}}, "head": {"linear": 1}}},
    }
    compile_spec(spec).save(tmp_path / "cloud")
    path = written(tmp_path, "x,y,z\n1,2,3\n4,5,6\n")
    with pytest.warns(UserWarning, match="taken by their names, as z, y, x"):
        read = load(tmp_path / "cloud", device="cpu").read(scan=path)
    assert read["scan"].tolist() == [[[3, 2, 1], [6, 5, 4]]]
