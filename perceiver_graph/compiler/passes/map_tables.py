"""Maps tables beforehand instead of the rows that are looked up in them."""

from __future__ import annotations

from perceiver_graph.compiler.ir.graph import Node
from perceiver_graph.compiler.ops import Gather, LayerNorm, Linear, RMSNorm
from perceiver_graph.compiler.passes.patterns import Either, Of
from perceiver_graph.compiler.passes.rewriter import Rewrite, Rewriter

LARGEST_GROWTH = 2
"""How many times as large as the table its map may be: a program holds it."""

_ROWS = Of(Gather, axis=0, table=Rewriter.known)
_MAP_OF_ROWS = Either(
    Of(LayerNorm, Linear, x=_ROWS, weight=Rewriter.known, bias=Rewriter.known),
    Of(RMSNorm, x=_ROWS, weight=Rewriter.known),
)


class MapTables(Rewrite):
    """f(p[i]) = f(p)[i] for maps of single rows: of a known table p, f(p) is known, too.

    Learned positions that are queries are normalised and projected once and for all so, as the
    latents are that an encoder starts from.

    1. f is a LayerNorm, an RMSNorm or a linear map with known weights.
    2. Where the mapped table would be much larger than the table itself, it stays.
    """

    name = "map-tables"
    what = "maps tables before lookups"
    after = "drop-key-bias"
    done = ("map", "maps", "of tables known beforehand")
    nothing = "nothing mapped: no map of single rows reads rows of a known table"

    def apply(self, rewriter: Rewriter, node: Node) -> bool:
        found = _MAP_OF_ROWS.nodes(rewriter, node.output)
        if not found:
            return False
        _, lookup = found
        table = lookup["table"]
        if int(node.output.shape[-1]) > LARGEST_GROWTH * int(table.shape[-1]):
            return rewriter.stays(node, "its table would be larger than {}", table)
        mapped = rewriter.add(node.op, *node.replaced(x=table))
        rewriter.rewrite(node, Gather(0), mapped, lookup["indices"])
        return True
