"""What a run is predicted to take is what a process was measured to take."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import perceiver_graph as pg
from perceiver_graph.compiler.programs.plan import plan
from perceiver_graph.runtime.chunks import chunk_limit

SELF = """\
perceiver: 1
name: latents_read_each_other
inputs: {x: {shape: {token: 64, channel: 64}}}
latents: {count: 4096, width: 256}
encode: {heads: 8}
process: {layers: 2, heads: 8}
outputs: {y: {query: latents}}
"""
CROSS = """\
perceiver: 1
name: many_tokens
inputs: {x: {shape: {token: 40000, channel: 128}}}
latents: {count: 2048, width: 128}
encode: {heads: 8, qk_width: 128}
process: {layers: 0}
outputs: {y: {query: latents}}
"""
POINTS = """\
perceiver: 1
name: points
inputs: {x: {shape: {latent: 16384, channel: 256}}}
latents: {of: x, last: 16384}
encode: {cross_attends: 0}
process: {layers: 0}
decode: {heads: 4}
outputs:
  y:
    query: {points: [x, y, z], position: {fourier: {bands: 8, spacing: octaves}, project: 256}}
    head: {linear: 1}
"""
GIVEN = {
    "self": (SELF, {"x": (1, 64, 64)}),
    "cross": (CROSS, {"x": (1, 40_000, 128)}),
    "points": (POINTS, {"x": (1, 16_384, 256), "y.points": (1, 20_000, 3)}),
}
RUN = """
import sys
import numpy as np
from perceiver_graph.runtime.program import load
program = load(sys.argv[1], device="cpu", threads=2)
given = {name: np.zeros(shape, np.float32) for name, shape in eval(sys.argv[2]).items()}
for _ in range(2):
    program.run(given)
lines = open("/proc/self/status").readlines()
print(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024)
"""


@pytest.mark.parametrize("name", GIVEN)
def test_heads_that_a_kernel_answers_keep_no_scores(name: str, tmp_path: Path) -> None:
    """All scores would be 512 MiB, 2.4 GiB, and 256 MiB for each thousand points."""
    spec, given = GIVEN[name]
    compiled = pg.compile(spec)
    compiled.save(tmp_path / "artifact")
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(tmp_path / "artifact"), repr(given)],
        capture_output=True,
        text=True,
        check=True,
    )
    measured, predicted = int(done.stdout), plan(compiled.lowered, compiled.optimized).peak

    assert measured < predicted * 1.1
    assert predicted < 1.8 * measured


WRITER = """\
perceiver: 1
name: writer
dims: {length: {min: 512, max: 4096}}
inputs:
  text:
    shape: {place: length}
    steps: [{embedding: {vocabulary: 8000, width: 512}}]
    position: {learned: {}, combine: add}
latents: {of: text, last: 512}
encode: {heads: 8, causal: true}
process: {layers: 4, heads: 8, causal: true}
outputs:
  next: {query: latents, head: {linear: 8000}}
"""
WRITE = """
import sys
import numpy as np
from perceiver_graph.runtime.program import load
program = load(sys.argv[1], device="cpu", threads=2)
ids = np.zeros((1, 4000), np.int64)
assert len(list(program.generate(ids, 4, temperature=0))) == 4
lines = open("/proc/self/status").readlines()
print(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024)
"""


def test_a_model_that_writes_needs_two_programs_and_a_cache(tmp_path: Path) -> None:
    compiled = pg.compile(WRITER)
    compiled.save(tmp_path / "artifact")
    done = subprocess.run(
        [sys.executable, "-c", WRITE, str(tmp_path / "artifact")],
        capture_output=True,
        text=True,
        check=True,
    )
    measured, needs = int(done.stdout), compiled.plan.needs
    assert compiled.writing is not None
    assert needs.writing > needs.weights + 2 * compiled.writing.cache_bytes
    assert measured < needs.peak * 1.1
    assert needs.peak < 1.8 * measured
    with pytest.raises(pg.DiagnosticError, match="PG604") as raised:
        pg.compile(WRITER, memory=needs.process + needs.weights + needs.writing // 2)
    notes = raised.value.diagnostics[0].notes
    assert any("weights of a second program and what it keeps, to write texts" in n for n in notes)


def test_points_are_cut_to_what_the_memory_holds(tmp_path: Path) -> None:
    usual = pg.compile(POINTS)
    assert usual.plan.chunk_queries > 2000
    limit = usual.plan.peak - 30 * 2**20
    limited = pg.compile(POINTS, memory=limit).save(tmp_path / "limited")
    assert limited.memory is not None
    assert limited.chunks == 1  # three points are one chunk
    sizes = {"batch": 1, "y_points": 20_000}
    found = chunk_limit(limited, sizes, {"y": 20_000}, None)
    assert found == limited.memory.chunk_queries < usual.plan.chunk_queries
