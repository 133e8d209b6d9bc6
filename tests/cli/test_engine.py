"""`run --engine` and what `--verbose` says of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.support import Command


def test_the_command_says_which_and_why(
    command: Command, artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERCEIVER_GRAPH_CACHE", str(tmp_path / "cache"))
    given = (
        "run",
        artifact,
        "--random",
        "-o",
        tmp_path / "out.npz",
        "--device",
        "cpu",
        "--verbose",
    )
    done = command(*given, "--engine", "openvino")
    assert done.code == 0, done.err
    assert "OpenVINO on cpu, " in done.err
    assert "it was asked for" in done.err
    done = command(*given)
    assert done.code == 0
    assert "onnxruntime on cpu" in done.err
    assert "OpenVINO" not in command(*given[:-1]).err


def test_an_engine_that_is_none(command: Command, artifact: Path) -> None:
    done = command("run", artifact, "--random", "--engine", "openvin")
    assert done.code == 2
    assert "did you mean `--engine openvino`?" in done.err


def test_threads_and_digests(
    command: Command, artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERCEIVER_GRAPH_CACHE", str(tmp_path / "cache"))
    given = (
        "run",
        artifact,
        "--random",
        "-o",
        tmp_path / "out.npz",
        "--device",
        "cpu",
        "--verbose",
    )
    done = command(*given, "--threads", "3", "--verify", "once")
    assert done.code == 0, done.err
    assert "onnxruntime on cpu, 3 threads" in done.err
    assert len([*(tmp_path / "cache" / "verified").iterdir()]) == 1
    assert command(*given, "--threads", "0").code == 2
