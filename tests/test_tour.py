"""The compiler of docs/tour.md is the one of examples/, and it is right; the map leads to the real one."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples import tiny_compiler as tiny

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "tour.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.M | re.S)
SPEC = BLOCKS[0][1]


def test_the_blocks_of_the_page_are_the_file() -> None:
    source = Path(tiny.__file__).read_text(encoding="utf-8")
    parts = [body for language, body in BLOCKS if language == "python" and body in source]
    assert "\n\n".join(parts) == source


def test_the_page_shows_what_comes_out() -> None:
    assert BLOCKS[1][1] == tiny.check(SPEC)
    graph = tiny.lower(tiny.parse(SPEC))
    before, after = tiny.cost(graph), tiny.cost(tiny.optimize(graph))
    assert f"print(cost(graph), cost(optimize(graph)))  # {before} {after}" in PAGE
    assert 3.5 < before / after < 4.5  # "a quarter"


SIZES = st.integers(1, 12)


@given(st.builds(tiny.Spec, SIZES, SIZES, SIZES, SIZES, SIZES), st.integers(0, 99))
def test_every_spec_gives_the_same_numbers_for_no_more(spec: tiny.Spec, seed: int) -> None:
    text = "".join(f"{name}: {size}\n" for name, size in vars(spec).items())
    assert tiny.parse(text) == spec
    tiny.check(text, seed)
    graph = tiny.lower(spec)
    assert tiny.cost(tiny.optimize(graph)) <= tiny.cost(graph)


def test_a_rule_fires_where_it_pays() -> None:
    """Two tokens with many channels: it is cheaper to make their values than to mix them first."""
    names = [
        node.output.name for node in tiny.optimize(tiny.lower(tiny.Spec(2, 40, 3, 8, 4))).nodes
    ]
    assert names == ["q", "v", "q_key", "found", "y"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tokens: 50\nwidht: 8\n", "line 2: `widht: 8`"),
        ("tokens: fifty\n", "line 1: `tokens: fifty`"),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny.parse(text)


def test_operands_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="6 is not 5"):
        tiny.MatMul().infer(("batch", 50, 6), (5, 8))
    with pytest.raises(ValueError, match="Attention"):
        tiny.Attention(1.0).infer((3, 8), ("batch", 50, 8), ("batch", 40, 8))


def test_a_rule_that_changes_the_scale_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def rescaled(node: tiny.Node, x: tiny.Value, w: tiny.Value) -> tuple[tiny.Node, tiny.Node]:
        queries, attention = tiny.move_keys(node, x, w)
        return queries, replace(attention, op=tiny.Attention(1 / np.sqrt(int(x.shape[-1]))))

    monkeypatch.setattr(tiny, "RULES", ((tiny.Attention, 1, rescaled), *tiny.RULES[1:]))
    with pytest.raises(AssertionError, match="Not equal"):
        tiny.check(SPEC)


def test_source_that_is_wrong_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny.MatMul, "torch", lambda _, a, b: f"2 * {a} @ {b}")
    with pytest.raises(AssertionError, match="Not equal"):
        tiny.check(SPEC)


ROWS = re.findall(r"^\|(.*)\| `(\w+)` in \[([\w/.]+)\]\((.*?)\) \|.*\|$", PAGE, re.M)


@pytest.mark.parametrize(("here", "name", "shown", "link"), ROWS, ids=[row[2] for row in ROWS])
def test_the_map_leads_to_what_it_names(here: str, name: str, shown: str, link: str) -> None:
    path = ROOT / "docs" / link
    assert path.resolve().as_posix().endswith(shown)
    assert re.search(rf"^(class|def) {name}\b", path.read_text(encoding="utf-8"), re.M)


def test_the_map_has_every_part() -> None:
    parts = {
        name
        for name, value in vars(tiny).items()
        if name in ("Op", "Shape", "RULES") or inspect.getmodule(value) is tiny
    }
    assert {name for row in ROWS for name in re.findall(r"`(\w+)`", row[0])} == parts
    assert len(ROWS) == len(re.findall(r"^\| .*\]\(", PAGE, re.M))
