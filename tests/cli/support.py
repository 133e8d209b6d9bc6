"""How the tests run command lines: in this process, in another one, on a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from perceiver_graph.cli import main

ROOT = Path(__file__).resolve().parents[2]

TINY = """\
perceiver: 1
name: tiny
dims: {length: {min: 2, max: 32, multiple_of: 2}}
inputs:
  x: {shape: {time: length, channel: 3}, steps: [{patch: {time: 2}}], position: none}
latents: {count: 4, width: 8}
process: {layers: 2, heads: 2, blocks: 2}
decode: {chunks: 3, padding: {min: 1}}
outputs:
  y: {query: {grid: {time: 8}, position: {fourier: {bands: 2}}}, head: {linear: 2}}
  label: {query: {learned: {count: 1, width: 5}}, head: {linear: 4}}
"""


class Done(NamedTuple):
    code: int
    out: str
    err: str


class Command:
    """Runs command lines in this process."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self.capture = capture

    def __call__(self, *arguments: object) -> Done:
        self.capture.readouterr()
        code = main([str(argument) for argument in arguments])
        return Done(code, *self.capture.readouterr())


def process(*arguments: object, cwd: Path = ROOT, **options: Any) -> subprocess.Popen[str]:
    """The command line in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "perceiver_graph", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})},
        **options,
    )
