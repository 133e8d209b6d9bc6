"""In which keys two resolved specs differ: of any key there is, whatever it means.

The order of a mapping counts too, for it says in which order tokens are joined and axes follow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from perceiver_graph.spec.spans import Path
from perceiver_graph.spec.wording import dotted

_LAYERS = ("layers", "encode", "process", "decode")
"""Keys of a spec below which attention is described."""


@dataclass(frozen=True)
class Change:
    """A key that is not the same in two specs."""

    path: Path
    a: Any
    """Its value in the first, None where it is left out and stands for nothing."""
    b: Any
    is_order: bool = False
    """Whether the values are the keys of the mapping there, which are the same in another order."""

    @property
    def key(self) -> str:
        """As `--set` takes it: `inputs.image.steps.0.patch.height`."""
        return dotted(self.path)

    @property
    def is_of_a_position(self) -> bool:
        """Whether it is a setting of a position encoding, or of how attention turns by positions."""
        first, place = self.path[0], self.path[2:]
        turned = first in _LAYERS and "rotary" in self.path[1:]
        turned = turned or self.path[:2] == ("latents", "range")
        return turned or place[:1] == ("position",) or place[:2] == ("query", "position")

    @property
    def back(self) -> Change:
        """From the second spec to the first."""
        return replace(self, a=self.b, b=self.a)

    def leaves(self) -> Iterator[Change]:
        """The same in single values, where one of the specs has nothing and the other a mapping."""
        given = self.a if self.b is None else self.b
        if None not in (self.a, self.b) or not isinstance(given, Mapping) or not given:
            yield self
            return
        for key in given:
            a, b = (None if one is None else one[key] for one in (self.a, self.b))
            yield from Change((*self.path, key), a, b).leaves()

    def made(self, data: Any) -> Any:
        """The data of the first spec with what the second says here; they stay as they are."""
        return _made(data, self.path, self)


def changes(a: Any, b: Any, path: Path = ()) -> Iterator[Change]:
    """Where two values differ, in the order of the first, each place as deep down as it can be told."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for key in dict.fromkeys((*a, *b)):
            yield from changes(a.get(key), b.get(key), (*path, key))
        order, other = [key for key in a if key in b], [key for key in b if key in a]
        if order != other:
            yield Change(path, order, other, is_order=True)
    elif isinstance(a, list) and isinstance(b, list) and _are_alike(a, b):
        for index, pair in enumerate(zip(a, b, strict=True)):
            yield from changes(*pair, (*path, index))
    elif a != b:
        yield Change(path, a, b)


def _are_alike(a: Sequence[Any], b: Sequence[Any]) -> bool:
    """Whether two lists are of the same steps, so that each can be compared with its counterpart."""
    if not all(isinstance(one, Mapping) for one in (*a, *b)):
        return False
    return [next(iter(one), None) for one in a] == [next(iter(one), None) for one in b]


def _made(data: Any, path: Path, change: Change) -> Any:
    if not path:
        return {key: data[key] for key in (*change.b, *data)} if change.is_order else change.b
    key, rest = path[0], path[1:]
    if isinstance(data, list):
        index = int(key)
        return [*data[:index], _made(data[index], rest, change), *data[index + 1 :]]
    inner = _made((data or {}).get(key), rest, change)
    made = {**(data or {}), key: inner}
    return made if inner is not None else {name: made[name] for name in made if name != key}
