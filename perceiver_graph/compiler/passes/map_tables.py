"""Maps tables beforehand instead of the rows that are looked up in them."""

from __future__ import annotations

from perceiver_graph.compiler.ir.graph import Node
from perceiver_graph.compiler.ops import Gather, LayerNorm, Linear
from perceiver_graph.compiler.passes.rewriter import Rewrite, Rewriter

LARGEST_GROWTH = 2
"""How many times as large as the table its map may be: a program holds it."""


class MapTables(Rewrite):
    """f(p[i]) = f(p)[i] for maps of single rows: of a known table p, f(p) is known, too.

    Learned positions that are queries are normalised and projected once and for all so, as the
    latents are that an encoder starts from.

    1. f is a LayerNorm or a linear map with known weights.
    2. Where the mapped table would be much larger than the table itself, it stays.
    """

    name = "map-tables"
    what = "maps tables before lookups"
    after = "drop-key-bias"
    done = ("map", "maps", "of tables known beforehand")
    nothing = "nothing mapped: no map of single rows reads rows of a known table"

    def apply(self, rewriter: Rewriter, node: Node, notes: list[str]) -> int:
        if not isinstance(node.op, LayerNorm | Linear):
            return 0
        weights = node["weight"], *node.each("bias")
        lookup = rewriter.producer(node["x"])
        if lookup is None or not isinstance(lookup.op, Gather) or lookup.op.axis != 0:
            return 0
        table = lookup["table"]
        if not all(map(rewriter.known, (table, *weights))):
            return 0
        if int(node.output.shape[-1]) > LARGEST_GROWTH * int(table.shape[-1]):
            notes.append(f"%{node.name} stays: its table would be larger than %{table.name}")
            return 0
        mapped = rewriter.add(node.op, table, *weights)
        rewriter.rewrite(node, Gather(0), mapped, lookup["indices"])
        return 1
