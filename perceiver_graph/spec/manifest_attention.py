"""What a manifest says of cross-attends whose scores can be told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from perceiver_graph.spec.manifest_types import Axes, Dotted, Shape, Words
from perceiver_graph.spec.models.base import Count, Model, Name, PositiveNumber


class Stretch(Model):
    """Rows that are read together, or that read: the tokens of an input, the queries of an output."""

    name: Words
    """The input, the output, or `latents`."""
    axes: Axes
    """What counts them, in order; none where there is one."""
    shape: Shape


class AttentionSettings(Model):
    """What an attention does beside multiplying: what the primitive says, by the names it has there, so that
    nothing is told of in one place and forgotten in the next. From the graph to the scores it is handed
    on whole."""

    heads: Count
    key_heads: Count
    scale: PositiveNumber
    causal: bool
    masked_rows: Literal["uniform", "zero"]
    """What a row reads where all is masked: all alike, or nothing."""


class _Multiplied(Model):
    """What a program gives of an attention."""

    program: Name
    queries: Dotted
    keys: Dotted
    mask: Dotted | None = None
    """Of the keys, bool; None: all are there."""


class AttentionEntry(AttentionSettings, _Multiplied):  # the last of these has the first fields
    """A cross-attend whose scores can be told: softmax(scale q k^T) head by head, of the queries and keys
    that a program gives."""

    rows: Stretch
    """Who reads."""
    read: Annotated[list[Stretch], Field(min_length=1, max_length=1000)]
    """What is read, in the order of the keys."""
