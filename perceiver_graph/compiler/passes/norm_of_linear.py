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
    Mean,
    Mul,
    Op,
    Scale,
    Slice,
    TriangularFactor,
    Unflatten,
)
from perceiver_graph.compiler.passes.linear_maps import has_known_weights
from perceiver_graph.compiler.passes.rewriter import Rewrite, Rewriter, is_linear, is_plain


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
    inner = rewriter.producer(x)
    if inner is None or not is_linear(inner) or not has_known_weights(rewriter, inner):
        return None
    readers = rewriter.readers(node.output)
    fits = all(
        is_linear(reader) and reader["x"] == node.output and has_known_weights(rewriter, reader)
        for reader in readers
    )
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
        name = self.node.name
        channels = int(self.node.output.shape[-1])
        fraction = self._known(Scale(1 / math.sqrt(channels)), centred, word="scaled")
        factor = self._known(TriangularFactor(), fraction, word="factor")
        spread = self._map(factor, name=f"{name}.spread", at=self.node)
        inverse = self.rewriter.add(
            InverseNorm(self.node.op.epsilon), spread, name=f"{name}.inverse", at=self.node
        )
        for reader in self.rewriter.readers(self.node.output):
            weight, bias = reader["weight"], reader.each("bias")
            word = f"{weight.name}.composed"
            composed = self.rewriter.add(MatMul(), weight, centred, name=word, at=reader)
            mapped = self._map(composed, name=f"{reader.name}.unscaled", at=reader)
            if not bias:
                self.rewriter.rewrite(reader, Mul(), mapped, inverse)
                continue
            scaled = self.rewriter.add(
                Mul(), mapped, inverse, name=f"{reader.name}.unbiased", at=reader
            )
            self.rewriter.rewrite(reader, Add(), scaled, *bias)

    def _centred(self) -> Value:
        """D. Shape: [C, c + 1], or [C, c] without a bias."""
        weight, bias = self.inner["weight"], self.inner.each("bias")
        columns = [weight]
        columns += [self._known(Unflatten(0, (None, 1)), b, word="column") for b in bias]
        joined = weight
        if bias:
            joined = self._known(Concat(1), *columns, word="with_bias")
        mean = self._known(Mean(0), joined, word="mean")
        minus = self._known(Scale(-1.0), mean, word="minus_mean")
        return self._known(Add(), joined, minus, word="centred")

    def _known(self, op: Op, x: Value, *others: Value, word: str) -> Value:
        return self.rewriter.add(op, x, *others, name=f"{x.name}.{word}", at=self.node)

    def _map(self, matrix: Value, *, name: str, at: Node) -> Value:
        """The product of known rows [out, c (+ 1)] with a'."""
        a = self.inner["x"]
        width = int(a.shape[-1])
        if int(matrix.shape[1]) == width:
            return self.rewriter.add(Linear(), a, matrix, name=name, at=at)
        add = self.rewriter.add
        weight = add(Slice(1, 0, width), matrix, name=f"{matrix.name}.part", at=at)
        column = add(Slice(1, width, width + 1), matrix, name=f"{matrix.name}.column", at=at)
        bias = add(Flatten(0, 1), column, name=f"{matrix.name}.shift", at=at)
        return add(Linear(), a, weight, bias, name=name, at=at)
