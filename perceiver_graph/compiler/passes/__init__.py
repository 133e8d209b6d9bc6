"""Rewrites of the graph, one file each. The order they run in is `pipeline.py`'s."""

from perceiver_graph.compiler.passes.absorb_projections import AbsorbProjections
from perceiver_graph.compiler.passes.base import PASSES, Pass, PassResult
from perceiver_graph.compiler.passes.common_subexpressions import CommonSubexpressions
from perceiver_graph.compiler.passes.compose_linear import ComposeLinear
from perceiver_graph.compiler.passes.dead_code import DeadCode
from perceiver_graph.compiler.passes.drop_dropout import DropDropout
from perceiver_graph.compiler.passes.drop_key_bias import DropKeyBias
from perceiver_graph.compiler.passes.fold_constants import FoldConstants
from perceiver_graph.compiler.passes.fold_norm_affine import FoldNormAffine
from perceiver_graph.compiler.passes.gather_parts import GatherParts
from perceiver_graph.compiler.passes.map_tables import MapTables
from perceiver_graph.compiler.passes.norm_of_concat import NormOfConcat
from perceiver_graph.compiler.passes.norm_of_linear import NormOfLinear
from perceiver_graph.compiler.passes.score_keys_by_axis import ScoreKeysByAxis
from perceiver_graph.compiler.passes.score_queries_by_axis import ScoreQueriesByAxis
from perceiver_graph.compiler.passes.split_attention import SplitAttention

__all__ = [
    "PASSES",
    "AbsorbProjections",
    "CommonSubexpressions",
    "ComposeLinear",
    "DeadCode",
    "DropDropout",
    "DropKeyBias",
    "FoldConstants",
    "FoldNormAffine",
    "GatherParts",
    "MapTables",
    "NormOfConcat",
    "NormOfLinear",
    "Pass",
    "PassResult",
    "ScoreKeysByAxis",
    "ScoreQueriesByAxis",
    "SplitAttention",
]
