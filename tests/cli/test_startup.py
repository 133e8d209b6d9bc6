"""A command loads only what it needs, and answers at once."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Sequence

import pytest

from tests.cli.support import ROOT, process


def _heavy(*arguments: object) -> set[str]:
    code = (
        "import sys; from perceiver_graph.cli import main; code = main(sys.argv[1:]); "
        "print(*{name.split('.')[0] for name in sys.modules}, file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        check=True,
    )
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "kinetics"],
        ["check", "kinetics"],
        ["diff", "kinetics", "language"],
        ["graph", "kinetics"],
        ["explain", "PG204"],
        ["schema"],
    ],
    ids=" ".join,
)
def test_looking_loads_nothing_heavy(arguments: Sequence[str]) -> None:
    loaded = _heavy(*arguments)
    backends = {"torch", "onnx", "onnx_ir", "onnxruntime", "transformers"}
    idle = {"rich", "networkx", "jsonschema", "hypothesis", "safetensors"}
    assert "perceiver_graph" in loaded
    assert not loaded & (backends | idle)


def test_a_screen_appears_at_once() -> None:
    """The time of the processor, not of the clock: the machine may be busy."""
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        running = process("inspect", "specs/kinetics.yaml")
        out, err = running.communicate(timeout=120)
        assert running.returncode == 0, err
        assert "19,858,855" in out
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 2
