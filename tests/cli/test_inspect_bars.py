"""The bars of `inspect`: each program's part of the FLOPs of a run."""

from __future__ import annotations

import io
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perceiver_graph.cli import screen
from tests.cli.support import Command

BAR = re.compile(r"(encode|decode|  at -O\d)\s+([\u2588-\u258f]*)\s+(\S+( [kMGTP])?)\s+(<?\d+) %")


def _bars(out: str) -> list[tuple[str, str, str]]:
    found = [BAR.fullmatch(line) for line in out.splitlines()]
    return [(bar[1].strip(), bar[2], bar[5]) for bar in found if bar]


def test_the_bars_of_kinetics(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    (encode, decode) = _bars(command("inspect", "kinetics").out)
    assert (encode[0], encode[2], decode[0], decode[2]) == ("encode", "3", "decode", "97")
    assert len(decode[1]) > 20 * len(encode[1]) > 0
    after = _bars(command("inspect", "kinetics", "-O", "2").out)
    assert [name for name, *_ in after] == ["encode", "at -O2", "decode", "at -O2"]
    assert len(after[1][1]) < len(after[0][1])
    assert len(after[3][1]) < len(after[2][1]) / 3


@pytest.mark.parametrize("columns", [40, 60, 80, 100])
@pytest.mark.parametrize("name", ["kinetics", "aurora_level_encoder"])
def test_no_bar_leaves_the_screen(
    columns: int, name: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    out = command("inspect", name, "-O", "2", "--rate", "150").out
    lines = out[out.index("FLOPs of a run") :].splitlines()[1:5]
    assert len(_bars("\n".join(lines))) == 4
    assert {len(line) for line in lines} == {columns}
    assert "\x1b" not in out


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 100))
def test_a_bar_is_as_long_as_its_part(part: float, other: float, columns: int) -> None:
    bar = screen.stripe(part, columns)
    assert len(bar) <= columns
    assert bool(bar) == (part > 0)
    assert abs(len(bar) - part * columns) <= 1
    if part <= other:
        assert len(bar) <= len(screen.stripe(other, columns))


def test_a_stream_without_blocks_has_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert screen.stripe(0.5, 10) == "#####"
    assert screen.stripe(0.001, 10) == "#"
    assert screen.stripe(0, 10) == ""
