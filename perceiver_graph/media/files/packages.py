"""PyAV and Pillow are optional: this is where their absence is noticed and explained."""

from __future__ import annotations

import importlib

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.diagnostics.commands import shell


def require(module: str) -> None:
    """Make sure that `module` (`av` or `PIL`) can be imported; raises PG509 if it cannot."""
    try:
        importlib.import_module(module)
    except ImportError as error:
        package = {"av": "PyAV", "PIL": "Pillow"}.get(module, module)
        raise DiagnosticError.of(
            "PG509",
            f"video, audio and pictures need {package}, which is not installed",
            notes=[str(error)],
            help=shell("pip", "install", "perceiver-graph[media]"),
        ) from error
