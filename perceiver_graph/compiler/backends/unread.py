"""A lowering drops nothing that an operator says: what it does not read has to be as usual."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields
from inspect import isfunction
from types import MethodType
from typing import Any, TypeVar

from perceiver_graph.compiler.ir.op import Op

T = TypeVar("T")


def lowered(lowering: Callable[..., T], op: Op, *others: object) -> T:
    """What a lowering makes of an operator. `NotImplementedError` names an attribute that is not as
    usual and that it has not read, such as one that was added after it was written.

    A lowering that hands its operator on to another one asks for that here too: what it has read
    itself, to choose, says nothing of what the other one does.
    """
    given: Any = op
    outer = given if type(given) is _Watched else None
    plain = outer._op if outer else op
    watched = _Watched(plain)
    found = lowering(watched, *others)
    if outer:
        outer._read |= watched._read
    for field in fields(plain):
        value = getattr(plain, field.name)
        if field.default not in (MISSING, value) and field.name not in watched._read:
            text = f"no lowering of `{plain.name}` reads `{field.name}`, which is {value!r}"
            raise NotImplementedError(f"{text}: a backend that knows it has to")
    return found


class _Watched:
    """An operator that remembers which of its attributes were read, by its own methods too."""

    def __init__(self, op: Op) -> None:
        self._op = op
        self._read = set[str]()

    @property  # type: ignore[misc]
    def __class__(self) -> type[Op]:  # type: ignore[override]  # for isinstance, match and ==
        return type(self._op)

    def __getattr__(self, name: str) -> Any:
        found = getattr(type(self._op), name, None)
        if isinstance(found, property):
            assert found.fget is not None
            return found.fget(self)
        if isfunction(found):
            return MethodType(found, self)
        self._read.add(name)
        return getattr(self._op, name)
