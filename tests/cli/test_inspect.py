"""`inspect`: the sizes that users rely on, as JSON and as a screen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from perceiver_graph.cli import screen
from tests.cli.support import ROOT, Command


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
