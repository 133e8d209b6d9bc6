"""Looks rows up in the parts that a table is put together from, so that it need not be built."""

from __future__ import annotations

from perceiver_graph.compiler.ir.graph import Node, Value
from perceiver_graph.compiler.ops import Add, Broadcast, Concat, Coordinate, Gather
from perceiver_graph.compiler.passes.grids import as_rows, axis_tables, size_of
from perceiver_graph.compiler.passes.rewriter import Rewrite, Rewriter, parts_of


class GatherParts(Rewrite):
    """Rows i of [a | b] are [a[i] | b[i]]; those of a sum over a grid, p_1 + p_2, are p_1[i_1] + p_2[i_2].

    Queries that are made of input tokens look them up as they are decoded: what the tokens are made
    of is smaller than they are, and all of them at once need not exist.

    1. A table of several channels, read by lookups alone: each part is looked up, and what is the
       same for each sample once for all of them.
    2. Known rows that are sums over the axes of a grid: tables of an axis are far smaller.
    3. Where anything else reads the table, it exists anyway: it stays.
    """

    name = "gather-parts"
    what = "looks parts up, not wholes"
    after = "score-keys-by-axis"
    done = ("lookup", "lookups", "divided")
    nothing = "nothing divided: no lookup reads a table that it alone needs"

    def apply(self, rewriter: Rewriter, node: Node) -> bool:
        if not isinstance(node.op, Gather) or rewriter.known(node["indices"]):
            return False
        return _channels(rewriter, node, node.op.axis) or _axes(rewriter, node)


def _channels(rewriter: Rewriter, node: Node, axis: int) -> bool:
    """Cases 1 and 3."""
    table, index = node["table"], node["indices"]
    joined = parts_of(rewriter, table, -1)
    if len(joined) == 1 or axis == table.type.rank - 1:
        return False
    sources = [rewriter.sharing(part)[0] for part in joined]
    # How many leading axes each part is repeated over.
    leading = [part.type.rank - x.type.rank for part, x in zip(joined, sources, strict=True)]
    if all(0 < count <= axis for count in leading):
        return False
    readers = rewriter.readers(table)
    if rewriter.is_output(table) or not all(_looks_up(reader, table, axis) for reader in readers):
        return rewriter.stays(node, "{} is read as a whole, too", table)
    found = []
    for part, source, count in zip(joined, sources, leading, strict=True):
        if 0 < count <= axis:
            rows = rewriter.add(Gather(axis - count), source, index)
            found.append(rewriter.add(Broadcast(node.output.shape[:count]), rows))
        else:
            found.append(rewriter.add(Gather(axis), part, index))
    rewriter.rewrite(node, Concat(-1), *found)
    return True


def _axes(rewriter: Rewriter, node: Node) -> bool:
    """Case 2."""
    table, index = node["table"], node["indices"]
    tables = axis_tables(rewriter, table)
    if len(tables) < 2:
        return False
    stride = 1
    terms = []
    for one in reversed(tables):
        size = size_of(one)
        place = rewriter.add(Coordinate(stride, size), index)
        terms.append(rewriter.add(Gather(0), as_rows(rewriter, one), place))
        stride *= size
    total, *rest, last = reversed(terms)
    for term in rest:
        total = rewriter.add(Add(), total, term)
    rewriter.rewrite(node, Add(), total, last)
    return True


def _looks_up(reader: Node, table: Value, axis: int) -> bool:
    """Whether a node does nothing but look rows up."""
    lookup = isinstance(reader.op, Gather) and reader.op.axis == axis
    return lookup and reader["table"] == table != reader["indices"]
