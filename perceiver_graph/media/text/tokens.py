"""Text as UTF-8 bytes: ids and back, as the published byte-level Perceivers have them.

An id is a byte plus 6; the ids below stand for [PAD] [BOS] [EOS] [MASK] [CLS] [SEP].
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

SPECIAL = ("[PAD]", "[BOS]", "[EOS]", "[MASK]", "[CLS]", "[SEP]")
PAD, BOS, EOS, MASK, CLS, SEP = range(6)
FIRST_BYTE = 6
VOCABULARY = FIRST_BYTE + 256

_SPECIAL = re.compile("(" + "|".join(map(re.escape, SPECIAL)) + ")")
_REPEATED = re.compile(r"\[MASK\*0*(\d+)\]", re.ASCII)
_MOST_DIGITS = 9
UNCOUNTED = 10**_MOST_DIGITS
"""So many masks are not counted any more."""


@dataclass(frozen=True)
class Encoded:
    """A text, or a pair of texts, as ids: [CLS] first [SEP], or [CLS] first [SEP] second [SEP].

    `starts` says where the ids of each text begin, `stops` where they end.
    """

    texts: tuple[str, ...]
    ids: tuple[int, ...]
    starts: tuple[int, ...]
    stops: tuple[int, ...]

    @property
    def masked(self) -> list[int]:
        """The positions of [MASK]."""
        return [index for index, one in enumerate(self.ids) if one == MASK]

    def inside(self) -> list[int]:
        """The positions of the texts themselves, without [CLS] and [SEP]."""
        spans = zip(self.starts, self.stops, strict=True)
        return [index for start, stop in spans for index in range(start, stop)]

    def behind(self, count: int) -> Encoded:
        """The same behind so many [PAD]."""
        starts = tuple(one + count for one in self.starts)
        stops = tuple(one + count for one in self.stops)
        return Encoded(self.texts, (PAD,) * count + self.ids, starts, stops)


def encode(first: str, second: str | None = None) -> Encoded:
    """The ids of a text, or of two. Names of special ids in the text, `[MASK]` say, become them."""
    texts = (first,) if second is None else (first, second)
    ids, starts, stops = [CLS], [], []
    for text in texts:
        starts.append(len(ids))
        ids += plain_ids(text)
        stops.append(len(ids))
        ids.append(SEP)
    return Encoded(texts, tuple(ids), tuple(starts), tuple(stops))


def plain_ids(text: str) -> list[int]:
    """The ids of a text without [CLS] and [SEP].

    What UTF-8 cannot hold (half a surrogate pair) becomes a question mark.
    """
    ids: list[int] = []
    for part in _SPECIAL.split(text):
        if part in SPECIAL:
            ids.append(SPECIAL.index(part))
        else:
            ids += [byte + FIRST_BYTE for byte in part.encode("utf-8", errors="replace")]
    return ids


def decode(ids: Iterable[int], *, skip_special: bool = False) -> str:
    """The text of ids; bytes that are no UTF-8 become U+FFFD.

    Special ids are written by name, or left out. Raises ValueError for an id of no meaning.
    """
    found = b""
    for one in ids:
        if FIRST_BYTE <= one < VOCABULARY:
            found += bytes([one - FIRST_BYTE])
        elif not 0 <= one < FIRST_BYTE:
            raise ValueError(f"{one} is no id: they are 0 to {VOCABULARY - 1}")
        elif not skip_special:
            found += SPECIAL[one].encode()
    return found.decode("utf-8", errors="replace")


def expand_masks(text: str) -> str:
    """`[MASK*9]` written out as nine `[MASK]`, each of which stands for one byte."""
    return _REPEATED.sub(lambda found: "[MASK]" * int(found[1]), text)


def count_masks(text: str) -> int:
    """How many `[MASK]` the repeated ones of a text stand for; a billion are more than can be."""
    counts = (found[1] for found in _REPEATED.finditer(text))
    return sum(int(one) if len(one) <= _MOST_DIGITS else UNCOUNTED for one in counts)


def character_offsets(text: str) -> list[int]:
    """The character that each id of a text belongs to, as `plain_ids` makes them, and the end.

    A special id belongs to its opening bracket.
    """
    offsets: list[int] = []
    place = 0
    for part in _SPECIAL.split(text):
        if part in SPECIAL:
            offsets.append(place)
        else:
            for index, character in enumerate(part):
                offsets += [place + index] * len(character.encode("utf-8", errors="replace"))
        place += len(part)
    return [*offsets, place]
