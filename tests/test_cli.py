"""The commands as users meet them: what they print, where, and the exit codes."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import perceiver_graph
from perceiver_graph.cli import check, main, screen
from perceiver_graph.cli import explain as explain_module
from perceiver_graph.cli import inspect as inspect_module
from perceiver_graph.diagnostics import CATALOG
from perceiver_graph.spec import load_spec

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = ("compile", "run", "check", "inspect", "graph", "explain", "schema", "new")

TINY = """\
perceiver: 1
name: tiny
dims: {length: {min: 2, max: 32, multiple_of: 2}}
inputs:
  x: {shape: {time: length, channel: 3}, steps: [{patch: {time: 2}}], position: {fourier: {bands: 2, max_resolution: {time: 8}}}}
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


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spec") / "tiny.yaml"
    path.write_text(TINY, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def artifact(tiny: Path) -> Path:
    target = tiny.parent / "artifact"
    assert main(["compile", str(tiny), "-o", str(target)]) == 0
    return target


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


# The application


def test_version(command: Command) -> None:
    assert command("--version") == (0, f"perceiver-graph {perceiver_graph.__version__}\n", "")


def test_help_lists_every_command(command: Command) -> None:
    done = command("--help")
    assert done.code == 0
    assert re.findall(r"^  ([a-z]+)  ", done.out.split("Commands:")[1], flags=re.M) == [*COMMANDS]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, command: Command) -> None:
    done = command(name, "--help")
    assert done.code == 0
    assert done.out.startswith(f"Usage: perceiver-graph {name}")
    assert "--debug" in done.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Usage"),
        (["chek"], "Did you mean 'check'"),
        (["check"], "Missing argument"),
        (["inspect", "kinetics", "--fromat", "json"], "--format"),
        (["inspect", "kinetics", "--format", "xml"], "json"),
        (["inspect", "kinetics", "-O", "3"], "-O"),
        (["graph", "kinetics", "--depth", "0"], "--depth"),
        (["compile", "kinetics", "--backend", "tensorflow"], "onnx"),
        (["compile", "kinetics", "--seed", "-1"], "--seed"),
        (["explain", "PG20"], "PG20"),
        (["run", "somewhere"], "--inputs"),
        (["run", "somewhere", "a.mp4", "--inputs", "in.npz"], "not both"),
        (["run", "somewhere", "a.mp4", "-o", "out.npz"], "folder"),
        (["run", "somewhere", "a.mp4", "--memory", "much"], "2GiB"),
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: Sequence[str], told: str, command: Command) -> None:
    done = command(*arguments)
    assert done.code == 2
    assert told in done.out + done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["inspect", "kinetcs"], "PG001"),
        (["check", "."], "PG002"),
        (["graph", "nothing/here.yaml"], "PG001"),
        (["inspect", "kinetics", "--set", "latents.count=0"], "PG105"),
        (["inspect", "kinetics", "--set", "latents"], "PG214"),
        (["inspect", "kinetics", "--set", "latents.width=513"], "PG204"),
        (["compile", "kinetcs"], "PG001"),
        (["compile", "kinetics", "--precision", "bf16"], "PG602"),
        (["compile", "kinetics", "--weights", "missing.safetensors"], "PG301"),
        (["run", "missing", "clip.mp4"], "PG401"),
        (["new", "a/b"], "PG109"),
        (["new", "mine", "--from", "kinetcs"], "PG001"),
        (["schema", "-o", "no/such/folder/schema.json"], "PG511"),
        (["schema", "-o", "."], "PG511"),
    ],
)
def test_wrong_input_is_exit_code_1_and_a_diagnostic(
    arguments: Sequence[str],
    code: str,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = command(*arguments)
    assert done.code == 1
    assert f"error[{code}]" in done.err
    assert done.out == ""
    assert not [*tmp_path.iterdir()]


def _broken(*_: object, **__: object) -> None:
    raise ZeroDivisionError("of all things")


def test_an_internal_error_is_a_diagnostic(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explain_module, "explain", _broken)
    done = command("explain", "PG204")
    assert done.code == 1
    assert "error[PG901]: internal error: ZeroDivisionError: of all things" in done.err
    assert perceiver_graph.__version__ in done.err
    assert "report" in done.err
    assert "--debug" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "arguments", [["explain", "PG204", "--debug"], ["--debug", "explain", "PG204"]]
)
def test_debug_shows_the_traceback(
    arguments: Sequence[str], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explain_module, "explain", _broken)
    done = command(*arguments)
    assert done.code == 1
    assert "Traceback" in done.err
    assert "PG901" in done.err
    assert "Traceback" not in command("explain", "PG204").err  # it does not last


def test_the_environment_asks_for_tracebacks_too(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explain_module, "explain", _broken)
    monkeypatch.setenv("PERCEIVER_GRAPH_DEBUG", "1")
    assert "Traceback" in command("explain", "PG204").err
    monkeypatch.setenv("PERCEIVER_GRAPH_DEBUG", "0")
    assert "Traceback" not in command("explain", "PG204").err


def test_ctrl_c_is_one_line(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(explain_module, "explain", interrupt)
    assert command("explain", "PG204") == (130, "", "interrupted\n")


def test_a_lack_of_memory_is_a_diagnostic(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhaust(_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(explain_module, "explain", exhaust)
    done = command("explain", "PG204")
    assert done.code == 1
    assert "PG603" in done.err


def test_a_reader_that_goes_away_is_no_error() -> None:
    running = process("graph", "kinetics", "--depth", "9", "--format", "json")
    assert running.stdout is not None
    assert running.stderr is not None
    assert running.stdout.readline() == "{\n"
    running.stdout.close()
    assert running.wait(timeout=120) in {141, -signal.SIGPIPE}
    assert running.stderr.read() == ""
    running.stderr.close()


def test_output_that_cannot_be_encoded_is_escaped() -> None:
    running = process(
        "graph", "kinetics", "--depth", "1", env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    )
    out, err = running.communicate(timeout=120)
    assert running.returncode == 0, err
    assert out.startswith("kinetics")


# check


def test_check_of_good_specs(command: Command, tiny: Path) -> None:
    done = command("check", "kinetics", tiny)
    assert done.code == 0
    first, second = done.out.splitlines()
    assert first == ("kinetics: ok, 19,858,855 parameters, inputs 52097 x 704, latents 784 x 512")
    assert second.startswith(f"{tiny}: ok, ")
    assert "inputs length/2 x" in second
    assert done.err == ""


def test_check_reports_on_every_spec(command: Command, tiny: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text(TINY.replace("width: 8}", "widht: 8}"), encoding="utf-8")
    two.write_text(TINY.replace("heads: 2", "heads: 3"), encoding="utf-8")
    done = command("check", one, tiny, two)
    assert done.code == 1
    assert done.out.startswith(f"{tiny}: ok")
    assert "error[PG101]" in done.err
    assert "did you mean `width`" in done.err
    assert "error[PG204]" in done.err
    assert f"{one}:7:" in done.err


@pytest.mark.parametrize(
    ("format", "begins"), [("concise", r".*two\.yaml:\d+:\d+: error\[PG204\]"), ("full", r"error")]
)
def test_check_formats_for_people(
    format: str, begins: str, command: Command, tmp_path: Path
) -> None:
    path = tmp_path / "two.yaml"
    path.write_text(TINY.replace("heads: 2", "heads: 3"), encoding="utf-8")
    done = command("check", path, "--format", format)
    assert done.code == 1
    assert re.match(begins, done.err)
    assert done.out == ""


def test_check_formats_for_programs(command: Command, tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "two.yaml"
    path.write_text(TINY.replace("heads: 2", "heads: 3"), encoding="utf-8")
    done = command("check", path, tiny, "--format", "json")
    assert done.code == 1
    (found,) = json.loads(done.out)
    assert found["code"] == "PG204"
    assert found["location"]["path"] == str(path)
    done = command("check", path, tiny, "--format", "github")
    assert done.out.startswith("::error title=PG204,file=")
    assert json.loads(command("check", tiny, "--format", "json").out) == []
    assert command("check", tiny, "--format", "github") == (0, "", "")


def test_check_takes_overrides(command: Command) -> None:
    assert "latents 392 x 512" in command("check", "kinetics", "--set", "latents.count=392").out


# inspect


@pytest.mark.parametrize("name", ["kinetics", "specs/kinetics.yaml"])
def test_the_sizes_of_kinetics(
    name: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    done = command("inspect", name, "--format", "json")
    assert done.code == 0
    assert done.err == ""
    found = json.loads(done.out)
    assert found["name"] == "kinetics"
    assert found["parameters"] == 19_858_855 == sum(found["parameters_by_part"].values())
    assert found["input_array"] == [52097, 704]
    assert found["latents"] == [784, 512]
    assert found["query_array"] == [6288, 1026]
    assert found["total_queries"] == 804_737
    assert found["chunks"] == 128
    sizes = {n: (e["shape"], e["tokens"], e["channels"]) for n, e in found["inputs"].items()}
    assert sizes == {
        "audio": ([30720, 1], 1920, 401),
        "image": ([16, 224, 224, 3], 50176, 243),
        "label": ([700], 1, 700),
    }
    asked = {n: (e["queries"], e["channels"], e["shape"]) for n, e in found["outputs"].items()}
    assert asked == {
        "audio": (1920, 16, [1920, 16]),
        "image": (802_816, 3, [16, 224, 224, 3]),
        "label": (1, 700, [700]),
    }


def test_the_cost_of_kinetics(command: Command) -> None:
    found = json.loads(command("inspect", "kinetics", "--format", "json").out)
    phases = found["phases"]
    assert set(phases) == {"compile", "encode", "decode"}
    # 127 equal chunks and a bit: all decoding costs 128 chunks, less what the last one lacks.
    whole = phases["encode"]["flops"] + 128 * phases["decode"]["flops"]
    assert 0.98 * whole < found["flops"] <= whole
    # The first layer alone reads 52097 x 704 keys and values: 2 x 2 x 52097 x 704^2.
    assert phases["encode"]["flops"] > 4 * 52097 * 704**2
    for phase in phases.values():
        assert phase["peak_bytes_with_scores"] >= phase["peak_bytes"] > 0
    assert phases["encode"]["peak_bytes"] > 4 * 52097 * 704


def test_optimising_never_adds_flops(command: Command) -> None:
    plain = json.loads(command("inspect", "kinetics", "--format", "json").out)
    better = json.loads(command("inspect", "kinetics", "--format", "json", "-O", "2").out)
    assert better["level"] == 2
    assert better["flops"] <= plain["flops"]
    assert better["parameters"] == plain["parameters"]


def test_symbolic_sizes_are_expressions(command: Command, tiny: Path) -> None:
    found = json.loads(command("inspect", tiny, "--format", "json").out)
    assert found["inputs"]["x"]["shape"] == ["length", 3]
    assert found["inputs"]["x"]["tokens"] == "length/2"
    assert found["input_array"][0] == "length/2"
    assert found["dims"] == {"length": {"min": 2, "max": 32, "multiple_of": 2}}
    assert found["estimated_at"] == {"length": 32}
    table = command("inspect", tiny).out
    assert "length/2" in table
    assert "length = 32" in table


def test_the_table_of_kinetics(command: Command) -> None:
    done = command("inspect", "kinetics")
    assert done.code == 0
    assert done.err == ""
    assert "\x1b" not in done.out
    assert max(map(len, done.out.splitlines())) <= 100
    assert not [line for line in done.out.splitlines() if line != line.rstrip()]
    for text in ("52,097", "48 + 195 = 243", "+ 461", "19,858,855", "804,737", "6288 x 1026"):
        assert text in done.out
    assert "next:" not in done.out


def test_what_to_do_next_is_for_people(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "on_terminal", lambda: True)
    done = command("inspect", "kinetics")
    assert done.out.endswith("next: perceiver-graph compile kinetics -o build/kinetics\n")
    assert "19,858,855" in done.out


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 bytes"),
        (512, "512 bytes"),
        (1500, "1.5 kB"),
        (999_999, "1 MB"),
        (452_082_674, "452 MB"),
    ],
)
def test_sizes_for_people(number: int, text: str) -> None:
    assert screen.size(number) == text


def test_operations_for_people() -> None:
    assert [screen.scaled(n) for n in (7, 1000, 251_959_947_280)] == ["7", "1 k", "252 G"]


# graph


def _outline(command: Command, *options: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(command("graph", *options, "--format", "json").out)
    return found


def _boxes(boxes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [found for box in boxes for found in (box, *_boxes(box.get("inside", [])))]


def test_the_tree_of_kinetics(command: Command) -> None:
    lines = command("graph", "kinetics").out.splitlines()
    assert lines[0].split() == ["kinetics", "19,858,855", "parameters"]
    (layers,) = [line for line in lines if "layers.0 .. 7" in line]
    assert "SelfAttend" in layers
    assert "[batch, 784, 512]" in layers
    assert "8 times" in layers


@pytest.mark.parametrize("depth", [1, 2, 3, 9])
def test_the_json_graph_hangs_together(depth: int, command: Command, tiny: Path) -> None:
    found = _outline(command, tiny, "--depth", depth)
    ids = [box["id"] for box in _boxes(found["boxes"])]
    assert len(ids) == len(set(ids))
    opened = {box["id"] for box in _boxes(found["boxes"]) if box.get("inside")}
    for edge in found["edges"]:
        assert edge["source"] in ids
        assert edge["target"] in ids
        assert not {edge["source"], edge["target"]} & opened
    reached = {"input:x"}
    for edge in found["edges"]:  # in order of the flow
        if edge["source"] in reached:
            reached.add(edge["target"])
    assert {"output:latents", "output:y", "output:label"} <= reached


def test_a_deeper_graph_opens_the_blocks(command: Command, tiny: Path) -> None:
    graph = perceiver_graph.compile(tiny).graph
    found = _outline(command, tiny, "--depth", 20)
    operations = [box for box in _boxes(found["boxes"]) if box["kind"] == "op"]
    assert {box["id"] for box in operations} == {node.name for node in graph.nodes}
    shallow = _outline(command, tiny, "--depth", 1)
    assert not [box for box in _boxes(shallow["boxes"]) if box.get("inside")]


def test_mermaid(command: Command, tiny: Path) -> None:
    lines = command("graph", tiny, "--format", "mermaid").out.splitlines()
    assert lines[0] == "flowchart TB"
    box = re.compile(r'n\d+(\[|\(|\(\[|\[/)"[^"]*"(\]|\)|\]\)|/\])')
    edge = re.compile(r'n\d+ -->\|"[^"]+"\| n\d+')
    depth = 0
    for line in lines[1:]:
        text = line.strip()
        if re.fullmatch(r'subgraph n\d+\["[^"]*"\]', text):
            depth += 1
        elif text == "end":
            depth -= 1
        else:
            assert box.fullmatch(text) or edge.fullmatch(text), line
    assert depth == 0
    assert any('"batch x length/2 x 8"' in line or '"4 x 8"' in line for line in lines)


def test_dot(command: Command, tiny: Path) -> None:
    text = command("graph", tiny, "--format", "dot").out
    quoted = r'"(?:[^"\\]|\\.)*"'
    attribute = rf"\w+=(?:{quoted}|\w+)"
    statements = [
        rf"digraph {quoted} {{",
        r"subgraph cluster_n\d+ {",
        rf"label={quoted}",
        rf"(?:graph|node|edge|n\d+|n\d+ -> n\d+) \[{attribute}(?:, {attribute})*\]",
        r"}",
    ]
    for line in text.splitlines():
        assert any(re.fullmatch(pattern, line.strip()) for pattern in statements), line
    bare = re.sub(quoted, "", text)
    assert bare.count("{") == bare.count("}")


def test_a_graph_goes_to_a_file(command: Command, tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "graph.dot"
    assert command("graph", tiny, "--format", "dot", "-o", path) == (0, f"{path}\n", "")
    assert path.read_text() == command("graph", tiny, "--format", "dot").out
    assert [*tmp_path.iterdir()] == [path]


def test_the_tree_on_a_terminal(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    assert "layers.0 .. 7" in command("graph", "kinetics").out


# explain, schema, new


def test_explain(command: Command) -> None:
    done = command("explain", "pg204")
    assert done.code == 0
    assert done.out.startswith("PG204: ")
    listed = re.findall(r"PG\d{3}", command("explain").out)
    assert listed == [*CATALOG]


def test_schema(command: Command, tmp_path: Path) -> None:
    done = command("schema")
    assert json.loads(done.out)["title"] == "perceiver-graph spec"
    path = tmp_path / "schema.json"
    assert command("schema", "-o", path).code == 0
    assert path.read_text(encoding="utf-8") == done.out


@pytest.mark.parametrize("name", ["mine", "Mine-2", "1e3", "null", "0x10", "a.b"])
@pytest.mark.parametrize("source", [[], ["--from", "kinetics"]], ids=["starter", "copy"])
def test_new(
    name: str,
    source: Sequence[str],
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(f"{name}.yaml")
    assert command("new", name, *source) == (0, f"{path}\n", "")
    assert load_spec(path).spec.name == name
    assert "#" in path.read_text(encoding="utf-8")
    assert command("check", path).code == 0
    path.write_text("mine", encoding="utf-8")
    again = command("new", name, *source)
    assert again.code == 1
    assert "PG511" in again.err
    assert path.read_text(encoding="utf-8") == "mine"


def test_new_copies_all_but_the_name(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command("new", "mine", "--from", "kinetics")
    copy, original = load_spec("mine.yaml").spec, load_spec("kinetics").spec
    assert copy == original.model_copy(update={"name": "mine"})


# compile and run


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


# Start-up


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


def test_command_modules_have_their_command() -> None:
    assert callable(check.check_command)
    assert callable(inspect_module.inspect_command)
