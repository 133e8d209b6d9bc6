"""Every system that a library has, with the numbers that the library gives."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.family.harness import (
    CONFIGURATIONS,
    Measured,
    Reference,
    as_figures,
    check,
    compare,
    compare_published,
    figures,
)
from tests.family.references import REFERENCES

LARGE = bool(os.environ.get("FAMILY_LARGE"))
"""Whether gigabytes are no matter."""


@pytest.mark.family
@pytest.mark.parametrize("reference", REFERENCES, ids=lambda reference: reference.name)
def test_a_system(
    reference: Reference,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    measured = Measured(f"{reference.version} {reference.of}")
    if LARGE or not reference.large:
        compare_published(reference, tmp_path, measured)
    for seed in range(CONFIGURATIONS):
        folder = tmp_path / str(seed)
        folder.mkdir()
        rng = np.random.default_rng([seed, zlib.crc32(reference.name.encode())])
        compare(reference.drawn(rng), folder, measured)
    record_property("line", measured.line(reference.name))
    record_property("figures", {reference.name: as_figures(reference, measured)})
    if not request.config.getoption("--update-cases"):
        check(reference, measured)


def test_figures_are_of_the_references() -> None:
    assert list(figures()) == [reference.name for reference in REFERENCES]
