"""Normalises channels that are put together from parts without building the constant ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perceiver_graph.compiler.ir.graph import Node, Value
from perceiver_graph.compiler.ops import (
    Add,
    Broadcast,
    Concat,
    Linear,
    Mul,
    Scale,
    Slice,
    Unflatten,
    Where,
)
from perceiver_graph.compiler.passes.linear_maps import is_map_of, weights
from perceiver_graph.compiler.passes.norms import (
    INVERSE,
    MEAN,
    PLAIN_NORM,
    Norm,
    affine_bias,
    is_centred,
    map_of_affine,
    merged_moments,
    norm_of,
    plain_affine,
)
from perceiver_graph.compiler.passes.rewriter import Rewrite, Rewriter, parts_of


class NormOfConcat(Rewrite):
    """A norm over channels [r | w], where w is the same for all tokens, as a map of fewer channels.

    With m the mean and s = 1 / sqrt(variance + epsilon) of a token, the normalised token is
    (r - m) s in the channels of r and (w - m) s in the others: the linear map of
    f = s [r | 1 | m] with the columns of r's channels, w, and -1 everywhere. What linear maps make
    of the norm they then make of f, with weights that are known beforehand.
    RMSNorm takes no mean: f = s [r | 1], with s = 1 / sqrt(mean square + epsilon).

    1. Several constant parts, anywhere among the channels, are one channel of f. Position encodings
       are part of r; m and s follow from the moments of each part, known ones known beforehand.
    2. Tokens that one and the same token may stand for, as where a modality is missing, have one
       channel more: 1 for that token, whose norm is known, and 0 in all others.
    3. Tokens that are put together from several sources are mapped source by source, each with
       channels f of its own or, where it has no constant part, with its own norm.
    4. Where anything but linear maps reads the norm, or fewer channels save nothing, it stays.
    """

    name = "norm-of-concat"
    what = "normalises varying channels only"
    after = "map-tables"
    done = ("norm", "norms", "rewritten")
    nothing = "nothing rewritten: no norm has constant channels that linear maps read"

    def apply(self, rewriter: Rewriter, node: Node) -> bool:
        if not isinstance(node.op, Norm):
            return False
        whole = parts_of(rewriter, node["x"], -2)
        sources = [_describe(rewriter, node.op, value) for value in whole]
        if not any(sources):
            return False
        if not _fires(rewriter, node, sources):
            return False
        _apply(rewriter, node, sources)
        return True


@dataclass(frozen=True)
class _Part:
    """Some of the channels, from `start` on."""

    value: Value
    start: int
    fixed: Value | None
    """What the channels are, if they are the same for all tokens. Shape: [width]."""

    @property
    def width(self) -> int:
        return int(self.value.shape[-1])


@dataclass(frozen=True)
class _Tokens:
    """Tokens with constant channels, and the norm of all of them."""

    norm: Norm
    parts: tuple[_Part, ...]
    present: Value | None = None
    """Where it does not hold, `token` stands for the whole row. Shape: bool [..., 1]."""
    token: Value | None = None

    @property
    def fixed(self) -> list[_Part]:
        return [part for part in self.parts if part.fixed]

    @property
    def varying(self) -> list[_Part]:
        return [part for part in self.parts if not part.fixed]

    @property
    def width(self) -> int:
        """Channels of f."""
        more = 1 + is_centred(self.norm) + (self.token is not None)
        return sum(part.width for part in self.varying) + more


def _describe(rewriter: Rewriter, norm: Norm, x: Value) -> _Tokens | None:
    """The structure of tokens, if f has fewer channels than they have."""
    node = rewriter.producer(x)
    present = token = None
    if node and isinstance(node.op, Where):
        present, inner, token = node.inputs
        known = rewriter.known(token) and token.type.rank == 1 and inner.type == x.type
        if (
            not known
            or present.type.rank == 0
            or present.shape[-1] != 1
            or token.shape != x.shape[-1:]
        ):
            return None
        x = inner
    parts: list[_Part] = []
    for value in _channels(rewriter, x):
        source, _ = rewriter.sharing(value)
        fixed = source if rewriter.known(source) and source.type.rank == 1 else None
        start = parts[-1].start + parts[-1].width if parts else 0
        parts.append(_Part(value, start, fixed))
    tokens = _Tokens(norm, tuple(parts), present, token)
    shared = all(rewriter.known(rewriter.sharing(part.value)[0]) for part in tokens.varying)
    if not tokens.fixed or shared or tokens.width >= int(x.shape[-1]):
        return None
    return tokens


def _channels(rewriter: Rewriter, x: Value) -> list[Value]:
    """What the channels are put together from, at any depth."""
    parts = parts_of(rewriter, x, -1)
    if len(parts) == 1:
        return [*parts]
    return [part for value in parts for part in _channels(rewriter, value)]


def _fires(rewriter: Rewriter, node: Node, sources: Sequence[_Tokens | None]) -> bool:
    """Not in case 4."""
    x, affine = node["x"], (node["weight"], *affine_bias(node))
    readers = rewriter.readers(node.output)
    if rewriter.is_output(node.output):
        return rewriter.stays(node, "it is an output")
    if not all(map(rewriter.known, affine)):
        return rewriter.stays(node, "its affine part depends on the inputs")
    for reader in readers:
        if not is_map_of(rewriter, reader, node.output):
            return rewriter.stays(node, "{} is no linear map of it with known weights", reader)
    outputs = sum(int(reader.output.shape[-1]) for reader in readers)
    before = rewriter.linear_flops(x, outputs)
    after = 0
    for value, tokens in zip(parts_of(rewriter, x, -2), sources, strict=True):
        width = tokens.width if tokens else int(x.shape[-1])
        known = rewriter.known(rewriter.sharing(value)[0])
        rows = rewriter.elements(value) // int(x.shape[-1])
        after += 0 if known else 2 * rows * width * outputs
    return after < before or rewriter.stays(node, "its linear maps would cost as much")


def _apply(rewriter: Rewriter, node: Node, sources: Sequence[_Tokens | None]) -> None:
    x, affine = node["x"], plain_affine(rewriter, node)
    normal = [
        _features(rewriter, tokens) if tokens else rewriter.add(norm_of(node), value, *affine)
        for value, tokens in zip(parts_of(rewriter, x, -2), sources, strict=True)
    ]
    plain = PLAIN_NORM.nodes(rewriter, node.output)
    for reader in rewriter.readers(node.output):
        with rewriter.at(reader):
            maps = weights(reader)
            weight, *bias = maps if plain else map_of_affine(rewriter, node, *maps)
            columns = [
                _weight(rewriter, tokens, weight, affine) if tokens else weight
                for tokens in sources
            ]
            parts = [(*each, *bias) for each in zip(normal, columns, strict=True)]
            if len(parts) == 1:
                rewriter.rewrite(reader, Linear(), *parts[0])
            else:
                mapped = [rewriter.add(Linear(), *inputs) for inputs in parts]
                rewriter.rewrite(reader, Concat(x.type.rank - 2), *mapped)


def _features(rewriter: Rewriter, tokens: _Tokens) -> Value:
    """f. Shapes: [..., sum of varying channels + 2 (RMSNorm: 1)] or, with a token, one channel more."""
    first = next(
        part.value for part in tokens.varying if not rewriter.known(rewriter.sharing(part.value)[0])
    )
    sources = [part.fixed or rewriter.sharing(part.value)[0] for part in tokens.parts]
    widths = [part.width for part in tokens.parts]
    moments = merged_moments(rewriter, sources, widths, tokens.norm)
    mean = [rewriter.add(MEAN, moments)] if is_centred(tokens.norm) else []
    inverse = rewriter.add(INVERSE, moments)
    extra = np.array([1.0] if tokens.token is None else [1.0, 0.0], np.dtype(first.dtype))
    column = rewriter.constant("one" if tokens.token is None else "one_zero", extra)
    column = rewriter.add(Broadcast(first.shape[:-1]), column)
    varying = [part.value for part in tokens.varying]
    features = rewriter.add(Mul(), rewriter.add(Concat(-1), *varying, column, *mean), inverse)
    if tokens.present is None:
        return features
    absent = np.zeros(tokens.width, np.dtype(first.dtype))
    absent[-1 - len(mean)] = 1
    row = rewriter.constant(f"absent.{tokens.width}", absent)
    return rewriter.add(Where(), tokens.present, features, row)


def _weight(rewriter: Rewriter, tokens: _Tokens, weight: Value, affine: Sequence[Value]) -> Value:
    """The map of f that does what `weight` does to the normalised tokens. Shape: [out, channels]."""
    add = rewriter.add

    def column(value: Value) -> Value:
        return add(Unflatten(0, (None, 1)), value)

    def channels(part: _Part) -> Value:
        return add(Slice(1, part.start, part.start + part.width), weight)

    columns = [channels(part) for part in tokens.varying]
    constants = [add(Linear(), part.fixed, channels(part)) for part in tokens.fixed if part.fixed]
    constant = constants[0]
    for other in constants[1:]:
        constant = add(Add(), constant, other)
    columns.append(column(constant))
    if tokens.token is not None:
        columns.append(column(add(Linear(), add(tokens.norm, tokens.token, *affine), weight)))
    if is_centred(tokens.norm):
        ones, *_ = affine
        columns.append(column(add(Scale(-1.0), add(Linear(), ones, weight))))
    return add(Concat(1), *columns)
