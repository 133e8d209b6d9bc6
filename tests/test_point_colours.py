"""Colours of clouds of points: bytes of a .ply, whose scale is not said, and numbers that go beyond 1."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.media.points.cloud import points_input

POINTS = [[0, 0, 0, 255, 128, 0], [1, 0, 0, 0, 255, 7], [0, 1, 1, 1, 2, 3]]
KINDS = [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("red", "u1"), ("green", "u1"), ("blue", "u1")]


def ply(path: Path, form: str, colour: str = "uchar") -> Path:
    records = np.array([*map(tuple, POINTS)], KINDS)
    head = "".join(
        f"property {'float' if kind == '<f4' else colour} {name}\n" for name, kind in KINDS
    )
    head = f"ply\nformat {form} 1.0\nelement vertex 3\n{head}end_header\n"
    text = "".join(" ".join(map(str, point)) + "\n" for point in POINTS)
    body = text.encode() if form == "ascii" else records.tobytes()
    path.write_bytes(head.encode() + body)
    return path


def in_place_of_plyfile(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """What the advised line calls: `PlyData.read(PATH)['vertex']` gives columns by name."""

    def read(named: str) -> dict[str, Any]:
        assert named == str(path)
        return {"vertex": np.array([*map(tuple, POINTS)], KINDS)}

    module: Any = ModuleType("plyfile")
    module.PlyData = SimpleNamespace(read=read)
    monkeypatch.setitem(sys.modules, "plyfile", module)


@pytest.mark.parametrize("form", ["ascii", "binary_little_endian"])
def test_bytes_of_a_ply_are_told_how_they_are_taken(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = ply(tmp_path / "a.ply", form)
    with pytest.raises(DiagnosticError) as caught:
        points_input(path, 6)
    (found,) = caught.value.diagnostics
    assert found.code == "PG503"
    assert "have 3 channels of real numbers (x, y, z), and the model takes 6" in found.message
    assert "`red`, `green`, `blue` are left out" in str(found.notes)
    assert "a .csv file whose first row is x,y,z,red,green,blue" in str(found.help)
    in_place_of_plyfile(monkeypatch, path)
    exec(f"import numpy, plyfile\n{str(found.help).split('`')[1]}", {})
    values, _ = points_input("points.npy", 6, centre=False)
    assert values[0].tolist() == POINTS


def test_colours_beyond_1_are_noted_and_taken_as_they_stand(tmp_path: Path) -> None:
    told = "the colours (`red`, `green`, `blue`) go up to 255, and are taken as they stand"
    path = ply(tmp_path / "a.ply", "ascii", "float")
    values, (note,) = points_input(path, 6, centre=False)
    assert values[0].tolist() == POINTS
    assert note.startswith(told)
    table = tmp_path / "a.csv"
    rows = "".join(",".join(map(str, point)) + "\n" for point in POINTS)
    table.write_text(f"x,y,z,red,green,blue\n{rows}")
    assert points_input(table, 6)[1][0].startswith(told)
    assert "go up to" not in str(points_input(table, 3)[1])
    table.write_text("x,y,z,red,green,blue\n0,0,0,1,0,0.5\n")
    assert points_input(table, 6)[1] == ()


def test_fields_of_a_pcd_that_are_left_out_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.pcd"
    path.write_text(
        "VERSION 0.7\nFIELDS x y z rgb\nSIZE 4 4 4 4\nTYPE F F F U\nCOUNT 1 1 1 1\nWIDTH 1\n"
        "HEIGHT 1\nPOINTS 1\nDATA ascii\n0 0 0 16711680\n"
    )
    with pytest.raises(DiagnosticError) as caught:
        points_input(path, 6)
    assert "`rgb` are left out" in str(caught.value)
