"""The pages on tasks and the table of systems: every system is there, its numbers are right, and what
it is said to be checked against is checked."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from perceiver_graph.cli.inspection import Inspection
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.spec import load_spec
from tests.deepmind.systems import SYSTEMS as TRANSCRIBED
from tests.family.harness import figures
from tests.figures import figures as measured_figures
from tests.parity.classes import PUBLISHED
from tests.small import SMALL

DOCS = Path(__file__).parents[1] / "docs"
TABLE = runpy.run_path(str(DOCS / "systems.py"))
ROW = re.compile(r"^\| `(\w+)` \| ([\dx ]+) \| ([\dx ]+) \| ([^|]+) \| ([\d,]+) \|$", re.M)
PAGES = sorted(path for path in (DOCS / "tasks").glob("*.md") if path.name != "README.md")
ROWS = [row for path in PAGES for row in ROW.findall(path.read_text(encoding="utf-8"))]


def test_every_system_has_a_row_and_a_page() -> None:
    assert TABLE["SYSTEMS"].keys() == SMALL.keys()
    assert sorted(row[0] for row in ROWS) == sorted(SMALL)
    for name, system in TABLE["SYSTEMS"].items():
        assert f"`{name}`" in (DOCS / "tasks" / f"{system.page}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "inputs", "latents", "queries", "parameters"), ROWS)
def test_the_numbers_of_a_page(
    name: str, inputs: str, latents: str, queries: str, parameters: str
) -> None:
    lowered = lower(load_spec(name))
    inspection = Inspection(lowered, lowered.graph).as_json()
    assert inputs == " x ".join(map(str, inspection["input_array"]))
    assert latents == " x ".join(map(str, inspection["latents"]))
    asked = TABLE["asked"](lowered, inspection["total_queries"], inspection["query_array"][1])
    assert queries.startswith(asked)
    assert parameters == f"{inspection['parameters']:,}"


def test_what_a_system_is_checked_against_is_checked() -> None:
    released = {name: model_class for model_class, (name, _) in PUBLISHED.items()}
    released["kinetics"] = "MultimodalAutoencoding"  # tests/parity/test_full_size.py
    measured = {figure["spec"]: figure["class"] for figure in figures().values()}
    for name, system in TABLE["SYSTEMS"].items():
        assert re.search(r": [1-9]e-\d\d(?:;|$)", system.checked), "a difference that was measured"
        if name in measured:
            assert f"`{measured[name]}`" in system.checked
        elif "transformers" in system.checked:
            assert f"`PerceiverFor{released[name]}`" in system.checked
        elif system.checked.startswith(TABLE["EQUATIONS"]):
            assert name in TRANSCRIBED
            assert load_spec(name).spec.dialect == "deepmind"


def test_the_worst_difference_is_told() -> None:
    """Of published size and random configurations; of those that were measured, all are small."""
    checked = {name: system.checked for name, system in TABLE["SYSTEMS"].items()}
    for figure in figures().values():
        worst = max(figure["published"], figure["drawn"])
        assert f"`{figure['class']}`: {worst:.0e}" in checked[figure["spec"]]
    for found in measured_figures().values():
        assert all(0 < one["difference"] <= 1e-4 for one in found.values())


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_a_page_has_commands_and_what_comes_out(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for heading in ("Shapes", "Run it", "Weights", "Other sizes", "What is assumed"):
        assert f"\n## {heading}\n" in text
    assert "perceiver-graph compile" in text
    assert "perceiver-graph run" in text
