"""`compile` and `run`: from a spec to results on disk."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import perceiver_graph
from tests.cli.support import ROOT, Command


def test_compile_says_what_it_wrote(
    command: Command, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = command("compile", tiny)
    assert done.code == 0, done.err
    assert done.err == ""
    assert "\x1b" not in done.out
    target = Path("build") / "tiny"
    manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    for name in manifest["files"]:
        assert name in done.out
    assert "float32 [batch, time length, channel 3]" in done.out
    assert done.out.splitlines()[-1] == (
        f"next: perceiver-graph run {target} --inputs IN.npz -o OUT.npz"
    )
    assert manifest["parameters"] == perceiver_graph.compile(tiny).graph.parameter_count


def test_compile_writes_the_ir(command: Command, tiny: Path, tmp_path: Path) -> None:
    ir = tmp_path / "ir"
    done = command("compile", tiny, "-o", tmp_path / "t", "--dump-ir", ir, "--verify", "-O", "1")
    assert done.code == 0, done.err
    assert (ir / "00-lowered.ir.txt").read_text().startswith("graph tiny")


def test_compile_does_not_touch_what_is_no_artifact(
    command: Command, tiny: Path, tmp_path: Path
) -> None:
    (tmp_path / "thesis.tex").write_text("precious", encoding="utf-8")
    done = command("compile", tiny, "-o", tmp_path)
    assert done.code == 1
    assert "PG407" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def _arrays(tmp_path: Path, batch: int = 2, length: int = 6) -> Path:
    path = tmp_path / "in.npz"
    rng = np.random.default_rng(0)
    np.savez(path, x=rng.standard_normal((batch, length, 3), dtype=np.float32))
    return path


def test_run_on_arrays(command: Command, artifact: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.npz"
    done = command("run", artifact, "--inputs", _arrays(tmp_path), "-o", out)
    assert done.code == 0, done.err
    assert done.out.splitlines() == [
        str(out),
        "  y      float32 [2, 8, 2]",
        "  label  float32 [2, 4]",
    ]
    with np.load(out) as results:
        assert results["y"].shape == (2, 8, 2)
        assert results["label"].shape == (2, 4)
        assert np.isfinite(results["y"]).all()


def test_run_decodes_only_what_is_asked_for(
    command: Command, artifact: Path, tmp_path: Path
) -> None:
    inputs = _arrays(tmp_path)
    whole, part = tmp_path / "whole.npz", tmp_path / "part.npz"
    assert command("run", artifact, "--inputs", inputs, "-o", whole).code == 0
    options = ["--decode", "y=2:5", "--decode", "label", "--memory", "1GiB", "--device", "cpu"]
    assert command("run", artifact, "--inputs", inputs, "-o", part, *options).code == 0
    with np.load(whole) as all_results, np.load(part) as results:
        assert set(results.files) == {"y", "label"}
        np.testing.assert_allclose(results["y"], all_results["y"][:, 2:5], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(results["label"], all_results["label"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--decode", "y=5:2"], "PG506"),
        (["--decode", "y=0:9"], "PG506"),
        (["--decode", "y=a:b"], "PG506"),
        (["--decode", "yy"], "PG506"),
        (["--decode", "label=0:1"], "PG506"),
        (["--memory", "1"], "PG510"),
        (["-o", "no/such/folder/out.npz"], "PG511"),
        (["-o", "."], "PG511"),
    ],
)
def test_run_refuses_what_cannot_be(
    options: Sequence[str],
    code: str,
    command: Command,
    artifact: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inputs = _arrays(tmp_path)
    monkeypatch.chdir(tmp_path)
    done = command("run", artifact, "--inputs", inputs, *options)
    assert done.code == 1
    assert f"error[{code}]" in done.err
    assert [*tmp_path.iterdir()] == [inputs]


def test_run_names_what_is_wrong_with_arrays(
    command: Command, artifact: Path, tmp_path: Path
) -> None:
    assert "PG513" in command("run", artifact, "--inputs", tmp_path / "missing.npz").err
    done = command("run", artifact, "--inputs", _arrays(tmp_path, length=5))
    assert done.code == 1
    assert "PG503" in done.err


def test_run_on_files_needs_an_input_for_files(
    command: Command, artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clip.mp4").write_bytes(b"no video")
    done = command("run", artifact, "clip.mp4")
    assert done.code == 1
    assert "error[PG5" in done.err
    assert "Traceback" not in done.err


def test_on_a_terminal(artifact: Path, tiny: Path, tmp_path: Path) -> None:
    """Progress and colour come and go; the results and what to do next stay."""
    inputs = _arrays(tmp_path)
    told = _on_terminal("compile", tiny, "-o", tmp_path / "again", cwd=tmp_path)
    assert "next: perceiver-graph run" in told
    told = _on_terminal("run", artifact, "--inputs", inputs, cwd=tmp_path)
    assert "[2, 8, 2]" in told
    told = _on_terminal("inspect", tiny, cwd=tmp_path)
    assert "\x1b[1m" in told
    assert "next: perceiver-graph compile" in told


def _on_terminal(*arguments: object, cwd: Path) -> str:
    ours, theirs = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-m", "perceiver_graph", *map(str, arguments)],
        stdout=theirs,
        stderr=theirs,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"},
    )
    os.close(theirs)
    told = b""
    try:
        while part := os.read(ours, 65536):
            told += part
    except OSError:  # what Linux raises where a terminal ends
        pass
    os.close(ours)
    assert running.wait(timeout=120) == 0, told.decode()
    return told.decode().replace("\r\n", "\n")
