"""Points in a file whose rows are x, y and z: how they are turned, or that they are taken as they are."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from perceiver_graph.media.points.cloud import points_input
from tests.tiny import fault


def test_points_whose_rows_are_the_axes_are_told_how_they_are_turned(tmp_path: Path) -> None:
    cloud = np.random.default_rng(0).standard_normal((100, 3))
    path = tmp_path / "turned.npy"
    np.save(path, cloud.T)
    found = fault(lambda: points_input(path, limit=1000))
    assert found.code == "PG503"
    line = re.findall("`([^`]*)`", str(found.help))[0].replace("'turned.npy'", repr(str(path)))
    exec(line, {"numpy": np})
    assert points_input(path)[0].shape == (1, 100, 3)
    # A few points of a few channels may be meant.
    np.save(path, cloud.T[:, :6])
    array, notes = points_input(path, limit=1000)
    assert array.shape == (1, 3, 3)
    assert "its 3 rows are taken as points; if they are the channels" in notes[0]
    assert points_input(path, limit=3)[1] == ("the points have 6 channels: the first 3 are taken",)
