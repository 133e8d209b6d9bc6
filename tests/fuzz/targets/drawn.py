"""Specs drawn at random, of all kinds that the language has; some of them with their text changed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from perceiver_graph.spec.render import render_yaml
from perceiver_graph.testing.specs import specs
from tests.fuzz.case import Files
from tests.fuzz.targets.specs import Target as OfSpecs

_COUNT = 10_000
_FIRST = 6
"""Examples that are drawn for one: the first ones are the simplest."""


class Target(OfSpecs):
    """Check; and what is accepted compiles, for both backends, and runs."""

    name = "drawn"

    def bases(self) -> Mapping[str, Files]:
        """A spec for each number, drawn where it is asked for."""
        return _bases()

    def step(self, files: Files, chance: random.Random) -> Files:
        """Another spec, or a change of the text."""
        if chance.random() < 0.5:
            return _files(chance.randrange(_COUNT))
        return super().step(files, chance)


class _Drawn(Mapping[str, Files]):
    def __getitem__(self, name: str) -> Files:
        return _files(int(name))

    def __iter__(self) -> Iterator[str]:
        return map(str, range(_COUNT))

    def __len__(self) -> int:
        return _COUNT


@cache
def _bases() -> _Drawn:
    return _Drawn()


@lru_cache(maxsize=64)
def _files(number: int) -> Files:
    return {"a.yaml": render_yaml(drawn(number)).encode()}


def drawn(number: int) -> dict[str, Any]:
    """The spec of a number; one in three has symbols for sizes."""
    found: list[dict[str, Any]] = []
    kinds: Any = ({}, {"symbolic": True}, {"sized": True})[number % 3]

    @seed(number)
    @settings(
        max_examples=_FIRST,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(specs(**kinds))
    def collect(spec: dict[str, Any]) -> None:
        found.append(spec)

    collect()
    return found[-1]
