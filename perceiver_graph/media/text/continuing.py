"""A text that a model goes on with: the ids it begins with, and those that follow as text."""

from __future__ import annotations

from codecs import getincrementaldecoder

from perceiver_graph.media.text import tokens

ENDS = frozenset({tokens.SEP, tokens.EOS})
"""The ids that end a text."""


def begun(text: str) -> list[int]:
    """The ids of a text that goes on: [CLS] in front, as wherever a text is read, and no [SEP] yet."""
    return [tokens.CLS, *tokens.plain_ids(text)]


class Continuation:
    """The text of ids that come one by one, in whole characters.

    What is no UTF-8 becomes U+FFFD; other ids than those of bytes are left out.
    """

    def __init__(self) -> None:
        self._decoder = getincrementaldecoder("utf-8")("replace")

    def add(self, token: int) -> str:
        """What one more id completes: nothing while a character is half there."""
        if not tokens.FIRST_BYTE <= token < tokens.VOCABULARY:
            return self._decoder.decode(b"", final=True)
        return self._decoder.decode(bytes([token - tokens.FIRST_BYTE]))

    def end(self) -> str:
        """What is left where the text ends within a character."""
        return self._decoder.decode(b"", final=True)
