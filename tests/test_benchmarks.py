"""The benchmarks: the machinery on a tiny model, the report from fixed numbers."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import perceiver_graph as pg
from benchmarks import __main__ as command_line
from benchmarks import processes, report
from benchmarks.contenders import compress, load
from benchmarks.machine import Machine
from benchmarks.prepare import NEEDS_EXPORT
from benchmarks.remote import Remote
from benchmarks.results import Outcome, Results, WorkResult
from benchmarks.rounds import compare, give_up, outputs_file, predicted_bytes
from benchmarks.steps import STEPS
from benchmarks.tasks import CONTENDERS, OURS, Conditions, Task
from benchmarks.works import WORKS, System, Work, comparable, inputs_of
from perceiver_graph.compiler.programs import cost
from perceiver_graph.compiler.programs.needs import Needs, Use

SPEC = """
perceiver: 1
name: tiny
dims: {length: {max: 12}}
inputs:
  text:
    shape: {length: length}
    attention_mask: true
    steps: [{embedding: {vocabulary: 262, width: 16}}]
    position: {learned: {}, combine: add}
latents: {count: 6, width: 32}
encode: {heads: 2, qk_width: 16, v_width: 32}
process: {layers: 2, heads: 4, qk_width: 16, v_width: 32}
decode: {heads: 8, qk_width: 256, v_width: 16}
outputs:
  text:
    query: {grid: {length: length}, position: {learned: {width: 16}}}
    head: {tied_embedding: text}
"""
SETTINGS = {
    "num_latents": 6,
    "d_latents": 32,
    "d_model": 16,
    "num_cross_attention_heads": 2,
    "qk_channels": 16,
    "v_channels": 32,
    "vocab_size": 262,
    "max_position_embeddings": 12,
}


def tiny_work(folder: Path) -> Work:
    """Part of a text by a model of the sizes above."""
    spec = folder / "tiny.yaml"
    spec.write_text(SPEC, encoding="utf-8")
    return Work(
        "tiny-work",
        "A text of 7 bytes, 3 of them asked for.",
        System("tiny", str(spec), "MaskedLM", SETTINGS),
        {"text": [1, 7]},
        sizes={"length": 7, "text_queries": 3},
        decode={"text": [2, 5]},
        queries={"text": 12},
        pad_to=12,
    )


@pytest.mark.full
def test_contenders_take_turns_and_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    work = tiny_work(tmp_path)
    monkeypatch.setattr(command_line, "WORKS", {work.name: work})
    contenders = ["ours", "eager", "eager-bf16"]
    options = {
        "--contenders": ",".join(contenders),
        "--rounds": "2",
        "--batch": "2",
        "--threads": "1",
        "--limit": "300",
        "--folder": str(tmp_path / "bench"),
        "--json": str(tmp_path / "figures.json"),
        "--markdown": str(tmp_path / "report.md"),
    }
    command_line.main([word for option in options.items() for word in option])
    said = capsys.readouterr().err.splitlines()
    timed = [line.split(": ")[1] for line in said if line.endswith(" s")]
    assert timed == contenders * 2
    (found,) = json.loads((tmp_path / "figures.json").read_text("utf-8"))["works"]
    ours, eager, half = (found["outcomes"][name] for name in contenders)
    for outcome in (ours, eager, half):
        assert outcome["note"] == ""
        assert len(outcome["seconds"]) == 2
        assert 2**20 < outcome["load_peak_bytes"] <= outcome["peak_bytes"]
    assert ours["prepare_seconds"] > 0
    assert eager["prepare_seconds"] is None
    assert set(ours["parts"]) == {"encode", "decode"}
    assert found["base"] == "eager"
    assert 0 < ours["difference"] < 1e-4 < half["difference"] < 0.1
    assert found["rate"] > 0
    single = cost.estimate(pg.compile(work.system.spec).optimized, work.sizes).flops
    assert 1.5 * single < found["flops"] <= 2 * single
    assert found["predicted_bytes"] > 2**20
    text = (tmp_path / "report.md").read_text("utf-8")
    assert "## tiny-work" in text
    assert "fp32, batch 2, medians of 2 rounds" in text
    assert "Samples a second:\n\n| work | ours | eager | eager-bf16 |" in text
    assert "is empty" not in text


def test_the_processes_are_told_everything() -> None:
    for work in WORKS.values():
        task = Task("onnx", work, Conditions("cuda", "fp16", 16, "somewhere"))
        again = Task.loads(task.dumps())
        assert again.dumps() == task.dumps()
        assert again.work.system == work.system


@pytest.mark.parametrize("name", WORKS)
def test_a_work_fits_its_spec(name: str) -> None:
    work = WORKS[name]
    compiled = pg.compile(work.system.spec)
    assert set(work.sizes) <= set(compiled.graph.symbols)
    assert cost.estimate(compiled.optimized, work.sizes).flops <= compiled.flops
    data = {leaf.of: leaf.value for leaf in compiled.graph.inputs if leaf.role == "data"}
    for of, shape in work.inputs.items():
        sizes = {"batch": 1, "length": shape[1]}
        assert [dim.evaluate(sizes) for dim in data[of].shape] == list(shape)
    for output, count in work.queries.items():
        assert compiled.lowered.outputs[output].queries.evaluate({"length": 2048}) == count


def test_both_sides_are_compared_where_both_have_queries() -> None:
    values = np.arange(24.0).reshape(1, 12, 2)
    work = replace(WORKS["masked-lm-sentence"], decode={"text": [3, 5]}, queries={"text": 12})
    ours = comparable(work, {"text": values[:, 3:5]}, ours=True)
    theirs = comparable(work, {"text": values}, ours=False)
    assert ours["text"].tolist() == theirs["text"].tolist() == [6, 7, 8, 9]
    video = replace(WORKS["kinetics-video"], points={"image": [0, 3]}, queries={"image": 12})
    whole = {"image": values.reshape(1, 3, 4, 2), "label": np.ones((1, 2))}
    chunk = {"image": values[:, :3], "label": np.ones((1, 2))}
    ours, theirs = comparable(video, whole, ours=True), comparable(video, chunk, ours=False)
    assert ours["image"].tolist() == theirs["image"].tolist() == list(range(6))
    assert ours["label"].shape == theirs["label"].shape == (2,)


def test_samples_of_a_batch_are_compared_at_their_own_queries() -> None:
    values = np.arange(48.0).reshape(2, 12, 2)
    work = replace(WORKS["masked-lm-sentence"], decode={"text": [3, 5]}, queries={"text": 12})
    work = work.of_batch(2)
    assert (work.batch, work.inputs, work.sizes["batch"]) == (2, {"text": [2, 60]}, 2)
    ours = comparable(work, {"text": values[:, 3:5]}, ours=True)
    theirs = comparable(work, {"text": values}, ours=False)
    assert ours["text"].tolist() == theirs["text"].tolist() == [6, 7, 8, 9, 30, 31, 32, 33]


def test_what_is_exported_for_a_batch_is_kept_apart() -> None:
    conditions = Conditions("cpu", "fp32", 1, "kept")
    folders = {
        (name, batch): Task(name, WORKS["imagenet-conv"].of_batch(batch), conditions).prepared.name
        for name in ("ours", "onnx", "aotinductor")
        for batch in (1, 8)
    }
    assert folders["onnx", 8] == "onnx-cpu-fp32-batch8"
    assert folders["ours", 8] == folders["ours", 1]
    assert len(set(folders.values())) == 5


def test_without_nncf_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    task = Task("openvino-int8", tiny_work(tmp_path), Conditions("cpu", "fp32", 1, str(tmp_path)))
    with pytest.raises(RuntimeError, match="python -m pip install nncf"):
        compress(task)


def test_every_peer_that_is_exported_has_a_step() -> None:
    assert set(NEEDS_EXPORT) <= set(STEPS)
    assert set(NEEDS_EXPORT) <= set(CONTENDERS) - set(OURS)


@pytest.mark.full
@pytest.mark.parametrize("contender", ["aotinductor", "openvino-int8"])
def test_a_peer_that_is_compiled_agrees(contender: str, tmp_path: Path) -> None:
    """It takes a C++ compiler, or nncf."""
    if contender == "openvino-int8":
        pytest.importorskip("nncf")
    task = Task(contender, tiny_work(tmp_path), Conditions("cpu", "fp32", 1, str(tmp_path)))
    eager = replace(task, contender="eager")
    STEPS["weights"](eager)
    task.prepared.mkdir(parents=True)
    STEPS[contender](task)
    found, expected = (comparable(t.work, load(t).run(), ours=False) for t in (task, eager))
    limit = {"aotinductor": 1e-5, "openvino-int8": 0.1}[contender]
    difference = np.abs(found["text"] - expected["text"]).max() / np.abs(expected["text"]).max()
    assert difference < limit


def test_every_process_has_the_same_inputs() -> None:
    work = WORKS["masked-lm-sentence"]
    (text,) = inputs_of(work).values()
    assert (text == inputs_of(work)["text"]).all()
    assert np.flatnonzero(text[0] == 3).tolist() == list(range(40, 48))


def test_differences_are_shares_of_the_largest_output(tmp_path: Path) -> None:
    outcomes = {name: Outcome(name, seconds=[1.0]) for name in ("ours", "eager", "onnx")}
    outcomes["onnx"].seconds.clear()
    np.savez(outputs_file(tmp_path, "eager"), a=np.array([4.0, -8.0]), b=np.array([1.0]))
    np.savez(outputs_file(tmp_path, "ours"), a=np.array([4.0, -8.4]), b=np.array([0.9]))
    assert compare(tmp_path, outcomes) == "eager"
    assert outcomes["ours"].difference == pytest.approx(0.1)
    assert outcomes["eager"].difference is None
    assert outcomes["onnx"].difference is None
    np.savez(outputs_file(tmp_path, "ours"), a=np.array([4.0, -8.4]))
    with pytest.raises(ValueError, match="ours has outputs"):
        compare(tmp_path, outcomes)


def fixed() -> Results:
    machine = Machine("2026-01-02", 4, {"torch": "9.9"})
    outcomes = {
        "ours": Outcome(
            "ours",
            prepare_seconds=2.5,
            prepare_peak_bytes=2**30,
            load_seconds=0.5,
            load_peak_bytes=100 * 2**20,
            first_seconds=1.25,
            seconds=[1.0, 3.0, 2.0],
            parts={"encode": [0.5, 0.25, 0.75]},
            peak_bytes=200 * 2**20,
            difference=1.5e-6,
        ),
        "eager": Outcome("eager", calls=128, seconds=[0.25, 0.5, 0.125], peak_bytes=2**31),
        "onnx": Outcome("onnx", note="onnx: not done within 600 s"),
    }
    work = WorkResult(
        "a-work", "What it is.", 10**12, "A processor", 1e12, True, 0.7, "eager", outcomes
    )
    return Results(machine, "cpu", "fp32", 3, list(outcomes), [work])


def test_the_report() -> None:
    text = report.document(fixed())
    assert "2026-01-02, A processor, 4 CPU threads, matrix products at 1000 GFLOP/s" in text
    assert "| a-work | 2.00 | 50 % | 16.00 |  |" in text
    assert "| a-work | 200 (100) | 2,048 |  |" in text
    assert "| a-work | 2.50 (1,024) |  |  |" in text
    row = (
        "| `ours` | 2.00 | 1.00 | 3.00 | 1.00 | 1.25 | 0.500 | 100 | 200 | 2.50 | 1,024 | 1.5e-06 |"
    )
    assert row in text
    assert "| `eager` | 32.0 | 16.0 | 64.0 | 16.00 |  |  |  | 2,048 |  |  | compared with |" in text
    assert "| `onnx` |  |  |  |  |  |  |  |  |  |  |  |" in text
    assert "1,000.0 GFLOP; matrix products at 1000 GFLOP/s: floor 1.00 s, 50 %" in text
    assert "- `ours`: encode 0.500 s" in text
    assert "- `eager`: one call was timed, and counts 128 times" in text
    assert "- `onnx` is empty: onnx: not done within 600 s" in text
    assert "- load average before: 0.7" in text
    assert json.loads(json.dumps(fixed().as_json()))["works"][0]["outcomes"]["ours"]["seconds"]


def test_samples_a_second_and_what_is_predicted_of_memory() -> None:
    results = fixed()
    assert "Samples a second" not in report.document(results)
    results.batch, results.works[0].predicted_bytes = 8, 300 * 2**20
    text = report.document(results)
    assert "cpu, fp32, batch 8, medians of 3 rounds" in text
    assert "| a-work | 4 | 0.25 |  |" in text
    assert "50 % of what perceiver-graph takes. Predicted: 300 MiB at most." in text


def test_memory_is_predicted_to_grow_by_what_a_sample_takes() -> None:
    use = {"encode": Use(50, "a", 0), "decode": Use(20, "b", 10)}
    needs = Needs(process=100, weights=1000, loading=200, programs=use)
    assert [predicted_bytes(needs, batch) for batch in (1, 2, 8)] == [1300, 1300, 1660]


def test_there_is_no_floor_for_another_precision() -> None:
    (work,) = fixed().works
    work.rate_holds = False
    assert work.floor is None
    assert work.floor_share is None
    assert "of another precision." in report.section(work)


def test_a_contender_that_fails_half_way_has_no_figures() -> None:
    (work,) = fixed().works
    give_up(work.outcomes["ours"], "ended by SIGKILL")
    assert work.ratio("eager") is None
    assert work.floor_share is None
    assert "| `ours` |  |  |  |  |  |  |  |  | 2.50 |" in report.section(work)


OPENVINO_FAILS = """
raise RuntimeError('''Exception from src/inference/src/cpp/core.cpp:135:
Exception from src/inference/src/dev/plugin.cpp:54:
Check 'unconverted.empty()' failed at src/frontends/onnx/frontend/src/frontend.cpp:386:
FrontEnd API failed with OpConversionFailure:
no operation Bernoulli
''')
"""


def test_processes(tmp_path: Path) -> None:
    log = tmp_path / "log"
    here = b"1" * 400_000_000  # which a process that is started from here has no part in
    code = "import time; x = b'1' * 150_000_000; time.sleep(0.1)"
    done = processes.run([sys.executable, "-c", code], log, 30)
    assert 150_000_000 < done.peak_bytes < len(here)
    code = "print('error'); raise ValueError('no such thing\\nfor more, look there')"
    with pytest.raises(processes.ProcessError, match=r"^ValueError: no such thing$"):
        processes.run([sys.executable, "-c", code], log, 30)
    code = (
        "try: 1 / 0\nexcept ZeroDivisionError as e: raise KeyError('\\33[96ma key\\33[0m') from e"
    )
    with pytest.raises(processes.ProcessError, match=r"KeyError: .* \(caused by ZeroDivision"):
        processes.run([sys.executable, "-c", code], log, 30)
    with pytest.raises(processes.ProcessError, match=r"^RuntimeError: no operation Bernoulli$"):
        processes.run([sys.executable, "-c", OPENVINO_FAILS], log, 30)
    with pytest.raises(processes.ProcessError, match=r"not done within 1 s"):
        processes.run([sys.executable, "-c", "import time; time.sleep(30)"], log, 1)
    with pytest.raises(processes.ProcessError, match=r"ended by SIGKILL"):
        processes.run(["bash", "-c", "kill -9 $$"], log, 30)
    with pytest.raises(processes.ProcessError, match=r"^error\[PG"):
        processes.run([sys.executable, "-m", "perceiver_graph", "check", "nowhere"], log, 30)


def test_a_contender_that_was_killed_is_left_behind(tmp_path: Path) -> None:
    """The work goes on with the others, also where something was still to be written to it."""
    contender = Remote("no task", tmp_path / "log", {}, 30)
    with pytest.raises(processes.ProcessError):
        contender.load()
    with pytest.raises(processes.ProcessError):
        contender.run()
    contender.close()
    contender.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--works", "kinetics"], "kinetics is not among kinetics-chunk, "),
        (["--contenders", "ours,theirs"], "theirs is not among ours, "),
        (["--rounds", "0"], "0 is not 1 or more"),
    ],
)
def test_unknown_names_are_refused(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command_line.main(arguments)
    assert said in capsys.readouterr().err
