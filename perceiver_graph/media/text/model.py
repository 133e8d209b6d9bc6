"""A text that is read, and one whose gaps are filled, as the spec describes them."""

from __future__ import annotations

from typing import Literal

from perceiver_graph.spec.models.base import (
    Count,
    Model,
)


class TextParameters(Model):
    """A text as ids."""

    tokenizer: Literal["bytes"] = "bytes"
    """How text becomes ids. `bytes`: UTF-8 bytes plus 6, between [CLS] (4) and [SEP] (5)."""
    pair: bool = False
    """Whether two texts given one after the other are one input, [CLS] first [SEP] second [SEP]."""


class TextMedia(Model):
    """A text given on the command line or in a .txt file."""

    text: TextParameters
    """The tokenizer; `{}` takes bytes."""


class FillParameters(Model):
    """Scores over a vocabulary, for each token."""

    top: Count = 5
    """How many candidates are written for each masked token."""


class FillMedia(Model):
    """The text with its masked bytes filled in; candidates for each are written as JSON."""

    text: FillParameters
    """How many candidates; `{}` takes the default."""
