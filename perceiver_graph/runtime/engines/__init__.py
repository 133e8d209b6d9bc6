"""What runs the programs of an artifact: an engine is a file here and an entry of the table."""

from __future__ import annotations

from perceiver_graph.runtime.engines.base import Engine, Runner, Value
from perceiver_graph.runtime.engines.choice import ENGINES, Choice, choose

__all__ = ["ENGINES", "Choice", "Engine", "Runner", "Value", "choose"]
