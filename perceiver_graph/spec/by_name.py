"""Parts of a model that go by name: what is asked for otherwise is told the names."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, TypeVar

from perceiver_graph.diagnostics.text import quote
from perceiver_graph.diagnostics.words import joined

T = TypeVar("T")
_MOST = 8  # names that are told


class ByName(dict[str, T]):
    """A dict that says what it has, to who asks for a number or for another name."""

    def __missing__(self, key: object) -> NoReturn:
        raise KeyError(f"{key!r}: {self._names()}")

    if not TYPE_CHECKING:  # which would take any name for one that is there

        def __getattr__(self, name: str) -> object:
            what = f"{type(self).__name__!r} object has no attribute {name!r}"
            if name in self:
                raise AttributeError(f"{what}: write [{name!r}]", name=name, obj=self)
            told = "" if name.startswith("__") else f": {self._names()}"
            raise AttributeError(f"{what}{told}", name=name, obj=self)

    def _names(self) -> str:
        shown = [quote(name) for name in [*self][:_MOST]]
        more = ["others"] if len(self) > _MOST else []
        return f"they go by name, {joined([*shown, *more], 'and')}" if self else "there are none"
