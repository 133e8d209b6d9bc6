"""What tells the tokens of an input apart, as it is written in a spec: for help texts."""

from __future__ import annotations

from collections.abc import Sequence

from perceiver_graph.compiler.ir.dims import Dim
from perceiver_graph.spec.models import Input

_FEW = 64
"""Places that a table of vectors beside the channels is for; more are told apart by waves."""
_LONGEST_TABLE = 4096


def position_for(index: Sequence[Dim], add: int | None, heads: int = 1) -> str:
    """A position for tokens of these axes: added to so many channels, or beside them, where as many more
    as `heads` divides keep the width divisible."""
    longest = [size.bounds()[1] for size in index]
    most = 1
    for size in longest:
        most = most * size if size is not None else _LONGEST_TABLE + 1
    if add is not None and most <= _LONGEST_TABLE:
        return "{learned: {}, combine: add}"
    if most <= _FEW:
        return f"{{learned: {{width: {_multiple(32, heads)}}}}}"
    known = [size for size in longest if size is not None]
    bands = min(64, max(known or [64]) // 2)
    waves = f"bands: {bands}"
    if len(known) < len(longest):
        waves += ", max_resolution: 1000"
    width = len(longest) * (2 * bands + 1)
    if add is not None:
        return f"{{fourier: {{{waves}}}, combine: add, project: {add}}}"
    mapped = f", project: {_multiple(64, heads)}" if width % heads else ""
    return f"{{fourier: {{{waves}}}{mapped}}}"


def as_features(spec: Input) -> str | None:
    """How to write numbers as one token, where each is a token of its own, and they are few."""
    index = [axis for axis in spec.shape if axis != "channel"]
    number = spec.shape[index[0]] if len(index) == 1 else None
    each = all(step.pointwise and not step.ids for step in spec.steps)
    if not isinstance(number, int) or not 1 < number <= _FEW or spec.media is not None or not each:
        return None
    return f"`shape: {{channel: {number}}}` for one token of {number} numbers"


def _multiple(least: int, of: int) -> int:
    return -(-least // of) * of
