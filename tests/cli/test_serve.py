"""`serve` as a command: what it refuses before a port is open. What it serves, tests/test_serve.py asks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from perceiver_graph.serving import server
from tests.batch_support import compiled
from tests.cli.support import Command


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("compiled") / "reader")


def test_without_kserve_it_is_told_how_to_get_it(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "kserve", None)
    (tmp_path / "manifest.json").touch()  # what is no artifact is told first
    done = command("serve", tmp_path)
    assert (done.code, done.out) == (1, "")
    assert "error[PG509]: `serve` needs kserve, which is not installed" in done.err
    assert "`pip install 'perceiver-graph[serve]'`" in done.err


def test_names_are_told_apart(
    command: Command, monkeypatch: pytest.MonkeyPatch, reader: Path
) -> None:
    monkeypatch.setattr(server, "require", lambda: None)
    served: list[Any] = []
    monkeypatch.setattr(server, "serve", lambda programs, *_, **__: served.extend(programs))
    done = command("serve", reader, reader)
    assert (done.code, "two models are called `reader`" in done.err) == (2, True)
    assert command("serve", reader, f"second={reader}").code == 0
    assert served == ["reader", "second"]
    done = command("serve", reader, "--max-request-bytes", "much")
    assert (done.code, "`--max-request-bytes`" in done.err) == (2, True)
