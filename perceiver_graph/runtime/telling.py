"""What a user is told of a call that went well."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable

Note = Callable[[str], None]
"""Called with what a user should know of a call that went well."""


def warn(doubts: Iterable[str], note: Note | None) -> None:
    """What of the arrays looks wrong, to a caller who takes no notes."""
    for text in doubts if note is None else ():
        warnings.warn(text, stacklevel=4)  # the caller's line, behind a method that is `answered`


def tell(notes: Iterable[str], note: Note | None) -> None:
    """Notes, to a caller who takes them."""
    if note is not None:
        for text in notes:
            note(text)


def ignore(text: str) -> None:
    """A note that was told already."""
