"""`inspect`: the sizes that users rely on, as JSON and as a screen."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from perceiver_graph.cli import screen
from perceiver_graph.cli.costs import seconds
from perceiver_graph.cli.kept import kept
from perceiver_graph.cli.machine import Rates, measure
from perceiver_graph.compiler.passes.base import Reason
from perceiver_graph.compiler.passes.pipeline import passes
from tests.cli.support import ROOT, TINY, Command


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


def test_why_passes_left_something_is_told(command: Command) -> None:
    found = json.loads(command("inspect", "poyo", "--format", "json", "-O", "2").out)
    notes = {(one["pass"], one["why"]): one["nodes"] for one in found["notes"]}
    assert len(notes) == len(found["notes"])
    assert notes["absorb-projections", "it has 8 heads"] == [
        f"process/layers.{layer}/attention/attended" for layer in range(6)
    ]
    assert (
        notes["map-tables", "nothing mapped: no map of single rows reads rows of a known table"]
        == []
    )
    assert json.loads(command("inspect", "poyo", "--format", "json").out)["notes"] == []
    out = command("inspect", "poyo", "-O", "2", "--rate", "50").out
    (told,) = [part for part in out.split("\n\n") if part.startswith("left by")]
    assert told.splitlines()[1:] == [
        "absorb-projections  encode.cross_attend           it has 2 heads",
        "absorb-projections  decode.velocity.cross_attend  it has 2 heads",
        "absorb-projections  process.layers.{0..5}         it has 8 heads",
    ]
    assert "left by" not in command("inspect", "poyo").out


def test_reasons_of_many_nodes_are_one_line() -> None:
    why = "{} is no linear map of it"
    reasons = [Reason(why, f"a.{i}/norm", (f"a.{i}/relu~relu_{i}",)) for i in range(9)]
    (one,) = kept("fold-norm-affine", reasons)
    assert (one.why, one.where) == ("`relu` is no linear map of it", ["a.{0..8}.norm"])
    other = Reason("one map of it and {} would cost more", "x", ("y/z",))
    found = kept("compose-linear", [other, Reason("nothing composed: none")])
    assert [(one.why, one.nodes) for one in found] == [
        ("one map of it and `z` would cost more", ("x",)),
        ("nothing composed: none", ()),
    ]


def test_before_and_after_the_passes(command: Command) -> None:
    plain = json.loads(command("inspect", "kinetics", "--format", "json").out)
    better = json.loads(command("inspect", "kinetics", "--format", "json", "-O", "2").out)
    assert plain["removed"] == []
    assert plain["before"] == plain["after"] == better["before"]
    assert better["after"]["phases"] == better["phases"]
    assert better["after"]["flops"] == better["flops"] < plain["flops"]
    removed = {one["pass"]: one for one in better["removed"]}
    assert len(removed) == len(better["removed"])
    assert sum(one["flops"] for one in removed.values()) == plain["flops"] - better["flops"]
    assert all(one["nodes"] > 0 for one in removed.values())
    # The keys alone are 52097 x 704 x 704 before, and vectors of so many channels after.
    assert removed["absorb-projections"]["flops"] > 2 * 52097 * 704**2


def test_nothing_in_the_json_depends_on_the_machine(command: Command) -> None:
    arguments = ("inspect", "kinetics", "--format", "json", "-O", "2")
    first = command(*arguments).out
    assert first == command(*arguments).out
    assert "floor" not in first
    found = json.loads(command(*arguments, "--rate", "150").out)
    for costs in (found["before"], found["after"]):
        assert costs["floor_seconds"] == costs["flops"] / 150e9
        for phase in costs["phases"].values():
            assert phase["floor_seconds"] == phase["flops"] / 150e9


def test_every_pass_is_described() -> None:
    assert all(0 < len(step.what.split()) <= 5 for step in passes(2, {}))


def test_equal_passes_are_one_line(command: Command) -> None:
    out = command("inspect", "kinetics", "-O", "2").out
    assert out.count("common-subexpressions") == 1
    assert "removed by" in out
    assert "removed by" not in command("inspect", "kinetics").out


def test_the_screen_in_the_documentation(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    page = (ROOT / "docs" / "inspect.md").read_text(encoding="utf-8")
    shown = page.split("```\n")[1]
    assert "removed by" in shown
    assert command("inspect", "kinetics", "-O", "2", "--rate", "150").out.endswith(f"\n{shown}")


def test_floors_are_for_those_who_optimise_or_give_a_rate(command: Command) -> None:
    """Measuring takes as long as all the rest, and a spec is looked at many times."""
    assert "floor" not in command("inspect", "kinetics").out
    assert "measured now" in command("inspect", "kinetics", "-O", "1").out
    assert "floor: at 150 GFLOP/s, as given" in command("inspect", "kinetics", "--rate", "150").out


def test_a_floor_is_the_slower_of_arithmetic_and_reading() -> None:
    rates = Rates(1e9, 1e6)
    assert rates.seconds(2 * 10**9, 1000) == 2
    assert rates.seconds(1000, 3 * 10**6) == 3
    assert Rates(1e9).seconds(1000, 10**12) == 1e-6
    assert "as given" in Rates(1e9).text()


def test_what_this_machine_can_do() -> None:
    rates = measure()
    assert 1e8 < rates.flops < 1e15
    assert rates.bytes is not None
    assert 1e8 < rates.bytes < 1e13
    assert "measured now" in rates.text()


@pytest.mark.parametrize(
    ("time", "text"), [(22.14, "22.1 s"), (0.9999, "1 s"), (0.167, "167 ms"), (9e-4, "0.9 ms")]
)
def test_seconds_for_people(time: float, text: str) -> None:
    assert seconds(time) == text


def test_a_memory_that_is_enough(command: Command) -> None:
    arguments = ("inspect", "kinetics", "-O", "2", "--memory")
    usual = json.loads(command("inspect", "kinetics", "-O", "2", "--format", "json").out)["run"]
    less = json.loads(command(*arguments, "700MiB", "--format", "json").out)
    assert usual["chunks"] == 128
    assert usual["peak_bytes"] > 700 * 2**20 >= less["run"]["peak_bytes"]
    assert less["run"]["score_limit"] < usual["score_limit"]
    assert less["chunks"] == 128  # what the spec says
    found = less["phases"]["decode"]["flops"] * less["run"]["chunks"]
    assert 0.98 * less["flops"] < found + less["phases"]["encode"]["flops"] < 1.02 * less["flops"]
    assert "of 700 MiB" in command(*arguments, "700MiB").out


def test_a_memory_that_is_too_small(command: Command) -> None:
    done = command("inspect", "kinetics", "-O", "2", "--memory", "100MiB")
    assert (done.code, done.out) == (1, "")
    assert "PG604" in done.err
    assert "encode/" in done.err
    (least,) = re.findall(r"help: `--memory (\w+)`", done.err)
    assert command("inspect", "kinetics", "-O", "2", "--memory", least).code == 0
    assert command("inspect", "kinetics", "--memory", "much").code == 2


def test_symbolic_sizes_are_expressions_counted_at_the_largest(
    command: Command, tiny: Path
) -> None:
    found = json.loads(command("inspect", tiny, "--format", "json").out)
    assert found["inputs"]["x"]["shape"] == ["length", 3]
    assert found["inputs"]["x"]["tokens"] == 16
    assert found["input_array"][0] == 16
    assert found["dims"] == {"length": {"min": 2, "max": 32, "multiple_of": 2}}
    assert found["estimated_at"] == {"length": 32}
    table = command("inspect", tiny).out
    assert "length/2" in table
    assert "length = 32" in table


@pytest.mark.parametrize("level", ["0", "2"])
def test_the_table_of_kinetics(
    level: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    done = command("inspect", "kinetics", "-O", level)
    assert done.code == 0
    assert done.err == ""
    assert "\x1b" not in done.out
    assert max(map(len, done.out.splitlines())) <= 100
    assert len(done.out.splitlines()) <= (66 if level == "2" else 60)
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


def test_a_memory_is_planned_for_what_compile_makes(command: Command) -> None:
    """`compile` optimises by default: what it accepts, `inspect` accepts."""
    shown = command("inspect", "kinetics", "--memory", "400MiB")
    assert shown.code == 0, shown.err
    assert "at -O2" in shown.out
    assert "of 400 MiB: " in shown.out
    assert command("inspect", "kinetics", "-O", "0", "--memory", "400MiB").code == 1


def test_a_limit_that_nothing_reaches_is_not_told(command: Command) -> None:
    out = command("inspect", "modelnet40", "--memory", "8GiB").out
    assert "of 8,192 MiB" in out
    assert "attention scores at a time" not in out


def test_symbols_that_are_given_with_a_call_are_shown(command: Command, tmp_path: Path) -> None:
    grid = "query: {grid: {time: steps}, position: {learned: {width: 5}}}"
    path = tmp_path / "steps.yaml"
    text = TINY.replace("multiple_of: 2}}", "multiple_of: 2}, steps: {max: 6}}")
    path.write_text(text.replace("query: {learned: {count: 1, width: 5}}", grid))
    assert (
        "steps is given with each call, `--size steps=6`, or else 6" in command("inspect", path).out
    )
    dims = json.loads(command("inspect", path, "--format", "json").out)["dims"]
    assert dims["steps"] == {"min": 1, "max": 6, "multiple_of": 1, "default": 6}
    assert "default" not in dims["length"]


@pytest.mark.parametrize(
    ("tokens", "rotary", "said"),
    [
        ("", "{of: time}", "rotary by range against axis time"),
        (", position: {rotary: {given: 1}}", "true", "rotary by range against image.position"),
        (", position: {rotary: {given: [t, u]}}", "{of: u}", "range against u of image.position"),
    ],
)
def test_what_each_side_is_turned_by(
    tokens: str, rotary: str, said: str, command: Command, tmp_path: Path
) -> None:
    spec = f"""\
perceiver: 1
name: turned
inputs: {{image: {{shape: {{time: 12, channel: 8}}{tokens}}}}}
latents: {{count: 4, width: 8, range: [0, 12]}}
encode: {{heads: 2, rotary: {rotary}}}
process: {{layers: 1, heads: 2, rotary: true}}
outputs: {{label: {{query: latents}}}}
"""
    path = tmp_path / "turned.yaml"
    path.write_text(spec)
    shown = " ".join(command("inspect", path).out.split())
    assert said in shown
    assert "self-attend layer, 2 heads, rotary by range" in shown


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("encode.causal=true", "cross-attend, 2 heads, causal"),
        ("process.causal=true", "self-attend layer, 2 heads, causal"),
        ("encode.query_residual=false", "cross-attend, 2 heads, not added to the latents"),
    ],
)
def test_what_layers_of_a_part_say(
    setting: str, said: str, command: Command, tmp_path: Path
) -> None:
    path = tmp_path / "read.yaml"
    path.write_text(
        """\
perceiver: 1
name: read
inputs: {text: {shape: {token: 12}, steps: [{embedding: {vocabulary: 9, width: 8}}]}}
latents: {of: text, last: 4}
encode: {heads: 2}
process: {layers: 1, heads: 2}
outputs: {label: {query: latents}}
"""
    )
    assert said not in " ".join(command("inspect", path).out.split())
    assert said in " ".join(command("inspect", path, "--set", setting).out.split())
