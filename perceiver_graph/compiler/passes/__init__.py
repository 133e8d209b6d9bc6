"""Rewrites of the graph, one file each. The order they run in is `pipeline.py`'s."""

from perceiver_graph.compiler.passes.base import Pass, PassResult
from perceiver_graph.compiler.passes.common_subexpressions import CommonSubexpressions
from perceiver_graph.compiler.passes.dead_code import DeadCode
from perceiver_graph.compiler.passes.fold_constants import FoldConstants

__all__ = ["CommonSubexpressions", "DeadCode", "FoldConstants", "Pass", "PassResult"]
