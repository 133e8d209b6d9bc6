"""The benchmark of growth: its points are compiled and run, its report is that of fixed figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import growth

SMALL = {"inputs": 48, "outputs": 16, "latents": 4, "layers": 1, "batch": 1}


def test_a_point_is_compiled_and_run(tmp_path: Path) -> None:
    one = growth.point(SMALL, tmp_path / "one")
    two = growth.point({**SMALL, "batch": 2}, tmp_path / "two")
    assert two.flops == 2 * one.flops > 0
    growth.measure([one, two], rounds=1)
    assert len(one.seconds) == growth.RUNS - 1
    assert min(one.seconds) > 0
    assert one.peak_bytes > 10 * 2**20
    assert growth.point({**SMALL, "inputs": 96}, tmp_path / "long").flops > one.flops


def test_the_report_has_the_power_of_growth() -> None:
    def fixed(size: int) -> growth.Point:
        sizes = {**SMALL, "inputs": size}
        return growth.Point(sizes, Path(), size * 10**6, 3 * 10**6, [size / 100] * 2, 2 * 10**6)

    text = growth.report({"inputs": [fixed(100), fixed(400)]}, 1e9)
    assert "| 400 | 4.000 | 0.400 | 10% | 2 | 3 |" in text
    assert "inputs^1.00 at the end, FLOPs as inputs^1.00" in text
    assert growth.exponent([1, 2, 4], [5, 7, 28]) == pytest.approx(2)
