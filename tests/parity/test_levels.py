"""Levels of the air against a module of the same structure, written out in PyTorch."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parity.levels import PUBLISHED, Resampler, compare, drawn, layers_of


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_random_configuration(name: str, seed: int, tmp_path: Path) -> None:
    single, double = compare(name, drawn(name, seed), Resampler, layers_of, tmp_path, seed)
    assert single <= 1e-5
    assert double <= 1e-12


@pytest.mark.full
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes(name: str, tmp_path: Path) -> None:
    single, double = compare(name, PUBLISHED[name], Resampler, layers_of, tmp_path)
    assert single <= 1e-5
    assert double <= 1e-12
