"""Weights: initialised from a seed, or read from files and fitted to the parameters of a graph."""

from __future__ import annotations

from perceiver_graph.compiler.weights.assign import load, load_arrays
from perceiver_graph.compiler.weights.initialize import initialize

__all__ = ["initialize", "load", "load_arrays"]
