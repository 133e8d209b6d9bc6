"""Options and settings that all tests share."""

from __future__ import annotations

import pytest
from hypothesis import settings

# Machines that run the tests differ too much in speed for a time limit per example.
settings.register_profile("perceiver-graph", deadline=None)
settings.load_profile("perceiver-graph")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-cases",
        action="store_true",
        help="rewrite the expected text in tests/cases instead of comparing with it",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--update-cases") and getattr(config.option, "numprocesses", None):
        raise pytest.UsageError("--update-cases rewrites files: run it without -n")
