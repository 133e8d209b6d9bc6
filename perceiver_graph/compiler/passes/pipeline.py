"""Which passes run, in which order: cleaning and folding at fixed places, each rewrite behind another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from perceiver_graph.compiler.ir.dumps import dumping
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.ir.verify import verify as check
from perceiver_graph.compiler.passes import (
    PASSES,
    CommonSubexpressions,
    DeadCode,
    FoldConstants,
    Pass,
    PassResult,
)

Level = Literal[0, 1, 2]
Observer = Callable[[str, PassResult], None]
"""Called after each pass with its name and result."""


def passes(
    level: Level,
    parameters: Mapping[str, Array] | None = None,
    *,
    frozen: bool | None = None,
) -> list[Pass]:
    """The passes of an optimisation level, in order.

    0 leaves the graph as the reference computes it, 1 evaluates what is known, 2 rewrites too.
    Parameters are folded only where their values are given, and rewritten only where they are
    `frozen`: a graph that is to be trained keeps them as they are. They are where values are given,
    unless told otherwise; frozen without values, a graph shows what the one with values will cost.
    """
    frozen = parameters is not None if frozen is None else frozen
    if level == 0:
        return [
            FoldConstants(),  # position tables
            DeadCode(),
        ]
    return [
        # Clean: compute once what several blocks share, before anything counts uses.
        CommonSubexpressions(),
        DeadCode(),
        # Rewrite: what makes a Perceiver cheaper, while the parameters still have their own shapes.
        # First norms and keys become bare of what linear maps can take over, or softmax does not see,
        # then tokens narrow: without the channels that are the same for all of them. Projections move
        # to where there are fewer rows or channels, and what is left of them is composed.
        *(_rewrites() if level == 2 and frozen else []),
        # Fold: evaluate what no longer depends on any input.
        FoldConstants(parameters),
        # Clean again: constants that came out equal, and what nothing reads any more.
        CommonSubexpressions(),
        DeadCode(),
    ]


def _rewrites() -> list[Pass]:
    """Every pass that names the one it runs behind, which leads back to the cleaning before.

    Of several behind the same one, the last that was defined comes first: it runs where it says.
    """

    def behind(name: str) -> Iterator[type[Pass]]:
        for found in reversed(PASSES.values()):
            if found.after == name:
                yield found
                yield from behind(found.name)

    order = list(behind(DeadCode.name))
    for lost in PASSES.values():
        if lost.after and lost not in order:
            known = ", ".join([DeadCode.name, *(found.name for found in order)])
            raise PassError(
                f"pass `{lost.name}` cannot run after `{lost.after}`: it may name one of {known}"
            )
    return [found() for found in order]


def optimize(
    graph: Graph,
    *,
    level: Level,
    parameters: Mapping[str, Array] | None = None,
    frozen: bool | None = None,
    verify: bool = False,
    dump: Path | None = None,
    observer: Observer | None = None,
    rewritten: bool = False,
) -> Graph:
    """Run the passes of a level (0, 1 or 2); `parameters` and `frozen` as for `passes`.

    With `verify`, the graph is checked before, between and after. `dump` names a folder, made where
    it is missing, for the IR text at each step (see `dumping`).
    A graph is `rewritten` if it comes from `rewrite`: only what is left to do is done.
    `PassError` if a pass fails, `VerificationError` if the graph was broken to begin with.
    """
    steps = passes(level, parameters, frozen=frozen)
    manager = PassManager(steps, verify=verify, dump=dump, observer=observer)
    graph = manager.run(graph, start=_folding(steps) if rewritten else 0)
    if verify:
        check(graph, "optimized")
    return graph


def rewrite(graph: Graph, *, level: Level, verify: bool = False) -> Graph:
    """What `optimize` does before it looks at the values of parameters, which are frozen."""
    steps = passes(level, frozen=True)
    return PassManager(steps[: _folding(steps)], verify=verify).run(graph)


def _folding(steps: Sequence[Pass]) -> int:
    return next(index for index, step in enumerate(steps) if isinstance(step, FoldConstants))


class PassError(RuntimeError):
    """A pass failed, which is a defect of the pass; says which, and what ran before it."""


class PassManager:
    """Runs passes one after the other; settings as for `optimize`."""

    def __init__(
        self,
        steps: Sequence[Pass],
        *,
        verify: bool = False,
        dump: Path | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.steps = steps
        self.verify = verify
        self.dump = dump
        self.observer = observer

    def run(self, graph: Graph, start: int = 0) -> Graph:
        """Run the passes from the one at `start` on: those before it have been run on the graph."""
        if self.verify:
            check(graph, "rewriting")
        with dumping(self.dump) as write:
            write(0, "lowered", graph, ())
            for index, step in enumerate(self.steps[start:], start):
                result = self._apply(index, step, graph)
                graph = result.graph
                write(index + 1, step.name, graph, result.notes)
                if self.observer:
                    self.observer(step.name, result)
        return graph

    def _apply(self, index: int, step: Pass, graph: Graph) -> PassResult:
        try:
            result = step.run(graph)
            if self.verify:
                check(result.graph, "rewriting")
        except Exception as error:  # whatever it is, it is raised again with where it happened
            before = ", ".join(earlier.name for earlier in self.steps[:index]) or "none"
            raise PassError(
                f"pass {index + 1} `{step.name}` failed on graph `{graph.name}` "
                f"(passes before it: {before}): {error}"
            ) from error
        return result
