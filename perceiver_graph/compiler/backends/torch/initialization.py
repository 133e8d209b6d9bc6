"""Writes `reset_parameters`: how the parameters of a model start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache

from perceiver_graph.compiler.backends.torch import text as py
from perceiver_graph.compiler.ir.graph import Graph, Parameter

_RANDOM = {"normal", "truncated_normal", "fan_in"}
"""The kinds of `Initializer` that have a scale."""


def reset_parameters(graph: Graph) -> Iterator[py.Statement]:
    """The method `reset_parameters`."""
    leaves = [leaf for leaf in graph.parameters if leaf.trainable]
    kinds = {leaf.value.name: _start(leaf) for leaf in leaves}
    counts = Counter(kinds.values())
    usual = max(counts, key=lambda kind: (kind[0] in _RANDOM, counts[kind]), default=None)
    branches: list[py.Statement] = []
    for kind in counts:
        if kind != usual:
            ends = [*map(py.quoted, _suffixes(kinds, kind))]
            asked = f"name.endswith({py.several(ends) if len(ends) > 1 else ends[0]})"
            branches.append((f"{'elif' if branches else 'if'} {asked}:", *_fill(kind)))
    if usual is None:
        branches.append("raise ValueError(name, parameter)")
    else:
        branches += [("else:", *_fill(usual))] if branches else _fill(usual)
    yield "@torch.no_grad()"
    yield py.method(
        "reset_parameters",
        ["generator: torch.Generator | None = None"],
        "None",
        "Start afresh, from `generator` or else from the global one.",
        ("for name, parameter in self.named_parameters():", *branches),
    )


def _start(leaf: Parameter) -> tuple[str, float]:
    return leaf.init.kind, leaf.init.scale if leaf.init.kind in _RANDOM else 0.0


def _fill(kind: tuple[str, float]) -> list[str]:
    """Statements that fill `parameter`."""
    match kind:
        case "normal", scale:
            return [f"nn.init.normal_(parameter, std={scale!r}, generator=generator)"]
        case "truncated_normal", scale:
            return [_cut_off(repr(scale), repr(2 * scale))]
        case "fan_in", scale:
            deviation = f"std = {scale!r} / parameter[0].numel() ** 0.5"
            return [deviation, _cut_off("std", "2 * std")]
        case name, _:
            return [f"nn.init.{name}_(parameter)"]


def _cut_off(deviation: str, end: str) -> str:
    numbers = f"0.0, {deviation}, -{end}, {end}"
    return f"nn.init.trunc_normal_(parameter, {numbers}, generator=generator)"


def _suffixes(kinds: Mapping[str, tuple[str, float]], kind: tuple[str, float]) -> list[str]:
    """Ends of names that only parameters of a kind have, as short and few as can be."""
    found: set[str] = set()

    @cache  # layers have the same ends
    def clear(end: str) -> bool:
        return all(own == kind for name, own in kinds.items() if name.endswith(end))

    for name, own in kinds.items():
        if own == kind:
            parts = name.split(".")
            ends = [".".join(parts[i:]) for i in range(len(parts) - 1, -1, -1)]
            found.add(next(filter(clear, ends), name))
    return sorted(e for e in found if not any(e != o and e.endswith(o) for o in found))
