"""`diff` fits narrow screens, and every row of its tables says what it is of."""

from __future__ import annotations

import pytest

from perceiver_graph.cli.comparison import Comparison
from perceiver_graph.cli.side_by_side import print_comparison
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.spec.loader import load_spec

PAIRS = [
    ("imagenet_fourier", "imagenet_learned"),
    ("imagenet_perceiver", "object_detection"),
    ("glue_multitask", "poyo"),
]


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize(("a", "b"), PAIRS, ids=["positions", "names", "sizes"])
def test_tables_hold(
    a: str, b: str, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    print_comparison(Comparison.of(*(lower(load_spec(one)) for one in (a, b))), a, b, ())
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if len(line) > width] == []
    titles = [line for line in out.splitlines() if "shape in A" in line]
    assert titles
    assert all(line.startswith("tensor ") for line in titles)
