"""What a run takes, and what is chosen so that it takes no more than it may."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from perceiver_graph.compiler import driver
from perceiver_graph.compiler.ir.dims import Dim, Symbol, shape_of
from perceiver_graph.compiler.lowering.lowered import Lowered
from perceiver_graph.compiler.ops import Attention, Op, SegmentedAttention, TensorType
from perceiver_graph.compiler.ops.scores import (
    LARGEST_SCORES,
    SMALLEST_SCORES,
    pieces,
)
from perceiver_graph.compiler.programs.needs import Plan
from perceiver_graph.compiler.programs.plan import decode_memory, plan
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.spec.manifest import FEWEST_QUERIES, Manifest

MiB = 2**20

# Optical flow on small frames: 45,632 pixels are read by 512 latents, and each asks for its flow.
FLOW = (
    "inputs.frames.shape.height=184",
    "inputs.frames.shape.width=248",
    "latents.count=512",
    "latents.width=64",
    "process.layers=1",
    "process.heads=1",
)

RUN = """
import sys
import numpy as np
from perceiver_graph.runtime.program import load
program = load(sys.argv[1], device="cpu")
frames = np.random.default_rng(0).random((1, 2, 184, 248, 27), np.float32)
for _ in range(2):
    program.run({"frames": frames})
lines = open("/proc/self/status").readlines()
print(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024)
"""


@cache
def compiled(name: str, *overrides: str) -> driver.Compiled:
    return driver.compile(name, overrides=overrides)


def chosen(model: driver.Compiled, memory: int | None = None) -> Plan:
    return plan(model.lowered, model.optimized, memory)


def totals(lowered: Lowered) -> list[int]:
    return [int(one.queries) for one in lowered.outputs.values() if one.axes]


def test_pieces() -> None:
    n, m = Dim.of(2048), Dim.of(182528)
    assert pieces(n, m) == 6
    assert pieces(n, m, 2**31) == 1
    assert pieces(n, m, 1) == 2048
    assert pieces(Dim.of(784), Dim.of(52097)) == 1
    assert pieces(shape_of(Symbol("n"))[0], m, 1) == 1
    assert pieces(n, m, 2**28, item_bytes=2) == 3


@pytest.mark.parametrize(
    ("op", "shapes", "limit", "elements"),
    [
        (Attention(1), [(7, 6), (30, 6), (30, 4)], 10**6, 2 * 7 * 30),
        (Attention(1), [(7, 6), (30, 6), (30, 4)], 4 * 30 * 4, 2 * 4 * 30),
        (Attention(1), [(7, 6), (30, 6), (30, 4)], 1, 2 * 30),
        # A kernel answers several narrow heads, of copies of what it is given; of wide ones all
        # scores exist, however few may.
        (Attention(2), [(7, 6), (30, 6), (30, 4)], 1, 2 * (7 * 6 + 30 * 6 + 30 * 4)),
        (Attention(2), [(7, 258), (30, 258), (30, 4)], 1, 2 * 2 * 7 * 30),
        (Attention(2, causal=True), [(7, 6), (30, 6), (30, 4)], 1, 2 * 2 * 7 * 30),
        (
            SegmentedAttention((0, 0)),
            [(7, 6), (30, 6), (30, 4), (7, 5), (9, 5), (9, 5)],
            10**6,
            2 * 2 * 7 * 30,
        ),
        (
            SegmentedAttention((0, 2)),
            [(7, 6), (9, 6), (9, 4), (7, 6), (30, 6), (30, 1), (7, 5), (7, 6)],
            3 * 4 * 30 * 4,
            3 * 2 * 4 * 30,
        ),
        (
            SegmentedAttention((2,)),
            [(7, 6), (30, 6), (30, 1), (7, 5), (7, 6)],
            10**6,
            3 * 2 * 7 * 30,
        ),
        (SegmentedAttention((2,)), [(7, 6), (30, 6), (30, 1), (7, 5), (7, 6)], 1, 3 * 2 * 30),
    ],
)
def test_scores_that_exist_at_once(
    op: Op, shapes: list[tuple[int, int]], limit: int, elements: int
) -> None:
    types = [TensorType(shape_of(Symbol("batch"), *shape)) for shape in shapes]
    assert op.bytes_held(types, {"batch": 2}, limit) == 4 * elements


def test_a_mask_keeps_the_scores_together() -> None:
    batch = Symbol("batch")
    q, x = TensorType(shape_of(batch, 7, 6)), TensorType(shape_of(batch, 30, 6))
    mask = TensorType(shape_of(batch, 30), "bool")
    assert Attention(1).bytes_held([q, x, x, mask], {"batch": 1}, 1) == 4 * 7 * 30


def test_without_a_limit_everything_is_as_usual() -> None:
    model = compiled("kinetics")
    found = chosen(model)
    assert (found.chunks, found.score_limit) == (model.lowered.chunks, LARGEST_SCORES)
    # A CPU is quicker with fewer queries than the spec says: what it decodes together stays in cache.
    usual = decode_memory(model.optimized).usual_queries()
    assert (
        FEWEST_QUERIES
        < found.chunk_queries
        == usual
        < sum(-(-total // 128) for total in totals(model.lowered))
    )
    assert FEWEST_QUERIES <= chosen(compiled("optical_flow")).chunk_queries < 182_528
    classes = chosen(compiled("imagenet_fourier"))
    assert classes.chunk_queries == sum(totals(compiled("imagenet_fourier").lowered))


@pytest.mark.parametrize("name", ["kinetics", "optical_flow", "imagenet_fourier", "language"])
def test_a_plan_stays_within_its_limit(name: str) -> None:
    model = compiled(name)
    usual = chosen(model)
    plans = []
    for percent in (110, 100, 95, 90, 80, 70, 60, 50, 5):
        limit = usual.peak * percent // 100
        try:
            plans.append(chosen(model, limit))
        except DiagnosticError as error:
            (fault,) = error.diagnostics
            assert fault.code == "PG604"
            (least,) = re.findall(r"memory=(\d+) \* 2\*\*20", fault.help or "")
            assert int(least) * MiB > limit
            assert chosen(model, int(least) * MiB).peak <= int(least) * MiB
            with pytest.raises(DiagnosticError):
                chosen(model, int(least) * MiB - 2 * MiB)
        else:
            assert plans[-1].peak <= limit
    assert plans[0] == usual
    for more, less in pairwise(plans):
        assert less.peak <= more.peak
        assert less.score_limit <= more.score_limit
    for one in plans:
        assert one.chunks >= model.lowered.chunks
        assert SMALLEST_SCORES <= one.score_limit <= LARGEST_SCORES


def test_a_diagnostic_says_what_needs_the_memory() -> None:
    with pytest.raises(DiagnosticError) as raised:
        driver.compile("imagenet_large", memory=256 * MiB)
    (fault,) = raised.value.diagnostics
    assert fault.code == "PG604"
    assert "256 MiB" in fault.message
    assert "`imagenet_large`" in fault.message
    weights = next(note for note in fault.notes if "weights" in note)
    assert int(weights.split()[0]) * MiB > 3 * 213_082_618  # numbers of four bytes, most of them


def test_a_diagnostic_counts_only_queries_that_can_be_divided() -> None:
    with pytest.raises(DiagnosticError) as raised:
        driver.compile("audio_classification", overrides=["process.layers=0"], memory=MiB)
    (fault,) = raised.value.diagnostics
    (decoding,) = (note for note in fault.notes if "decoding" in note)
    assert decoding.endswith(": decoding")


def test_decoding_takes_a_fixed_part_and_one_for_each_query() -> None:
    memory = decode_memory(compiled("kinetics").optimized)
    # 1024 channels of the decoder's MLP, and of its input, for each of the pixels.
    assert 2 * 4 * 1024 < memory.per_query < 10 * 4 * 1024
    assert memory.fixed > 4 * 784 * 512
    label = decode_memory(compiled("imagenet_fourier").optimized)
    assert (label.fixed, label.per_query) == (0, 0)  # its query is not chosen


def test_the_manifest_says_what_was_chosen(tmp_path: Path) -> None:
    usual = compiled("optical_flow", *FLOW).save(tmp_path / "usual")
    assert usual.memory is None
    limit = 520 * MiB
    model = driver.compile("optical_flow", overrides=FLOW, memory=limit)
    manifest = model.save(tmp_path / "limited")
    assert manifest.memory is not None
    assert manifest.memory.limit == limit
    assert manifest.memory.peak == model.plan.peak <= limit
    assert manifest.memory.score_limit == model.plan.score_limit == model.target.score_limit
    assert manifest.chunks == model.plan.chunks > usual.chunks
    assert manifest.memory.chunk_queries == -(-45_632 // manifest.chunks)
    text = (tmp_path / "limited" / "manifest.json").read_text(encoding="utf-8")
    assert Manifest.model_validate_json(text) == manifest
    peak = peak_of_a_run(tmp_path / "limited")
    assert peak < limit
    assert peak < 0.9 * peak_of_a_run(tmp_path / "usual")


def peak_of_a_run(artifact: Path) -> int:
    """Bytes that a process had resident at most; of its own, as it was after it began."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(artifact)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)
