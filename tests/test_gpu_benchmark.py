"""The script for a GPU, tried on the CPU: every stage on a tiny model, and the tables from findings."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.gpu import __main__ as command_line
from benchmarks.gpu import programs, tables, timing
from benchmarks.gpu.plan import FINDINGS, REPORT, Plan, findings
from tests.test_benchmarks import tiny_work


def plan(folder: Path, **changes: Any) -> Plan:
    settings: dict[str, Any] = {
        "device": "cpu",
        "precisions": ["fp32"],
        "out": str(folder),
        "folder": str(folder / "kept"),
        "until": time.time() + 300,
        "threads": 1,
        "seconds": 0.0,
    }
    return Plan(**settings | changes)


@pytest.mark.full
def test_every_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tiny_work(tmp_path)
    monkeypatch.setattr(command_line, "WORKS", {work.name: work})
    options = {
        "--device": "cpu",
        "--systems": "starcraft",
        "--precisions": "fp32",
        "--seconds": "0",
        "--threads": "1",
        "--jobs": "2",
        "--folder": str(tmp_path / "kept"),
    }
    out = tmp_path / "out"
    command_line.main(
        [str(out), "--eager", *(word for option in options.items() for word in option)]
    )
    found = findings(out)
    assert [one for one in found if one["kind"] == "failed"] == []
    of_works = {one["contender"]: one for one in found if one["kind"] == "work"}
    assert of_works["eager"]["difference"] == 0
    for contender in ("ours", "ours-torch"):
        assert 0 < of_works[contender]["difference"] < 1e-4
        assert of_works[contender]["seconds"] > 0
    assert "compiled" not in of_works
    small = {(one["system"], one["engine"]): one for one in found if one["kind"] == "small"}
    assert set(small) == {("starcraft", "torch"), ("starcraft", "onnxruntime")}
    assert all(0 < one["difference"] < 1e-4 for one in small.values())
    (nodes,) = [one for one in found if one["kind"] == "nodes"]
    assert set(nodes["providers"]) == {"CPUExecutionProvider"}
    assert nodes["cpu_operators"]["MatMul"] > 3
    (kernels,) = [one for one in found if one["kind"] == "kernels"]
    assert any("mm" in row["name"] for row in kernels["rows"])
    text = (out / REPORT).read_text("utf-8")
    assert "| tiny-work |" in text
    assert "| starcraft |" in text


def test_a_failure_is_a_finding(tmp_path: Path) -> None:
    here = plan(tmp_path)
    with here.finding("work", work="a") as found:
        found["first_seconds"] = 2.0
        raise ValueError("no such kernel\nand more")
    with here.finding("work", work="b") as found:
        found["seconds"] = 1.0
    (tmp_path / FINDINGS).open("a").write('{"kind": "cut')
    failed, fine = findings(tmp_path)
    assert failed == {
        "kind": "work",
        "work": "a",
        "first_seconds": 2.0,
        "note": "ValueError: no such kernel",
    }
    assert fine == {"kind": "work", "work": "b", "seconds": 1.0}


def test_nothing_begins_after_the_time(tmp_path: Path) -> None:
    programs.measure(plan(tmp_path, until=time.time() + 5), tiny_work(tmp_path), "fp32")
    assert findings(tmp_path)[0]["note"] == "not reached"


def test_differences_of_what_is_no_number_are_none(tmp_path: Path) -> None:
    here, work = plan(tmp_path), tiny_work(tmp_path)
    assert timing.difference(here, work, {"text": np.ones((1, 3, 2))}, ours=True) is None
    base = np.ones((1, 12, 2))
    timing.keep(here, work, {"text": base})
    assert timing.difference(here, work, {"text": base[:, 2:5] * 1.5}, ours=True) == 0.5
    found = timing.difference(here, work, {"text": base[:, 2:5] * np.nan}, ours=True)
    assert found is not None
    assert np.isnan(found)


def test_only_one_is_timed_at_a_time(tmp_path: Path) -> None:
    here = plan(tmp_path)
    code = (
        "import sys, time; from benchmarks.gpu.plan import Plan; p = Plan.loads(sys.argv[1])\n"
        "with p.alone():\n    began = time.time(); time.sleep(0.3)\n"
        "    p.find('turn', span=[began, time.time()])"
    )
    command = [sys.executable, "-c", code, here.dumps()]
    for process in [subprocess.Popen(command) for _ in range(3)]:
        assert process.wait() == 0
    spans = sorted(one["span"] for one in findings(tmp_path))
    assert len(spans) == 3
    assert all(first[1] <= second[0] for first, second in pairwise(spans))


def test_nodes_are_counted_once_and_their_time_summed() -> None:
    def event(name: str, operator: str, provider: str, micro: int) -> dict[str, Any]:
        return {"name": name, "dur": micro, "args": {"op_name": operator, "provider": provider}}

    cuda, cpu = "CUDAExecutionProvider", "CPUExecutionProvider"
    found = programs.summarised(
        [
            *[event("a_kernel_time", "MatMul", cuda, 500)] * 2,
            event("b_kernel_time", "Shape", cpu, 10),
            event("b_fence_before", "Shape", cpu, 10),
        ]
    )
    assert found["providers"] == {cuda: 1, cpu: 1}
    assert found["cpu_operators"] == {"Shape": 1}
    assert found["rows"] == [
        {"name": "MatMul", "seconds": 0.001},
        {"name": "Shape", "seconds": 1e-5},
    ]


def test_the_tables() -> None:
    common = {"kind": "work", "work": "kinetics-video", "precision": "bf16"}
    text = tables.report(
        [
            {"kind": "machine", "date": "2026-01-02", "gpu": "A GPU", "rates": {"bf16": 8e14}},
            {
                **common,
                "contender": "ours",
                "seconds": 0.04,
                "difference": 0.01,
                "gpu_bytes": 2**30,
            },
            {**common, "contender": "eager", "seconds": 0.8},
            {**common, "contender": "compiled", "note": "not reached"},
            {
                "kind": "small",
                "system": "s",
                "engine": "torch",
                "precision": "bf16",
                "difference": 0.02,
            },
        ]
    )
    assert "2026-01-02; A GPU." in text
    assert "bf16 800.0 TFLOP/s" in text
    assert "| kinetics-video | 40.00 (1.0e-02; 1,024) | 800.00 |  | 20.0 |" in text
    assert "Whole video: 0.040 s at best (ours, bf16)" in text
    assert "| s | 2.0e-02 |" in text
    assert "- work kinetics-video compiled bf16: not reached" in text


def test_findings_are_lines_of_json(tmp_path: Path) -> None:
    here = plan(tmp_path)
    assert Plan.loads(here.dumps()).dumps() == here.dumps()
    here.find("fact", text="a\nb")
    assert [json.loads(line) for line in (tmp_path / FINDINGS).read_text().splitlines()]
