"""A line a system at the end, and `--update-cases` writes down what was measured."""

from __future__ import annotations

import json

import pytest

from tests.family.harness import FIGURES, figures
from tests.family.references import REFERENCES


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    reports = [r for kind in ("passed", "failed") for r in terminalreporter.stats.get(kind, ())]
    told = [dict(getattr(report, "user_properties", ())) for report in reports]
    for properties in told:
        if "line" in properties:
            terminalreporter.write_line(properties["line"])
    if config.getoption("--update-cases"):
        now = figures() if FIGURES.is_file() else {}
        for properties in told:
            now |= properties.get("figures", {})
        ordered = {r.name: now[r.name] for r in REFERENCES if r.name in now}
        FIGURES.write_text(json.dumps(ordered, indent=2) + "\n", encoding="utf-8")
