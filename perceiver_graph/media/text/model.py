"""A text that is read, and one whose gaps are filled, as the spec describes them, and what they fit."""

from __future__ import annotations

from typing import Literal

from perceiver_graph.media.base import InputMedia, Mismatch, OutputMedia, Part, Signature
from perceiver_graph.media.fit import PER_TOKEN, about_tokens, channels, one_length, rank
from perceiver_graph.media.text.tokens import VOCABULARY
from perceiver_graph.spec.models.base import Count, Model


class TextParameters(Model):
    """A text as ids."""

    tokenizer: Literal["bytes"] = "bytes"
    """How text becomes ids. `bytes`: UTF-8 bytes plus 6, between [CLS] (4) and [SEP] (5)."""
    pair: bool = False
    """Whether two texts given one after the other are one input, [CLS] first [SEP] second [SEP]."""


def _byte_ids(part: Part, signature: Signature) -> Mismatch | None:
    if part.dtype != "int64":
        fault = f"`{part.name}` takes real numbers, and a text is read as ids"
        embedding = f"`embedding: {{vocabulary: {VOCABULARY}, width: ...}}`"
        return Mismatch(fault, f"begin its steps with {embedding}", part.place())
    known = part.vocabulary
    if known is None or known >= VOCABULARY:
        return None
    fault = f"`{part.name}` takes {known} ids, and bytes need ids below {VOCABULARY}"
    return Mismatch(fault, f"write {VOCABULARY} or more", ("steps",))


class TextMedia(InputMedia):
    """A text given on the command line or in a .txt file."""

    text: TextParameters
    """The tokenizer; `{}` takes bytes."""

    input_checks = (rank(1, "give it one axis, of ids"), one_length, _byte_ids)
    reader = "perceiver_graph.media.text.reader:TextReader"
    example = '"A TEXT"'


class FillParameters(Model):
    """Scores over a vocabulary, for each token."""

    top: Count = 5
    """How many candidates are written for each masked token."""


def _about_tokens_if_read(part: Part, signature: Signature) -> Mismatch | None:
    """One answer for each token, unless the text comes out of something else."""
    return about_tokens(part, signature) if signature.read_as("text") else None


class FillMedia(OutputMedia):
    """The text with its masked bytes filled in; candidates for each are written as JSON."""

    text: FillParameters
    """How many candidates; `{}` takes the default."""

    output_checks = (
        rank(2, PER_TOKEN),
        channels(VOCABULARY, f"bytes need {VOCABULARY} scores"),
        _about_tokens_if_read,
    )
    writer = "perceiver_graph.media.text.writer:FillWriter"
