"""A case: files, what was done to them, and the command lines that are given them.

It is made again from its target and its seeds alone. Each step is a change that has a seed of its
own, so that steps can be left out one by one to find those that matter.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

Files = Mapping[str, bytes]
"""Content by path, relative to the folder in which the commands run."""
Commands = Sequence[Sequence[str]]


class Target(Protocol):
    """One kind of input. `name` is that of its module."""

    name: str

    def bases(self) -> Mapping[str, Files]:
        """Sound files, by a name; made once for each process."""

    def step(self, files: Files, chance: random.Random) -> Files:
        """The files with one change."""

    def commands(self, base: str, files: Files, chance: random.Random) -> Commands:
        """What is run on them, in this order; a command that is refused ends the case."""


@dataclass(frozen=True)
class Case:
    """The seeds of a case."""

    target: str
    base: str
    steps: tuple[int, ...]
    commands: int

    @classmethod
    def of(cls, target: Target, seed: int) -> Case:
        """The case of a seed."""
        chance = random.Random(f"{target.name} {seed}")
        base = chance.choice(sorted(target.bases()))
        count = chance.choice((0, 1, 1, 1, 2, 2, 3, 5))
        steps = tuple(chance.getrandbits(32) for _ in range(count))
        return cls(target.name, base, steps, chance.getrandbits(32))

    def without(self, index: int) -> Case:
        """The case with one step less."""
        return replace(self, steps=(*self.steps[:index], *self.steps[index + 1 :]))

    def files(self, target: Target) -> Files:
        """The files, after all steps."""
        files = target.bases()[self.base]
        for step in self.steps:
            files = target.step(files, random.Random(step))
        return files

    def run(self, target: Target, files: Files) -> Commands:
        """The command lines."""
        return target.commands(self.base, files, random.Random(self.commands))

    def as_json(self) -> dict[str, Any]:
        """Plain data, of which `Case(**data)` makes the same."""
        return vars(self) | {"steps": list(self.steps)}
