"""What is said of an argument of the wrong kind, in Python: what was wanted, and what was given."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from math import inf
from operator import index
from pathlib import Path
from typing import TypeVar

from perceiver_graph.diagnostics.text import clean
from perceiver_graph.diagnostics.words import choice, question

_LONGEST = 60
_T = TypeVar("_T")


def wrong_kind(argument: str, wanted: str, given: object) -> TypeError:
    """The error to raise: `wrong_kind("load: path", "the folder of an artifact", 3)`."""
    return TypeError(f"{argument} must be {wanted}, not {_kind(given)}{_shown(given)}")


def as_path(argument: str, wanted: str, given: object) -> Path:
    """The argument as a path. Raises TypeError."""
    if isinstance(given, str | os.PathLike):
        path = os.fspath(given)
        if isinstance(path, str):
            return Path(path)
    raise wrong_kind(argument, wanted, given)


def as_list(argument: str, wanted: str, given: Iterable[_T]) -> list[_T]:
    """The argument as a list; a text is not one of its letters. Raises TypeError."""
    if isinstance(given, str | bytes | os.PathLike | Mapping) or not isinstance(given, Iterable):
        raise wrong_kind(argument, wanted, given)
    return list(given)


def as_mapping(argument: str, wanted: str, given: Mapping[str, _T]) -> Mapping[str, _T]:
    """The argument, which is a mapping. Raises TypeError."""
    if not isinstance(given, Mapping):
        raise wrong_kind(argument, wanted, given)
    return given


def one_of(argument: str, choices: Iterable[object], given: object) -> None:
    """Raise ValueError unless the argument is one of these, and of their kind."""
    known = list(choices)
    if not any(type(given) is type(choice) and given == choice for choice in known):
        wanted, near = ", ".join(map(str, known)), choice(given, known)
        meant = [f"{argument}={one!r}" for one in known if str(one) in near]
        told = f": {question(meant)}" if meant else ""
        raise ValueError(f"{argument} {_short(given)} is not one of {wanted}{told}")


def whole(
    argument: str, wanted: str, given: object, least: int | None = None, below: float = inf
) -> int:
    """The argument as a whole number. Raises TypeError; True and False are none. ValueError if it is
    less than `least`, or not `below`."""
    flag = isinstance(given, bool) or str(getattr(given, "dtype", "")).endswith("bool")
    try:
        number = index(None if flag else given)  # type: ignore[arg-type]
    except TypeError:
        raise wrong_kind(argument, wanted, given) from None
    if (least is not None and number < least) or number >= below:
        raise ValueError(f"{argument} must be {wanted}, not {number}")
    return number


def _kind(given: object) -> str:
    name = type(given).__name__
    if given is None:
        return "None"
    return f"an {name}" if name[:1].lower() in "aeiou" else f"a {name}"


def _shown(given: object) -> str:
    plain = isinstance(given, str | bytes | int | float | complex) and not isinstance(given, bool)
    return f" ({_short(given)})" if plain else ""


def _short(given: object) -> str:
    text = clean(repr(given)).replace("\n", " ")
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
