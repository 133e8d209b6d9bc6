"""What is said of a call that does not fit a function, and of what a thing does not have, in Python.

Python's own words, "got an unexpected keyword argument", leave out what would work.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, TypeVar

from perceiver_graph.diagnostics.text import quote
from perceiver_graph.diagnostics.words import closest, joined, question

P = ParamSpec("P")
T = TypeVar("T")

Answer = Callable[[Any, str], str | None]
"""What is written instead of an argument, from the first argument of the call, which is `self`."""


def answered(
    theirs: Mapping[str, str] | None = None, instead: Answer | None = None
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """The function, with a TypeError of our words for a call that does not fit it.

    `theirs` are arguments of other libraries, with what there is instead, and so is what `instead` finds.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @wraps(function)
        def call(*args: P.args, **named: P.kwargs) -> T:
            try:
                return function(*args, **named)
            except TypeError as error:
                inside = error.__traceback__ and error.__traceback__.tb_next
                if inside is not None:  # the call did fit
                    raise
                told = _unfit(function, args, named, instead, theirs or {})
                raise (TypeError(told) if told else error) from None

        return call

    return decorate


class Answering:
    """What says of an attribute that others have, and it has not, what there is instead."""

    _instead: ClassVar[Mapping[str, str]] = {}
    """By names."""

    if not TYPE_CHECKING:  # which would take any name for one that is there

        def __getattr__(self, name: str) -> object:
            told = [text for names, text in self._instead.items() if name in names.split()]
            others = getattr(super(), "__getattr__", None)
            if others is not None and not told:  # what pydantic keeps elsewhere
                return others(name)
            what = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(": ".join([what, *told]), name=name, obj=self)


def _unfit(
    function: Callable[..., object],
    args: tuple[object, ...],
    named: Mapping[str, object],
    instead: Answer | None,
    theirs: Mapping[str, str],
) -> str | None:
    known = dict(inspect.signature(function).parameters)
    called = function.__name__
    known.pop("self", None)
    unknown = next((name for name in named if name not in known), None)
    if unknown is not None:
        own = instead(args[0], unknown) if instead and args else None
        told = theirs.get(unknown) or own or question(f"{one}=" for one in closest(unknown, known))
        told = told or f"they are {joined(map(quote, known), 'and')}"
        return f"{called} has no argument {quote(unknown)}: {told}"
    by_place = [one.name for one in known.values() if one.kind is one.POSITIONAL_OR_KEYWORD]
    given = len(args) - ("self" in inspect.signature(function).parameters)
    lacking = [
        name
        for number, name in enumerate(by_place)
        if known[name].default is inspect.Parameter.empty and name not in named and number >= given
    ]
    if lacking:
        return f"{called} needs {joined(map(quote, lacking), 'and')}: {_form(called, known)}"
    if given > len(by_place):
        others = [f"{name}=" for name in known if name not in by_place]
        most = joined(map(quote, by_place), "and")
        return (
            f"{called} takes {most} by place, and {given} arguments were given so: all others are "
            f"given by name, {joined(map(quote, others), 'or')}"
        )
    return None


def _form(called: str, known: Mapping[str, inspect.Parameter]) -> str:
    """The call with all that it needs, in capitals for what the reader knows."""
    needed = [name for name, one in known.items() if one.default is inspect.Parameter.empty]
    return f"`{called}({', '.join(map(str.upper, needed))})`"
