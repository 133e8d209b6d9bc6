"""Texts out: masked bytes filled in, with the candidates for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.media.io import Answer, Piece, Writer
from perceiver_graph.media.scores.probabilities import row_probabilities
from perceiver_graph.media.text import tokens
from perceiver_graph.media.text.model import FillParameters


class FillWriter(Writer):
    """The text with the most probable byte at each [MASK]; each is chosen by itself.

    A text without [MASK] is written as the model reads it back; without a text, all is decoded.
    """

    def __init__(self, name: str, form: FillParameters) -> None:
        super().__init__(name, form)
        self._answer = Answer(None)

    def add(self, piece: Piece, results: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """Take scores [1, length, 262]."""
        values = row_probabilities(results[self._name][0])
        encoded = piece.origin(tokens.Encoded)
        if encoded is None:
            known = values[~np.isnan(values).any(axis=-1)]
            text = tokens.decode(known.argmax(axis=-1).tolist(), skip_special=True)
            self._answer = Answer({"text": text}, text)
            return {}
        ids = list(encoded.ids)
        for position in encoded.masked or encoded.inside():
            if np.isnan(values[position]).any():
                continue  # nothing is known of it: it stays as it was given
            best = int(values[position, tokens.FIRST_BYTE :].argmax())
            ids[position] = tokens.FIRST_BYTE + best
        spans = zip(encoded.starts, encoded.stops, strict=True)
        texts = [tokens.decode(ids[start:stop]) for start, stop in spans]
        masked = [
            {"position": position, "candidates": self._candidates(values[position])}
            for position in encoded.masked
        ]
        data = {"text": texts[0] if len(texts) == 1 else texts, "masked": masked}
        self._answer = Answer(data, " / ".join(texts))
        return {}

    def _candidates(self, values: NDArray[np.float64]) -> list[dict[str, Any]]:
        if np.isnan(values).any():
            return []
        best = np.argsort(-values, kind="stable")[: self._form.top]
        return [
            {"id": one, "text": _shown(one), "probability": float(values[one])}
            for one in best.tolist()
        ]

    def finish(self, said: Mapping[str, Answer]) -> dict[str, Answer]:
        """The filled text and the candidates."""
        return {self._name: self._answer}


def _shown(one: int) -> str:
    """An id for people: its character, `\\xe4` for a byte that is a part of one."""
    byte = one - tokens.FIRST_BYTE
    return f"\\x{byte:02x}" if byte >= 0x80 else tokens.decode([one])
