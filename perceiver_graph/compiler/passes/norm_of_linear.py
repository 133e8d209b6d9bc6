"""Normalises what a linear map makes of fewer channels without making it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from perceiver_graph.compiler.ir.graph import Node, Value
from perceiver_graph.compiler.ops import (
    Add,
    Concat,
    Flatten,
    InverseNorm,
    LayerNorm,
    Linear,
    MatMul,
    Mul,
    Scale,
    Slice,
    TriangularFactor,
    Unflatten,
)
from perceiver_graph.compiler.passes.linear_maps import is_map, map_of
from perceiver_graph.compiler.passes.norms import is_plain, without_mean
from perceiver_graph.compiler.passes.rewriter import Rewrite, Rewriter


class NormOfLinear(Rewrite):
    """Maps of LayerNorm(x), x = W a + b with C channels made of c, as maps of a.

    Without its mean, x is D a' with a' = [a | 1] and D = [W | b] less the mean of its rows. Its
    variance is |D a'|^2 / C = |R a'|^2, where D / sqrt(C) = Q R. So V LayerNorm(x) is
    (V D) a' / sqrt(|R a'|^2 + epsilon), with V D and R known at compile time: no sum of squares is a
    difference, and x itself need not be computed. The decoder of Kinetics makes 1026 channels of the
    512 that its queries find in the latents, and maps their norm to 1026.

    1. Linear maps with known weights are all that reads the norm. x may be read by others: it is
       computed for them then.
    2. Where that takes no fewer FLOPs for the largest sizes, it stays.
    """

    name = "norm-of-linear"
    what = "normalises before widening"
    after = "norm-of-concat"
    done = ("norm", "norms", "rewritten")
    nothing = "nothing rewritten: no norm of a linear map is read by linear maps alone"

    def apply(self, rewriter: Rewriter, node: Node, notes: list[str]) -> int:
        inner = _match(rewriter, node)
        if inner is None:
            return 0
        if _saved(rewriter, node, inner) <= 0:
            notes.append(f"%{node.name} stays: maps of what %{inner.name} reads would cost as much")
            return 0
        _Change(rewriter, node, inner).apply()
        return 1


def _match(rewriter: Rewriter, node: Node) -> Node | None:
    """The map of which a node is the norm. Case 1."""
    if not isinstance(node.op, LayerNorm) or rewriter.is_output(node.output):
        return None
    x, gamma, beta = node.inputs
    inner = map_of(rewriter, x)
    readers = rewriter.readers(node.output)
    fits = all(is_map(rewriter, reader, node.output) for reader in readers)
    return inner if fits and is_plain(rewriter, gamma, beta) else None


def _saved(rewriter: Rewriter, node: Node, inner: Node) -> int:
    """Case 2."""
    x, a = node["x"], inner["x"]
    readers = rewriter.readers(node.output)
    channels, fewer = int(x.shape[-1]), int(a.shape[-1]) + ("bias" in inner)
    before = sum(map(rewriter.cost, readers))
    if rewriter.only_reader(x) == node:
        before += rewriter.cost(inner)
    widths = sum(int(reader.output.shape[-1]) for reader in readers)
    return before - rewriter.linear_flops(a, widths + min(channels, fewer))


@dataclass(frozen=True)
class _Change:
    """The rewriting of the maps of one norm."""

    rewriter: Rewriter
    node: Node
    inner: Node

    def apply(self) -> None:
        assert isinstance(self.node.op, LayerNorm)
        centred = self._centred()
        channels = int(self.node.output.shape[-1])
        fraction = self.rewriter.add(Scale(1 / math.sqrt(channels)), centred)
        spread = self._map(self.rewriter.add(TriangularFactor(), fraction))
        inverse = self.rewriter.add(InverseNorm(self.node.op.epsilon), spread)
        for reader in self.rewriter.readers(self.node.output):
            with self.rewriter.at(reader):
                mapped = self._map(self.rewriter.add(MatMul(), reader["weight"], centred))
                if "bias" not in reader:
                    self.rewriter.rewrite(reader, Mul(), mapped, inverse)
                    continue
                scaled = self.rewriter.add(Mul(), mapped, inverse)
                self.rewriter.rewrite(reader, Add(), scaled, reader["bias"])

    def _centred(self) -> Value:
        """D. Shape: [C, c + 1], or [C, c] without a bias."""
        add, joined = self.rewriter.add, self.inner["weight"]
        if "bias" in self.inner:
            joined = add(Concat(1), joined, add(Unflatten(0, (None, 1)), self.inner["bias"]))
        return without_mean(self.rewriter, joined)

    def _map(self, matrix: Value) -> Value:
        """The product of known rows [out, c (+ 1)] with a'."""
        add, a = self.rewriter.add, self.inner["x"]
        width = int(a.shape[-1])
        if int(matrix.shape[1]) == width:
            return add(Linear(), a, matrix)
        weight = add(Slice(1, 0, width), matrix)
        bias = add(Flatten(0, 1), add(Slice(1, width, width + 1), matrix))
        return add(Linear(), a, weight, bias)
