"""Where the texts of a piece are among its ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from perceiver_graph.media.io import Piece
from perceiver_graph.media.text.tokens import Encoded, character_offsets


@dataclass(frozen=True)
class Place:
    """A text among those that were encoded, and where its ids begin."""

    text: str
    start: int
    stop: int

    def letters(self) -> list[int]:
        """The first id of each character."""
        offsets = character_offsets(self.text)[:-1]
        return [i for i, one in enumerate(offsets) if not i or one != offsets[i - 1]]

    def stretch(self, first: int, last: int) -> dict[str, Any]:
        """The characters of the ids first to last, counted within the text; none is cut apart."""
        offsets = character_offsets(self.text)
        start = offsets[first]
        stop = next((one for one in offsets[last + 1 :] if one > offsets[last]), len(self.text))
        return {"text": self.text[start:stop], "start": start, "stop": stop}


def places(piece: Piece) -> list[Place]:
    """The texts that a piece was encoded from."""
    encoded = piece.origin(Encoded)
    assert encoded is not None  # the factories ask for a reader of texts
    parts = zip(encoded.texts, encoded.starts, encoded.stops, strict=True)
    return [Place(*part) for part in parts]
