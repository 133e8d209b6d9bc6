"""`--memory`: what `compile` chooses for it, prints and refuses."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.support import Command


def test_what_was_chosen_is_printed_and_recorded(
    command: Command, tiny: Path, tmp_path: Path
) -> None:
    done = command("compile", tiny, "-o", tmp_path / "out", "--memory", "1GiB")
    assert (done.code, done.err) == (0, "")
    assert "of 1,024 MiB: 3 queries at a time" in done.out
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["memory"]["limit"] == 2**30
    assert manifest["memory"]["chunk_queries"] == 3  # of 8 in 3 chunks
    assert manifest["chunks"] == 3


def test_without_it_nothing_is_said(command: Command, tiny: Path, tmp_path: Path) -> None:
    done = command("compile", tiny, "-o", tmp_path / "out")
    assert "MiB" not in done.out
    assert "memory" not in json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))


def test_too_little_leaves_nothing_behind(command: Command, tiny: Path, tmp_path: Path) -> None:
    done = command("compile", tiny, "-o", tmp_path / "out", "--memory", "1MiB")
    assert done.code == 1
    assert "PG604" in done.err
    assert "the process" in done.err
    assert not list(tmp_path.iterdir())


def test_what_is_no_size_is_an_error_of_usage(command: Command, tiny: Path) -> None:
    done = command("compile", tiny, "--memory", "much")
    assert done.code == 2
    assert "2GiB" in done.err
