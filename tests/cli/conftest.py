"""A small spec, the artifact it compiles to, and a way to run command lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from perceiver_graph.cli import main
from tests.cli.support import TINY, Command


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spec") / "tiny.yaml"
    path.write_text(TINY, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def artifact(tiny: Path) -> Path:
    target = tiny.parent / "artifact"
    assert main(["compile", str(tiny), "-o", str(target)]) == 0
    return target
